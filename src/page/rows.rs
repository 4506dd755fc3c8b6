//! What stands on one printed row, whatever the columns: a shelf of the page read straight across.

use super::layout::{self, Scratch};
use super::{Page, boxed_default, columns, reading_order};

/// No piece begins further right, so that a speck far from the text does not make rows of spaces.
const MAX_COLUMNS: f32 = 500.0;

/// A line of the page in its printed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The place of the line in [`Page::lines`].
    pub line: usize,
    /// Where it begins, in characters of the usual width from the left edge of the text.
    pub column: usize,
}

impl Page {
    /// The printed rows from top to bottom, each from left to right: lines that overlap vertically by half the lower
    /// one's height are of one row, however far apart they are. An item and its price are one row, and so are the lines
    /// of two columns that stand beside each other. Every line is in one row. Allocates.
    pub fn rows(&self) -> Vec<Vec<Piece>> {
        let mut scratch: Box<Scratch> = boxed_default();
        let Scratch { lines: nodes, order, values, .. } = &mut *scratch;
        let angle = reading_order::reading_angle(&self.lines, values);
        nodes.extend(self.lines.iter().enumerate().map(|(i, line)| reading_order::node(line, i as u16, angle)));
        order.extend(0..nodes.len() as u16);
        let usual_height = columns::usual_height(nodes, order, values);
        for node in nodes.iter_mut() {
            node.place(usual_height);
        }
        let above =
            |a: &layout::Node, b: &layout::Node| a.key_y.total_cmp(&b.key_y).then(a.left[0].total_cmp(&b.left[0]));
        order.sort_unstable_by(|&a, &b| above(&nodes[usize::from(a)], &nodes[usize::from(b)]));
        reading_order::arrange_rows(nodes, order);

        let left = nodes.iter().fold(f32::INFINITY, |least, node| least.min(node.left[0]));
        let right = nodes.iter().fold(f32::NEG_INFINITY, |most, node| most.max(node.right[0]));
        let char_width = columns::quantile(values, nodes, order, 0.5, |node| {
            let chars = self.lines[usize::from(node.head)].chars.len();
            (chars > 1 && !node.standing).then(|| node.width() / chars as f32)
        });
        let char_width = if char_width > 0.0 { char_width } else { usual_height.max(1.0) };
        let char_width = char_width.max((right - left) / MAX_COLUMNS);
        let mut rows: Vec<Vec<Piece>> = Vec::new();
        let mut head = None;
        for &i in order.iter() {
            let node = &nodes[usize::from(i)];
            let piece = Piece { line: usize::from(i), column: ((node.left[0] - left) / char_width).round() as usize };
            match rows.last_mut().filter(|_| head == Some(node.row.0)) {
                Some(row) => row.push(piece),
                None => rows.push(vec![piece]),
            }
            head = Some(node.row.0);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SLANTS, push, rect, turned};
    use super::*;

    #[test]
    fn rows_hold_what_stands_beside_each_other() {
        for angle in SLANTS {
            let mut page = Page::boxed();
            for i in [2, 0, 1] {
                let y = 40.0 + 30.0 * i as f32;
                push(&mut page, &format!("{i}.99"), turned(rect(420.0, y - 2.0, 60.0, 24.0), angle), 0);
                push(&mut page, &format!("item number {i}"), turned(rect(20.0, y, 130.0, 24.0), angle), 0);
            }
            push(&mut page, "total", turned(rect(20.0, 140.0, 60.0, 24.0), angle), 0);
            let text = |piece: &Piece| page.line(piece.line).map_or(String::new(), |line| line.text().to_string());
            let rows = page.rows();
            let texts: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(text).collect()).collect();
            let row = |i: usize| vec![format!("item number {i}"), format!("{i}.99")];
            assert_eq!(texts, [row(0), row(1), row(2), vec!["total".to_owned()]], "{angle}");
            assert!(rows[..3].iter().all(|row| row[0].column == 0 && row[1].column == rows[0][1].column), "{rows:?}");
        }
        assert!(Page::boxed().rows().is_empty());
    }
}
