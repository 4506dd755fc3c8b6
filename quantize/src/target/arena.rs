//! How large the static arena of a target is.

use super::Target;
use crate::plan::Compiled;

/// The longest side of the image at which the program looks a second time.
const SMOOTHED_SIDE_PX: usize = 1280;
/// The widest image that the program decodes by default.
const WIDEST_PX: usize = 32_768;

/// Bytes of a target's static arena, which is used for finding text, then for reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arena {
    /// Finding: the scaled page (RGB8), its map (f32), the detector's tensors; at a second look beside a smoothed
    /// image.
    pub detect_bytes: usize,
    /// Reading, for each thread: two line images (RGB8), the tensors of recogniser or classifier.
    pub read_bytes: usize,
    /// Both, in the same place.
    pub bytes: usize,
}

impl Arena {
    /// Lays out what the program's `detect::detector` and `pipeline::lines` take. Of several detectors or recognisers
    /// one runs at a time.
    ///
    /// # Errors
    /// A sentence with the figure if that is more than the target's budget.
    pub fn of(target: &Target, det: &[&Compiled], rec: &[&Compiled], cls: &Compiled) -> Result<Arena, String> {
        let tensors = |plans: &[&Compiled], workers: usize| {
            let variants = plans.iter().flat_map(|plan| &plan.variants);
            variants.map(|v| v.arena_bytes(workers)).max().unwrap_or(0)
        };
        let room = |bytes: usize| bytes.next_multiple_of(64);
        let canvas = target.detector.canvases_px.iter().map(|[w, h]| w * h).max().unwrap_or(0);
        let page = canvas.max(target.detector.max_side_px.pow(2));
        let search = |page: usize| room(page * 3) + room(page * 4) + room(tensors(det, target.threads));
        // The program's `pipeline::second_look`: a smoothed image and the sums of an image's columns, beside a
        // search of it.
        let smoothed = target.detector.max_side_px.min(SMOOTHED_SIDE_PX).pow(2);
        let second_look = room(smoothed * 3) + room(WIDEST_PX * 12) + search(canvas.max(smoothed));
        let detect_bytes = search(page).max(second_look);
        let read_bytes = 2 * room(target.recogniser.max_crop_px * 3) + room(tensors(rec, 1).max(tensors(&[cls], 1)));
        let bytes = detect_bytes.max(target.threads * read_bytes);
        if bytes > target.arena_budget_bytes {
            return Err(format!(
                "the arena of {} would take {bytes} bytes ({detect_bytes} for finding, {} threads times {read_bytes} for reading), and arena_budget_bytes allows {}; make canvases, max_side_px, widths, max_crop_px or threads smaller",
                target.name, target.threads, target.arena_budget_bytes
            ));
        }
        Ok(Arena { detect_bytes, read_bytes, bytes })
    }
}
