//! From pixels to a page: wires the stages together and owns their memory.
//!
//! ```text
//! Frame → regions → rotate, enhance → detect → crop → classify → recognise → Page, in reading order
//! ```
//!
//! One pipeline, with one set of networks and one arena, can read every region in its own way: [`Profile`].

mod affine;
mod frame;
mod lines;
mod open;
mod profile;
mod read;
mod second_look;
mod single;
mod stages;

pub use frame::Frame;
#[doc(hidden)]
pub use open::{Opened, open};
pub use profile::{Profile, ProfileConfig};

use crate::classify::Classifier;
use crate::config::{Config, Engine, Mode, NONE};
use crate::detect::detector::Detector;
use crate::error::Error;
use crate::image::region::PixelRect;
use crate::infer::Ran;
use crate::memory::{NoMemory, Workspace};
use crate::models::{Charset, Kind, ModelError, Store};
use crate::page::Page;
use crate::param::Param;
use crate::recognise::{Reader, Recogniser, Recognisers};
use crate::source::{self, Input};
use lines::LineReader;
use stages::Stages;
use std::sync::Arc;

/// Is called, by any thread, when something is done; see [`Pipeline::on_progress`].
pub type OnProgress = Arc<dyn Fn() + Send + Sync>;

/// The largest dictionary that is read: a hundred times PP-OCRv6's.
const MAX_DICT_BYTES: u64 = 8 << 20;

/// Reads images, one after the other.
pub struct Pipeline {
    names: Names,
    /// What the configuration asks for.
    profile: Profile,
    stages: Stages,
}

/// The networks beside the recogniser that are loaded.
#[derive(Clone, Copy)]
struct Needs {
    detector: bool,
    classifier: bool,
}

/// The models in use.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Names {
    /// Engine.
    pub engine: &'static str,
    /// Detector; none where only lines are read.
    pub det: Option<String>,
    /// Recogniser.
    pub rec: String,
    /// The recogniser that reads again what the first is not certain of.
    pub second_rec: Option<String>,
    /// Classifier; none when switched off.
    pub cls: Option<String>,
    /// What runs detector and recogniser, by their names. Empty with engines that always run where they say.
    pub ran: Vec<(String, Ran)>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("names", &self.names).field("config", self.config()).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Reads the models and prepares them for their most usual shape.
    ///
    /// # Errors
    /// [`Error::Config`] for parameters out of range, [`Error::Model`] for models that are missing, damaged or of the
    /// wrong kind, [`Error::NoEngine`] for an engine this program was built without, [`Error::Infer`] when there is no
    /// memory for it.
    pub fn from_config(config: &Config) -> Result<Pipeline, Error> {
        let page = config.mode == Mode::Page;
        Pipeline::new(config, Needs { detector: page, classifier: page && config.classify })
    }

    /// A pipeline for several ways of reading, each of which [`profile`](Self::profile) then makes. Detector and
    /// classifier are loaded if one of them needs these, whatever [`Config::mode`] and [`Config::classify`] say;
    /// [`run`](Self::run), which goes by `config`, may lack the detector then.
    ///
    /// # Errors
    /// As [`from_config`](Self::from_config).
    pub fn for_profiles(config: &Config, profiles: &[ProfileConfig]) -> Result<Pipeline, Error> {
        let mut pages = profiles.iter().filter(|p| p.mode == Mode::Page).peekable();
        Pipeline::new(config, Needs { detector: pages.peek().is_some(), classifier: pages.any(|p| p.classify) })
    }

    fn new(config: &Config, needs: Needs) -> Result<Pipeline, Error> {
        config.validate()?;
        let store = Store::new(config.models.folder.as_deref());
        let threads = config.threads;
        let mut workspace = workspace(config.engine)?;
        let mut ran = Vec::new();
        let detector = match needs.detector {
            true => {
                let det = open(config, &config.models.det, &store, Kind::Detector, threads, &mut workspace)?;
                let pixels = config.memory.pixels_at_once();
                ran.extend(det.ran.map(|ran| (det.name.clone(), ran)));
                Some((Detector::new(det.network, &det.manifest, &config.detect, pixels)?, det.name))
            }
            false => None,
        };
        config.models.validate().map_err(Error::Config)?;
        let first = recogniser(config, &config.models.rec, &store, &mut workspace, &mut ran)?;
        let second = match config.models.second() {
            Some(name) => Some(recogniser(config, name, &store, &mut workspace, &mut ran)?),
            None => None,
        };
        let (second, second_rec) = second.unzip();
        if second.is_some() && !first.0.knows_certainty() {
            return Err(Error::Config(format!(
                "the recogniser {} cannot be the first of two, because its manifest does not say when it is certain; give \"{NONE}\" for the second",
                first.1
            )));
        }
        let recognisers = Recognisers::new(first.0, second);
        let classifier = match needs.classifier {
            true => {
                let cls = open(config, &config.models.cls, &store, Kind::Classifier, 1, &mut workspace)?;
                Some((Arc::new(Classifier::new(cls.network, &cls.manifest, config.cls_thresh)?), cls.name))
            }
            false => None,
        };
        let (detector, det) = detector.unzip();
        let mut config = config.clone();
        if let Some(detector) = &detector {
            config.detect.db = (*detector.db_params()).into();
        }
        config.rec_score_thresh = Some(config.score_thresh());
        let (classifier, cls) = classifier.unzip();
        let engine = recognisers.get(Reader::First).engine();
        let names = Names { engine, det, rec: first.1, second_rec, cls, ran };
        let profile = Profile::of_config(&config, &recognisers)?;
        let reader = LineReader::new(recognisers, classifier, threads)?;
        let stages = Stages::new(config, detector, reader, workspace, Arc::new(|| {}))?;
        Ok(Pipeline { names, profile, stages })
    }

    /// Another pipeline with the same networks, to read another image meanwhile on another thread: no network is loaded
    /// again. It has the configuration of this one, calls the same [`on_progress`](Self::on_progress), and reads the
    /// same, as results depend on nothing that was read before. [`Profile`]s of either are good for both.
    ///
    /// Threads, page and memory are its own: [`Config::threads`] threads more, some megabytes for lists, and on the
    /// heap what one pipeline takes for the pixels and tensors of the images it reads (with the INT8 engine the size of
    /// the arena). With [`Engine::Ort`] a network runs for one pipeline at a time, so that two pipelines find the text
    /// of one image while they recognise that of another, and more gain little.
    ///
    /// # Errors
    /// [`Error::Infer`] when there is no memory for it, [`Error::Config`] when its threads cannot be started.
    pub fn sharing_networks(&self) -> Result<Pipeline, Error> {
        let Stages { config, detector, reader, on_progress, .. } = &self.stages;
        let detector = detector.as_ref().map(Detector::sharing_network).transpose()?;
        let reader = reader.sharing_networks()?;
        let stages = Stages::new(config.clone(), detector, reader, workspace(config.engine)?, on_progress.clone())?;
        Ok(Pipeline { names: self.names.clone(), profile: self.profile.clone(), stages })
    }

    /// Makes the plans most often needed, as many as are kept, which otherwise the first image that needs one waits
    /// for.
    pub fn warm_up(&self) -> Result<(), Error> {
        let plans = self.stages.config.memory.plans();
        if let Some(detector) = &self.stages.detector {
            detector.warm_up(plans)?;
        }
        self.stages.reader.recognisers().warm_up(plans)?;
        Ok(())
    }

    /// Calls `on_progress` after each run of a network: on a slow board a page takes minutes, and whoever watches over
    /// it wants to know whether it gets on.
    pub fn on_progress(&mut self, on_progress: OnProgress) {
        self.stages.on_progress = on_progress;
    }

    /// The configuration in force: what was left to the manifests is filled in.
    pub fn config(&self) -> &Config {
        &self.stages.config
    }

    /// The models in use.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Makes a profile for this pipeline; one made by another pipeline means other characters if its model is another.
    ///
    /// # Errors
    /// [`Error::Config`] for a parameter out of range, characters that the model does not know, a pattern that is none,
    /// and for [`Mode::Page`] without a detector.
    pub fn profile(&self, config: &ProfileConfig) -> Result<Profile, Error> {
        config.validate()?;
        if config.mode == Mode::Page && self.stages.detector.is_none() {
            return Err(Error::Config(stages::NO_DETECTOR.into()));
        }
        Ok(Profile::new(config, self.stages.reader.recognisers())?)
    }

    /// Reads one image as the configuration says: the lowest entry, which allocates nothing between pixels and page
    /// (see [the crate's page](crate#memory) for exceptions). The page is valid until the next call;
    /// [`Page::to_owned`] copies it.
    ///
    /// # Errors
    /// [`Error::Image`] for a region outside the image, [`Error::Infer`] if a network fails.
    pub fn run<'a>(&mut self, frame: impl Into<Frame<'a>>) -> Result<&Page, Error> {
        self.run_frame(frame.into())
    }

    fn run_frame(&mut self, frame: Frame<'_>) -> Result<&Page, Error> {
        let Pipeline { profile, stages, .. } = self;
        stages.begin(&frame);
        if stages.config.regions.is_empty() {
            stages.read(&frame, stages::whole(&frame), profile)?;
        }
        for i in 0..stages.config.regions.len() {
            let [width, height] = frame.full_px;
            let rect = stages.config.regions[i].resolve(width, height)?;
            let rect = rect.scaled(frame.full_px, [frame.pixels.width(), frame.pixels.height()]);
            let before = stages.page.len();
            stages.read(&frame, rect, profile)?;
            log::debug!("region {}: {} lines", i + 1, stages.page.len() - before);
        }
        Ok(stages.finish())
    }

    /// Reads one image, or the part `rect` of it, as `profile` says, which takes the place of the configuration's mode,
    /// regions, restriction, score threshold, turn and enhancements. The page is valid until the next call; its
    /// coordinates are those of the whole image. Profiles may change from call to call at no cost.
    ///
    /// # Errors
    /// [`Error::Image`] for a part outside the image, [`Error::Config`] for a profile of mode page in a pipeline
    /// without a detector, [`Error::Infer`] if a network fails.
    pub fn run_profile<'a>(
        &mut self,
        frame: impl Into<Frame<'a>>,
        profile: &Profile,
        rect: Option<PixelRect>,
    ) -> Result<&Page, Error> {
        let frame = frame.into();
        self.stages.begin(&frame);
        self.stages.read(&frame, rect.unwrap_or_else(|| stages::whole(&frame)), profile)?;
        Ok(self.stages.finish())
    }
}

/// A recogniser with its characters, and its name.
fn recogniser(
    config: &Config,
    name: &str,
    store: &Store,
    workspace: &mut Workspace,
    ran: &mut Vec<(String, Ran)>,
) -> Result<(Arc<Recogniser>, String), Error> {
    // All threads share a run of the detector, but each reads lines of its own.
    let rec = open(config, name, store, Kind::Recogniser, 1, workspace)?;
    let charset = match &config.models.dict {
        Some(path) => {
            let broken = |reason: String| ModelError::Dictionary { name: path.display().to_string(), reason };
            let bytes = source::read(&Input::Path(path.clone()), MAX_DICT_BYTES).map_err(|e| broken(e.to_string()))?;
            let text = String::from_utf8(bytes).map_err(|e| broken(e.to_string()))?;
            Charset::parse(&text).map_err(broken)?
        }
        None => rec.charset.ok_or_else(|| ModelError::Dictionary {
            name: rec.name.clone(),
            reason: format!("the model file carries none; give its text file with {}", Param::Dict),
        })?,
    };
    ran.extend(rec.ran.map(|ran| (rec.name.clone(), ran)));
    let mut reading = config.recognise.clone();
    if config.engine == Engine::Ort && rec.network.shapes().is_some() {
        // The INT8 engine took ONNX Runtime's place.
        reading.batch = 1;
    }
    Ok((Arc::new(Recogniser::new(rec.network, &rec.manifest, charset, &reading)?), rec.name))
}

/// Memory for the networks of an engine.
fn workspace(engine: Engine) -> Result<Workspace<'static>, NoMemory> {
    match engine {
        Engine::Arena => Workspace::in_arena(),
        Engine::Tract | Engine::Ort => Ok(Workspace::on_heap()),
    }
}
