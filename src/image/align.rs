//! Finding a scene again that has moved a little in the image: by one or two reference marks.
//!
//! A mark is a small image cut out of a reference image of the scene: something with edges in both directions
//! that is there once and does not change, such as a screw, a logo or a printed letter. One mark gives the shift, two
//! give turn and scale as well. Marks are found by their zero-mean normalised cross-correlation (`search`), which
//! neither brightness nor contrast of the scene changes; turned by up to about four degrees they are still
//! recognised.

mod search;

use super::{ImageError, PixelView};
use search::{Plane, Template};

/// Sides of a mark, in pixels.
pub const MARK_SIDES_PX: std::ops::RangeInclusive<usize> = 8..=256;
/// Largest distance from its place at which a mark is looked for, in pixels.
pub const MAX_SEARCH_PX: u32 = 200;
/// Least distance between the middles of two marks, in pixels: the turn is known to half a pixel in this length.
pub const MIN_DISTANCE_PX: f32 = 64.0;
/// A mark must have this contrast (standard deviation of the brightness, in grey levels).
const MIN_CONTRAST: f64 = 4.0;
/// A turn or scale beyond these is no camera that was pushed but a mark that was taken for another.
const MAX_TURN_DEG: f32 = 10.0;
const SCALES: std::ops::RangeInclusive<f32> = 0.9..=1.1;

/// Why marks cannot be used. Every message is one sentence: the thing, the reason, the remedy.
#[derive(thiserror::Error, Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AlignError {
    /// Neither one nor two.
    #[error("{count} reference marks cannot be used; give one for shifts, or two for turns as well")]
    Count {
        /// How many were given.
        count: usize,
    },
    /// Too small to be unmistakable, or needlessly large.
    #[error(
        "reference mark {mark} is {width}x{height} pixels; give a cut-out with sides of {least} to {most} pixels",
        least = MARK_SIDES_PX.start(), most = MARK_SIDES_PX.end()
    )]
    Size {
        /// Number of the mark, from 1.
        mark: usize,
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
    /// Nothing to be seen on it.
    #[error("reference mark {mark} is of one brightness and could be anywhere; cut out something with edges")]
    Flat {
        /// Number of the mark, from 1.
        mark: usize,
    },
    /// The marks are too near each other to measure a turn.
    #[error(
        "the reference marks are {distance_px} pixels apart; choose two at least {MIN_DISTANCE_PX} pixels apart, or leave one out"
    )]
    Near {
        /// Distance of their middles.
        distance_px: f32,
    },
    /// A parameter out of range.
    #[error("{0}")]
    Params(String),
    /// The place where a mark should be is not in this frame at all.
    #[error(
        "reference mark {mark} of {w}x{h} pixels at {x},{y} is not inside the frame of {width}x{height} pixels; take the frame with the size of the reference image, or give the place in this one"
    )]
    Outside {
        /// Number of the mark, from 1.
        mark: usize,
        /// Left edge expected.
        x: u32,
        /// Top edge expected.
        y: u32,
        /// Width of the mark.
        w: usize,
        /// Height of the mark.
        h: usize,
        /// Width of the frame.
        width: usize,
        /// Height of the frame.
        height: usize,
    },
    /// Pixels.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// How marks are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct AlignParams {
    /// Pixels from the expected place, in each direction; 1 to [`MAX_SEARCH_PX`]. The time goes with its square.
    pub search_px: u32,
    /// Likeness, 0 to 1, that each mark must reach.
    pub min_score: f32,
}

impl Default for AlignParams {
    fn default() -> Self {
        AlignParams { search_px: 40, min_score: 0.65 }
    }
}

impl AlignParams {
    /// Checks the ranges; the error is a sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=MAX_SEARCH_PX).contains(&self.search_px) {
            return Err(format!("search_px must be 1 to {MAX_SEARCH_PX}"));
        }
        if !(0.0..=1.0).contains(&self.min_score) {
            return Err("min_score must be 0 to 1".into());
        }
        Ok(())
    }
}

/// A similarity: `x' = a·x − b·y + dx`, `y' = b·x + a·y + dy`. Coordinates are of pixel edges, so that an image
/// reaches from 0 to its width; y down, so that a positive turn is clockwise as it is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Scale times cosine of the turn.
    pub a: f64,
    /// Scale times sine of the turn.
    pub b: f64,
    /// Shift to the right, after the turn about the upper left corner.
    pub dx: f64,
    /// Shift down.
    pub dy: f64,
}

impl Similarity {
    /// Nothing moved.
    pub const IDENTITY: Similarity = Similarity { a: 1.0, b: 0.0, dx: 0.0, dy: 0.0 };

    /// Moved only.
    pub fn shift(dx: f64, dy: f64) -> Similarity {
        Similarity { dx, dy, ..Similarity::IDENTITY }
    }

    /// The one that takes the first point of each pair to the second. The first points must differ.
    pub fn between([p, p_to]: [[f32; 2]; 2], [q, q_to]: [[f32; 2]; 2]) -> Similarity {
        let minus = |a: [f32; 2], b: [f32; 2]| [0, 1].map(|i| f64::from(a[i]) - f64::from(b[i]));
        let ([x, y], [u, v]) = (minus(q, p), minus(q_to, p_to));
        let length = x * x + y * y;
        if length == 0.0 {
            let [dx, dy] = minus(p_to, p);
            return Similarity::shift(dx, dy);
        }
        // The quotient of the two differences as complex numbers.
        let (a, b) = ((u * x + v * y) / length, (v * x - u * y) / length);
        let [px, py] = p.map(f64::from);
        Similarity { a, b, dx: f64::from(p_to[0]) - (a * px - b * py), dy: f64::from(p_to[1]) - (b * px + a * py) }
    }

    /// Where a point goes.
    pub fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (x, y) = (f64::from(x), f64::from(y));
        [(self.a * x - self.b * y + self.dx) as f32, (self.b * x + self.a * y + self.dy) as f32]
    }

    /// The turn, clockwise, -180 to 180 degrees.
    pub fn turn_deg(&self) -> f32 {
        self.b.atan2(self.a).to_degrees() as f32
    }

    /// The scale, 1 for none.
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b) as f32
    }
}

/// What was found in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    /// Where points of the reference image are in the frame; [`Similarity::IDENTITY`] if the marks were not found.
    pub transform: Similarity,
    /// Likeness of the mark found worst, -1 to 1.
    pub score: f32,
    /// Whether all marks were found, with a turn and scale that a moved camera can have.
    pub aligned: bool,
    /// Where each mark is most likely: its middle in the frame, and its likeness.
    pub marks: heapless::Vec<([f32; 2], f32), 2>,
}

/// A mark and its place in the reference image.
#[derive(Debug)]
struct Mark {
    template: Template,
    x: u32,
    y: u32,
}

impl Mark {
    fn middle(&self, at: [f32; 2]) -> [f32; 2] {
        let [w, h] = self.template.size();
        [at[0] + w as f32 / 2.0, at[1] + h as f32 / 2.0]
    }

    fn expected(&self) -> [f32; 2] {
        self.middle([self.x as f32, self.y as f32])
    }
}

/// One or two marks, ready to be looked for.
#[derive(Debug)]
pub struct Aligner {
    marks: Vec<Mark>,
    params: AlignParams,
}

impl Aligner {
    /// `marks`: cut-outs of the reference image, each with the place of its upper left corner there.
    ///
    /// # Errors
    /// [`AlignError`] for parameters out of range and for marks that could not be found with any certainty.
    pub fn new(marks: &[(PixelView<'_>, [u32; 2])], params: AlignParams) -> Result<Aligner, AlignError> {
        params.validate().map_err(AlignError::Params)?;
        if !(1..=2).contains(&marks.len()) {
            return Err(AlignError::Count { count: marks.len() });
        }
        let mut made: Vec<Mark> = Vec::with_capacity(marks.len());
        for (i, (image, [x, y])) in marks.iter().enumerate() {
            let (mark, width, height) = (i + 1, image.width(), image.height());
            if !MARK_SIDES_PX.contains(&width) || !MARK_SIDES_PX.contains(&height) {
                return Err(AlignError::Size { mark, width, height });
            }
            let template = Template::new(Plane::of(*image)?, params.search_px as usize, MIN_CONTRAST)?
                .ok_or(AlignError::Flat { mark })?;
            made.push(Mark { template, x: *x, y: *y });
        }
        if let [first, second] = &made[..] {
            let ([ax, ay], [bx, by]) = (first.expected(), second.expected());
            let distance_px = (bx - ax).hypot(by - ay);
            if distance_px < MIN_DISTANCE_PX {
                return Err(AlignError::Near { distance_px });
            }
        }
        Ok(Aligner { marks: made, params })
    }

    /// Looks for the marks in a frame of the size of the reference image. That they are not there is an answer, see
    /// [`Alignment::aligned`].
    ///
    /// # Errors
    /// [`AlignError::Outside`] for a frame in which the place of a mark does not exist, [`AlignError::Image`] without
    /// memory.
    pub fn locate(&self, frame: PixelView<'_>) -> Result<Alignment, AlignError> {
        let mut found =
            Alignment { transform: Similarity::IDENTITY, score: 1.0, aligned: false, marks: heapless::Vec::new() };
        for (i, mark) in self.marks.iter().enumerate() {
            let [w, h] = mark.template.size();
            let (width, height) = (frame.width(), frame.height());
            let outside = || AlignError::Outside { mark: i + 1, x: mark.x, y: mark.y, w, h, width, height };
            let (x, x_end) = reach(mark.x, w, width, self.params.search_px).ok_or_else(outside)?;
            let (y, y_end) = reach(mark.y, h, height, self.params.search_px).ok_or_else(outside)?;
            let window = Plane::of(frame.crop(x, y, x_end - x, y_end - y)?)?;
            let place = mark.template.find(window)?.ok_or_else(outside)?;
            let middle = mark.middle([place.at[0] + x as f32, place.at[1] + y as f32]);
            found.score = found.score.min(place.score);
            let _ = found.marks.push((middle, place.score));
        }
        let pairs: heapless::Vec<_, 2> =
            self.marks.iter().zip(&found.marks).map(|(mark, (middle, _))| [mark.expected(), *middle]).collect();
        let transform = match pairs[..] {
            [[p, q]] => Similarity::shift(f64::from(q[0] - p[0]), f64::from(q[1] - p[1])),
            [first, second] => Similarity::between(first, second),
            _ => Similarity::IDENTITY,
        };
        let likely = transform.turn_deg().abs() <= MAX_TURN_DEG && SCALES.contains(&transform.scale());
        if likely && found.score >= self.params.min_score {
            found.transform = transform;
            found.aligned = true;
        }
        Ok(found)
    }
}

/// The part of a side in which a mark of `length` expected at `start` is looked for; `None` if it is not wholly inside.
fn reach(start: u32, length: usize, side: usize, search_px: u32) -> Option<(usize, usize)> {
    let (start, search) = (usize::try_from(start).ok()?, usize::try_from(search_px).ok()?);
    let end = start.checked_add(length).filter(|end| *end <= side)?;
    Some((start.saturating_sub(search), (end + search).min(side)))
}

#[cfg(test)]
mod tests;
