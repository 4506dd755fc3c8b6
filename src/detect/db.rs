//! The pipeline of DB post-processing, one candidate at a time.

use super::approx::{approx_polygon, arc_length};
use super::band::{self, Slices};
use super::bitmap::Bitmap;
use super::contour::{MAX_CORNERS, Starts, find_starts, trace};
use super::fill::{Mask, PixelBox};
use super::map::MapView;
use super::params::{BoxMode, DbParams, ScoreMode, as_written};
use super::rect::{RectScratch, min_area_rect};
use super::unclip::{OffsetScratch, distance, offset, start_as_clipper, union};
use super::{FOR, Point};
use crate::memory::{NoMemory, try_vec_with_capacity};

/// A piece of text found on the page; made of four corners if it was found elsewhere.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TextBox {
    /// Corners in page pixels, x and y, whole numbers within `0..=width-1` and `0..=height-1`: top left, top right, bottom
    /// right, bottom left as seen on the page (not as the text runs).
    pub quad: [[f32; 2]; 4],
    /// The outline in page pixels, in the same range, turning right on the screen; empty in quad mode.
    pub polygon: Vec<[f32; 2]>,
    /// Mean probability of the candidate before it was widened, 0 to 1.
    pub score: f32,
}

impl From<[[f32; 2]; 4]> for TextBox {
    /// A box with these corners, in the order of [`quad`](Self::quad), and the score 1.
    fn from(quad: [[f32; 2]; 4]) -> TextBox {
        TextBox { quad, polygon: Vec::new(), score: 1.0 }
    }
}

/// Buffers of [`boxes_from_map`]. They grow to what the largest map so far needed and are used again; those made
/// [`for_map`](Self::for_map) do not grow in quad mode.
#[derive(Debug, Default)]
pub struct DbScratch {
    bitmap: Bitmap,
    starts: Starts,
    candidate: Candidate,
}

/// Most starts of borders that room is made for at once.
pub(super) const USUAL_CANDIDATES: usize = 4096;
/// Corners of a widened rectangle: the arcs of one of 10⁵ pixels have 1500 together, those of smaller ones less.
const OUTLINE_CORNERS: usize = 2048;

impl DbScratch {
    /// Contours of the last map that were not looked at, those nearest to its top: more than `max_candidates`.
    pub fn lost(&self) -> usize {
        self.starts.lost()
    }

    /// Buffers for maps of up to `width × height`. Pages of memory are taken from the system only when they are used.
    pub fn for_map(width: usize, height: usize, params: &DbParams) -> Result<DbScratch, NoMemory> {
        let candidate = Candidate {
            contour: try_vec_with_capacity(MAX_CORNERS, FOR)?,
            polygon: try_vec_with_capacity(MAX_CORNERS, FOR)?,
            outline: try_vec_with_capacity(OUTLINE_CORNERS, FOR)?,
            rect: RectScratch::for_points(MAX_CORNERS)?,
            mask: Mask::with_capacity(width * height, MAX_CORNERS)?,
            offset: OffsetScratch::with_capacity(8)?,
            ..Candidate::default()
        };
        Ok(DbScratch {
            bitmap: Bitmap::with_capacity(width, height)?,
            starts: Starts::with_capacity(params.max_candidates.min(USUAL_CANDIDATES))?,
            candidate,
        })
    }
}

/// Buffers for one candidate.
#[derive(Debug, Default)]
struct Candidate {
    contour: Vec<Point>,
    polygon: Vec<Point>,
    exact: Vec<[f64; 2]>,
    outline: Vec<Point>,
    stack: Vec<(usize, usize)>,
    rect: RectScratch,
    mask: Mask,
    offset: OffsetScratch,
}

/// What stays the same for all candidates of a map.
struct Job<'a> {
    map: MapView<'a>,
    page_w: u32,
    page_h: u32,
    params: &'a DbParams,
    unclip_ratio: f64,
}

/// Finds the text boxes of a probability map, and puts them into `out` (emptied first) in page pixels.
///
/// `map` covers the whole page of `page_w × page_h` pixels, at any scale. The order of the boxes is the reference's: contours
/// from the bottom of the page to its top, by their first pixel. In quad mode the boxes and scores are those of RapidOCR's
/// `DBPostProcess` for the same map and parameters; in poly mode they follow PaddleOCR's `polygons_from_bitmap`, and
/// `quad` is the smallest rotated rectangle around the polygon.
///
/// Parameters out of range ([`DbParams::validate`]) give useless boxes, not a panic.
pub fn boxes_from_map(
    map: MapView<'_>,
    page_w: u32,
    page_h: u32,
    params: &DbParams,
    scratch: &mut DbScratch,
    out: &mut Vec<TextBox>,
) {
    out.clear();
    if map.width() == 0 || map.height() == 0 || page_w == 0 || page_h == 0 {
        return;
    }
    let DbScratch { bitmap, starts, candidate } = scratch;
    bitmap.binarise(map, params.thresh, params.dilate);
    let min_side_px = if params.box_mode == BoxMode::Quad { params.min_side_px } else { 0.0 };
    find_starts(bitmap, params.max_candidates, min_side_px, starts);
    let job = Job { map, page_w, page_h, params, unclip_ratio: as_written(params.unclip_ratio) };
    for index in 0..starts.len() {
        trace(bitmap, starts.get(index), &mut candidate.contour);
        match params.box_mode {
            BoxMode::Quad => candidate.quad(&job, out),
            BoxMode::Poly => out.extend(candidate.polygon(&job)),
        }
    }
}

impl Candidate {
    /// The contour as a rotated rectangle: `boxes_from_bitmap` and `filter_det_res` of the reference. In adaptive
    /// mode several where a curve was cut.
    fn quad(&mut self, job: &Job<'_>, out: &mut Vec<TextBox>) {
        let Some(rect) = min_area_rect(&self.contour, &mut self.rect) else { return };
        if rect.short_side() < job.params.min_side_px {
            return;
        }
        let corners = rect.corners();
        let score = match job.params.score_mode {
            ScoreMode::Fast | ScoreMode::Adaptive => self.score_quad(job.map, corners),
            ScoreMode::Slow => score_polygon(&mut self.mask, job.map, &self.contour),
        };
        if as_written(job.params.box_thresh) > score {
            if job.params.score_mode == ScoreMode::Adaptive {
                self.second_chance(corners, job, out);
            }
            return;
        }
        out.extend(self.widened(corners, score, job));
    }

    /// Takes a long candidate that failed by its rectangle, `corners`, if it passes by its contour.
    fn second_chance(&mut self, corners: [[f32; 2]; 4], job: &Job<'_>, out: &mut Vec<TextBox>) {
        let Some(extent) = band::extent(&self.contour).filter(|extent| extent.is_long()) else { return };
        let score = score_polygon(&mut self.mask, job.map, &self.contour);
        if as_written(job.params.box_thresh).max(band::MIN_SCORE) > score {
            return;
        }
        let slices = Slices::new(corners, self.mask.painted(job.map, pixels_around(job.map, &self.contour)));
        let parts = slices.parts(extent, extent.thickness * job.unclip_ratio / 2.0);
        if parts.len() == 1 {
            out.extend(self.widened(corners, score, job));
            return;
        }
        for part in parts {
            slices.clip(&self.contour, part, &mut self.polygon);
            let rect = min_area_rect(&self.polygon, &mut self.rect);
            if let Some(rect) = rect.filter(|rect| rect.short_side() >= job.params.min_side_px) {
                out.extend(self.widened(rect.corners(), score, job));
            }
        }
    }

    /// A rectangle of the map, widened, as a box of the page; `None` where it is too small.
    fn widened(&mut self, corners: [[f32; 2]; 4], score: f64, job: &Job<'_>) -> Option<TextBox> {
        let exact = corners.map(|corner| corner.map(f64::from));
        offset(exact.into_iter(), distance(&exact, job.unclip_ratio), &mut self.offset, &mut self.outline);
        start_as_clipper(&mut self.outline);
        let rect = min_area_rect(&self.outline, &mut self.rect)?;
        if rect.short_side() < job.params.min_side_px + 2.0 {
            return None;
        }
        let quad = on_page(rect.corners().map(|corner| job.to_page(corner)), job)?;
        Some(TextBox { quad, polygon: Vec::new(), score: score as f32 })
    }

    /// The contour as a polygon: `polygons_from_bitmap` of the reference.
    fn polygon(&mut self, job: &Job<'_>) -> Option<TextBox> {
        let epsilon = 0.002 * arc_length(&self.contour);
        approx_polygon(&self.contour, epsilon, &mut self.stack, &mut self.polygon);
        if self.polygon.len() < 4 {
            return None;
        }
        let scored = match job.params.score_mode {
            ScoreMode::Fast | ScoreMode::Adaptive => &self.polygon,
            ScoreMode::Slow => &self.contour,
        };
        let score = score_polygon(&mut self.mask, job.map, scored);
        if as_written(job.params.box_thresh) > score {
            return None;
        }
        self.exact.clear();
        self.exact.extend(self.polygon.iter().map(|point| point.map(f64::from)));
        let distance = distance(&self.exact, job.unclip_ratio);
        offset(self.exact.iter().copied(), distance, &mut self.offset, &mut self.outline);
        if !union(&mut self.outline) {
            return None;
        }
        let rect = min_area_rect(&self.outline, &mut self.rect)?;
        if rect.short_side() < job.params.min_side_px + 2.0 {
            return None;
        }
        for point in &mut self.outline {
            *point = job.clip(job.to_page(point.map(|v| v as f32)));
        }
        self.outline.dedup();
        let rect = min_area_rect(&self.outline, &mut self.rect)?;
        let quad = on_page(rect.corners().map(|corner| corner.map(|v| v.round_ties_even() as i32)), job)?;
        let polygon = self.outline.iter().map(|point| point.map(|v| v as f32)).collect();
        Some(TextBox { quad, polygon, score: score as f32 })
    }

    /// Mean probability inside a rectangle with corners between pixels (`box_score_fast`).
    fn score_quad(&mut self, map: MapView<'_>, corners: [[f32; 2]; 4]) -> f64 {
        let bound =
            |limit: fn(f32, f32) -> f32, axis: usize| corners.iter().map(|c| c[axis]).reduce(limit).unwrap_or(0.0);
        let min = [0, 1].map(|axis| bound(f32::min, axis).floor() as i32);
        let max = [0, 1].map(|axis| bound(f32::max, axis).ceil() as i32);
        let area = PixelBox::clipped(min, max, map.width(), map.height());
        // Shifted first, then truncated towards zero: left of the map that is a different pixel.
        let shifted = corners.map(|[x, y]| [(x - area.x.0 as f32) as i32, (y - area.y.0 as f32) as i32]);
        self.mask.mean(map, area, shifted.into_iter())
    }
}

/// Mean probability inside a polygon with corners on pixels (`box_score_slow`).
fn score_polygon(mask: &mut Mask, map: MapView<'_>, polygon: &[Point]) -> f64 {
    let area = pixels_around(map, polygon);
    mask.mean(map, area, polygon.iter().map(|&[x, y]| [x - area.x.0, y - area.y.0]))
}

/// The pixels of the map around a polygon.
fn pixels_around(map: MapView<'_>, polygon: &[Point]) -> PixelBox {
    let bound = |limit: fn(i32, i32) -> i32, axis: usize| polygon.iter().map(|p| p[axis]).reduce(limit).unwrap_or(0);
    let min = [0, 1].map(|axis| bound(i32::min, axis));
    let max = [0, 1].map(|axis| bound(i32::max, axis));
    PixelBox::clipped(min, max, map.width(), map.height())
}

impl Job<'_> {
    /// Scales a point of the map to the page: whole page pixels (halves to even), within `0..=width` and `0..=height`.
    /// In `f32`, divided first, as NumPy does it for the reference.
    fn to_page(&self, [x, y]: [f32; 2]) -> Point {
        let scale = |v: f32, from: usize, to: u32| {
            let page = (v / from as f32 * to as f32).round_ties_even();
            page.clamp(0.0, to as f32) as i32
        };
        [scale(x, self.map.width(), self.page_w), scale(y, self.map.height(), self.page_h)]
    }

    /// Clips a point to the pixels of the page.
    fn clip(&self, [x, y]: Point) -> Point {
        let last = |side: u32| i32::try_from(side - 1).unwrap_or(i32::MAX);
        [x.clamp(0, last(self.page_w)), y.clamp(0, last(self.page_h))]
    }
}

/// The reference's `filter_det_res`: corners in order, clipped to the page; `None` if a side is not longer than 3 pixels.
fn on_page(mut points: [Point; 4], job: &Job<'_>) -> Option<[[f32; 2]; 4]> {
    points.sort_by_key(|point| point[0]);
    let [mut tl, mut bl, mut tr, mut br] = points;
    if bl[1] < tl[1] {
        std::mem::swap(&mut tl, &mut bl);
    }
    if br[1] < tr[1] {
        std::mem::swap(&mut tr, &mut br);
    }
    let quad = [tl, tr, br, bl].map(|point| job.clip(point));
    let long_enough = |a: Point, b: Point| {
        let (dx, dy) = (i64::from(a[0]) - i64::from(b[0]), i64::from(a[1]) - i64::from(b[1]));
        // The reference truncates the length, so "more than 3" begins at 4.
        dx * dx + dy * dy >= 16
    };
    let keep = long_enough(quad[0], quad[1]) && long_enough(quad[0], quad[3]);
    keep.then(|| quad.map(|point| point.map(|v| v as f32)))
}
