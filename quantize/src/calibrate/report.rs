//! What calibration decided and what it cost, as text and CSV.

use super::layerwise::dtype_name;
use crate::graph::DType;
use std::fmt::Write;

/// One operator.
#[derive(Clone, Debug)]
pub struct LayerReport {
    /// ONNX name.
    pub node: String,
    /// Kind.
    pub op: &'static str,
    /// Type of its output.
    pub dtype: DType,
    /// Signal to quantisation noise of its output over the calibration images, with everything before it quantised.
    pub sqnr_db: f64,
    /// Signal to quantisation noise of its weights against the float ones.
    pub weight_sqnr_db: Option<f64>,
}

/// All operators.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In order of the graph.
    pub layers: Vec<LayerReport>,
}

/// Power of the signal over power of the difference, in dB.
pub(super) fn sqnr_db<'a>(pairs: impl Iterator<Item = (&'a [f32], Vec<f32>)>) -> f64 {
    let (mut signal, mut noise) = (0.0f64, 0.0f64);
    for (real, got) in pairs {
        for (r, g) in real.iter().zip(&got) {
            signal += f64::from(*r).powi(2);
            noise += (f64::from(*r) - f64::from(*g)).powi(2);
        }
    }
    10.0 * ((signal + 1e-30) / (noise + 1e-30)).log10()
}

impl Report {
    /// A table for people.
    pub fn text(&self) -> String {
        let mut out = String::from("node                      operation       sqnr dB  weights dB  output\n");
        for l in &self.layers {
            let weights = l.weight_sqnr_db.map_or("-".into(), |v| format!("{v:.1}"));
            let _ =
                writeln!(out, "{:25} {:15} {:7.1}  {weights:>10}  {}", l.node, l.op, l.sqnr_db, dtype_name(l.dtype));
        }
        out
    }

    /// A table for programs.
    pub fn csv(&self) -> String {
        let mut out = String::from("node,operation,sqnr_db,weight_sqnr_db,elem,scale,zero\n");
        for l in &self.layers {
            let weights = l.weight_sqnr_db.map_or(String::new(), |v| format!("{v:.3}"));
            let (dtype, scale, zero) = match l.dtype {
                DType::F32 => ("f32", String::new(), String::new()),
                DType::U8(q) => ("u8", q.scale.to_string(), q.zero.to_string()),
            };
            let _ = writeln!(out, "{},{},{:.3},{weights},{dtype},{scale},{zero}", l.node, l.op, l.sqnr_db);
        }
        out
    }
}
