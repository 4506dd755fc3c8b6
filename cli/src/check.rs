//! `edge-ocr check`: reads a built-in image and says whether everything is fit.

use super::malloc_tuning;
use super::options::Options;
use super::{Stop, exit};
use edge_ocr::config::Engine;
use edge_ocr::image::decode;
use edge_ocr::infer::arena::isa;
use edge_ocr::{Pipeline, target};
use std::time::Instant;

/// Rendered by `tests/golden/make.py`, with the text that is on it.
pub const IMAGE: &[u8] = include_bytes!("check.png");
/// See [`IMAGE`].
pub const TEXT: &str = include_str!("check.expected.txt");

#[derive(clap::Args)]
pub struct Args {
    /// Readings that are timed
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: usize,
    #[command(flatten)]
    options: Options,
}

pub fn run(args: &Args) -> Result<u8, Stop> {
    let config = args.options.config()?;
    malloc_tuning::apply(&config, 1);
    say!("program    edge-ocr {} for {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    say!("processor  {}", features().join(" "));
    let start = Instant::now();
    let mut pipeline = Pipeline::from_config(&config)?;
    let loaded = start.elapsed();
    let names = pipeline.names().clone();
    let threads = pipeline.config().threads;
    // After a fallback the INT8 engine runs in the place of another.
    match if names.engine == Engine::Arena.name() { Engine::Arena } else { pipeline.config().engine } {
        Engine::Arena => {
            say!("engine     {} (INT8), {threads} threads, kernels {}", names.engine, isa()?.name());
            say!(
                "target     {}, arena {:.1} MB, charset {}",
                target::NAME,
                target::ARENA_BYTES as f64 / 1e6,
                target::CHARSET
            );
        }
        Engine::Ort => say!("engine     ort, {threads} threads on the CPU"),
        _ => say!("engine     {} (f32), {threads} threads", names.engine),
    }
    let models = [&names.det, &names.cls, &Some(names.rec.clone()), &names.second_rec];
    say!("models     {}", models.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", "));
    for (model, ran) in &names.ran {
        say!("runs on    {model}: {ran}");
    }
    say!("loading    {:.0} ms", loaded.as_secs_f64() * 1e3);

    let image = decode::decode(IMAGE, &config.limits)?;
    let mut times = Vec::new();
    let mut text = String::new();
    for _ in 0..args.repeat.clamp(1, 1000) {
        let start = Instant::now();
        let page = pipeline.run(&image)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        text = page.lines().map(|l| l.text().to_string() + "\n").collect();
    }
    let first = times[0];
    times.sort_by(f64::total_cmp);
    say!("reading    {first:.0} ms the first time, {:.0} ms at best", times[0]);
    // Older families drop spaces; that is no fault of the machine.
    let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    if letters(&text) == letters(TEXT) {
        say!("text       right");
        Ok(exit::OK)
    } else {
        say!("text       WRONG: {text:?} instead of {TEXT:?}");
        Ok(exit::FAILED)
    }
}

/// The instruction sets that matter to kernels, of those this processor has.
fn features() -> Vec<&'static str> {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    macro_rules! look {
        ($detect:ident: $($name:tt)*) => { [$(($name, std::arch::$detect!($name))),*] };
    }
    #[cfg(target_arch = "x86_64")]
    let known =
        look!(is_x86_feature_detected: "sse4.1" "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512vnni" "avxvnni");
    #[cfg(target_arch = "aarch64")]
    let known = look!(is_aarch64_feature_detected: "neon" "dotprod" "fp16" "i8mm");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let known: [(&str, bool); 0] = [];
    let mut found: Vec<&'static str> = known.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect();
    if found.is_empty() {
        found.push("no extensions known to this program");
    }
    found
}
