//! Flags that choose networks and what runs them.

use clap::{Args, ValueEnum};
use edge_ocr::Error;
use edge_ocr::config::{FAMILIES, ModelChoice, NONE, Tier};
use std::path::PathBuf;

#[derive(Args)]
#[command(next_help_heading = "Models")]
pub struct Models {
    /// Detector and recogniser of one family: ppocrv6-small, ppocrv4-mobile, ppocrv6-tiny, ppocrv6-medium,
    /// ppocrv5-mobile
    /// [default: what is built in]
    #[arg(long, value_name = "FAMILY", conflicts_with = "tier")]
    model: Option<String>,
    /// Networks by cost: the tiny ones, the small ones, or (cascade) the tiny recogniser, and the small one again for lines
    /// of which that is not certain [default: what is built in]
    #[arg(long, value_enum)]
    tier: Option<TierName>,
    /// Detector: a name of `models list`, or the path of an .onnx file
    #[arg(long, value_name = "NAME|FILE")]
    det_model: Option<String>,
    /// Recogniser, likewise
    #[arg(long, value_name = "NAME|FILE")]
    rec_model: Option<String>,
    /// Text-line classifier, likewise
    #[arg(long, value_name = "NAME|FILE")]
    cls_model: Option<String>,
    /// Dictionary of the recogniser, one character a line (default: the model's own)
    #[arg(long, value_name = "FILE")]
    dict: Option<PathBuf>,
    /// Folder of the model files (default: $EDGE_OCR_MODELS, ./models, beside the program)
    #[arg(long, value_name = "DIR")]
    models_dir: Option<PathBuf>,
    /// Engine that runs the networks: INT8 in fixed memory (arena), float at any size (tract), or ONNX Runtime with a
    /// GPU (ort) [default: arena, or tract for models and sizes that are not built in]
    #[arg(long, value_enum)]
    pub engine: Option<EngineName>,
    /// Threads for one image (default: the processor's, at most 4)
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// What is spared: memory (small; JPEGs above 16 megapixels are reduced), or detail, and time of the float engine
    /// (large)
    #[arg(long, value_enum, default_value = "small")]
    pub memory: MemoryName,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum MemoryName {
    Small,
    Large,
}

#[derive(Clone, Copy, ValueEnum)]
enum TierName {
    Tiny,
    Small,
    Cascade,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum EngineName {
    #[value(alias = "int8")]
    Arena,
    #[value(alias = "float")]
    Tract,
    Ort,
}

impl Models {
    /// The networks that these flags name.
    pub fn choice(&self) -> Result<ModelChoice, Error> {
        let mut choice = match self.tier {
            None => ModelChoice::default(),
            Some(TierName::Tiny) => ModelChoice::of_tier(Tier::Tiny),
            Some(TierName::Small) => ModelChoice::of_tier(Tier::Small),
            Some(TierName::Cascade) => ModelChoice::of_tier(Tier::Cascade),
        };
        (choice.folder, choice.dict) = (self.models_dir.clone(), self.dict.clone());
        if let Some(family) = &self.model {
            let (_, det, rec) = FAMILIES.iter().find(|(name, ..)| name == family).ok_or_else(|| {
                let names: Vec<&str> = FAMILIES.iter().map(|(name, ..)| *name).collect();
                Error::Config(format!("there is no model family {family}; --model takes {}", names.join(", ")))
            })?;
            choice.det = det.to_string();
            (choice.rec, choice.second_rec) = (rec.to_string(), Some(NONE.into()));
        }
        if let Some(name) = &self.rec_model {
            // One that is named reads alone.
            (choice.rec, choice.second_rec) = (name.clone(), Some(NONE.into()));
        }
        for (chosen, given) in [(&mut choice.det, &self.det_model), (&mut choice.cls, &self.cls_model)] {
            if let Some(name) = given {
                chosen.clone_from(name);
            }
        }
        Ok(choice)
    }
}
