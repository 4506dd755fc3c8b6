//! How large a page is when the detector sees it.
//!
//! Two rules. *Tiled*, the default, is for boards: the network always runs at one of a few fixed sizes, a large page is
//! covered by overlapping tiles, a small one is enlarged a little and never without a cap. *Reference* is RapidOCR's
//! chain of resizes, for parity: every page gets a network input of its own size.

use crate::param::{Param, ParamError};
use crate::target;
use serde::{Deserialize, Serialize};

/// Which rule decides the detector's input size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScaleRule {
    /// Fixed canvases and tiles.
    #[default]
    Tiled,
    /// RapidOCR 3.10's sizes.
    Reference,
}

/// Which side `limit_side_len_px` holds for (reference rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LimitType {
    /// The shorter side is at least that long.
    #[default]
    Min,
    /// The longer side is at most that long.
    Max,
    /// The longer side is exactly that long.
    ResizeLong,
}

/// Parameters of both rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ScaleParams {
    /// The rule.
    pub rule: ScaleRule,
    /// Tiled: network inputs `[width, height]` there are plans for, smallest first.
    pub canvases_px: Vec<[usize; 2]>,
    /// Tiled: how much neighbouring tiles share.
    pub overlap_px: usize,
    /// Tiled: a page is enlarged to fill its canvas, but at most this often.
    pub max_upscale: f32,
    /// Both: a page's longer side is reduced to this. Tiled: only to a quarter of the square of this in pixels if that
    /// leaves more of it, so that a strip is not reduced for its length; see [`layout`].
    pub max_side_px: usize,
    /// Reference: the page's shorter side is enlarged to this before anything else.
    pub min_side_px: usize,
    /// Reference: see [`LimitType`].
    pub limit_side_len_px: usize,
    /// Reference: see [`LimitType`].
    pub limit_type: LimitType,
    /// Reference: no side of the network's input is longer than this, whatever the other rules say.
    pub cap_side_px: usize,
}

impl Default for ScaleParams {
    fn default() -> Self {
        ScaleParams {
            rule: ScaleRule::Tiled,
            canvases_px: target::CANVASES_PX.to_vec(),
            overlap_px: 96,
            max_upscale: 2.0,
            max_side_px: target::MAX_SIDE_PX,
            min_side_px: 30,
            limit_side_len_px: 736,
            limit_type: LimitType::Min,
            cap_side_px: 4000,
        }
    }
}

/// Only a canvas at least this long takes pages that are slightly too large: on a small one every pixel counts.
const SLIGHT_FROM_PX: usize = 1024;

/// The network's sides are multiples of this.
pub const MULTIPLE_PX: usize = 32;

impl ScaleParams {
    /// Checks the values.
    ///
    /// # Errors
    /// The first parameter that cannot be used.
    pub fn validate(&self) -> Result<(), ParamError> {
        let canvas =
            |c: &[usize; 2]| c.iter().all(|s| (MULTIPLE_PX..=4096).contains(s) && s.is_multiple_of(MULTIPLE_PX));
        let canvases = || format!("{:?}", self.canvases_px);
        if self.canvases_px.is_empty() {
            let sentence =
                format!("the detector has no canvas; give {} at least one size like 640x640", Param::Canvases);
            return Err(ParamError::new(Param::Canvases, canvases(), "at least one size").saying(sentence));
        }
        if !self.canvases_px.iter().all(canvas) {
            let allowed = "sides of 32 to 4096 pixels, multiples of 32";
            let sentence = format!("a detector canvas must have {allowed}");
            return Err(ParamError::new(Param::Canvases, canvases(), allowed).saying(sentence));
        }
        if self.tile_canvases().next().is_none() {
            let allowed = "at most half of a canvas's sides";
            let sentence = "no canvas is at least twice as wide and high as the overlap of tiles";
            return Err(ParamError::new(Param::Overlap, self.overlap_px, allowed).saying(sentence));
        }
        if !(1.0..=16.0).contains(&self.max_upscale) {
            let sentence = "a page can be enlarged 1 to 16 times";
            return Err(ParamError::new(Param::MaxUpscale, self.max_upscale, "1 to 16").saying(sentence));
        }
        let sides = [
            (Param::MaxSide, self.max_side_px, 64, 8192, "the longest side must be 64 to 8192 pixels"),
            (Param::MinSide, self.min_side_px, 1, 4096, "the shortest side must be 1 to 4096 pixels"),
            (Param::LimitSideLen, self.limit_side_len_px, 32, 8192, ""),
            (Param::CapSide, self.cap_side_px, 64, 8192, "the cap of the network's sides must be 64 to 8192 pixels"),
        ];
        let outside = sides.into_iter().find(|(_, side, least, most, _)| !(least..=most).contains(&side));
        outside.map_or(Ok(()), |(param, side, least, most, sentence)| {
            let error = ParamError::new(param, side, format!("{least} to {most}"));
            Err(if sentence.is_empty() { error } else { error.saying(sentence) })
        })
    }
}

impl ScaleParams {
    /// Longest side of a map that these rules can give.
    pub fn largest_side(&self) -> usize {
        let canvases = self.canvases_px.iter().flatten().copied().max().unwrap_or(0);
        match self.rule {
            ScaleRule::Tiled => canvases.max(self.max_side_px),
            ScaleRule::Reference => self.cap_side_px,
        }
    }

    /// Most columns of a page that is searched: a strip may be longer than the side of the largest square, which
    /// [`largest_side`](Self::largest_side) is, but never has more pixels.
    pub fn longest_row(&self) -> usize {
        match self.rule {
            ScaleRule::Tiled => self.largest_side().max(STRIP_SIDES * self.max_side_px).min(super::MAX_MAP_SIDE),
            ScaleRule::Reference => self.largest_side(),
        }
    }

    /// How much the tiled rule reduces a page that does not fit on a canvas, at most 1: to the longest side, or, if
    /// that leaves more, to the pixels that a page of [`STRIP_RATIO`] has then.
    fn reduction(&self, w: f64, h: f64) -> f64 {
        let (side, longest) = (self.max_side_px as f64, w.max(h));
        let by_area = (side * side / STRIP_RATIO as f64 / (w * h)).sqrt();
        let as_strip = by_area.min(STRIP_SIDES as f64 * side / longest);
        (side / longest).max(as_strip).min(1.0)
    }

    /// The canvases that a large page can be cut into: on a smaller one most of a tile would be overlap.
    fn tile_canvases(&self) -> impl DoubleEndedIterator<Item = &[usize; 2]> {
        self.canvases_px.iter().filter(|c| c.iter().all(|side| *side >= 2 * self.overlap_px.max(MULTIPLE_PX)))
    }
}

/// Tiled rule: a page's size on the canvases, and the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Size of the scaled page.
    pub page: [usize; 2],
    /// Size of the network's input.
    pub canvas: [usize; 2],
}

/// A page that is only a little too large for a canvas is reduced to it, by at most this, instead of cut into tiles.
const SLIGHT_REDUCTION: f64 = 0.85;

/// Tiled rule: a page that is longer than this, against its width, may have the pixels of one that is just as long.
/// Pages of usual shapes, long receipts among them, are below it.
const STRIP_RATIO: usize = 4;
/// Tiled rule: no page is longer than this many times the longest side of pages of usual shapes; buffers of a row are
/// this long.
const STRIP_SIDES: usize = 8;

/// Tiled rule: the longest side of the thumbnail of a page, however large the smallest canvas is.
const THUMBNAIL_SIDE_PX: f64 = 320.0;

/// Tiled rule: how a page of `width` × `height` is laid out: on the smallest canvas that holds it, enlarged to fill it;
/// or, reduced if need be, on the tiles that together have the fewest pixels. What bounds the work is a page's pixels,
/// so a strip, such as a roll on its side, may be longer than the longest side of other pages.
pub fn layout(params: &ScaleParams, width: usize, height: usize) -> Layout {
    let (w, h) = (width.max(1) as f64, height.max(1) as f64);
    let scaled = |factor: f64| [w, h].map(|side| ((side * factor).round() as usize).max(1));
    for canvas in &params.canvases_px {
        let fit = (canvas[0] as f64 / w).min(canvas[1] as f64 / h);
        let slightly = canvas[0].max(canvas[1]) >= SLIGHT_FROM_PX && fit >= SLIGHT_REDUCTION;
        if fit >= 1.0 || slightly {
            let [page_w, page_h] = scaled(fit.min(f64::from(params.max_upscale)));
            return Layout { page: [page_w.min(canvas[0]), page_h.min(canvas[1])], canvas: *canvas };
        }
    }
    let page = scaled(params.reduction(w, h));
    let pixels = |c: &[usize; 2]| {
        let count = |axis: usize| tile_starts(page[axis], c[axis], params.overlap_px).count();
        count(0) * count(1) * c[0] * c[1]
    };
    // The largest of equals: fewer tiles, fewer cut words.
    let canvas = params.tile_canvases().rev().min_by_key(|c| pixels(c)).copied().unwrap_or([MULTIPLE_PX; 2]);
    Layout { page, canvas }
}

/// At what part of its size a page is searched: below 1 where it was reduced.
pub fn searched_at(params: &ScaleParams, width: usize, height: usize) -> f32 {
    let longer = match params.rule {
        ScaleRule::Tiled => layout(params, width, height).page,
        ScaleRule::Reference => {
            let [w, h] = reference_bounds(params, width, height);
            reference_input(params, w, h)
        }
    };
    longer[0].max(longer[1]) as f32 / width.max(height).max(1) as f32
}

/// Tiled rule: the layout that shows all of a large page on one canvas, with the least reduction.
pub fn overview(params: &ScaleParams, width: usize, height: usize) -> Layout {
    let best = params.canvases_px.iter().max_by(|a, b| fit(a, width, height).total_cmp(&fit(b, width, height)));
    reduced_to(best.copied().unwrap_or([MULTIPLE_PX; 2]), width, height, 1.0)
}

/// Tiled rule: the layout that shows all of a page on the smallest canvas, so small that letters which nearly fill the
/// page are no larger than the network knows them.
pub fn thumbnail(params: &ScaleParams, width: usize, height: usize) -> Layout {
    let canvas = params.canvases_px.first().copied().unwrap_or([MULTIPLE_PX; 2]);
    reduced_to(canvas, width, height, THUMBNAIL_SIDE_PX / width.max(height).max(1) as f64)
}

/// How much larger a canvas is than a page, along the side where it is least so.
fn fit(canvas: &[usize; 2], width: usize, height: usize) -> f64 {
    (canvas[0] as f64 / width.max(1) as f64).min(canvas[1] as f64 / height.max(1) as f64)
}

/// All of a page on a canvas, reduced by at least `factor`, and never enlarged.
fn reduced_to(canvas: [usize; 2], width: usize, height: usize, factor: f64) -> Layout {
    let factor = fit(&canvas, width, height).min(factor).min(1.0);
    let scaled = |side: usize, limit: usize| ((side as f64 * factor).round() as usize).clamp(1, limit);
    Layout { page: [scaled(width, canvas[0]), scaled(height, canvas[1])], canvas }
}

/// Where the tiles of one axis begin: `side` pixels covered by tiles of `tile` that share at least `overlap`, evenly
/// spread. One tile at 0 if the side fits.
pub fn tile_starts(side: usize, tile: usize, overlap: usize) -> impl Iterator<Item = usize> + Clone {
    let step = tile.saturating_sub(overlap).max(1);
    let count = if side <= tile { 1 } else { (side - overlap.min(side)).div_ceil(step) };
    let rest = side.saturating_sub(tile);
    (0..count).map(move |i| if count > 1 { i * rest / (count - 1) } else { 0 })
}

/// How much tile `start` counts at pixel `at` of its axis: a ramp over the overlap at each edge inside the page, so
/// that the map has no seam and what a tile says near its own edge, where it sees half a letter, counts little.
pub fn tile_weight(start: usize, at: usize, tile: usize, side: usize, overlap: usize) -> f32 {
    let Some(from_left) = at.checked_sub(start).filter(|d| *d < tile) else { return 0.0 };
    let ramp = |distance: usize| ((distance as f32 + 0.5) / overlap.max(1) as f32).min(1.0);
    let left = if start == 0 { 1.0 } else { ramp(from_left) };
    let right = if start + tile >= side { 1.0 } else { ramp(tile - 1 - from_left) };
    left.min(right)
}

/// Reference rule, step 1 (`resize_image_within_bounds`): the size of the working image. Unlike RapidOCR, which
/// forgets the first ratio when a thin page is first reduced and then enlarged (its issue 538), no side exceeds the
/// cap.
pub fn reference_bounds(params: &ScaleParams, width: usize, height: usize) -> [usize; 2] {
    let (mut w, mut h) = (width, height);
    if w.max(h) > params.max_side_px {
        let ratio = params.max_side_px as f64 / w.max(h) as f64;
        [w, h] = [rounded(w, ratio), rounded(h, ratio)];
    }
    if w.min(h) < params.min_side_px {
        let ratio =
            (params.min_side_px as f64 / w.min(h).max(1) as f64).min(params.cap_side_px as f64 / w.max(h) as f64);
        [w, h] = [rounded(w, ratio), rounded(h, ratio)];
    }
    [w, h]
}

/// Reference rule, step 2 (`apply_vertical_padding`): rows of black added above and below a very flat or low image.
pub fn reference_padding(width: usize, height: usize) -> usize {
    const MIN_HEIGHT_PX: usize = 30;
    const MAX_RATIO: usize = 8;
    if height > MIN_HEIGHT_PX && width <= MAX_RATIO * height {
        return 0;
    }
    ((width / MAX_RATIO).max(MIN_HEIGHT_PX) * 2).abs_diff(height) / 2
}

/// Reference rule, step 3 (`DetPreProcess.resize`): the size of the network's input.
pub fn reference_input(params: &ScaleParams, width: usize, height: usize) -> [usize; 2] {
    let (short, long, limit) =
        (width.min(height).max(1) as f64, width.max(height).max(1) as f64, params.limit_side_len_px as f64);
    let ratio = match params.limit_type {
        LimitType::Min => (limit / short).max(1.0),
        LimitType::Max => (limit / long).min(1.0),
        LimitType::ResizeLong => limit / long,
    };
    let ratio = ratio.min(params.cap_side_px as f64 / long);
    [rounded(width, ratio), rounded(height, ratio)]
}

/// Python's `int(round(int(side * ratio) / 32) * 32)`, half to even, but never 0.
fn rounded(side: usize, ratio: f64) -> usize {
    let units = (side as f64 * ratio).floor() / MULTIPLE_PX as f64;
    (units.round_ties_even() as usize * MULTIPLE_PX).max(MULTIPLE_PX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_reference_sizes_are_rapidocrs() {
        let p = ScaleParams::default();
        // From running RapidOCR 3.10's own functions.
        assert_eq!(reference_bounds(&p, 4496, 5472), [1632, 1984]);
        assert_eq!(reference_bounds(&p, 100, 20), [160, 32]);
        assert_eq!(reference_bounds(&p, 463, 1013), [463, 1013]);
        assert_eq!(reference_input(&p, 463, 1013), [736, 1600]);
        assert_eq!(reference_padding(800, 90), 55);
        assert_eq!(reference_padding(60, 30), 15);
        assert_eq!(reference_padding(800, 100), 0);
    }

    #[test]
    fn upscaling_bounded_for_words_and_threads() {
        let p = ScaleParams::default();
        assert_eq!(layout(&p, 100, 32), Layout { page: [200, 64], canvas: [320, 160] });
        assert_eq!(layout(&p, 640, 480), Layout { page: [640, 480], canvas: [640, 640] });
        assert_eq!(layout(&p, 400, 300), Layout { page: [640, 480], canvas: [640, 640] });
        assert_eq!(layout(&p, 1300, 730), Layout { page: [1311, 736], canvas: [1312, 736] });
        assert_eq!(layout(&p, 463, 1013), Layout { page: [600, 1312], canvas: [736, 1312] });
        assert_eq!(layout(&p, 4000, 3000).page, [2000, 1500]);
        let [w, h] = reference_input(&p, 30_000, 2);
        assert!(w <= 4000 && h <= 4000);
        let [w, h] = reference_bounds(&p, 30_000, 2);
        assert!(w <= 4000 && h <= 4000, "{w}x{h}");
    }

    #[test]
    fn strip_is_reduced_by_area_and_usual_page_by_side() {
        let p = ScaleParams { max_side_px: 2000, ..ScaleParams::default() };
        for (w, h, page) in [
            (7028, 133, [7028, 133]),
            (133, 7028, [133, 7028]),
            (20_000, 100, [14_142, 71]),
            (32_768, 40, [16_000, 20]),
            (500, 4000, [354, 2828]),
            (1000, 4000, [500, 2000]),
            (4000, 3000, [2000, 1500]),
        ] {
            assert_eq!(layout(&p, w, h).page, page, "{w}x{h}");
        }
        assert_eq!(searched_at(&p, 7028, 133), 1.0);
        assert_eq!(searched_at(&p, 4000, 3000), 0.5);
        assert!(searched_at(&p, 100, 32) > 1.0);
        assert_eq!(p.longest_row(), 16_000);
    }

    proptest! {
        #[test]
        fn tiles_cover_the_page_and_overlap(side in 1usize..5000, tile in 64usize..700, overlap in 0usize..32) {
            let starts: Vec<usize> = tile_starts(side, tile, overlap).collect();
            prop_assert_eq!(starts[0], 0);
            prop_assert!(starts.last().unwrap() + tile >= side);
            for pair in starts.windows(2) {
                prop_assert!(pair[0] < pair[1] && pair[0] + tile >= pair[1] + overlap);
            }
            for at in [0, side / 3, side / 2, side - 1] {
                let sum: f32 = starts.iter().map(|s| tile_weight(*s, at, tile, side, overlap)).sum();
                prop_assert!(sum > 0.0);
            }
        }

        #[test]
        fn every_size_has_a_layout(w in 1usize..100_000, h in 1usize..100_000) {
            let p = ScaleParams::default();
            for whole in [overview(&p, w, h), thumbnail(&p, w, h)] {
                prop_assert!((0..2).all(|i| (1..=whole.canvas[i]).contains(&whole.page[i])));
            }
            let l = layout(&p, w, h);
            prop_assert!(l.page[0].max(l.page[1]) <= p.longest_row() && l.page[0].min(l.page[1]) >= 1);
            prop_assert!(l.page[0] * l.page[1] <= p.largest_side().pow(2));
            // The cells of a map have a border of one; those of a square have room for any strip's.
            prop_assert!((l.page[0] + 2) * (l.page[1] + 2) <= (p.largest_side() + 2).pow(2));
            for [a, b] in [reference_bounds(&p, w, h), reference_input(&p, w, h)] {
                prop_assert!(a >= 32 && b >= 32 && a.is_multiple_of(32) == b.is_multiple_of(32));
            }
        }
    }
}
