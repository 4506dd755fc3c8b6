//! Multi-head attention as Paddle exports it: reshape to (token, 3, head, d), transpose to (3, head, token, d), cut
//! into q, k and v, q·scale·kᵀ, softmax, ·v, transpose and reshape back.

use super::raw::RawNode;
use super::{Importer, Layout, Value};
use crate::graph::{Op, TensorId};

/// How far the pattern has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Split,
    Stacked,
    /// q (0), k (1) or v (2).
    Part(u8),
    KeyTransposed,
    Scores,
    Weights,
    Context,
    Done,
}

/// Part of an attention over the tokens `source`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Qkv {
    source: TensorId,
    heads: usize,
    scale: f32,
    stage: Stage,
}

impl Qkv {
    fn at(self, stage: Stage) -> Qkv {
        Qkv { stage, ..self }
    }

    pub(super) fn transpose(self, perm: &[i64]) -> Result<Qkv, String> {
        match (self.stage, perm) {
            (Stage::Split, [2, 0, 3, 1, 4]) => Ok(self.at(Stage::Stacked)),
            (Stage::Part(1), [0, 1, 3, 2]) => Ok(self.at(Stage::KeyTransposed)),
            (Stage::Context, [0, 2, 1, 3]) => Ok(self.at(Stage::Done)),
            (stage, perm) => Err(format!("an attention at {stage:?} is transposed by {perm:?}")),
        }
    }

    /// Number of axes of a part.
    pub(super) fn rank(self) -> Result<usize, String> {
        match self.stage {
            Stage::Part(_) => Ok(4),
            stage => Err(format!("an attention at {stage:?} is asked for its shape")),
        }
    }

    pub(super) fn slice(self, start: i64, end: i64) -> Result<Qkv, String> {
        match (self.stage, start) {
            (Stage::Stacked, 0..=2) if end == start + 1 || (start == 2 && end > 2) => {
                Ok(self.at(Stage::Part(start as u8)))
            }
            (stage, _) => Err(format!("an attention at {stage:?} is cut at {start}..{end}")),
        }
    }

    pub(super) fn softmax(self, axis: i64) -> Result<Qkv, String> {
        match (self.stage, axis) {
            (Stage::Scores, 3 | -1) => Ok(self.at(Stage::Weights)),
            (stage, axis) => Err(format!("softmax over axis {axis} of an attention at {stage:?}")),
        }
    }

    /// Times a scalar, plus a scalar.
    pub(super) fn affine(self, a: f32, b: f32) -> Result<Qkv, String> {
        match self.stage {
            Stage::Part(0) | Stage::Scores if b == 0.0 => Ok(Qkv { scale: self.scale * a, ..self }),
            stage => Err(format!("an attention at {stage:?} is scaled by {a} and shifted by {b}")),
        }
    }

    pub(super) fn matmul(self, other: Qkv) -> Result<Qkv, String> {
        let same = self.source == other.source;
        match (self.stage, other.stage) {
            (Stage::Part(0), Stage::KeyTransposed) if same => Ok(self.at(Stage::Scores)),
            (Stage::Weights, Stage::Part(2)) if same => Ok(self.at(Stage::Context)),
            (a, b) => Err(format!("an attention at {a:?} is multiplied by one at {b:?}")),
        }
    }
}

impl Importer {
    pub(super) fn split_heads(&self, source: TensorId, target: &[Option<i64>]) -> Result<Qkv, String> {
        let channels = self.channels(source);
        match target {
            [_, _, Some(3), Some(heads), Some(d)]
                if heads.checked_mul(3 * d) == Some(channels as i64) && *heads > 0 =>
            {
                Ok(Qkv { source, heads: *heads as usize, scale: 1.0, stage: Stage::Split })
            }
            _ => Err(format!("{channels} channels are reshaped to {target:?}")),
        }
    }

    pub(super) fn attention(&mut self, node: &RawNode, qkv: Qkv) -> Result<Value, String> {
        if qkv.stage != Stage::Done {
            return Err(format!("an attention at {:?} is reshaped", qkv.stage));
        }
        let channels = self.channels(qkv.source) / 3;
        let op = Op::Attention { heads: qkv.heads as u32, scale: qkv.scale };
        Ok(Value::Feature(self.emit(node, op, vec![qkv.source], channels), Layout::Ntc))
    }
}
