//! PaddleOCR 3's result, for programs that already read it.
//!
//! Keys and their order are those of `OCRResult.json` (`paddlex/inference/pipelines/ocr/result.py`).
//! Parallel arrays, whole pixels. Lines below the score threshold are gone before a page is made, so
//! `dt_polys` has the same entries as `rec_polys`.

use super::Document;
use crate::page::rounded::round_score;
use crate::page::{LineRef, Page, Quad, bounds};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use std::io::{self, Write};

/// Writes one image as one object on one line, without a line end.
pub(super) fn document(out: &mut dyn Write, document: &Document<'_>) -> io::Result<()> {
    #[derive(serde::Serialize)]
    struct Outer<'a> {
        res: Res<'a>,
    }
    Ok(serde_json::to_writer(out, &Outer { res: Res(document) })?)
}

struct Res<'a>(&'a Document<'a>);

impl Serialize for Res<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Settings {
            use_doc_preprocessor: bool,
            use_textline_orientation: bool,
        }
        let Document { source, page, models, params, part, .. } = *self.0;
        let oriented = models.cls.is_some();
        // 0 is upright, 1 on its head, -1 not asked.
        let orientation = |line: LineRef<'_>| match oriented {
            true => i32::from(line.quarter_turns >= 2),
            false => -1,
        };
        let mut res = serializer.serialize_map(None)?;
        res.serialize_entry("input_path", source)?;
        // Counts from 0, and is null for files of one page.
        let page_index = (part.page_count > 1).then(|| part.page_number.saturating_sub(1));
        res.serialize_entry("page_index", &page_index)?;
        res.serialize_entry(
            "model_settings",
            &Settings { use_doc_preprocessor: false, use_textline_orientation: oriented },
        )?;
        res.serialize_entry("dt_polys", &Each(page, |line: LineRef<'_>| polygon(&line.quad)))?;
        res.serialize_entry("text_det_params", &DetParams(params))?;
        res.serialize_entry("text_type", "general")?;
        res.serialize_entry("textline_orientation_angles", &Each(page, orientation))?;
        res.serialize_entry("text_rec_score_thresh", &lookup(params, "rec", "score_thresh"))?;
        res.serialize_entry("return_word_box", &false)?;
        res.serialize_entry("rec_texts", &Texts(page))?;
        res.serialize_entry("rec_scores", &Each(page, |line: LineRef<'_>| round_score(line.score)))?;
        res.serialize_entry("rec_polys", &Each(page, |line: LineRef<'_>| polygon(&line.quad)))?;
        res.serialize_entry(
            "rec_boxes",
            &Each(page, |line: LineRef<'_>| {
                let area = bounds(&line.quad, page.width_px, page.height_px);
                [area.left, area.top, area.right, area.bottom]
            }),
        )?;
        // Not PaddleOCR's; only where there is something to say.
        let warnings: Vec<String> = self.0.warnings().collect();
        if !warnings.is_empty() {
            res.serialize_entry("warnings", &warnings)?;
        }
        res.end()
    }
}

/// One value for each line.
struct Each<'a, F>(&'a Page, F);

impl<'a, T: Serialize, F: Fn(LineRef<'a>) -> T> Serialize for Each<'a, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.lines().map(&self.1))
    }
}

struct Texts<'a>(&'a Page);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.lines().map(|line| line.text().to_string()))
    }
}

/// A box in whole pixels.
fn polygon(quad: &Quad) -> [[i32; 2]; 4] {
    quad.map(|point| point.map(|v| v.round() as i32))
}

/// The detector's parameters under PaddleOCR's names; those not known are left out.
struct DetParams<'a>(&'a Value);

impl Serialize for DetParams<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const NAMES: [&str; 6] =
            ["limit_side_len", "limit_type", "thresh", "max_side_limit", "box_thresh", "unclip_ratio"];
        let mut map = serializer.serialize_map(None)?;
        for name in NAMES {
            if let Some(value) = lookup(self.0, "det", name) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// A parameter by group and name, however it is written: `det: {thresh}`, `det_thresh`, `det-thresh`.
fn lookup<'a>(params: &'a Value, group: &str, name: &str) -> Option<&'a Value> {
    let flat = format!("{group}_{name}");
    let dashed = flat.replace('_', "-");
    let nested = params.get(group).and_then(|inner| inner.get(name));
    nested.or_else(|| params.get(&flat)).or_else(|| params.get(&dashed))
}
