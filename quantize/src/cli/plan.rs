//! `quantize plan`: `.q8` and input sizes to a plan, with its memory map.

use clap::Args as ClapArgs;
use edge_ocr_quantize::charset::Charset;
use edge_ocr_quantize::plan::{Options, compile};
use edge_ocr_quantize::target::Target;
use edge_ocr_quantize::{Error, Model};
use std::path::{Path, PathBuf};

/// Height of the lines that these recognisers read.
const LINE_HEIGHT_PX: usize = 48;

/// Compile a quantised model for a target and input sizes
#[derive(ClapArgs)]
pub struct Args {
    /// Quantised model (.q8)
    model: PathBuf,
    /// Height and width of an input, such as 48x320; repeat it for more [default: those of the target's file]
    #[arg(long, value_parser = size)]
    size: Vec<[usize; 2]>,
    /// Recogniser: latin, digits, full, or a text file with the characters [default: that of the target's file, or
    /// full]
    #[arg(long)]
    charset: Option<String>,
    /// Target that the plan is for: its file (targets/pi5.toml), or a name
    #[arg(long)]
    target: String,
    /// Where the plan goes
    #[arg(long)]
    out: PathBuf,
    /// Where the memory map goes, as text
    #[arg(long)]
    map: Option<PathBuf>,
    /// Where an image of the lifetimes and offsets goes; with more than one size, -HxW is added to its name
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Threads, for the sizes in the memory map [default: those of the target's file, or 1]
    #[arg(long)]
    threads: Option<usize>,
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |s: &str| s.parse::<usize>().ok();
    let (h, w) = text.split_once('x').ok_or("a size is HEIGHTxWIDTH, such as 48x320")?;
    Ok([side(h), side(w)].map(|s| s.unwrap_or(0))).and_then(|size: [usize; 2]| {
        if size.contains(&0) { Err("height and width are positive numbers, such as 48x320".into()) } else { Ok(size) }
    })
}

/// What a target's file says of one of its models; nothing is known of a target that is only a name.
#[derive(Default)]
struct Given {
    name: String,
    sizes: Vec<[usize; 2]>,
    charset: Option<String>,
    threads: usize,
}

impl Given {
    fn read(target: &str, model: &Model) -> Result<Given, Error> {
        let path = Path::new(target);
        if path.extension().is_none_or(|e| e != "toml") {
            return Ok(Given { name: target.into(), threads: 1, ..Given::default() });
        }
        let text = std::fs::read_to_string(path).map_err(|e| Error::file(path, e))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let target = Target::parse(&text, &name).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
        let (mut sizes, mut charset) = (Vec::new(), None);
        let is = |first: &String, second: &Option<String>| [Some(first), second.as_ref()].contains(&Some(&model.name));
        if is(&target.detector.model, &target.detector.second_model) {
            sizes = target.detector.canvases_px.iter().map(|[w, h]| [*h, *w]).collect();
        } else if is(&target.recogniser.model, &target.recogniser.second_model) {
            sizes = target.recogniser.widths_px.iter().map(|w| [LINE_HEIGHT_PX, *w]).collect();
            charset = Some(target.recogniser.charset);
        }
        Ok(Given { name: target.name, sizes, charset, threads: target.threads })
    }
}

/// Compiles.
pub fn run(args: Args) -> Result<(), Error> {
    let mut model = Model::load(&args.model)?;
    let given = Given::read(&args.target, &model)?;
    let charset = Charset::parse(args.charset.as_deref().or(given.charset.as_deref()).unwrap_or("full"))?;
    let threads = args.threads.unwrap_or(given.threads);
    let sizes = if args.size.is_empty() { given.sizes } else { args.size };
    if sizes.is_empty() {
        let name = &model.name;
        return Err(Error::Usage(format!("{} names no input sizes of {name}; give them with --size", args.target)));
    }
    if charset != Charset::Full {
        model = model.prune(&charset)?;
    }
    let options = Options { target: given.name, sizes };
    let compiled = compile(&model, &options).map_err(|e| Error::Usage(format!("{}: {e}", args.model.display())))?;
    let write = |path: &PathBuf, bytes: &[u8]| std::fs::write(path, bytes).map_err(|e| Error::file(path, e));
    write(&args.out, &compiled.bytes)?;
    if let Some(path) = &args.map {
        write(path, compiled.text(&model, threads).as_bytes())?;
    }
    println!("{}: plan of {} bytes for {}", model.name, compiled.bytes.len(), options.target);
    for v in &compiled.variants {
        let [h, w] = v.size;
        println!(
            "{h}x{w}: arena {} bytes with {} threads, {:.4} times the lower bound",
            v.arena_bytes(threads),
            threads,
            v.memory_layout.ratio()
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
