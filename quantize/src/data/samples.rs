//! List entries to network inputs.

use super::Image;
use super::list::Entry;
use crate::error::Error;
use crate::interpreter::parallel;
use crate::q8::{Input, Kind};
use std::path::Path;

/// A network input.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Sample {
    pub name: String,
    /// What is written there, if known.
    pub text: Option<String>,
    /// Classifier: the line is upside down.
    pub turned: bool,
    pub h: usize,
    pub w: usize,
    /// Pixels in the order in which the network reads them.
    pub bytes: Vec<u8>,
}

/// The detector's canvases, width and height. The small one shows a page as a whole; the large ones, on which the
/// pipeline searches pages of more pixels, show text several times as large, which other channels answer.
const CANVAS_PX: [usize; 2] = [640, 640];
const LARGE_CANVASES_PX: [[usize; 2]; 2] = [[1312, 736], [736, 1312]];
/// A page is enlarged at most this often.
const MAX_UPSCALE: f64 = 2.0;
/// The recogniser's widths, as in the pipeline; longer lines are squeezed into the last.
const WIDTHS_PX: [usize; 9] = [320, 400, 480, 560, 640, 800, 960, 1200, 1600];

/// Prepares the entries, in order. Those whose cut is empty are left out. A classifier gets each of them twice, upright
/// and on its head: it must know both, and the lists hold what is upright.
///
/// # Errors
/// An image cannot be read.
pub fn load(data: &Path, entries: &[Entry], kind: Kind, input: &Input, outside: u8) -> Result<Vec<Sample>, Error> {
    let one = |entry: &Entry| -> Result<Vec<Sample>, Error> {
        let image = Image::load(&data.join(&entry.image))?;
        let cut = match &entry.quad {
            Some(quad) => image.prune(quad),
            None => Some(image),
        };
        let Some(cut) = cut else { return Ok(Vec::new()) };
        let h = input.height_px.unwrap_or(48) as usize;
        let sample = |placed: Image, turned| Sample {
            name: entry.image.display().to_string(),
            text: entry.text.clone(),
            turned,
            h: placed.h,
            w: placed.w,
            bytes: placed.bytes(input.bgr),
        };
        Ok(match kind {
            Kind::Detector => canvases(&cut).map(|canvas| sample(page(&cut, canvas, outside), false)).collect(),
            Kind::Recogniser => vec![sample(line(&cut, h, outside), false)],
            Kind::Classifier => {
                let w = input.width_px.unwrap_or(192) as usize;
                let columns = ((h as f64 * cut.w as f64 / cut.h as f64).ceil() as usize).clamp(1, w);
                let place = |cut: Image| cut.resize(columns, h).on_canvas(w, h, outside);
                vec![sample(place(cut.turned_over()), true), sample(place(cut), false)]
            }
        })
    };
    let loaded = parallel(entries.len(), 2, |i| one(&entries[i]));
    Ok(loaded.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The canvases that a page is searched on.
fn canvases(image: &Image) -> impl Iterator<Item = [usize; 2]> {
    let large = image.w.max(image.h) > CANVAS_PX[0] * 3 / 2;
    let pixels = |canvas: &[usize; 2]| fit(image, *canvas).iter().product::<usize>();
    let large = LARGE_CANVASES_PX.into_iter().max_by_key(pixels).filter(|_| large);
    [Some(CANVAS_PX), large].into_iter().flatten()
}

/// Width and height of an image that is fitted into a canvas.
fn fit(image: &Image, canvas: [usize; 2]) -> [usize; 2] {
    let scales = [canvas[0] as f64 / image.w as f64, canvas[1] as f64 / image.h as f64, MAX_UPSCALE];
    let scale = scales.into_iter().fold(f64::INFINITY, f64::min);
    let side = |v: usize, max: usize| ((v as f64 * scale).round() as usize).clamp(1, max);
    [side(image.w, canvas[0]), side(image.h, canvas[1])]
}

fn page(image: &Image, canvas: [usize; 2], outside: u8) -> Image {
    let [w, h] = fit(image, canvas);
    image.resize(w, h).on_canvas(canvas[0], canvas[1], outside)
}

fn line(image: &Image, h: usize, outside: u8) -> Image {
    let natural = h as f64 * image.w as f64 / image.h.max(1) as f64;
    if natural <= WIDTHS_PX[0] as f64 {
        let columns = (natural.ceil() as usize).clamp(1, WIDTHS_PX[0]);
        return image.resize(columns, h).on_canvas(WIDTHS_PX[0], h, outside);
    }
    let stretch = |w: usize| (w as f64 / natural).ln().abs();
    let width = WIDTHS_PX.into_iter().min_by(|a, b| stretch(*a).total_cmp(&stretch(*b))).unwrap_or(WIDTHS_PX[0]);
    image.resize(width, h)
}
