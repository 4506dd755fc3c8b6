//! Plain text.

use super::Layout;
use crate::page::Page;
use std::io::{self, Write};

/// `==> name <==` before each of several images, as head(1) does.
pub(super) fn heading(out: &mut dyn Write, name: &str, first: bool) -> io::Result<()> {
    let gap = if first { "" } else { "\n" };
    writeln!(out, "{gap}==> {} <==", Plain(name.chars()))
}

/// One line of output for each line of the page, or for each printed row.
pub(super) fn page(out: &mut dyn Write, page: &Page, layout: Layout) -> io::Result<()> {
    if layout == Layout::Rows {
        return rows(out, page);
    }
    for line in page.lines() {
        writeln!(out, "{}", Plain(line.text().chars()))?;
    }
    Ok(())
}

/// One line of output for each printed row, its pieces about where they are on the page and at least a space apart.
fn rows(out: &mut dyn Write, page: &Page) -> io::Result<()> {
    for row in page.rows() {
        let mut column = 0;
        for (at, piece) in row.iter().enumerate() {
            let Some(line) = page.line(piece.line) else { continue };
            let gap = piece.column.saturating_sub(column).max(usize::from(at > 0));
            write!(out, "{:gap$}{}", "", Plain(line.text().chars()))?;
            column += gap + line.text().chars().len();
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Text with control characters shown as spaces, so that a line stays one line, a field one field, and
/// a terminal obeys nothing that was printed on an image.
pub(super) struct Plain<I>(pub I);

impl<I: Iterator<Item = char> + Clone> std::fmt::Display for Plain<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        self.0.clone().try_for_each(|c| f.write_char(if breaks(c) { ' ' } else { c }))
    }
}
