//! hOCR 1.2: text with boxes in the titles of an XHTML page.

use super::Document;
use crate::page::{Bounds, bounds};
use std::fmt::{self, Display};
use std::io::{self, Write};

pub(super) fn header(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>edge-ocr</title>
  <meta http-equiv="Content-Type" content="text/html;charset=utf-8" />
  <meta name="ocr-system" content="edge-ocr {}" />
  <meta name="ocr-capabilities" content="ocr_page ocr_line ocrx_word ocrp_poly ocrp_wconf" />
 </head>
 <body>"#,
        env!("CARGO_PKG_VERSION")
    )
}

pub(super) fn footer(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b" </body>\n</html>\n")
}

/// One `ocr_page`; `number` counts the images from 1.
pub(super) fn page(out: &mut dyn Write, document: &Document<'_>, number: usize) -> io::Result<()> {
    let page = document.page;
    let (width, height) = (page.width_px, page.height_px);
    write!(
        out,
        r#"  <div class="ocr_page" id="page_{number}" title="image &quot;{}&quot;; bbox 0 0 {width} {height}; ppageno {}"#,
        Xml(quoted(document.source)),
        number - 1
    )?;
    for warning in document.warnings() {
        write!(out, "; x_warning &quot;{}&quot;", Xml(quoted(&warning)))?;
    }
    writeln!(out, r#"">"#)?;
    for (at, line) in page.lines().enumerate() {
        let at = at + 1;
        let area = Bbox(bounds(&line.quad, width, height));
        write!(out, r#"   <span class="ocr_line" id="line_{number}_{at}" title="{area}; poly"#)?;
        for point in line.quad {
            write!(out, " {} {}", point[0].round() as i32, point[1].round() as i32)?;
        }
        // hOCR counts the turn of the text counter-clockwise; the crop was turned that way to be upright,
        // so the text itself lies the other way round.
        let angle = (360 - 90 * u32::from(line.quarter_turns)) % 360;
        if angle != 0 {
            write!(out, "; textangle {angle}")?;
        }
        writeln!(out, r#"; x_wconf {}">"#, percent(line.score))?;
        for (word_at, word) in line.words().enumerate() {
            writeln!(
                out,
                r#"    <span class="ocrx_word" id="word_{number}_{at}_{}" title="{}; x_wconf {}">{}</span>"#,
                word_at + 1,
                Bbox(bounds(&word.quad(), width, height)),
                percent(word.score()),
                Xml(word.text().chars())
            )?;
        }
        out.write_all(b"   </span>\n")?;
    }
    out.write_all(b"  </div>\n")
}

/// A score as a whole percentage.
fn percent(score: f32) -> u32 {
    (score * 100.0).round() as u32
}

/// The `bbox` property.
struct Bbox(Bounds);

impl Display for Bbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bbox {} {} {} {}", self.0.left, self.0.top, self.0.right, self.0.bottom)
    }
}

/// The inside of a quoted string of a title: quotes and backslashes behind a backslash.
fn quoted(text: &str) -> impl Iterator<Item = char> + Clone + '_ {
    text.chars().flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
}

/// Characters as XML text or attribute; those XML 1.0 cannot hold become U+FFFD.
struct Xml<I>(I);

impl<I: Iterator<Item = char> + Clone> Display for Xml<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::fmt::Write;
        self.0.clone().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            '\t' | '\n' | '\r' => f.write_char(' '),
            '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
            c if c.is_control() => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}
