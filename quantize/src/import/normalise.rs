//! The image's normalisation, folded into the first convolution so that the network reads bytes.

use super::ImportError;
use crate::graph::{ConvKind, Graph, Op, Weights};

/// `(byte / 255 - mean) / std`, per channel in the order in which the network reads them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// In units of 1/255 byte.
    pub mean: [f32; 3],
    /// In the same units; not 0.
    pub std: [f32; 3],
}

impl Normalisation {
    /// The byte that reads most like "outside the image", which is 0 after normalisation.
    ///
    /// A tensor has one zero point, so all channels share the byte nearest to their middle mean. For means of 0.5 (all
    /// PP-OCR recognisers, the v4 and v6 detectors) it is half a byte off; for ImageNet means at most 10 bytes, 0.17
    /// after normalisation. Only the outermost row and column of the first convolution read outside the image.
    pub fn outside(&self) -> u8 {
        let (low, high) = self.mean.iter().fold((f32::MAX, f32::MIN), |(l, h), m| (l.min(*m), h.max(*m)));
        (127.5 * (low + high)).round_ties_even().clamp(0.0, 255.0) as u8
    }

    /// Rewrites every convolution that reads the image so that it reads `byte - outside()`.
    pub(super) fn fold(&self, graph: &mut Graph) -> Result<(), ImportError> {
        let outside = f64::from(self.outside());
        let input = graph.input;
        for node in graph.nodes.iter_mut().filter(|n| n.inputs.contains(&input)) {
            let wrong = || ImportError::Graph(format!("its first operation {} is no plain convolution", node.name));
            let Op::Conv(conv) = &mut node.op else { return Err(wrong()) };
            let Weights::F32(weights) = &mut conv.weights else { return Err(wrong()) };
            if conv.kind != ConvKind::Dense || conv.in_channels != 3 || node.inputs != [input] {
                return Err(wrong());
            }
            let row = weights.len() / conv.bias.len().max(1);
            for (bias, row) in conv.bias.iter_mut().zip(weights.chunks_exact_mut(row)) {
                let mut sum = f64::from(*bias);
                for (i, w) in row.iter_mut().enumerate() {
                    let (mean, std) = (f64::from(self.mean[i % 3]), f64::from(self.std[i % 3]));
                    sum += f64::from(*w) * (outside / 255.0 - mean) / std;
                    *w = (f64::from(*w) / (255.0 * std)) as f32;
                }
                *bias = sum as f32;
            }
        }
        Ok(())
    }
}
