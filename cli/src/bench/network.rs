//! One network by itself: opened, given one input again and again.

use super::{Args, Stop, ms};
use edge_ocr::Error;
use edge_ocr::config::Config;
use edge_ocr::infer::{Answer, Pool, Session, Shape};
use edge_ocr::memory::Workspace;
use edge_ocr::models::{Kind, Store};
use edge_ocr::param::FloatEngine;
use edge_ocr::pipeline::{Opened, open};
use std::sync::Arc;
use std::time::Instant;

/// A network by itself.
pub struct Single {
    pub model: Opened,
    kind: Kind,
    threads: usize,
}

/// What came of running it.
pub struct Runs {
    /// Milliseconds of each repetition.
    pub times: Vec<f64>,
    /// Energy of one repetition, if the board can say.
    pub joules: Option<f64>,
    /// The one answer of them all.
    pub answer: Vec<f32>,
    /// Threads that shared a run.
    pub threads: usize,
}

impl Single {
    /// As the pipeline opens it, except that all threads share a run of the recogniser too: there, they read a line
    /// each.
    pub fn new(config: &Config, name: &str, kind: Kind) -> Result<Single, Error> {
        config.validate()?;
        let threads = config.threads;
        let store = Store::new(config.models.folder.as_deref());
        let model = open(config, name, &store, kind, threads, &mut Workspace::on_heap())?;
        Ok(Single { model, kind, threads })
    }

    /// The network at the width and height asked for, or at the usual ones.
    pub fn session(
        &self,
        asked: Option<[usize; 2]>,
        usual: [usize; 2],
    ) -> Result<(Arc<dyn Session>, [usize; 2]), Error> {
        let name = &self.model.manifest.name;
        let size = match self.model.network.shapes() {
            Some(shapes) => {
                let sizes: Vec<[usize; 2]> =
                    shapes.iter().filter_map(|s| Some([*s.axes().get(3)?, *s.axes().get(2)?])).collect();
                let usual = if sizes.contains(&usual) { usual } else { sizes.first().copied().unwrap_or(usual) };
                let [w, h] = asked.unwrap_or(usual);
                if !sizes.contains(&[w, h]) {
                    let there = sizes.iter().map(|[w, h]| format!("{w}x{h}")).collect::<Vec<_>>().join(", ");
                    return Err(Error::Config(format!(
                        "{name} has no input of {w}x{h} in this program; give --size one of {there}, or {FloatEngine}"
                    )));
                }
                [w, h]
            }
            None => {
                let [w, h] = asked.unwrap_or(usual);
                let side =
                    |side: usize, step: usize, most: usize| (32..=most).contains(&side) && side.is_multiple_of(step);
                let (fits, rule) = match self.kind {
                    Kind::Detector => {
                        (side(w, 32, 4096) && side(h, 32, 4096), "multiples of 32 from 32 to 4096".into())
                    }
                    _ => (
                        side(w, 8, 8192) && h == usual[1],
                        format!("a multiple of 8 from 32 to 8192, and the height {}", usual[1]),
                    ),
                };
                if !fits {
                    return Err(Error::Config(format!("{name} cannot run at {w}x{h}; give --size {rule}")));
                }
                [w, h]
            }
        };
        let session = self.model.network.session(Shape::image(size[1], size[0]))?;
        Ok((session, size))
    }

    /// Times runs on one input, and refuses a second answer to it.
    pub fn measure(&self, args: &Args, session: &dyn Session, input: &[u8], columns: usize) -> Result<Runs, Stop> {
        let threads = if self.model.network.spreads() { self.threads } else { 1 };
        let mut pool = Pool::new(threads).map_err(|e| {
            Error::Config(format!("{threads} threads cannot be started: {e}; give fewer with --threads"))
        })?;
        let mut bench = Workspace::on_heap();
        let memory = bench.bytes(session.memory_bytes()).map_err(Error::from)?;
        let mut first: Vec<u8> = Vec::new();
        let mut answer = Vec::new();
        let (times, joules) = args.repeat(|| {
            session.input(memory)?.copy_from_slice(input);
            let start = Instant::now();
            let now = session.run(memory, &[columns], (threads > 1).then_some(&mut pool))?;
            let time = ms(start);
            let bytes: &[u8] = match now {
                Answer::F32(values) => bytemuck::cast_slice(values),
                Answer::U8 { values, .. } => values,
            };
            if first.is_empty() {
                first = bytes.to_vec();
                answer = (0..now.len()).map(|i| now.get(i)).collect();
            }
            match first == bytes {
                true => Ok(time),
                false => Err(Stop::Failed(format!(
                    "{} gave two answers for one image; report this as a defect",
                    self.model.manifest.name
                ))),
            }
        })?;
        Ok(Runs { times, joules, answer, threads })
    }
}
