//! Line image to characters.
//!
//! A line is scaled to the network's height. A short one keeps its proportions and is padded on the right with what is
//! grey after normalisation (PaddleOCR `resize_norm_img`); a longer one is stretched by a few per cent to the nearest
//! of the widths there are plans for; one that is longer than the widest of them is read in overlapping windows.

#[doc(hidden)]
pub mod ctc;
mod long;
pub mod pattern;
mod restriction;
mod widths;

#[doc(hidden)]
pub use long::Windows;
#[doc(hidden)]
pub use restriction::Restriction;
use widths::aspect_ratio;
pub use widths::{LONGEST_PX, SHORTEST_PX, Widths};

use crate::image::resize::{self, ResizeScratch};
use crate::image::{CHANNELS, PixelView};
use crate::infer::{Answer, InferError, Model, Shape};
use crate::memory::{NoMemory, try_vec_with_capacity};
use crate::models::manifest::ChannelOrder;
use crate::models::{Charset, Kind, Manifest, ModelError};
use crate::page::Char;
use crate::param::{FloatEngine, Param, ParamError};
use crate::stage::StageError;
use crate::{network_input, target};
use ctc::{Probabilities, Symbol};
use serde::{Deserialize, Serialize};
use std::ops::Range;
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
    /// What its parameters allow.
    restriction: Restriction,
}

/// Most lines in one run of the network.
#[doc(hidden)]
pub const MAX_BATCH: usize = 64;

/// What one thread needs to read lines besides the memory of the network; large enough from the start for the widths
/// of the target, and grows beyond them.
#[doc(hidden)]
pub struct Scratch {
    resize: ResizeScratch,
    symbols: Vec<Symbol>,
    extents: Vec<Range<f32>>,
    /// The characters of the line read last, in reading order.
    pub chars: Vec<Char>,
}

impl Scratch {
    /// Room for the target's widest line.
    pub fn new() -> Result<Scratch, NoMemory> {
        let widest = target::WIDTHS_PX.iter().copied().max().unwrap_or(SHORTEST_PX);
        // A character needs a time step, and none of these networks has more than one for four columns.
        let steps = widest / 4;
        let for_what = "reading lines";
        Ok(Scratch {
            resize: ResizeScratch::for_width(widest)?,
            symbols: try_vec_with_capacity(steps, for_what)?,
            extents: try_vec_with_capacity(steps, for_what)?,
            // An entry of a dictionary is at most eight characters long, nearly always one.
            chars: try_vec_with_capacity(2 * steps, for_what)?,
        })
    }

    /// Memory for resizing, for others who work on the same line.
    pub fn resize(&mut self) -> &mut ResizeScratch {
        &mut self.resize
    }

    /// Mean score of the characters, 0 without any.
    pub fn score(&self) -> f32 {
        match self.symbols.len() {
            0 => 0.0,
            n => self.symbols.iter().map(|s| s.score).sum::<f32>() / n as f32,
        }
    }
}

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
        let widths: Vec<usize> = match &params.widths {
            Widths::Exact => Vec::new(),
            Widths::Buckets(list) => list.iter().map(|w| w.next_multiple_of(facts.stride_px.max(1))).collect(),
        };
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
        let (chars, pattern) = (params.allowed_chars.as_deref(), params.pattern.as_deref());
        let restriction = Restriction::new(&charset, chars, pattern)?;
        Ok(Recogniser {
            order: manifest.input.channel_order,
            model,
            charset,
            height,
            stride: facts.stride_px,
            batch: params.batch,
            widths,
            max_bytes,
            restriction,
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

    /// What its parameters allow to come out.
    pub fn default_restriction(&self) -> &Restriction {
        &self.restriction
    }

    /// A restriction for [`read`](Self::read), in the place of the default one: only `allowed_chars` may come out,
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
                ctc::greedy_likeliest(line, same, &mut scratch.symbols);
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
                restriction.decode(probabilities, &self.charset, &mut scratch.symbols);
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
        match self.widths.first() {
            // Rounded down, as the reference does, so that a line may lose a fraction of a column.
            None => (natural as usize).clamp(SHORTEST_PX, LONGEST_PX),
            Some(first) if natural <= *first as f64 => *first,
            Some(first) => {
                self.widths.iter().copied().min_by(|a, b| stretch(*a).total_cmp(&stretch(*b))).unwrap_or(*first)
            }
        }
    }

    /// How many columns of a network of `width` a line fills; the rest is padding.
    fn columns(&self, line: &PixelView<'_>, width: usize) -> usize {
        let natural =
            ((self.height as f64 * aspect_ratio(line.width(), line.height())).ceil() as usize).clamp(1, width);
        let fills =
            !self.widths.is_empty() && natural > self.widths[0] && self.width(line.width(), line.height()) == width;
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
