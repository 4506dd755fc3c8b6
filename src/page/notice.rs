//! What a reader of the result should know about it: that something may be missing.

use super::{MAX_CHARS, MAX_LINES, Page};
use std::fmt;

/// A page that was searched at less than this part of its size is said to be: lines 20 pixels high, which are usual,
/// are then too small for the detector.
const MUCH_REDUCED: f32 = 0.4;

/// Something that may be missing on a page, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// Text was looked for in an image of this part of the page's size, so small text may be missing.
    Reduced(f32),
    /// Number of lines that did not fit.
    Truncated(u32),
}

impl Notice {
    /// A stable name.
    pub fn code(self) -> &'static str {
        match self {
            Notice::Reduced(_) => "reduced",
            Notice::Truncated(_) => "truncated",
        }
    }
}

/// A sentence.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Reduced(to) => write!(
                f,
                "the image was reduced to {:.0} % of its size before it was searched, so small text may be missing: read it in regions, or raise the longest side that is searched",
                to * 100.0
            ),
            Notice::Truncated(lines) => write!(
                f,
                "{lines} lines found no room, since a page holds {MAX_LINES} lines and {MAX_CHARS} characters: read the image in regions"
            ),
        }
    }
}

impl Page {
    /// What may be missing.
    pub fn notices(&self) -> impl Iterator<Item = Notice> + Clone {
        let reduced = (self.searched_at < MUCH_REDUCED).then_some(Notice::Reduced(self.searched_at));
        let truncated = (self.truncated > 0).then_some(Notice::Truncated(self.truncated));
        reduced.into_iter().chain(truncated)
    }
}
