//! `quantize show`: the folded graph of an ONNX network or of a `.q8`, and its answer for given bytes.

use clap::Args as ClapArgs;
use edge_ocr_quantize::data::manifest::Manifest;
use edge_ocr_quantize::graph::{DType, Graph, Op};
use edge_ocr_quantize::interpreter::{self, Mode};
use edge_ocr_quantize::q8::Kind;
use edge_ocr_quantize::{Error, Model, import, onnx};
use std::path::{Path, PathBuf};

/// Show a network: its operations for an input size, or its output for given bytes
#[derive(ClapArgs)]
pub struct Args {
    /// ONNX or .q8 file
    model: PathBuf,
    /// Manifest of an ONNX file
    #[arg(long)]
    manifest: Option<PathBuf>,
    /// Height and width of the input
    #[arg(long, num_args = 2, default_values_t = [48, 320])]
    size: Vec<usize>,
    /// Bytes of the image (height x width x 3, in the order the network reads); writes the output as little-endian
    /// f32
    #[arg(long, requires = "out")]
    run: Option<PathBuf>,
    /// Where the output goes
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Shows it.
pub fn run(args: Args) -> Result<(), Error> {
    let (graph, mode) = load(&args.model, args.manifest.as_deref())?;
    let [h, w] = args.size[..] else { return Err(Error::Usage("--size takes a height and a width".into())) };
    if let (Some(input), Some(out)) = (&args.run, &args.out) {
        let pixels = std::fs::read(input).map_err(|e| Error::file(input, e))?;
        let start = std::time::Instant::now();
        let (shape, values) = interpreter::run(&graph, &pixels, h, w, mode)?;
        println!("{}x{}x{} in {:.1} ms", shape.h, shape.w, shape.c, start.elapsed().as_secs_f64() * 1e3);
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        return std::fs::write(out, bytes).map_err(|e| Error::file(out, e));
    }
    print_graph(&graph, h, w)
}

fn load(model: &Path, manifest: Option<&Path>) -> Result<(Graph, Mode), Error> {
    if model.extension().is_some_and(|e| e == "q8") {
        return Ok((Model::load(model)?.graph, Mode::Int));
    }
    let manifest = manifest.ok_or_else(|| Error::Usage("an ONNX file needs its --manifest".into()))?;
    let manifest = Manifest::load(manifest)?;
    let raw = onnx::read(model).map_err(|e| Error::Usage(e.to_string()))?;
    let graph = import::import(&raw, &manifest.normalisation(), manifest.kind() == Kind::Recogniser)
        .map_err(|e| Error::Usage(e.to_string()))?;
    Ok((graph, Mode::Float))
}

fn print_graph(graph: &Graph, h: usize, w: usize) -> Result<(), Error> {
    let shapes = graph.shapes(h, w)?;
    let mut macs = 0;
    for node in &graph.nodes {
        let out = shapes[node.output.index()];
        let ids: Vec<u32> = node.inputs.iter().map(|id| id.0).collect();
        let dtype = match graph.tensor(node.output).dtype {
            DType::F32 => "f32".to_string(),
            DType::U8(q) => format!("u8 {:.5} zero {}", q.scale, q.zero),
        };
        let detail = match &node.op {
            Op::Conv(c) => {
                macs += out.pixels() * c.row_len() * c.out_channels as usize;
                format!("{:?} s{:?} {:?} post {:?}", c.kernel, c.stride, c.act, c.post.map(|p| (p.scale, p.shift)))
            }
            Op::SqueezeExcite(se) => format!("hidden {} residual {}", se.hidden, se.residual),
            Op::Add { up } => format!("up {up}"),
            Op::Attention { heads, scale } => format!("heads {heads} scale {scale}"),
            _ => String::new(),
        };
        println!(
            "{:>4} {:14} {ids:?} -> {} [{}x{}x{}] {dtype} {detail}",
            node.name,
            node.op.name(),
            node.output.0,
            out.h,
            out.w,
            out.c
        );
    }
    println!("{} operations, {:.3} GMAC in convolutions", graph.nodes.len(), macs as f64 / 1e9);
    Ok(())
}
