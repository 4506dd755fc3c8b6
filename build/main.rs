//! Plans for the target: `targets/$EDGE_OCR_TARGET.toml` and the `.q8` files of `models/` become the constants and
//! bytes of `src/target.rs`. Knows nothing of ONNX and takes seconds.

use edge_ocr_quantize::Model;
use edge_ocr_quantize::charset::Charset;
use edge_ocr_quantize::plan::{Compiled, Options, compile};
use edge_ocr_quantize::target::{Arena, Target};
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    if let Err(sentence) = build() {
        eprintln!("edge-ocr: {sentence}");
        std::process::exit(1);
    }
}

/// The narrowest input of a recogniser whose manifest says nothing else, as in `src/models/manifest.rs`.
const TRAINED_WIDTH_PX: i64 = 320;

/// What the build reads of a model's manifest; the program checks all of it.
struct Sizes {
    height_px: usize,
    width_px: usize,
    /// A recogniser's narrowest input.
    narrowest_px: usize,
}

/// A network of the program.
struct Embedded {
    kind: &'static str,
    name: String,
    plan: Compiled,
    /// Text of each class of a recogniser.
    classes: Vec<String>,
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
        let names: Vec<String> = all(&root.join("targets"))?.into_iter().map(|target| target.name).collect();
        return Err(format!("there is no target {name:?}; EDGE_OCR_TARGET takes {}", names.join(", ")));
    }
    let mut target = target(&path, &name)?;
    target.suits(&env("CARGO_CFG_TARGET_ARCH")?)?;
    if let Ok(charset) = std::env::var("EDGE_OCR_CHARSET") {
        target.recogniser.charset = charset;
    }

    let models = root.join("models");
    let charset = &target.recogniser.charset;
    if !["latin", "digits", "full"].contains(&charset.as_str()) {
        println!("cargo::rerun-if-changed={charset}");
    }
    let cut_to = Charset::parse(charset)
        .map_err(|e| format!("the charset {charset:?} (EDGE_OCR_CHARSET) cannot be used: {e}"))?;
    let canvases: Vec<[usize; 2]> = target.detector.canvases_px.iter().map(|[w, h]| [*h, *w]).collect();
    let embed = |kind: &'static str, name: &str| -> Result<Embedded, String> {
        let (mut model, sizes) = load(&models, name)?;
        if kind == "Recogniser" {
            model =
                model.prune(&cut_to).map_err(|e| format!("{name} cannot be cut to the charset {charset:?}: {e}"))?;
        }
        let sizes = match kind {
            "Detector" => canvases.clone(),
            "Recogniser" => {
                let widths = target.recogniser.widths_px.iter().filter(|w| **w >= sizes.narrowest_px);
                widths.map(|w| [sizes.height_px, *w]).collect()
            }
            _ => vec![[sizes.height_px, sizes.width_px]],
        };
        let plan = plan(&target, &model, sizes)?;
        let bytes = if target.program.compress { deflated(&plan.bytes) } else { plan.bytes.clone() };
        write(&out.join(format!("{name}.plan")), &bytes)?;
        Ok(Embedded { kind, name: name.into(), plan, classes: model.classes })
    };
    let both = |kind, model: &String, second: &Option<String>| -> Result<Vec<Embedded>, String> {
        let Some(second) = second else { return Ok(vec![embed(kind, model)?]) };
        let second = embed(kind, second)?;
        match embed(kind, model) {
            Ok(first) => Ok(vec![first, second]),
            // The first could not say what the program is to read.
            Err(reason) if kind == "Recogniser" => {
                println!("cargo::warning={reason}; {} reads alone", second.name);
                Ok(vec![second])
            }
            Err(reason) => Err(reason),
        }
    };
    let detectors = both("Detector", &target.detector.model, &target.detector.second_model)?;
    let recognisers = both("Recogniser", &target.recogniser.model, &target.recogniser.second_model)?;
    let classifier = embed("Classifier", &target.classifier.model)?;
    let arena = Arena::of(&target, &plans(&detectors), &plans(&recognisers), &classifier.plan)?;
    let mut code = String::new();
    write_target(&mut code, &target, &arena, &all(&root.join("targets"))?)
        .and_then(|()| write_embedded(&mut code, &target, "DETECTORS", "The detectors", &detectors))
        .and_then(|()| write_embedded(&mut code, &target, "RECOGNISERS", "The recognisers", &recognisers))
        .and_then(|()| write_embedded(&mut code, &target, "CLASSIFIERS", "The classifier", &[classifier]))
        .map_err(|e| e.to_string())?;
    write(&out.join("target.rs"), code.as_bytes())
}

fn plans(networks: &[Embedded]) -> Vec<&Compiled> {
    networks.iter().map(|network| &network.plan).collect()
}

/// Every target; all are checked, whichever is built.
fn all(folder: &Path) -> Result<Vec<Target>, String> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if let (Some("toml"), Some(name)) = (path.extension().and_then(|e| e.to_str()), path.file_stem()) {
            all.push(target(&path, &name.to_string_lossy())?);
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
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
    let number = |table: &str, key: &str| manifest.get(table)?.get(key)?.as_integer();
    let side = |key: &str| number("input", key).unwrap_or(0) as usize;
    let narrowest_px = number("recogniser", "narrowest_px").unwrap_or(TRAINED_WIDTH_PX) as usize;
    let path = Path::new(edge_ocr_models::FOLDER).join(format!("{name}.q8"));
    println!("cargo::rerun-if-changed={}", path.display());
    let model = Model::load(&path).map_err(|e| e.to_string())?;
    Ok((model, Sizes { height_px: side("height_px"), width_px: side("width_px"), narrowest_px }))
}

fn plan(target: &Target, model: &Model, sizes: Vec<[usize; 2]>) -> Result<Compiled, String> {
    let options = Options { target: target.name.clone(), sizes };
    compile(model, &options).map_err(|e| format!("no plan of {} for {}: {e}", model.name, target.name))
}

/// The bytes with zlib's header. A smaller window or less effort changes nothing: weights hardly repeat, what is
/// saved is that some are more frequent.
fn deflated(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(bytes, 9)
}

/// The source of `src/target.rs`.
fn write_target(code: &mut String, target: &Target, arena: &Arena, all: &[Target]) -> std::fmt::Result {
    writeln!(
        code,
        "/// Name of the target that this program was built for.\npub const NAME: &str = {:?};",
        target.name
    )?;
    writeln!(code, "/// What the target is.\npub const DESCRIPTION: &str = {:?};", target.description)?;
    writeln!(code, "/// Threads for which the arena has room.\npub const THREADS: usize = {};", target.threads)?;
    writeln!(code, "/// Bytes of the static arena.\npub const ARENA_BYTES: usize = {};", arena.bytes)?;
    writeln!(code, "/// Bytes of it for finding text.\npub const DETECT_BYTES: usize = {};", arena.detect_bytes)?;
    writeln!(
        code,
        "/// Bytes of it for reading text, for each thread.\npub const READ_BYTES: usize = {};",
        arena.read_bytes
    )?;
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
    let kernels = |target: &Target| target.board.as_ref().map(|board| board.kernels.clone());
    writeln!(
        code,
        "/// Instruction set of the kernels; the best that the processor has if the target is for any machine.\npub const KERNELS: Option<&str> = {:?};",
        kernels(target)
    )?;
    writeln!(code, "/// Every target of `targets/`, by name.\npub const ALL: &[Described] = &[")?;
    for other in all {
        let arch = other.board.as_ref().map(|board| board.arch());
        let ram_mib = other.board.as_ref().map_or(0, |board| board.ram_mib);
        writeln!(
            code,
            "    Described {{ name: {:?}, description: {:?}, arch: {arch:?}, cpu: {:?}, kernels: {:?}, ram_mib: {ram_mib} }},",
            other.name,
            other.description,
            other.board.as_ref().map(|board| &board.cpu),
            kernels(other)
        )?;
    }
    writeln!(code, "];")
}

/// The networks of one kind, that which is used by default first.
fn write_embedded(
    code: &mut String,
    target: &Target,
    constant: &str,
    what: &str,
    networks: &[Embedded],
) -> std::fmt::Result {
    if target.program.compress {
        for (i, Embedded { plan, .. }) in networks.iter().enumerate() {
            let bytes = plan.bytes.len();
            writeln!(
                code,
                "static {constant}_MEMORY_{i}: edge_ocr_engine::Arena<{bytes}> = edge_ocr_engine::Arena::new();"
            )?;
        }
    }
    writeln!(code, "/// {what}; the first is the default.\npub static {constant}: [Embedded; {}] = [", networks.len())?;
    for (i, Embedded { kind, name, plan, classes }) in networks.iter().enumerate() {
        let file = format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.plan\"))");
        writeln!(code, "    Embedded {{\n        model: {name:?}, kind: Kind::{kind},")?;
        if target.program.compress {
            let memory = format!("memory: || {constant}_MEMORY_{i}.take()");
            writeln!(
                code,
                "        stored: Stored::Deflated {{ bytes: {file}, {memory}, plan: std::sync::OnceLock::new() }},"
            )?;
        } else {
            writeln!(code, "        stored: Stored::Plain(&edge_ocr_engine::plan::Aligned(*{file}).0),")?;
        }
        writeln!(code, "        plan_bytes: {},", plan.bytes.len())?;
        writeln!(code, "        constants_bytes: {},", plan.constants_bytes)?;
        writeln!(code, "        classes: &{classes:?},")?;
        writeln!(code, "        sizes: &[")?;
        for v in &plan.variants {
            let [h, w] = v.size;
            let (one, all) = (v.arena_bytes(1), v.arena_bytes(target.threads));
            writeln!(
                code,
                "            Size {{ width_px: {w}, height_px: {h}, arena_bytes: {one}, arena_bytes_all_threads: {all}, over_lower_bound: {:?} }},",
                v.memory_layout.ratio()
            )?;
        }
        writeln!(code, "        ],\n    }},")?;
    }
    writeln!(code, "];")
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
