//! `quantize plan`: `.q8` and input sizes to a plan, with its memory map.

use clap::Args as ClapArgs;
use edge_ocr_quantize::charset::Charset;
use edge_ocr_quantize::plan::{CtcOutput, Options, compile};
use edge_ocr_quantize::{Error, Model};
use std::path::PathBuf;

/// Compile a quantised model for a target and input sizes
#[derive(ClapArgs)]
pub struct Args {
    /// Quantised model (.q8)
    model: PathBuf,
    /// Height and width of an input, such as 48x320; repeat it for more
    #[arg(long, required = true, value_parser = size)]
    size: Vec<[usize; 2]>,
    /// Recogniser: latin, digits, full, or a text file with the characters
    #[arg(long, default_value = "full")]
    charset: String,
    /// Name of the target that the plan is for
    #[arg(long)]
    target: String,
    /// Where the plan goes
    #[arg(long)]
    out: PathBuf,
    /// Where the memory map goes, as text
    #[arg(long)]
    map: Option<PathBuf>,
    /// Where a picture of the lifetimes and offsets goes; with more than one size, -HxW is added to its name
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Threads, for the sizes in the memory map
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Recogniser: give the probabilities of all classes instead of each step's best class
    #[arg(long)]
    probabilities: bool,
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |s: &str| s.parse::<usize>().ok();
    let (h, w) = text.split_once('x').ok_or("a size is HEIGHTxWIDTH, such as 48x320")?;
    Ok([side(h), side(w)].map(|s| s.unwrap_or(0))).and_then(|size: [usize; 2]| {
        if size.contains(&0) { Err("height and width are positive numbers, such as 48x320".into()) } else { Ok(size) }
    })
}

/// Compiles.
pub fn run(args: Args) -> Result<(), Error> {
    let charset = Charset::parse(&args.charset)?;
    let mut model = Model::load(&args.model)?;
    if charset != Charset::Full {
        model = model.cut(&charset)?;
    }
    let ctc = if args.probabilities { CtcOutput::Probabilities } else { CtcOutput::Best };
    let options = Options { target: args.target, sizes: args.size, ctc };
    let compiled = compile(&model, &options).map_err(|e| Error::Usage(format!("{}: {e}", args.model.display())))?;
    let write = |path: &PathBuf, bytes: &[u8]| std::fs::write(path, bytes).map_err(|e| Error::file(path, e));
    write(&args.out, &compiled.bytes)?;
    if let Some(path) = &args.map {
        write(path, compiled.text(&model, args.threads).as_bytes())?;
    }
    println!("{}: plan of {} bytes for {}", model.name, compiled.bytes.len(), options.target);
    for v in &compiled.variants {
        let [h, w] = v.size;
        println!(
            "{h}x{w}: arena {} bytes with {} threads, {:.4} times the lower bound",
            v.arena_bytes(args.threads),
            args.threads,
            v.arrangement.ratio()
        );
        if let Some(path) = &args.svg {
            let path = if compiled.variants.len() > 1 {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                path.with_file_name(format!("{stem}-{h}x{w}.svg"))
            } else {
                path.clone()
            };
            write(&path, v.svg(&model.name).as_bytes())?;
        }
    }
    Ok(())
}
