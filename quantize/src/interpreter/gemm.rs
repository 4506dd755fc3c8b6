//! Matrix product in plain Rust that the compiler vectorises: rows of patches times packed weights.

/// Columns of one packed panel.
const PANEL: usize = 16;
/// Rows done at a time.
const ROWS: usize = 4;

/// Weights `[n][k]` packed to panels `[n/16][k][16]`.
pub struct Packed {
    panels: Vec<f32>,
    k: usize,
    n: usize,
}

impl Packed {
    /// Packs `n` rows of `k` weights, read through `at(row, k)`.
    pub fn new(n: usize, k: usize, at: impl Fn(usize, usize) -> f32) -> Packed {
        let mut panels = vec![0.0; n.div_ceil(PANEL) * k * PANEL];
        for (p, panel) in panels.chunks_exact_mut((k * PANEL).max(1)).enumerate() {
            for (i, value) in panel.iter_mut().enumerate() {
                let row = p * PANEL + i % PANEL;
                if row < n {
                    *value = at(row, i / PANEL);
                }
            }
        }
        Packed { panels, k, n }
    }

    /// `out[m][n] = Σ_k a[m][k]·w[n][k]` for k in `from..to`, each sum in order of k. `a` has rows of `self.k`.
    pub fn multiply(&self, a: &[f32], from: usize, to: usize, out: &mut [f32]) {
        let (k, n) = (self.k, self.n);
        if k == 0 || n == 0 {
            return out.fill(0.0);
        }
        for (rows, out) in a.chunks(ROWS * k).zip(out.chunks_mut(ROWS * n)) {
            for (p, panel) in self.panels.chunks_exact(k * PANEL).enumerate() {
                let (panel, width) = (&panel[from * PANEL..to * PANEL], PANEL.min(n - p * PANEL));
                let sums = if rows.len() == ROWS * k {
                    tile(
                        [
                            &rows[from..to],
                            &rows[k + from..k + to],
                            &rows[2 * k + from..2 * k + to],
                            &rows[3 * k + from..3 * k + to],
                        ],
                        panel,
                    )
                } else {
                    let mut sums = [[0.0; PANEL]; ROWS];
                    for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(k)) {
                        *sum = tile([&row[from..to]], panel)[0];
                    }
                    sums
                };
                for (sum, out) in sums.iter().zip(out.chunks_exact_mut(n)) {
                    out[p * PANEL..p * PANEL + width].copy_from_slice(&sum[..width]);
                }
            }
        }
    }
}

#[inline]
fn tile<const R: usize>(a: [&[f32]; R], panel: &[f32]) -> [[f32; PANEL]; R] {
    let mut sums = [[0.0f32; PANEL]; R];
    let len = a[0].len();
    let a = a.map(|row| &row[..len]);
    for (k, w) in panel.as_chunks::<PANEL>().0.iter().enumerate().take(len) {
        for r in 0..R {
            let x = a[r][k];
            for j in 0..PANEL {
                sums[r][j] += x * w[j];
            }
        }
    }
    sums
}
