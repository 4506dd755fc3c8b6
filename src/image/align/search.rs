//! Where a small grey image lies in a larger one: zero-mean normalised cross-correlation, coarse to fine.
//!
//! `imageproc::template_matching` has the normalised correlation without the means taken out, which prefers bright
//! places to similar ones and changes with the brightness of the scene, and no pyramid: at every place of a window of
//! ±40 pixels it costs a hundred times what is done here. Sums are whole numbers, so that the score does not depend
//! on their order.

use crate::image::{ImageError, PixelView, enhance, reserve};

/// A pyramid ends before a side of the template is shorter than this.
const MIN_SIDE_PX: usize = 10;
/// Most halvings: an eighth of the size.
const MAX_HALVINGS: usize = 3;
/// A halved template must keep this part of the contrast; what is finer than two pixels has none left in it.
const CONTRAST_KEPT: f64 = 0.6;
/// Multiplications of a search at which it is halved all the same: a tenth of a second on a small board.
const MAX_WORK: usize = 100_000_000;
/// Places of the coarsest level that are looked at more closely.
const CANDIDATES: usize = 6;
/// How far a place may lie from twice that of the coarser level.
const REFINE_PX: usize = 2;

/// Grey pixels, row by row.
#[derive(Clone, Debug)]
pub struct Plane {
    data: Vec<u8>,
    width: usize,
    height: usize,
}

impl Plane {
    /// The brightness of an image.
    pub fn of(view: PixelView<'_>) -> Result<Plane, ImageError> {
        Ok(Plane { data: enhance::grey_plane(view)?, width: view.width(), height: view.height() })
    }

    /// Half as wide and high: means of squares of four; an odd last row or column is left out.
    fn halved(&self) -> Result<Plane, ImageError> {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut data = reserve(width * height)?;
        for y in 0..height {
            let [above, below] = [2 * y, 2 * y + 1].map(|y| self.row(0, y, 2 * width));
            data.extend(above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0).map(|(a, b)| {
                let sum: u16 = a.iter().chain(b).map(|v| u16::from(*v)).sum();
                ((sum + 2) / 4) as u8
            }));
        }
        Ok(Plane { data, width, height })
    }

    /// `count` pixels from (`x`, `y`); fewer than that, none at all, outside.
    fn row(&self, x: usize, y: usize, count: usize) -> &[u8] {
        let start = y * self.width + x;
        self.data.get(start..start + count).unwrap_or(&[])
    }
}

/// A template at one size.
#[derive(Debug)]
struct Level {
    plane: Plane,
    sum: u64,
    /// Square root of n Σt² − (Σt)²; above 0.
    spread: f64,
}

impl Level {
    /// `None` for a plane of one brightness.
    fn new(plane: Plane) -> Option<Level> {
        let (sum, squares) = plane.data.iter().fold((0, 0), |(sum, squares), v| {
            let v = u64::from(*v);
            (sum + v, squares + v * v)
        });
        let spread = spread(plane.data.len(), sum, squares);
        (spread > 0.0).then_some(Level { plane, sum, spread })
    }

    /// Standard deviation in grey levels.
    fn contrast(&self) -> f64 {
        self.spread / self.plane.data.len() as f64
    }

    /// Likeness of the template to the part of `window` from (`x`, `y`), which must be inside: -1 to 1, 0 where the
    /// part is of one brightness.
    fn score(&self, window: &Plane, x: usize, y: usize) -> f32 {
        let Plane { width, height, .. } = self.plane;
        let (mut sum, mut squares, mut products) = (0u64, 0u64, 0u64);
        for dy in 0..height {
            // A row is at most MAX_MARK_PX long, so 32 bits hold its sums, which a vector unit likes.
            let (mut s, mut ss, mut st) = (0u32, 0u32, 0u32);
            for (i, t) in window.row(x, y + dy, width).iter().zip(self.plane.row(0, dy, width)) {
                let (i, t) = (u32::from(*i), u32::from(*t));
                s += i;
                ss += i * i;
                st += i * t;
            }
            sum += u64::from(s);
            squares += u64::from(ss);
            products += u64::from(st);
        }
        let n = self.plane.data.len();
        let part = spread(n, sum, squares);
        if part == 0.0 {
            return 0.0;
        }
        // Whole numbers up to 2^18 · 2^34: exact in i128, and their difference small enough for f64.
        let shared = n as i128 * i128::from(products) - i128::from(sum) * i128::from(self.sum);
        (shared as f64 / (part * self.spread)) as f32
    }
}

/// n Σv² − (Σv)², square root.
fn spread(n: usize, sum: u64, squares: u64) -> f64 {
    let difference = n as i128 * i128::from(squares) - i128::from(sum) * i128::from(sum);
    (difference as f64).sqrt()
}

/// What is looked for, at several sizes.
#[derive(Debug)]
pub struct Template {
    /// Each half the size of the one before.
    levels: Vec<Level>,
}

/// A place in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Upper left corner, to a fraction of a pixel.
    pub at: [f32; 2],
    /// Likeness, -1 to 1.
    pub score: f32,
}

impl Template {
    /// Prepares a plane for being looked for within `reach_px` pixels in each direction. `None` for one without
    /// contrast: less than `least_contrast` grey levels (standard deviation).
    pub fn new(plane: Plane, reach_px: usize, least_contrast: f64) -> Result<Option<Template>, ImageError> {
        let Some(whole) = Level::new(plane) else { return Ok(None) };
        let contrast = whole.contrast();
        if contrast < least_contrast {
            return Ok(None);
        }
        let mut levels = vec![whole];
        while let Some(last) = levels.last().filter(|_| levels.len() <= MAX_HALVINGS) {
            let Plane { width, height, .. } = last.plane;
            if width.min(height) / 2 < MIN_SIDE_PX {
                break;
            }
            let places = 2 * (reach_px >> (levels.len() - 1)) + 1;
            let work = places.saturating_mul(places).saturating_mul(width * height);
            match Level::new(last.plane.halved()?) {
                Some(half) if half.contrast() >= CONTRAST_KEPT * contrast || work > MAX_WORK => levels.push(half),
                _ => break,
            }
        }
        Ok(Some(Template { levels }))
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [usize; 2] {
        self.levels.first().map_or([0, 0], |level| [level.plane.width, level.plane.height])
    }

    /// The place in `window` that is most like the template; `None` if the window is smaller than it.
    pub fn find(&self, window: Plane) -> Result<Option<Found>, ImageError> {
        let mut windows = vec![window];
        while let Some(last) = windows.last().filter(|_| windows.len() < self.levels.len()) {
            windows.push(last.halved()?);
        }
        let mut pairs = self.levels.iter().zip(&windows).rev();
        let Some((level, window)) = pairs.next() else { return Ok(None) };
        let Some(mut places) = coarse(level, window) else { return Ok(None) };
        for (level, window) in pairs {
            for place in &mut places {
                let centre = [place.0[0] * 2, place.0[1] * 2];
                if let Some(better) = best_near(level, window, centre) {
                    *place = better;
                }
            }
        }
        let best = places.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let exact = self.levels.first().zip(windows.first());
        Ok(best.zip(exact).map(|(([x, y], score), (level, window))| {
            let [max_x, max_y] = room(level, window).unwrap_or([0, 0]);
            let at = |x: usize, y: usize| level.score(window, x, y);
            let dx = if x > 0 && x < max_x { peak([at(x - 1, y), score, at(x + 1, y)]) } else { 0.0 };
            let dy = if y > 0 && y < max_y { peak([at(x, y - 1), score, at(x, y + 1)]) } else { 0.0 };
            Found { at: [x as f32 + dx, y as f32 + dy], score }
        }))
    }
}

/// The largest place of a template in a window; `None` if it is larger than the window.
fn room(level: &Level, window: &Plane) -> Option<[usize; 2]> {
    Some([window.width.checked_sub(level.plane.width)?, window.height.checked_sub(level.plane.height)?])
}

/// The most likely places: local maxima of the score over the whole window.
fn coarse(level: &Level, window: &Plane) -> Option<Vec<([usize; 2], f32)>> {
    let [max_x, max_y] = room(level, window)?;
    let columns = max_x + 1;
    let scores: Vec<f32> = (0..=max_y).flat_map(|y| (0..=max_x).map(move |x| level.score(window, x, y))).collect();
    let at = |x: usize, y: usize| scores.get(y * columns + x).copied().unwrap_or(f32::NEG_INFINITY);
    let mut places = Vec::new();
    for y in 0..=max_y {
        for x in 0..=max_x {
            let score = at(x, y);
            let around = (y.saturating_sub(1)..=(y + 1).min(max_y))
                .flat_map(|y| (x.saturating_sub(1)..=(x + 1).min(max_x)).map(move |x| (x, y)));
            if around.into_iter().all(|(x, y)| at(x, y) <= score) {
                places.push(([x, y], score));
            }
        }
    }
    places.sort_by(|a, b| b.1.total_cmp(&a.1));
    places.truncate(CANDIDATES);
    Some(places)
}

/// The best place not far from `centre`.
fn best_near(level: &Level, window: &Plane, centre: [usize; 2]) -> Option<([usize; 2], f32)> {
    let [max_x, max_y] = room(level, window)?;
    let near = |c: usize, max: usize| c.saturating_sub(REFINE_PX).min(max)..=(c + REFINE_PX).min(max);
    let places = near(centre[1], max_y).flat_map(|y| near(centre[0], max_x).map(move |x| [x, y]));
    places.map(|[x, y]| ([x, y], level.score(window, x, y))).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Where the parabola through three values has its peak, -0.5 to 0.5 from the middle one, which is the largest.
fn peak([before, middle, after]: [f32; 3]) -> f32 {
    let bend = before - 2.0 * middle + after;
    if bend < 0.0 { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { 0.0 }
}
