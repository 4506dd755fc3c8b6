//! Page to probability map to boxes: runs the network on the page or on its tiles.

use super::db::USUAL_CANDIDATES;
use super::overview;
use super::scale::{self, ScaleParams, ScaleRule};
use super::thumbnail_pass;
use super::{DbOverrides, DbParams, DbParamsError, DbScratch, FOR, MapView, ScoreMode, TextBox, boxes_from_map};
use crate::image::resize::{self, ResizeScratch};
use crate::image::{CHANNELS, ImageError, PixelView};
use crate::infer::{Answer, InferError, Model, Pool, Shape};
use crate::memory::{NoMemory, Workspace, aligned_size, split_aligned, try_vec_with_capacity};
use crate::models::manifest::ChannelOrder;
use crate::models::{Kind, Manifest, ModelError};
use crate::network_input;
use crate::page::ms;
use crate::parallel;
use crate::param::{FloatEngine, Param, ParamError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// How text is found.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DetectParams {
    /// The size at which the network sees the page.
    pub scale: ScaleParams,
    /// From the probability map to boxes.
    pub db: DbOverrides,
}

/// A detector with everything it needs to run again without growing.
pub struct Detector {
    model: Arc<dyn Model>,
    name: String,
    order: ChannelOrder,
    scale: ScaleParams,
    db: DbParams,
    resize: ResizeScratch,
    /// Pixels of all tiles that are searched side by side, by an engine that does not spread one run over the threads.
    pixels_at_once: usize,
    /// Shares of a tile along a row of the page.
    across: Vec<f32>,
    scratch: DbScratch,
    boxes: Vec<TextBox>,
    /// Boxes of the overview.
    overview: Vec<TextBox>,
    /// Boxes of the thumbnail.
    thumbnail: Vec<TextBox>,
    /// Milliseconds of the last call before the network was given its inputs.
    prepare_ms: f32,
}

/// Why a page could not be searched.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DetectError {
    /// The engine.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The page's pixels.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The map is not what it should be.
    #[error("the detector's map cannot be used: {0}; give a detector of the PP-OCR family")]
    Map(String),
}

/// Why a detector cannot be made.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DetectorError {
    /// The network is no detector.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A parameter of the caller.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// One of those that boxes are made by.
    #[error(transparent)]
    Db(#[from] DbParamsError),
    /// Its buffers cannot be had.
    #[error(transparent)]
    Memory(#[from] NoMemory),
}

impl Detector {
    /// Binds a network; refuses one that does not answer an image with one probability for each of its pixels. Where one
    /// run does not use all threads, as many tiles are searched side by side as have `pixels_at_once`.
    pub fn new(
        model: Arc<dyn Model>,
        manifest: &Manifest,
        params: &DetectParams,
        pixels_at_once: usize,
    ) -> Result<Detector, DetectorError> {
        params.scale.validate()?;
        // The reference rule gives RapidOCR's boxes.
        let score_mode = match params.scale.rule {
            ScaleRule::Tiled => ScoreMode::Adaptive,
            ScaleRule::Reference => ScoreMode::Fast,
        };
        let db = params.db.apply_to(manifest.detector.as_ref(), score_mode);
        db.validate()?;
        let tiled = params.scale.rule == ScaleRule::Tiled;
        if let Some(shapes) = model.shapes() {
            let there = |[w, h]: &[usize; 2]| shapes.contains(&Shape::image(*h, *w));
            if !tiled || !params.scale.canvases_px.iter().all(there) {
                let built_in = shapes.iter().filter_map(|s| Some(format!("{}x{}", s.axes().get(3)?, s.axes().get(2)?)));
                let built_in = built_in.collect::<Vec<_>>().join(",");
                let sentence = format!(
                    "the {} engine finds text on canvases of {built_in} pixels and no others; give {} of these and {} tiled, or {FloatEngine}",
                    model.engine(),
                    Param::Canvases,
                    Param::ScaleRule
                );
                let canvases = format!("{:?}", params.scale.canvases_px);
                return Err(ParamError::new(Param::Canvases, canvases, built_in).saying(sentence).into());
            }
        }
        let [width, height] = params.scale.canvases_px.first().copied().filter(|_| tiled).unwrap_or([96, 64]);
        let probe = Shape::image(height, width);
        let wrong =
            |reason: String| ModelError::WrongKind { name: manifest.name.clone(), kind: Kind::Detector, reason };
        let output = model.output_shape(probe).map_err(|e| wrong(e.to_string()))?;
        if output.axes() != [1, 1, height, width] {
            return Err(wrong(format!("for {probe} it answers {output}, not 1x1x{height}x{width}")).into());
        }
        let (name, order) = (manifest.name.clone(), manifest.input.channel_order);
        Ok(Detector::with_buffers(model, name, order, params.scale.clone(), db, pixels_at_once)?)
    }

    /// Another detector with the same network and parameters; its buffers are its own.
    pub fn sharing_network(&self) -> Result<Detector, NoMemory> {
        let Detector { model, name, order, scale, db, pixels_at_once, .. } = self;
        Detector::with_buffers(model.clone(), name.clone(), *order, scale.clone(), *db, *pixels_at_once)
    }

    fn with_buffers(
        model: Arc<dyn Model>,
        name: String,
        order: ChannelOrder,
        scale: ScaleParams,
        db: DbParams,
        pixels_at_once: usize,
    ) -> Result<Detector, NoMemory> {
        let (most, row) = (scale.largest_side(), scale.longest_row());
        Ok(Detector {
            model,
            name,
            order,
            resize: ResizeScratch::for_width(row)?,
            pixels_at_once,
            across: try_vec_with_capacity(row, FOR)?,
            scratch: DbScratch::for_map(most, most, &db)?,
            boxes: try_vec_with_capacity(2 * db.max_candidates.min(USUAL_CANDIDATES), FOR)?,
            overview: try_vec_with_capacity(2 * db.max_candidates.min(USUAL_CANDIDATES), FOR)?,
            thumbnail: try_vec_with_capacity(2 * db.max_candidates.min(USUAL_CANDIDATES), FOR)?,
            scale,
            db,
            prepare_ms: 0.0,
        })
    }

    /// The engine's name.
    pub fn engine(&self) -> &'static str {
        self.model.engine()
    }

    /// The thresholds in force.
    pub fn db_params(&self) -> &DbParams {
        &self.db
    }

    /// Makes the plans of the canvases, at most `plans` (tiled rule; the reference rule has no size of its own).
    pub fn warm_up(&self, plans: usize) -> Result<(), InferError> {
        if self.scale.rule == ScaleRule::Tiled {
            for [width, height] in self.scale.canvases_px.iter().take(plans) {
                self.model.session(Shape::image(*height, *width))?;
            }
        }
        Ok(())
    }

    /// Milliseconds of the last [`detect`](Self::detect) that went into making the network's input.
    pub fn prepare_ms(&self) -> f32 {
        self.prepare_ms
    }

    /// The boxes of text on a page, in page pixels, in no particular order. `on_progress` is called after each run of
    /// the network.
    pub fn detect(
        &mut self,
        page: PixelView<'_>,
        workspace: &mut Workspace,
        pool: &mut Pool,
        on_progress: &dyn Fn(),
    ) -> Result<&[TextBox], DetectError> {
        self.prepare_ms = 0.0;
        let (width, height) = (page.width(), page.height());
        match self.scale.rule {
            ScaleRule::Reference => {
                // One canvas of the reference's size, which the page fills.
                let whole = scale::reference_input(&self.scale, width, height);
                self.boxes_on(page, scale::Layout { page: whole, canvas: whole }, workspace, pool, on_progress)?;
            }
            ScaleRule::Tiled => {
                let layout = scale::layout(&self.scale, width, height);
                let tiled = layout.page[0] > layout.canvas[0] || layout.page[1] > layout.canvas[1];
                if tiled {
                    self.search_twice(page, layout, workspace, pool, on_progress)?;
                } else {
                    self.boxes_on(page, layout, workspace, pool, on_progress)?;
                }
            }
        }
        log::debug!("{}: {} boxes on a page of {width}x{height}", self.name, self.boxes.len());
        Ok(&self.boxes)
    }

    /// Searches a page on its tiles and as a whole, and puts what was found into `boxes`.
    fn search_twice(
        &mut self,
        page: PixelView<'_>,
        tiles: scale::Layout,
        workspace: &mut Workspace,
        pool: &mut Pool,
        on_progress: &dyn Fn(),
    ) -> Result<(), DetectError> {
        let (width, height) = (page.width(), page.height());
        let [whole, thumbnail] = [scale::overview, scale::thumbnail].map(|layout| layout(&self.scale, width, height));
        self.boxes_on(page, whole, workspace, pool, on_progress)?;
        std::mem::swap(&mut self.boxes, &mut self.overview);
        self.boxes_on(page, tiles, workspace, pool, on_progress)?;
        let shown = |layout: scale::Layout| layout.page[0] as f32 / width.max(1) as f32;
        if thumbnail_pass::is_needed([&self.overview, &self.boxes], shown(thumbnail)) {
            // The boxes of the tiles wait in the thumbnail's list.
            std::mem::swap(&mut self.boxes, &mut self.thumbnail);
            self.boxes_on(page, thumbnail, workspace, pool, on_progress)?;
            std::mem::swap(&mut self.boxes, &mut self.thumbnail);
            let most = |layout| thumbnail_pass::most_px(layout) / shown(layout);
            let finer = [(&mut self.overview, most(whole)), (&mut self.boxes, most(tiles))];
            thumbnail_pass::settle(&mut self.thumbnail, shown(thumbnail), finer);
        }
        overview::merge(&mut self.overview, &mut self.boxes, shown(tiles));
        let last = [width, height].map(|side| side.saturating_sub(1) as f32);
        for corner in self.boxes.iter_mut().flat_map(|b| b.quad.iter_mut().chain(&mut b.polygon)) {
            *corner = [0, 1].map(|axis| corner[axis].round_ties_even().clamp(0.0, last[axis]));
        }
        Ok(())
    }

    /// Runs the network on a canvas that holds the scaled page, or on several whose maps are blended, and puts what is found
    /// on the page's map into `boxes`.
    fn boxes_on(
        &mut self,
        view: PixelView<'_>,
        layout: scale::Layout,
        workspace: &mut Workspace,
        pool: &mut Pool,
        on_progress: &dyn Fn(),
    ) -> Result<(), DetectError> {
        let scale::Layout { page: [w, h], canvas } = layout;
        let overlap = self.scale.overlap_px;
        let (columns, rows) = (scale::tile_starts(w, canvas[0], overlap), scale::tile_starts(h, canvas[1], overlap));
        let count = columns.clone().count() * rows.clone().count();
        let session = self.model.session(Shape::image(canvas[1], canvas[0]))?;
        let together = match self.model.spreads() {
            true => 1,
            false => (self.pixels_at_once / (canvas[0] * canvas[1]).max(1)).clamp(1, pool.threads().min(count)),
        };
        let sizes = [w * h * CHANNELS, w * h * size_of::<f32>(), together * aligned_size(session.memory_bytes())];
        let [scaled, map, tensors] =
            split_aligned(workspace.bytes(sizes.map(aligned_size).iter().sum()).map_err(InferError::from)?, sizes);
        let map: &mut [f32] = bytemuck::cast_slice_mut(map);

        let start = Instant::now();
        resize::linear(view, scaled, w, h, &mut self.resize)?;
        map.fill(0.0);
        self.prepare_ms += ms(start);
        let scaled = PixelView::new(scaled, w, h, w * CHANNELS)?;
        let mut tiles = rows.flat_map(|top| columns.clone().map(move |left| [left, top]));
        let fill = |tile: [usize; 2], memory: &mut [u8]| -> Result<(), InferError> {
            network_input::copy_window(scaled, tile, canvas, self.order, session.input(memory)?);
            Ok(())
        };
        if together == 1 {
            for tile in tiles {
                let start = Instant::now();
                fill(tile, tensors)?;
                self.prepare_ms += ms(start);
                let answer = session.run(tensors, &[canvas[0]], Some(pool))?;
                on_progress();
                blend(map, [w, h], answer, tile, canvas, overlap, &mut self.across);
            }
        } else {
            // Tiles are run side by side but blended in their order: sums of floats depend on it, results must not.
            loop {
                let batch: Vec<[usize; 2]> = tiles.by_ref().take(together).collect();
                if batch.is_empty() {
                    break;
                }
                let work: Vec<_> = batch.iter().zip(tensors.chunks_exact_mut(tensors.len() / together)).collect();
                let answers = parallel::map(pool, work, |(tile, memory)| {
                    fill(*tile, memory)?;
                    session.run(memory, &[canvas[0]], None)
                })?;
                for (answer, tile) in answers.into_iter().zip(&batch) {
                    blend(map, [w, h], answer, *tile, canvas, overlap, &mut self.across);
                }
                on_progress();
            }
        }
        let map = MapView::new(map, w, h).map_err(|e| DetectError::Map(e.to_string()))?;
        let [page_w, page_h] = [view.width(), view.height()].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        boxes_from_map(map, page_w, page_h, &self.db, &mut self.scratch, &mut self.boxes);
        if self.scratch.lost() > 0 {
            log::warn!(
                "{} places that may be text were not looked at, those nearest to the top of the page; raise {}",
                self.scratch.lost(),
                Param::MaxCandidates
            );
        }
        Ok(())
    }
}

/// Adds a tile's map to the page's. A tile's share at a pixel is the product of its shares along the two axes, which are
/// normalised, so that the shares of all tiles add up to 1 everywhere.
fn blend(
    map: &mut [f32],
    [w, h]: [usize; 2],
    tile: Answer<'_>,
    [left, top]: [usize; 2],
    [cw, ch]: [usize; 2],
    overlap: usize,
    across: &mut Vec<f32>,
) {
    let share = |start: usize, at: usize, tile: usize, side: usize| {
        let weight = |start| scale::tile_weight(start, at, tile, side, overlap);
        weight(start) / scale::tile_starts(side, tile, overlap).map(weight).sum::<f32>()
    };
    across.clear();
    across.extend((left..w.min(left + cw)).map(|x| share(left, x, cw, w)));
    for (row, (y, out)) in map.chunks_exact_mut(w).enumerate().skip(top).take(ch).enumerate() {
        let down = share(top, y, ch, h);
        let shares = out[left..].iter_mut().zip(across.iter());
        let from = row * cw;
        match tile {
            Answer::F32(values) => {
                for ((sum, across), p) in shares.zip(values.get(from..).unwrap_or(&[])) {
                    *sum += p * across * down;
                }
            }
            Answer::U8 { values, zero, scale } => {
                let zero = f32::from(zero);
                for ((sum, across), byte) in shares.zip(values.get(from..).unwrap_or(&[])) {
                    *sum += (f32::from(*byte) - zero) * scale * across * down;
                }
            }
        }
    }
}
