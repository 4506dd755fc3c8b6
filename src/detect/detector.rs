//! Page to probability map to boxes: runs the network on the page or on its tiles.

use super::overview;
use super::scale::{self, ScaleParams, ScaleRule};
use super::{DbOverrides, DbParams, DbScratch, MapView, TextBox, boxes_from_map};
use crate::image::resize::{self, ResizeScratch};
use crate::image::{ImageError, PixelView};
use crate::infer::{InferError, Network, Shape};
use crate::models::{Kind, Manifest, ModelError};
use crate::parallel;
use crate::prepare::Normaliser;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// How text is found.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectParams {
    /// The size at which the network sees the page.
    pub scale: ScaleParams,
    /// From the probability map to boxes.
    pub db: DbOverrides,
}

/// A detector with everything it needs to run again without growing.
pub struct Detector {
    network: Arc<dyn Network>,
    name: String,
    normaliser: Normaliser,
    scale: ScaleParams,
    db: DbParams,
    scaled: Vec<u8>,
    resize: ResizeScratch,
    /// One for each thread.
    workers: Vec<Worker>,
    /// Pixels of all tiles that are searched side by side.
    pixels_at_once: usize,
    map: Vec<f32>,
    scratch: DbScratch,
    boxes: Vec<TextBox>,
    /// Milliseconds of the last call before and after the network was given its first input.
    prepare_ms: f32,
}

/// The memory of one run of the network.
#[derive(Default)]
struct Worker {
    input: Vec<f32>,
    output: Vec<f32>,
    prepare_ms: f32,
}

/// Why a page could not be searched.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
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
pub enum DetectorError {
    /// The network is no detector.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A parameter of the caller.
    #[error("{0}")]
    Params(String),
}

impl Detector {
    /// Binds a network; refuses one that does not answer a picture with one probability for each of its pixels. Tiles are
    /// looked at by up to `threads` threads, as many together as have `pixels_at_once`.
    pub fn new(
        network: Arc<dyn Network>,
        manifest: &Manifest,
        params: &DetectParams,
        threads: usize,
        pixels_at_once: usize,
    ) -> Result<Detector, DetectorError> {
        params.scale.validate().map_err(DetectorError::Params)?;
        let db = params.db.over(manifest.detector.as_ref());
        db.validate().map_err(|e| DetectorError::Params(e.to_string()))?;
        let probe = Shape::picture(64, 96);
        let wrong =
            |reason: String| ModelError::WrongKind { name: manifest.name.clone(), kind: Kind::Detector, reason };
        let output = network.output_shape(probe).map_err(|e| wrong(e.to_string()))?;
        let &[_, _, height, width] = probe.axes() else { return Err(wrong("no probe".into()).into()) };
        if output.axes() != [1, 1, height, width] {
            return Err(wrong(format!("for {probe} it answers {output}, not 1x1x{height}x{width}")).into());
        }
        Ok(Detector {
            normaliser: Normaliser::new(&manifest.input),
            network,
            name: manifest.name.clone(),
            scale: params.scale.clone(),
            db,
            scaled: Vec::new(),
            resize: ResizeScratch::default(),
            workers: (0..threads.max(1)).map(|_| Worker::default()).collect(),
            pixels_at_once,
            map: Vec::new(),
            scratch: DbScratch::default(),
            boxes: Vec::new(),
            prepare_ms: 0.0,
        })
    }

    /// The engine's name.
    pub fn engine(&self) -> &'static str {
        self.network.engine()
    }

    /// The thresholds in force.
    pub fn db_params(&self) -> &DbParams {
        &self.db
    }

    /// Makes the plans of the canvases, at most `plans` (tiled rule; the reference rule has no size of its own).
    pub fn warm_up(&self, plans: usize) -> Result<(), InferError> {
        if self.scale.rule == ScaleRule::Tiled {
            for [width, height] in self.scale.canvases_px.iter().take(plans) {
                self.network.at(Shape::picture(*height, *width))?;
            }
        }
        Ok(())
    }

    /// Milliseconds of the last [`detect`](Self::detect) that went into making the network's input.
    pub fn prepare_ms(&self) -> f32 {
        self.prepare_ms
    }

    /// The boxes of text on a page, in page pixels, in no particular order.
    pub fn detect(&mut self, page: PixelView<'_>) -> Result<&[TextBox], DetectError> {
        self.prepare_ms = 0.0;
        let (width, height) = (page.width(), page.height());
        match self.scale.rule {
            ScaleRule::Reference => {
                let size = self.map_whole(page)?;
                self.boxes_on(size, [width, height])?;
            }
            ScaleRule::Tiled => {
                let layout = scale::layout(&self.scale, width, height);
                let tiled = layout.page[0] > layout.canvas[0] || layout.page[1] > layout.canvas[1];
                let mut large = Vec::new();
                if tiled {
                    let overview = scale::overview(&self.scale, width, height);
                    self.map_canvas(page, overview)?;
                    self.boxes_on(overview.page, [width, height])?;
                    large = std::mem::take(&mut self.boxes);
                }
                self.map_canvas(page, layout)?;
                self.boxes_on(layout.page, [width, height])?;
                if tiled {
                    overview::merge(&mut large, &mut self.boxes, layout.page[0] as f32 / width.max(1) as f32);
                }
            }
        }
        log::debug!("{}: {} boxes on a page of {width}x{height}", self.name, self.boxes.len());
        Ok(&self.boxes)
    }

    /// Finds the boxes on the map of the last run.
    fn boxes_on(&mut self, [map_w, map_h]: [usize; 2], page: [usize; 2]) -> Result<(), DetectError> {
        let map = MapView::new(&self.map, map_w, map_h).map_err(|e| DetectError::Map(e.to_string()))?;
        let [page_w, page_h] = page.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        boxes_from_map(map, page_w, page_h, &self.db, &mut self.scratch, &mut self.boxes);
        Ok(())
    }

    /// The page, resized to the reference's input, in one run. The map has the input's size.
    fn map_whole(&mut self, page: PixelView<'_>) -> Result<[usize; 2], DetectError> {
        let [w, h] = scale::reference_input(&self.scale, page.width(), page.height());
        self.resize_page(page, w, h)?;
        let scaled = PixelView::new(&self.scaled, w, h, w * 3)?;
        let worker = &mut self.workers[0];
        worker.run(&*self.network, &self.normaliser, scaled, [0, 0], [w, h])?;
        self.prepare_ms += worker.prepare_ms;
        std::mem::swap(&mut self.map, &mut worker.output);
        Ok([w, h])
    }

    /// The page on a fixed canvas, or on several whose maps are blended. The map has the scaled page's size.
    fn map_canvas(&mut self, page: PixelView<'_>, layout: scale::Layout) -> Result<(), DetectError> {
        let scale::Layout { page: [w, h], canvas: [cw, ch] } = layout;
        let overlap = self.scale.overlap_px;
        self.resize_page(page, w, h)?;
        let scaled = PixelView::new(&self.scaled, w, h, w * 3)?;
        self.map.clear();
        self.map.resize(w * h, 0.0);
        let (columns, rows) = (scale::tile_starts(w, cw, overlap), scale::tile_starts(h, ch, overlap));
        let tiles: Vec<[usize; 2]> = rows.flat_map(|top| columns.clone().map(move |left| [left, top])).collect();
        let (network, normaliser) = (&*self.network, &self.normaliser);
        // Tiles are run side by side but blended in their order: sums of floats depend on it, results must not.
        let together = (self.pixels_at_once / (cw * ch).max(1)).clamp(1, self.workers.len());
        for batch in tiles.chunks(together) {
            let workers = &mut self.workers[..batch.len()];
            parallel::side_by_side(workers.iter_mut().zip(batch), |(worker, tile)| {
                worker.run(network, normaliser, scaled, *tile, [cw, ch])
            })?;
            for (worker, [left, top]) in workers.iter().zip(batch) {
                blend(&mut self.map, [w, h], &worker.output, [*left, *top], [cw, ch], overlap);
            }
            self.prepare_ms += workers.iter().map(|worker| worker.prepare_ms).fold(0.0, f32::max);
        }
        Ok(())
    }

    fn resize_page(&mut self, page: PixelView<'_>, w: usize, h: usize) -> Result<(), ImageError> {
        let start = Instant::now();
        self.scaled.resize(w * h * 3, 0);
        resize::linear(page, &mut self.scaled, w, h, &mut self.resize)?;
        self.prepare_ms += ms(start);
        Ok(())
    }
}

impl Worker {
    /// Runs the network on the window of `canvas` pixels at `at`; its map is then in `output`.
    fn run(
        &mut self,
        network: &dyn Network,
        normaliser: &Normaliser,
        page: PixelView<'_>,
        [x, y]: [usize; 2],
        [w, h]: [usize; 2],
    ) -> Result<(), InferError> {
        let mut model = network.at(Shape::picture(h, w))?;
        let start = Instant::now();
        self.input.resize(3 * w * h, 0.0);
        self.output.resize(w * h, 0.0);
        normaliser.fill_window(page, x, y, &mut self.input, w, h);
        self.prepare_ms = ms(start);
        model.run(&self.input, &mut self.output)
    }
}

/// Adds a tile's map to the page's. A tile's share at a pixel is the product of its shares along the two axes, which are
/// normalised, so that the shares of all tiles add up to 1 everywhere.
fn blend(
    map: &mut [f32],
    [w, h]: [usize; 2],
    tile: &[f32],
    [left, top]: [usize; 2],
    [cw, ch]: [usize; 2],
    overlap: usize,
) {
    let share = |start: usize, at: usize, tile: usize, side: usize| {
        let weight = |start| scale::tile_weight(start, at, tile, side, overlap);
        weight(start) / scale::tile_starts(side, tile, overlap).map(weight).sum::<f32>()
    };
    let across: Vec<f32> = (left..w.min(left + cw)).map(|x| share(left, x, cw, w)).collect();
    let page_rows = map.chunks_exact_mut(w).enumerate().skip(top);
    for ((y, out), row) in page_rows.zip(tile.chunks_exact(cw)) {
        let down = share(top, y, ch, h);
        for ((sum, p), across) in out[left..].iter_mut().zip(row).zip(&across) {
            *sum += p * across * down;
        }
    }
}

fn ms(start: Instant) -> f32 {
    start.elapsed().as_secs_f32() * 1e3
}
