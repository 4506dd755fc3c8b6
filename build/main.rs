//! Plans for the target: `targets/$EDGE_OCR_TARGET.toml` and the `.q8` files of `models/` become the constants and bytes of
//! `src/target.rs`. Knows nothing of ONNX and takes seconds.

mod target;

use edge_ocr_quantize::Model;
use edge_ocr_quantize::charset::Charset;
use edge_ocr_quantize::plan::{Compiled, CtcOutput, Options, compile};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use target::Target;

fn main() {
    if let Err(sentence) = build() {
        eprintln!("edge-ocr: {sentence}");
        std::process::exit(1);
    }
}

/// What the build reads of a model's manifest; the program checks all of it.
struct Sizes {
    height_px: usize,
    width_px: usize,
}

fn build() -> Result<(), String> {
    let root = PathBuf::from(env("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=EDGE_OCR_TARGET");
    println!("cargo::rerun-if-env-changed=EDGE_OCR_CHARSET");
    let name = std::env::var("EDGE_OCR_TARGET").unwrap_or_else(|_| "host".into());
    let path = root.join("targets").join(format!("{name}.toml"));
    if !path.is_file() {
        let names: Vec<String> = all(&root.join("targets"))?.into_iter().map(|(name, _)| name).collect();
        return Err(format!("there is no target {name:?}; EDGE_OCR_TARGET takes {}", names.join(", ")));
    }
    let mut target = target(&path, &name)?;
    if let Ok(charset) = std::env::var("EDGE_OCR_CHARSET") {
        target.recogniser.charset = charset;
    }

    let models = root.join("models");
    let (det, _) = load(&models, &target.detector.model)?;
    let (rec, rec_sizes) = load(&models, &target.recogniser.model)?;
    let (cls, cls_sizes) = load(&models, &target.classifier.model)?;
    let charset = &target.recogniser.charset;
    if !["latin", "digits", "full"].contains(&charset.as_str()) {
        println!("cargo::rerun-if-changed={charset}");
    }
    let rec = Charset::parse(charset)
        .and_then(|charset| rec.cut(&charset))
        .map_err(|e| format!("the charset {charset:?} (EDGE_OCR_CHARSET) cannot be used: {e}"))?;

    let heights = |widths: &[usize]| widths.iter().map(|w| [rec_sizes.height_px, *w]).collect::<Vec<_>>();
    let canvases: Vec<[usize; 2]> = target.detector.canvases_px.iter().map(|[w, h]| [*h, *w]).collect();
    let plans = [
        ("Detector", &target.detector.model, plan(&target, &det, canvases)?),
        ("Recogniser", &target.recogniser.model, plan(&target, &rec, heights(&target.recogniser.widths_px))?),
        ("Classifier", &target.classifier.model, plan(&target, &cls, vec![[cls_sizes.height_px, cls_sizes.width_px]])?),
    ];
    for (_, name, compiled) in &plans {
        write(&out.join(format!("{name}.plan")), &compiled.bytes)?;
    }
    let mut code = String::new();
    write_target(&mut code, &target, &plans, &rec, &all(&root.join("targets"))?).map_err(|e| e.to_string())?;
    write(&out.join("target.rs"), code.as_bytes())
}

/// Name and description of every target; all are checked, whichever is built.
fn all(folder: &Path) -> Result<Vec<(String, String)>, String> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if let (Some("toml"), Some(name)) = (path.extension().and_then(|e| e.to_str()), path.file_stem()) {
            let target = target(&path, &name.to_string_lossy())?;
            all.push((target.name, target.description));
        }
    }
    all.sort();
    Ok(all)
}

fn target(path: &Path, name: &str) -> Result<Target, String> {
    let text = String::from_utf8(read(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
    Target::parse(&text, name).map_err(|e| format!("{} cannot be used: {e}", path.display()))
}

/// The quantised model and the sizes of its manifest.
fn load(models: &Path, name: &str) -> Result<(Model, Sizes), String> {
    let manifest = String::from_utf8(read(&models.join(format!("{name}.toml")))?).map_err(|e| e.to_string())?;
    let manifest: toml::Table = toml::from_str(&manifest).map_err(|e| format!("models/{name}.toml: {e}"))?;
    let side = |key: &str| manifest.get("input").and_then(|t| t.get(key)).and_then(|v| v.as_integer()).unwrap_or(0);
    let path = models.join(format!("{name}.q8"));
    println!("cargo::rerun-if-changed={}", path.display());
    let model = Model::load(&path).map_err(|e| e.to_string())?;
    Ok((model, Sizes { height_px: side("height_px") as usize, width_px: side("width_px") as usize }))
}

fn plan(target: &Target, model: &Model, sizes: Vec<[usize; 2]>) -> Result<Compiled, String> {
    let options = Options { target: target.name.clone(), sizes, ctc: CtcOutput::Probabilities };
    compile(model, &options).map_err(|e| format!("no plan of {} for {}: {e}", model.name, target.name))
}

/// The source of `src/target.rs`.
fn write_target(
    code: &mut String,
    target: &Target,
    plans: &[(&str, &String, Compiled)],
    rec: &Model,
    all: &[(String, String)],
) -> std::fmt::Result {
    let arena = |i: usize, workers: usize| {
        plans.get(i).and_then(|p| p.2.variants.iter().map(|v| v.arena_bytes(workers)).max()).unwrap_or(0)
    };
    let room = |bytes: usize| bytes.next_multiple_of(64);
    // What `detect::detector` and `pipeline::lines` lay out in it.
    let canvas = target.detector.canvases_px.iter().map(|[w, h]| w * h).max().unwrap_or(0);
    let page = canvas.max(target.detector.max_side_px.pow(2));
    let detect = room(page * 3) + room(page * 4) + room(arena(0, target.threads));
    let read = 2 * room(target.recogniser.max_crop_px * 3) + room(arena(1, 1).max(arena(2, 1)));
    let bytes = detect.max(target.threads * read);

    writeln!(
        code,
        "/// Name of the target that this program was built for.\npub const NAME: &str = {:?};",
        target.name
    )?;
    writeln!(code, "/// What the target is.\npub const DESCRIPTION: &str = {:?};", target.description)?;
    writeln!(code, "/// Threads for which the arena has room.\npub const THREADS: usize = {};", target.threads)?;
    writeln!(code, "/// Bytes of the static arena.\npub const ARENA_BYTES: usize = {bytes};")?;
    writeln!(code, "/// Bytes of it for finding text.\npub const DETECT_BYTES: usize = {detect};")?;
    writeln!(code, "/// Bytes of it for reading text, for each thread.\npub const READ_BYTES: usize = {read};")?;
    writeln!(
        code,
        "/// Widths and heights of the detector's inputs, pixels.\npub const CANVASES_PX: &[[usize; 2]] = &{:?};",
        target.detector.canvases_px
    )?;
    writeln!(
        code,
        "/// Longest side of a page that is searched, pixels.\npub const MAX_SIDE_PX: usize = {};",
        target.detector.max_side_px
    )?;
    writeln!(
        code,
        "/// Widths of the recogniser's input, pixels.\npub const WIDTHS_PX: &[usize] = &{:?};",
        target.recogniser.widths_px
    )?;
    writeln!(
        code,
        "/// Pixels of the largest line image.\npub const MAX_CROP_PX: usize = {};",
        target.recogniser.max_crop_px
    )?;
    writeln!(
        code,
        "/// Name of the charset that the recogniser was cut to.\npub const CHARSET: &str = {:?};",
        target.recogniser.charset
    )?;
    writeln!(
        code,
        "/// Text of each class of the recogniser; class 0 is the blank.\npub const CLASSES: &[&str] = &{:?};",
        rec.classes
    )?;
    writeln!(
        code,
        "/// Name and description of every target in `targets/`.\npub const ALL: &[(&str, &str)] = &{all:?};"
    )?;
    for (kind, name, compiled) in plans {
        writeln!(code, "/// The {}.", kind.to_lowercase())?;
        writeln!(code, "pub static {}: Embedded = Embedded {{", kind.to_uppercase())?;
        writeln!(code, "    model: {name:?}, kind: Kind::{kind},")?;
        writeln!(code, "    plan: &Aligned(*include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.plan\"))).0,")?;
        writeln!(code, "    constants_bytes: {},", compiled.constants_bytes)?;
        writeln!(code, "    sizes: &[")?;
        for v in &compiled.variants {
            let [h, w] = v.size;
            let (one, all) = (v.arena_bytes(1), v.arena_bytes(target.threads));
            writeln!(
                code,
                "        Size {{ width_px: {w}, height_px: {h}, arena_bytes: {one}, arena_bytes_all_threads: {all}, over_lower_bound: {:?} }},",
                v.arrangement.ratio()
            )?;
        }
        writeln!(code, "    ],\n}};")?;
    }
    Ok(())
}

fn env(key: &str) -> Result<String, String> {
    std::env::var(key).map_err(|e| format!("{key}: {e}"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    println!("cargo::rerun-if-changed={}", path.display());
    std::fs::read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|e| format!("{} cannot be written: {e}", path.display()))
}
