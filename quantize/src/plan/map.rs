//! The memory map of a plan, as text and as an image.

use super::{Compiled, CompiledVariant};
use crate::q8::Model;
use std::fmt::Write;

impl Compiled {
    /// Sizes, buffers and steps of all variants, for a person.
    pub fn text(&self, model: &Model, workers: usize) -> String {
        let mut t = String::new();
        let _ = writeln!(
            t,
            "{}: plan of {} bytes, of which constants {}; {} input sizes",
            model.name,
            self.bytes.len(),
            self.constants_bytes,
            self.variants.len()
        );
        for v in &self.variants {
            v.describe(model, workers, &mut t);
        }
        t
    }
}

impl CompiledVariant {
    fn describe(&self, model: &Model, workers: usize, t: &mut String) {
        let a = &self.memory_layout;
        let _ = writeln!(
            t,
            "\ninput {}x{}: arena {} bytes with {workers} workers = tensors {} + {workers} x scratch {} + slack; lower \
             bound of the tensors {}, ratio {:.4}",
            self.size[0],
            self.size[1],
            self.arena_bytes(workers),
            a.bytes,
            self.scratch_bytes,
            a.lower_bound,
            a.ratio()
        );
        let _ = writeln!(t, "    offset      bytes  steps      buffer");
        let mut order: Vec<usize> = (0..self.buffers.len()).collect();
        order.sort_by_key(|i| (self.buffers[*i].first, a.offsets[*i]));
        for i in order {
            let b = &self.buffers[i];
            let _ = writeln!(t, "{:>10} {:>10}  {:>3}..{:<3}   {}", a.offsets[i], b.bytes, b.first, b.last, b.name);
        }
        let _ = writeln!(t, " step  kind            offset  h x w x c (stride)          node");
        for (i, s) in self.steps.iter().enumerate() {
            let (y, name) = (s.step.output(), &model.graph.nodes[s.node].name);
            let shape = format!("{}x{}x{} {}", y.shape.h, y.shape.w, y.shape.c, y.dtype.name());
            let view = if y.is_dense() { String::new() } else { format!(" ({})", y.shape.pixel_stride) };
            let _ = writeln!(t, "{i:>5}  {:14} {:>8}  {:27} {name}", s.step.kind(), y.offset, shape + &view);
        }
    }

    /// Buffers as rectangles: steps from left to right, offsets from bottom to top.
    pub fn svg(&self, title: &str) -> String {
        const W: f64 = 1200.0;
        const H: f64 = 700.0;
        const MARGIN: f64 = 40.0;
        let (steps, bytes) = (self.steps.len().max(1) as f64 + 1.0, self.memory_layout.bytes.max(1) as f64);
        let mut s = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
             font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{MARGIN}\" y=\"24\" \
             font-size=\"15\">{} {}x{}: {} bytes of tensors, lower bound {}, ratio {:.4}</text>\n",
            W + 2.0 * MARGIN,
            H + 2.0 * MARGIN,
            escape(title),
            self.size[0],
            self.size[1],
            self.memory_layout.bytes,
            self.memory_layout.lower_bound,
            self.memory_layout.ratio()
        );
        for (i, b) in self.buffers.iter().enumerate() {
            let x = MARGIN + b.first as f64 / steps * W;
            let w = (b.last - b.first + 1) as f64 / steps * W;
            let h = b.bytes as f64 / bytes * H;
            let y = MARGIN + H - self.memory_layout.offsets[i] as f64 / bytes * H - h;
            let hue = (i * 137) % 360;
            let _ = writeln!(
                s,
                "<rect x=\"{x:.1}\" y=\"{y:.2}\" width=\"{w:.1}\" height=\"{h:.2}\" fill=\"hsl({hue},60%,75%)\" \
                 stroke=\"#333\" stroke-width=\"0.5\"><title>{}: {} bytes at {}, steps {}..{}</title></rect>",
                escape(&b.name),
                b.bytes,
                self.memory_layout.offsets[i],
                b.first,
                b.last
            );
            if h > 12.0 && w > 40.0 {
                let _ = writeln!(s, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 3.0, y + 11.0, escape(&b.name));
            }
        }
        let _ = writeln!(
            s,
            "<path d=\"M{MARGIN} {MARGIN}V{}H{}\" fill=\"none\" stroke=\"black\"/>\n<text x=\"{MARGIN}\" y=\"{}\">steps \
             0..{}</text>\n</svg>",
            H + MARGIN,
            W + MARGIN,
            H + MARGIN + 20.0,
            self.steps.len()
        );
        s
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
