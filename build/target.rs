//! A board as data: `targets/<name>.toml`.

use serde::Deserialize;

/// What tiles share unless a flag says otherwise: `ScaleParams::default` in `src/detect/scale.rs`.
const OVERLAP_PX: usize = 96;

/// A target file. Unknown fields are refused, so that a misspelt one is never silently without effect.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Version of this format: 1.
    pub schema: u32,
    /// The file's stem; what `EDGE_OCR_TARGET` takes.
    pub name: String,
    /// One line for `edge-ocr targets`.
    pub description: String,
    /// Threads for which the arena has room; more are possible, but then memory comes from the heap.
    pub threads: usize,
    pub detector: Detector,
    pub recogniser: Recogniser,
    pub classifier: Classifier,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Name of a manifest that has a `.q8` file beside it.
    pub model: String,
    /// Widths and heights of the network's inputs, smallest first; multiples of 32.
    pub canvases_px: Vec<[usize; 2]>,
    /// Longest side of the page that is searched; larger ones are reduced to it.
    pub max_side_px: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recogniser {
    /// Name of a manifest that has a `.q8` file beside it.
    pub model: String,
    /// Characters that can be read: `latin`, `digits`, `full`, or a text file; `EDGE_OCR_CHARSET` goes before it.
    pub charset: String,
    /// Widths of the network's input, ascending.
    pub widths_px: Vec<usize>,
    /// Pixels of the largest line image; larger ones are cut out at a smaller scale.
    pub max_crop_px: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// Name of a manifest that has a `.q8` file beside it.
    pub model: String,
}

impl Target {
    /// Reads and checks a target file. The error is one line.
    pub fn parse(text: &str, name: &str) -> Result<Target, String> {
        let target: Target =
            toml::from_str(text).map_err(|e| e.to_string().split_whitespace().collect::<Vec<_>>().join(" "))?;
        let (det, rec) = (&target.detector, &target.recogniser);
        let canvas = |c: &[usize; 2]| c.iter().all(|side| (32..=4096).contains(side) && side.is_multiple_of(32));
        let width = |w: &usize| (32..=8192).contains(w) && w.is_multiple_of(8);
        let facts = [
            (target.schema == 1, "schema must be 1"),
            (target.name == name && name.len() <= 24, "name must be the file's, at most 24 letters"),
            ((1..=16).contains(&target.threads), "threads must be 1 to 16"),
            (
                !det.canvases_px.is_empty() && det.canvases_px.iter().all(canvas),
                "detector.canvases_px must be sides of 32 to 4096 pixels, multiples of 32",
            ),
            (
                det.canvases_px.iter().any(|c| c.iter().all(|side| *side >= 2 * OVERLAP_PX)),
                "detector.canvases_px needs a canvas of at least 192x192, for pages that are cut into tiles",
            ),
            (det.canvases_px.is_sorted_by_key(|[w, h]| w * h), "detector.canvases_px must begin with the smallest"),
            ((64..=8192).contains(&det.max_side_px), "detector.max_side_px must be 64 to 8192"),
            (
                !rec.widths_px.is_empty() && rec.widths_px.iter().all(width) && rec.widths_px.is_sorted(),
                "recogniser.widths_px must be 32 to 8192 pixels, multiples of 8, ascending",
            ),
            ((1 << 14..=1 << 24).contains(&rec.max_crop_px), "recogniser.max_crop_px must be 16384 to 16777216"),
        ];
        match facts.into_iter().find(|(holds, _)| !holds) {
            Some((_, sentence)) => Err(sentence.into()),
            None => Ok(target),
        }
    }
}
