//! Line image to characters.
//!
//! A line is scaled to the network's height. One of up to 320 pixels keeps its proportions and is padded on the right with
//! what is grey after normalisation (PaddleOCR `resize_norm_img`); a longer one is stretched by a few per cent to the nearest
//! of the widths there are plans for; one that is longer than the widest of them is read in overlapping windows.

mod cascade;
#[doc(hidden)]
pub mod ctc;
mod long;
pub mod pattern;
mod restriction;
mod scratch;
mod widths;

#[doc(hidden)]
pub use cascade::{Reader, Recognisers, Restrictions};
#[doc(hidden)]
pub use long::Windows;
#[doc(hidden)]
pub use restriction::Restriction;
#[doc(hidden)]
pub use scratch::{Certainty, Scratch};
use widths::aspect_ratio;
pub use widths::{LONGEST_PX, SHORTEST_PX, Widths};

use crate::image::resize;
use crate::image::{CHANNELS, PixelView};
use crate::infer::{Answer, InferError, Model, Shape};
use crate::models::manifest::ChannelOrder;
use crate::models::{Charset, Kind, Manifest, ModelError};
use crate::network_input;
use crate::page::Char;
use crate::param::{FloatEngine, Param, ParamError};
use crate::stage::StageError;
use ctc::{Probabilities, Spaces};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How lines are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RecogniseParams {
    /// Only these characters may come out; none given means all.
    pub allowed_chars: Option<String>,
    /// A character class for each position, see [`pattern`].
    pub pattern: Option<String>,
    /// Lines in one run of the network; those of one run share a width bucket.
    pub batch: usize,
    /// Widths of the network's input.
    pub widths: Widths,
}

impl Default for RecogniseParams {
    /// All characters, one line at a time.
    fn default() -> Self {
        RecogniseParams { allowed_chars: None, pattern: None, batch: 1, widths: Widths::default() }
    }
}

/// A recogniser with its characters.
#[doc(hidden)]
pub struct Recogniser {
    model: Arc<dyn Model>,
    order: ChannelOrder,
    charset: Charset,
    height: usize,
    stride: usize,
    batch: usize,
    /// Ascending; none: exact.
    widths: Vec<usize>,
    /// The most memory of all widths, where these are all there are.
    max_bytes: Option<usize>,
    /// The rule for spaces, where the manifest has one.
    spaces: Option<Spaces>,
    /// The least certainty of a line that no other recogniser need read again, where the manifest has one.
    certain: Option<Certainty>,
}

/// Most lines in one run of the network.
#[doc(hidden)]
pub const MAX_BATCH: usize = 64;

/// Why a recogniser cannot be made.
#[doc(hidden)]
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RecogniserError {
    /// The model or its dictionary.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A parameter of the caller.
    #[error(transparent)]
    Param(#[from] ParamError),
}

impl RecogniseParams {
    /// Checks what does not depend on the network.
    ///
    /// # Errors
    /// The first parameter that cannot be used.
    pub fn validate(&self) -> Result<(), ParamError> {
        if let Widths::Buckets(list) = &self.widths {
            // Below, the network has too few columns to say anything.
            if list.is_empty() || !list.is_sorted() || list.iter().any(|w| !(64..=8192).contains(w)) {
                let allowed = "64 to 8192 pixels, ascending, at least one";
                let sentence = format!("the recogniser's widths ({}) must be {allowed}", Param::RecWidths);
                return Err(ParamError::new(Param::RecWidths, format!("{list:?}"), allowed).saying(sentence));
            }
        }
        if self.batch == 0 || self.batch > MAX_BATCH {
            let (param, allowed) = (Param::RecBatch, format!("1 to {MAX_BATCH}"));
            let sentence = format!("a batch of {} lines cannot be read; {param} takes {allowed}", self.batch);
            return Err(ParamError::new(param, self.batch, allowed).saying(sentence));
        }
        Ok(())
    }
}

impl Recogniser {
    /// Binds a network to its dictionary; refuses one that is not a recogniser, or whose classes are not the
    /// dictionary's characters, blank and space.
    pub fn new(
        model: Arc<dyn Model>,
        manifest: &Manifest,
        charset: Charset,
        params: &RecogniseParams,
    ) -> Result<Recogniser, RecogniserError> {
        let (Some(facts), Some(height)) = (&manifest.recogniser, manifest.input.height_px) else {
            return Err(wrong(manifest, "its manifest is of another kind".into()));
        };
        params.validate()?;
        let mut widths: Vec<usize> = match &params.widths {
            Widths::Exact => Vec::new(),
            Widths::Buckets(list) => list.iter().map(|w| w.next_multiple_of(facts.stride_px.max(1))).collect(),
        };
        if widths.last().is_some_and(|widest| *widest >= facts.narrowest_px) {
            widths.retain(|width| *width >= facts.narrowest_px);
        }
        let mut max_bytes = None;
        if let Some(shapes) = model.shapes() {
            if params.batch != 1 {
                let (engine, param) = (model.engine(), Param::RecBatch);
                let sentence =
                    format!("the {engine} engine reads lines one at a time; leave {param} out, or {FloatEngine}");
                return Err(ParamError::new(param, params.batch, "1").saying(sentence).into());
            }
            let fits = |width: &usize| shapes.contains(&Shape::images(params.batch, height, *width));
            if widths.is_empty() || !widths.iter().all(fits) {
                let built_in: Vec<String> =
                    shapes.iter().filter_map(|s| s.axes().last()).map(usize::to_string).collect();
                let (built_in, param) = (built_in.join(","), Param::RecWidths);
                let sentence = format!(
                    "the {} engine reads lines at the widths {built_in} and no others; give {param} of these, or {FloatEngine}",
                    model.engine()
                );
                return Err(ParamError::new(param, format!("{widths:?}"), built_in).saying(sentence).into());
            }
            let bytes = shapes.iter().filter_map(|shape| Some(model.session(*shape).ok()?.memory_bytes()));
            max_bytes = bytes.max();
        }
        let narrowest = widths.first().copied().unwrap_or(SHORTEST_PX);
        let probe = Shape::image(height, narrowest);
        let output = model.output_shape(probe).map_err(|e| wrong(manifest, e.to_string()))?;
        let &[1, steps, classes] = output.axes() else {
            return Err(wrong(manifest, format!("for {probe} it answers {output}, not 1 x steps x classes")));
        };
        if steps * facts.stride_px != narrowest {
            return Err(wrong(
                manifest,
                format!("for {probe} it answers {output}, not one step for each {} columns", facts.stride_px),
            ));
        }
        if charset.classes() != classes {
            return Err(ModelError::DictionaryLength {
                name: manifest.name.clone(),
                entries: charset.classes() - 2,
                want: charset.classes(),
                classes,
            }
            .into());
        }
        let space = classes - 1;
        let thresh = facts.space_thresh.filter(|_| charset.text(space) == " ");
        let spaces = thresh.map(|thresh| Spaces { class: space, thresh });
        Ok(Recogniser {
            order: manifest.input.channel_order,
            model,
            charset,
            height,
            stride: facts.stride_px,
            batch: params.batch,
            widths,
            max_bytes,
            spaces,
            certain: facts.certain.as_ref().map(|c| Certainty { mean: c.mean, least: c.least }),
        })
    }

    /// The engine's name.
    pub fn engine(&self) -> &'static str {
        self.model.engine()
    }

    /// Lines that one run takes.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Whether it is known when a line need not be read again by another recogniser.
    pub fn knows_certainty(&self) -> bool {
        self.certain.is_some()
    }

    /// Whether a line need not be read again by another recogniser.
    pub fn is_certain(&self, certainty: Certainty) -> bool {
        self.certain.is_some_and(|least| certainty.reaches(least))
    }

    /// A restriction for [`read`](Self::read): only `allowed_chars` may come out,
    /// and only what fits the [`pattern`]; all characters in any order if not given.
    ///
    /// # Errors
    /// [`RecogniserError::Param`] for characters that the model does not know and for a pattern that is none.
    pub fn restriction(
        &self,
        allowed_chars: Option<&str>,
        pattern: Option<&str>,
    ) -> Result<Restriction, RecogniserError> {
        Restriction::new(&self.charset, allowed_chars, pattern)
    }

    /// Gives back the memory of prepared plans, see [`Model::release`].
    pub fn release(&self) {
        self.model.release();
    }

    /// Makes the plans of the narrowest widths, `plans` of them.
    pub fn warm_up(&self, plans: usize) -> Result<(), InferError> {
        for width in self.widths.iter().take(plans) {
            self.model.session(Shape::images(self.batch, self.height, *width))?;
        }
        Ok(())
    }

    /// The windows in which a line of `size` (width and height in pixels) has to be read because it is longer than
    /// the widest input. Not where `restriction` has a pattern, which holds for the whole line: that is squeezed.
    pub fn windows(&self, size: [usize; 2], restriction: &Restriction) -> Option<Windows> {
        let widest = self.widths.last().copied().unwrap_or(LONGEST_PX);
        Windows::of(size, widest, self.height).filter(|_| !restriction.has_pattern())
    }

    /// Bytes of memory that [`read`](Self::read) needs for `count` lines, of which the longest is of `size` (width and
    /// height in pixels), or for some of them.
    pub fn memory_bytes(&self, count: usize, size: [usize; 2]) -> Result<usize, InferError> {
        match self.max_bytes {
            Some(bytes) => Ok(bytes),
            None => {
                let shape = Shape::images(count.clamp(1, self.batch), self.height, self.width(size[0], size[1]));
                Ok(self.model.session(shape)?.memory_bytes())
            }
        }
    }

    /// Reads up to [`batch`](Self::batch) lines in one run, calling `read(index, scratch)` with the characters of
    /// each, which are those that `restriction` allows: one made by this recogniser, as classes of another mean other
    /// characters. An empty image has no characters. `memory` is of [`memory_bytes`](Self::memory_bytes).
    pub fn read(
        &self,
        lines: &[PixelView<'_>],
        restriction: &Restriction,
        memory: &mut [u8],
        scratch: &mut Scratch,
        mut read: impl FnMut(usize, &Scratch),
    ) -> Result<(), StageError> {
        if lines.is_empty() || lines.len() > MAX_BATCH {
            return Ok(());
        }
        let width = lines.iter().map(|line| self.width(line.width(), line.height())).max().unwrap_or(SHORTEST_PX);
        let session = self.model.session(Shape::images(lines.len(), self.height, width))?;
        let input = session.input(memory)?;
        let mut columns = [0; MAX_BATCH];
        for ((line, pixels), columns) in
            lines.iter().zip(input.chunks_exact_mut(width * self.height * CHANNELS)).zip(&mut columns)
        {
            *columns = self.columns(line, width);
            let tight = &mut pixels[..*columns * self.height * CHANNELS];
            resize::linear(*line, tight, *columns, self.height, &mut scratch.resize)?;
            network_input::expand_rows_in_place(pixels, *columns, width, self.height, self.order);
        }
        let columns = &columns[..lines.len()];
        let &[_, steps, classes] = session.output_shape().axes() else { return Ok(()) };
        let text_steps = |columns: &usize| *columns as f32 / self.stride as f32;
        if restriction.allows_all()
            && let Some(likeliest) = session.run_likeliest(memory, columns)?
        {
            for (i, (line, columns)) in likeliest.split(steps).zip(columns).enumerate() {
                let same = |a: usize, b: usize| self.charset.text(a) == self.charset.text(b);
                scratch.gaps = ctc::greedy_likeliest(line, self.spaces, same, &mut scratch.symbols);
                self.place(text_steps(columns), scratch);
                read(i, scratch);
            }
            return Ok(());
        }
        let answer = session.run(memory, columns, None)?;
        let Answer::F32(values) = answer else { return Ok(()) };
        for (i, (values, columns)) in values.chunks_exact((steps * classes).max(1)).zip(columns).enumerate() {
            scratch.symbols.clear();
            if let Some(probabilities) = Probabilities::new(values, classes) {
                scratch.gaps = restriction.decode(probabilities, &self.charset, self.spaces, &mut scratch.symbols);
            }
            self.place(text_steps(columns), scratch);
            read(i, scratch);
        }
        Ok(())
    }

    /// The width of the network that a line is read with.
    fn width(&self, width: usize, height: usize) -> usize {
        let natural = self.height as f64 * aspect_ratio(width, height);
        let stretch = |w: usize| (w as f64 / natural).ln().abs();
        let Some(last) = self.widths.last() else {
            // Rounded down, as the reference does, so that a line may lose a fraction of a column.
            return (natural as usize).clamp(SHORTEST_PX, LONGEST_PX);
        };
        let mut widths = self.widths.iter();
        let width = if natural <= SHORTEST_PX as f64 {
            // Padded: where the input is narrow, stretching costs more than padding.
            widths.find(|w| natural <= **w as f64)
        } else {
            widths.filter(|w| **w >= SHORTEST_PX).min_by(|a, b| stretch(**a).total_cmp(&stretch(**b)))
        };
        *width.unwrap_or(last)
    }

    /// How many columns of a network of `width` a line fills; the rest is padding.
    fn columns(&self, line: &PixelView<'_>, width: usize) -> usize {
        let natural =
            ((self.height as f64 * aspect_ratio(line.width(), line.height())).ceil() as usize).clamp(1, width);
        let fills =
            !self.widths.is_empty() && natural > SHORTEST_PX && self.width(line.width(), line.height()) == width;
        if fills { width } else { natural }
    }

    /// The characters of the symbols that were decoded, where they lie along the line.
    fn place(&self, steps_of_text: f32, scratch: &mut Scratch) {
        let Scratch { symbols, extents, chars, .. } = scratch;
        chars.clear();
        ctc::extents(symbols, steps_of_text, extents);
        for (symbol, extent) in symbols.iter().zip(extents.iter()) {
            let text = self.charset.text(symbol.class);
            // The network cannot tell ℃ from °C, and marks the degree twice where it is undecided.
            if matches!(text, "℃" | "℉") && chars.last().is_some_and(|before| before.ch == '°') {
                chars.pop();
            }
            let share = (extent.end - extent.start) / text.chars().count().max(1) as f32;
            // Multi-character entries have no per-character alternative.
            let second = symbol.second.and_then(|(class, p)| {
                only_char(text)?;
                Some((only_char(self.charset.text(class))?, p))
            });
            chars.extend(text.chars().enumerate().map(|(i, ch)| {
                let start = extent.start + i as f32 * share;
                Char { ch, score: symbol.score, start, end: start + share, second }
            }));
        }
    }
}

/// The character of a text that has one.
fn only_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

fn wrong(manifest: &Manifest, reason: String) -> RecogniserError {
    ModelError::WrongKind { name: manifest.name.clone(), kind: Kind::Recogniser, reason }.into()
}
