//! `quantize calibrate`: ONNX to `.q8`.

use clap::{Args as ClapArgs, ValueEnum};
use edge_ocr_engine::plan::crc32;
use edge_ocr_quantize::calibrate::{Calibrated, Options, Ranges, Rounding, within};
use edge_ocr_quantize::charset::{self, Charset};
use edge_ocr_quantize::data::{
    list,
    manifest::{Manifest, sha256},
    samples,
};
use edge_ocr_quantize::q8::{Kind, Model, Provenance};
use edge_ocr_quantize::{Error, import, onnx};
use std::path::PathBuf;

/// Quantise an ONNX network with calibration images
#[derive(ClapArgs)]
pub struct Args {
    /// ONNX file
    #[arg(long)]
    model: PathBuf,
    /// Its manifest
    #[arg(long)]
    manifest: PathBuf,
    /// List of calibration images
    #[arg(long)]
    images: PathBuf,
    /// Folder that the list's paths start from
    #[arg(long)]
    data: PathBuf,
    /// Where the quantised model goes
    #[arg(long)]
    out: PathBuf,
    /// Folder for the report
    #[arg(long)]
    report: Option<PathBuf>,
    /// Recogniser: latin, digits, full, or a text file with the characters
    #[arg(long, default_value = "full")]
    charset: String,
    /// Ranges of activations
    #[arg(long, value_enum, default_value_t = RangeRule::Mse)]
    ranges: RangeRule,
    /// Strength of the equalisation of channels, 0 (none) to 1 (all channels alike)
    #[arg(long, default_value_t = 1.0)]
    equalise: f32,
    /// Round weights one by one instead of letting them make up for each other
    #[arg(long)]
    plain_rounding: bool,
    /// Do not let weights absorb errors of earlier layers
    #[arg(long)]
    no_absorb: bool,
    /// Scale weights by the largest of a row
    #[arg(long)]
    no_scale_search: bool,
    /// Leave biases as they are
    #[arg(long)]
    no_bias_correction: bool,
    /// Convolutions that stay float among integers
    #[arg(long, value_delimiter = ',')]
    islands: Vec<String>,
    /// Leave the dearest layers float until the mean distance from the float network's answers (total variation of a
    /// step's probabilities; difference of a pixel's) is at most this, on calibration images
    #[arg(long)]
    budget: Option<f64>,
    /// Go on with the least loss if the budget cannot be held
    #[arg(long, requires = "budget")]
    best_effort: bool,
    /// Threads; they do not change the result
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum RangeRule {
    MinMax,
    Percentile,
    Mse,
}

/// Quantises.
pub fn run(args: Args) -> Result<(), Error> {
    let manifest = Manifest::load(&args.manifest)?;
    let usage = |e: &dyn std::fmt::Display| Error::Usage(e.to_string());
    let raw = onnx::read(&args.model).map_err(|e| usage(&e))?;
    let sha256 = sha256(&args.model)?;
    if sha256 != manifest.file.sha256 {
        return Err(Error::file(&args.model, "it is not the file of its manifest (sha256 differs); fetch it again"));
    }
    let kind = manifest.kind();
    let mut graph = import::import(&raw, &manifest.normalisation(), kind == Kind::Recogniser).map_err(|e| usage(&e))?;
    let mut classes = Vec::new();
    let mut name = manifest.name.clone();
    if kind == Kind::Recogniser {
        let dictionary = manifest.dictionary(&args.model, raw.metadata.get("character"))?;
        let charset = Charset::parse(&args.charset)?;
        classes = charset::prune(&mut graph, &charset::dictionary(&dictionary), &charset)?;
        name += charset.suffix();
    }
    let entries = list::read(&args.images)?;
    // Of what the list says, not of the file: remarks do not change what is learnt.
    let list_crc = crc32(entries.iter().map(|e| list::line(e) + "\n").collect::<String>().as_bytes());
    let outside = manifest.normalisation().outside();
    let images = samples::load(&args.data, &entries, kind, &manifest.input(), outside)?;
    let options = Options {
        ranges: match args.ranges {
            RangeRule::MinMax => Ranges::MinMax,
            RangeRule::Percentile => Ranges::Percentile(1e-4),
            RangeRule::Mse => Ranges::Mse,
        },
        equalise: args.equalise.clamp(0.0, 1.0),
        rounding: Rounding {
            compensate: !args.plain_rounding,
            absorb: !args.no_absorb,
            search_scale: !args.no_scale_search,
        },
        correct_bias: !args.no_bias_correction,
        islands: args.islands.into_iter().collect(),
        threads: args.threads,
        ..Options::default()
    };
    // Without a budget nothing is too dear.
    let budget = args.budget.unwrap_or(f64::INFINITY);
    let (Calibrated { graph, report, .. }, choice) = within(&graph, &images, &options, budget)?;
    for (count, loss) in &choice.tried {
        println!("{name}: loss {loss:.5} with {count} float islands");
    }
    if !choice.holds && !args.best_effort {
        let sentence = "take a larger --budget, or --best-effort for the least loss";
        return Err(Error::Usage(format!("no choice of float islands keeps the loss within {budget}: {sentence}")));
    }
    let model = Model {
        name,
        kind,
        input: manifest.input(),
        classes,
        provenance: Provenance {
            source: manifest.name,
            sha256,
            licence: manifest.origin.licence,
            tool: format!("edge-ocr-quantize {}", env!("CARGO_PKG_VERSION")),
            // The word is in the files that the repository holds, and these are to come out byte by byte.
            calibration: format!("{} pictures, CRC-32 of their list {list_crc:08x}", images.len()),
        },
        graph,
    };
    let bytes = model.to_bytes()?;
    std::fs::write(&args.out, &bytes).map_err(|e| Error::file(&args.out, e))?;
    println!("{}: {} bytes, {} classes, {} images", model.name, bytes.len(), model.classes.len(), images.len());
    if let Some(folder) = &args.report {
        std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, e))?;
        for (extension, text) in [("txt", report.text()), ("csv", report.csv()), ("sensitivity.csv", choice.csv())] {
            let path = folder.join(format!("{}.{extension}", model.name));
            std::fs::write(&path, text).map_err(|e| Error::file(&path, e))?;
        }
    }
    Ok(())
}
