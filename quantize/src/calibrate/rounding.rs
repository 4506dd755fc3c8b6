//! Rounding weights so that the layer's output, not the weights, is kept: GPTQ (Frantar et al. 2022), with the error of
//! everything before the layer as part of the target.

use super::moments::Moments;

/// How weights are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    /// Let later weights make up for the rounding of earlier ones.
    pub compensate: bool,
    /// First move the weights to undo the errors of the layers before.
    pub absorb: bool,
    /// Choose each row's scale by weighted error instead of its largest weight.
    pub search_scale: bool,
}

/// Quantised rows.
pub struct Rows {
    /// `[rows][k]`
    pub values: Vec<i8>,
    /// `[rows]`
    pub scales: Vec<f32>,
    /// What to add to the bias, per row, in real units.
    pub bias: Vec<f64>,
}

/// Share of the mean variance added to all, so that what was never seen stays put.
const DAMPING: f64 = 0.01;

/// Rounds `weights` (`[rows][k]`) for the (not yet centred) moments.
pub fn solve(mut moments: Moments, weights: &[f32], how: Rounding) -> Rows {
    let (k, rows) = (moments.k, moments.rows);
    moments.centre();
    let n = moments.count.max(1.0);
    let mut h: Vec<f64> = moments.gram.iter().map(|v| v / n).collect();
    let mean = (0..k).map(|i| h[i * k + i]).sum::<f64>() / k.max(1) as f64;
    let damping = (mean * DAMPING).max(1e-12);
    (0..k).for_each(|i| h[i * k + i] = h[i * k + i].max(0.0) + damping);
    let inverse = invert(&h, k);
    let mut real: Vec<f64> = weights.iter().map(|w| f64::from(*w)).collect();
    if how.absorb
        && let Some(inverse) = &inverse
    {
        for r in 0..rows {
            let cross: Vec<f64> = moments.cross[r * k..(r + 1) * k].iter().map(|v| v / n).collect();
            for (i, c) in cross.iter().enumerate().filter(|(_, c)| **c != 0.0) {
                for j in 0..k {
                    real[r * k + j] += c * inverse[i * k + j];
                }
            }
        }
    }
    let upper = if how.compensate { inverse.and_then(|inverse| cholesky_upper(inverse, k)) } else { None };
    let mut out = Rows { values: vec![0; rows * k], scales: vec![0.0; rows], bias: vec![0.0; rows] };
    for r in 0..rows {
        let row = &mut real[r * k..(r + 1) * k];
        let scale = scale(row, how.search_scale.then_some((&h[..], k)));
        let values = &mut out.values[r * k..(r + 1) * k];
        for i in 0..k {
            let q = (row[i] / scale).round_ties_even().clamp(-127.0, 127.0);
            values[i] = q as i8;
            if let Some(u) = &upper {
                let error = (row[i] - q * scale) / u[i * k + i];
                for j in i + 1..k {
                    row[j] -= error * u[i * k + j];
                }
            }
        }
        out.scales[r] = scale as f32;
        let scale = f64::from(scale as f32);
        let moved: f64 =
            (0..k).map(|i| (f64::from(weights[r * k + i]) - f64::from(values[i]) * scale) * moments.sum_x[i] / n).sum();
        out.bias[r] = moments.sum_e[r] / n + moved;
    }
    out
}

/// A row's scale: from its largest weight, or the one of least error weighted by how much each input varies.
fn scale(row: &[f64], weigh: Option<(&[f64], usize)>) -> f64 {
    let largest = row.iter().fold(0.0f64, |a, w| a.max(w.abs())).max(1e-9);
    let full = largest / 127.0;
    let Some((h, k)) = weigh else { return full };
    let error = |scale: f64| -> f64 {
        row.iter()
            .enumerate()
            .map(|(i, w)| {
                let q = (w / scale).round_ties_even().clamp(-127.0, 127.0);
                h[i * k + i] * (w - q * scale).powi(2)
            })
            .sum()
    };
    let candidates = (0..30).map(|i| full * (1.0 - 0.02 * f64::from(i)));
    candidates.map(|s| (error(s), s)).min_by(|a, b| a.0.total_cmp(&b.0)).map_or(full, |(_, s)| s)
}

/// Lower Cholesky factor; `None` if the matrix is not positive definite.
fn cholesky(mut a: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    for i in 0..n {
        for j in 0..=i {
            let (head, tail) = a.split_at(i * n);
            let (ri, rj) = (&tail[..j], if i == j { &tail[..j] } else { &head[j * n..j * n + j] });
            let sum = a[i * n + j] - ri.iter().zip(rj).map(|(x, y)| x * y).sum::<f64>();
            if i == j {
                if sum <= 0.0 || sum.is_nan() {
                    return None;
                }
                a[i * n + i] = sum.sqrt();
            } else {
                a[i * n + j] = sum / a[j * n + j];
            }
        }
        a[i * n + i + 1..(i + 1) * n].fill(0.0);
    }
    Some(a)
}

/// Inverse of a symmetric positive definite matrix.
fn invert(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let l = cholesky(a.to_vec(), n)?;
    // Row i of the inverse of L, then Lᵢ⁻ᵀ·Lᵢ⁻¹, both by rows so that the inner loops run along memory.
    let mut li = vec![0.0; n * n];
    for i in 0..n {
        let (done, row) = li.split_at_mut(i * n);
        let row = &mut row[..n];
        row[i] = 1.0;
        for j in 0..i {
            let factor = l[i * n + j];
            row.iter_mut().zip(&done[j * n..j * n + j + 1]).for_each(|(r, d)| *r -= factor * d);
        }
        let pivot = l[i * n + i];
        row[..=i].iter_mut().for_each(|v| *v /= pivot);
    }
    let mut inverse = vec![0.0; n * n];
    for k in 0..n {
        let row = &li[k * n..k * n + k + 1];
        for (i, factor) in row.iter().enumerate() {
            inverse[i * n..i * n + k + 1].iter_mut().zip(row).for_each(|(t, v)| *t += factor * v);
        }
    }
    Some(inverse)
}

/// Upper factor U with A = Uᵀ·U.
fn cholesky_upper(a: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    let l = cholesky(a, n)?;
    let mut u = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            u[j * n + i] = l[i * n + j];
        }
    }
    Some(u)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(xs: &[[f64; 3]]) -> Moments {
        let mut m = Moments {
            k: 3,
            rows: 1,
            count: xs.len() as f64,
            sum_x: vec![0.0; 3],
            sum_e: vec![0.0],
            gram: vec![0.0; 9],
            cross: vec![0.0; 3],
        };
        for x in xs {
            for i in 0..3 {
                m.sum_x[i] += x[i];
                (0..3).for_each(|j| m.gram[i * 3 + j] += x[i] * x[j]);
            }
        }
        m
    }

    #[test]
    fn an_inverse_is_one() {
        let a = [4.0, 1.0, 0.5, 1.0, 3.0, 0.2, 0.5, 0.2, 2.0];
        let b = invert(&a, 3).unwrap();
        for i in 0..3 {
            for j in 0..3 {
                let v: f64 = (0..3).map(|k| a[i * 3 + k] * b[k * 3 + j]).sum();
                assert!((v - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
        let u = cholesky_upper(b.clone(), 3).unwrap();
        let v: f64 = (0..3).map(|k| u[k * 3] * u[k * 3 + 1]).sum();
        assert!((v - b[1]).abs() < 1e-12);
    }

    #[test]
    fn compensation_keeps_output_of_correlated_inputs() {
        let xs: Vec<[f64; 3]> = (0..64)
            .map(|i| {
                let a = f64::from(i) / 8.0;
                [a, a * 0.9 + f64::from(i % 3) * 0.1, -a]
            })
            .collect();
        let weights = [0.0149f32, 1.0, 0.0349];
        let error = |how: Rounding| {
            let rows = solve(moments(&xs), &weights, how);
            xs.iter()
                .map(|x| {
                    let y: f64 = (0..3).map(|i| f64::from(weights[i]) * x[i]).sum();
                    let z: f64 =
                        (0..3).map(|i| f64::from(rows.values[i]) * f64::from(rows.scales[0]) * x[i]).sum::<f64>()
                            + rows.bias[0];
                    (y - z).powi(2)
                })
                .sum::<f64>()
        };
        let plain = error(Rounding { compensate: false, absorb: false, search_scale: false });
        let best = error(Rounding { compensate: true, absorb: true, search_scale: true });
        assert!(best < plain, "{best} {plain}");
    }
}
