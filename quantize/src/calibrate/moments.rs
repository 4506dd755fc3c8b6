//! Second moments of what a convolution reads, and of what it should correct.

use crate::graph::{Conv, ConvKind, DType, Weights};
use crate::interpreter::{Feature, Patches};

/// Sums over patches for one independent problem: all rows of a dense convolution, or one channel of a depthwise one.
///
/// x is a patch as the quantised network sees it (real units), e the error that its rows would make with float weights:
/// `w·x_float + residual_float - (w·x + residual)`.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Elements of a patch.
    pub k: usize,
    /// Rows.
    pub rows: usize,
    /// Patches.
    pub count: f64,
    /// Σ x, `[k]`
    pub sum_x: Vec<f64>,
    /// Σ e, `[rows]`
    pub sum_e: Vec<f64>,
    /// Σ x·xᵀ, `[k][k]`
    pub gram: Vec<f64>,
    /// Σ e·xᵀ, `[rows][k]`
    pub cross: Vec<f64>,
}

impl Moments {
    fn new(k: usize, rows: usize) -> Moments {
        Moments {
            k,
            rows,
            count: 0.0,
            sum_x: vec![0.0; k],
            sum_e: vec![0.0; rows],
            gram: vec![0.0; k * k],
            cross: vec![0.0; rows * k],
        }
    }

    /// Adds another sample's sums.
    pub fn merge(&mut self, other: &Moments) {
        let add = |a: &mut Vec<f64>, b: &Vec<f64>| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        self.count += other.count;
        add(&mut self.sum_x, &other.sum_x);
        add(&mut self.sum_e, &other.sum_e);
        add(&mut self.gram, &other.gram);
        add(&mut self.cross, &other.cross);
    }

    /// Takes the means out: the bias answers for them.
    pub fn centre(&mut self) {
        let n = self.count.max(1.0);
        for i in 0..self.k {
            for j in 0..self.k {
                self.gram[i * self.k + j] -= self.sum_x[i] * self.sum_x[j] / n;
            }
        }
        for r in 0..self.rows {
            for j in 0..self.k {
                self.cross[r * self.k + j] -= self.sum_e[r] * self.sum_x[j] / n;
            }
        }
    }
}

/// Inputs of a convolution in both worlds.
pub struct Seen<'a> {
    /// Float network's.
    pub float: &'a Feature,
    /// Quantised network's, with its type.
    pub quantised: (&'a Feature, DType),
    /// Difference of the residuals, float less quantised, in the output's layout.
    pub residual: Option<Vec<f32>>,
    /// Output height and width.
    pub out: [usize; 2],
}

/// Sums over at most `limit` patches of one sample, evenly spread. One problem for dense, one per channel for
/// depthwise.
pub fn collect(conv: &Conv, seen: &Seen<'_>, limit: usize) -> Vec<Moments> {
    let Weights::F32(weights) = &conv.weights else { return Vec::new() };
    let x = seen.quantised.0.real(seen.quantised.1);
    let diff: Vec<f32> = seen.float.f32().iter().zip(&x).map(|(f, q)| f - q).collect();
    let shape = seen.float.shape;
    let depthwise = conv.kind == ConvKind::Depthwise;
    let (c, taps) = (shape.c, conv.row_len());
    let (mut sums, len) = if depthwise {
        (vec![Moments::new(taps, 1); c], taps * c)
    } else {
        (vec![Moments::new(taps, conv.rows())], taps)
    };
    let transposed = conv.kind == ConvKind::Transposed;
    let [oh, ow] = if transposed { [shape.h, shape.w] } else { seen.out };
    let stride = (oh * ow).div_ceil(limit.max(1)).max(1);
    // Not a divisor of the width, or only some columns would be seen.
    let stride = if stride > 1 && ow.is_multiple_of(stride) { stride + 1 } else { stride };
    let (mut px, mut pd) = (Patches::new(conv, &x, shape, ow), Patches::new(conv, &diff, shape, ow));
    let (mut batch_x, mut batch_d, mut batch_r) = (Vec::new(), Vec::new(), Vec::new());
    let rows = conv.out_channels as usize;
    for y in 0..oh {
        let wanted: Vec<usize> = (0..ow).filter(|ox| (y * ow + ox).is_multiple_of(stride)).collect();
        if wanted.is_empty() {
            continue;
        }
        let (lx, ld) = (px.row(y), pd.row(y));
        for ox in wanted {
            batch_x.extend_from_slice(&lx[ox * len..(ox + 1) * len]);
            batch_d.extend_from_slice(&ld[ox * len..(ox + 1) * len]);
            if let Some(residual) = &seen.residual {
                let at = (y * ow + ox) * rows;
                batch_r.extend_from_slice(&residual[at..at + rows]);
            }
        }
    }
    if depthwise {
        channels(&mut sums, weights, &batch_x, &batch_d, c);
    } else if let Some(sum) = sums.first_mut() {
        dense(sum, weights, &batch_x, &batch_d, &batch_r);
    }
    sums
}

/// Patches joined in f32 before they go to the f64 sums.
const BLOCK: usize = 64;

fn dense(sum: &mut Moments, weights: &[f32], x: &[f32], diff: &[f32], residual: &[f32]) {
    let (k, n) = (sum.k, sum.rows);
    let packed = crate::interpreter::PackedWeights::new(n, k, |row, i| weights[row * k + i]);
    let mut errors = vec![0.0; BLOCK * n];
    let mut line = vec![0.0f32; k];
    for (b, (x, d)) in x.chunks(BLOCK * k).zip(diff.chunks(BLOCK * k)).enumerate() {
        let count = x.len() / k.max(1);
        let errors = &mut errors[..count * n];
        packed.multiply(d, 0, k, errors);
        if let Some(r) = residual.get(b * BLOCK * n..b * BLOCK * n + errors.len()) {
            errors.iter_mut().zip(r).for_each(|(e, r)| *e += r);
        }
        sum.count += count as f64;
        for (x, e) in x.chunks_exact(k).zip(errors.chunks_exact(n)) {
            sum.sum_x.iter_mut().zip(x).for_each(|(s, v)| *s += f64::from(*v));
            sum.sum_e.iter_mut().zip(e).for_each(|(s, v)| *s += f64::from(*v));
        }
        let mut outer = |left: &dyn Fn(usize) -> f32, target: &mut [f64]| {
            line.fill(0.0);
            for (p, x) in x.chunks_exact(k).enumerate() {
                let factor = left(p);
                if factor != 0.0 {
                    line.iter_mut().zip(x).for_each(|(l, v)| *l += factor * v);
                }
            }
            target.iter_mut().zip(&line).for_each(|(t, l)| *t += f64::from(*l));
        };
        for (i, target) in sum.gram.chunks_exact_mut(k).enumerate() {
            outer(&|p| x[p * k + i], target);
        }
        for (r, target) in sum.cross.chunks_exact_mut(k).enumerate() {
            outer(&|p| errors[p * n + r], target);
        }
    }
}

fn channels(sums: &mut [Moments], weights: &[f32], x: &[f32], diff: &[f32], c: usize) {
    let taps = sums.first().map_or(0, |s| s.k);
    for (x, d) in x.chunks_exact(taps * c).zip(diff.chunks_exact(taps * c)) {
        for (ch, sum) in sums.iter_mut().enumerate() {
            let e: f32 = (0..taps).map(|t| weights[t * c + ch] * d[t * c + ch]).sum();
            sum.count += 1.0;
            sum.sum_e[0] += f64::from(e);
            for i in 0..taps {
                let xi = f64::from(x[i * c + ch]);
                sum.sum_x[i] += xi;
                sum.cross[i] += f64::from(e) * xi;
                for j in 0..taps {
                    sum.gram[i * taps + j] += xi * f64::from(x[j * c + ch]);
                }
            }
        }
    }
}
