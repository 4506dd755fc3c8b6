//! Narrow gutters: what is cut, and what is not.

use super::tests::{SLANTS, push, rect, texts, turned};
use super::*;

/// Text of `len` characters, all of one width, whose spaces stand elsewhere for each `seed`.
fn words(seed: usize, len: usize) -> String {
    let mut state = (seed as u32).wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let (mut text, mut word) = (String::new(), 0);
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let ends = word >= 2 && (state >> 24).is_multiple_of(4) && text.len() + 3 < len;
        text.push(if ends { ' ' } else { char::from(b'a' + (state >> 16) as u8 % 26) });
        word = if ends { 0 } else { word + 1 };
    }
    text
}

/// `rows` lines across two columns of 30 characters, which a space parts, and what is to be read.
fn columns(rows: usize) -> (Vec<(String, Quad)>, Vec<String>) {
    let [left, right] = [0, 100].map(|seed| (0..rows).map(|i| words(i + seed, 30)).collect::<Vec<_>>());
    let line = |(i, (a, b)): (usize, (&String, &String))| {
        (format!("{a} {b}"), rect(40.0, 40.0 + 30.0 * i as f32, 610.0, 20.0))
    };
    (left.iter().zip(&right).enumerate().map(line).collect(), [left, right].concat())
}

/// The texts in reading order, turned by some angle.
fn sorted(lines: &[(String, Quad)], angle: f32) -> Vec<String> {
    let mut page = Page::boxed();
    for (text, quad) in lines.iter().rev() {
        push(&mut page, text, turned(*quad, angle), 0);
    }
    page.sort_reading_order();
    texts(&page)
}

#[test]
fn lines_across_a_narrow_gutter_are_cut() {
    let (lines, want) = columns(12);
    for angle in SLANTS {
        assert_eq!(sorted(&lines, angle), want, "{angle}");
    }
}

#[test]
fn cut_line_keeps_the_places_of_its_characters() {
    let (lines, _) = columns(12);
    let mut page = Page::boxed();
    for (text, quad) in &lines {
        push(&mut page, text, *quad, 0);
    }
    page.sort_reading_order();
    assert_eq!(page.len(), 24);
    for (line, left) in page.lines().zip([[40.0; 12], [350.0; 12]].concat()) {
        let lefts: Vec<f32> = line.chars().map(|c| c.quad[0][0]).collect();
        assert!((line.quad[0][0] - left).abs() < 0.01 && (line.quad[1][0] - left - 300.0).abs() < 0.01, "{line:?}");
        assert!(lefts.iter().enumerate().all(|(i, x)| (x - left - 10.0 * i as f32).abs() < 0.05), "{lefts:?}");
        assert_eq!((line.score, line.det_score), (0.5, 0.8));
    }
}

#[test]
fn columns_are_cut_twice_their_heading_is_not() {
    let parts = [0, 100, 200].map(|seed| (0..12).map(|i| words(i + seed, 30)).collect::<Vec<_>>());
    let heading = format!("{} {} {}", words(7, 20), words(8, 20), words(9, 19));
    let mut lines = vec![(heading.clone(), rect(40.0, 0.0, 920.0, 32.0))];
    lines.extend((0..12).map(|i| {
        let text = format!("{} {} {}", parts[0][i], parts[1][i], parts[2][i]);
        (text, rect(40.0, 40.0 + 30.0 * i as f32, 920.0, 20.0))
    }));
    let want = [vec![heading], parts.concat()].concat();
    assert_eq!(sorted(&lines, 0.0), want);
}

#[test]
fn lines_found_apart_go_to_the_columns_of_cut_ones() {
    let (mut lines, want) = columns(12);
    for row in [2, 3, 8] {
        let y = 40.0 + 30.0 * row as f32;
        lines[row] = (want[row].clone(), rect(40.0, y, 306.0, 20.0));
        lines.push((want[12 + row].clone(), rect(344.0, y, 306.0, 20.0)));
    }
    assert_eq!(sorted(&lines, 0.0), want);
}

/// One such line was across the gutter, and too few rows were left above and below it.
#[test]
fn line_over_a_gutter_does_not_join_columns() {
    let [left, right] = [0, 100].map(|seed| (0..20).map(|i| words(i + seed, 30)).collect::<Vec<_>>());
    let mut lines = Vec::new();
    for (i, (left, right)) in left.iter().zip(&right).enumerate() {
        let (y, over) = (40.0 + 30.0 * i as f32, if i % 8 == 7 { 36.0 } else { 0.0 });
        lines.push((left.clone(), rect(40.0, y, 300.0 + over, 20.0)));
        lines.push((right.clone(), rect(362.0, y, 300.0, 20.0)));
    }
    let want = [left, right].concat();
    for angle in SLANTS {
        assert_eq!(sorted(&lines, angle), want, "{angle}");
    }
}

#[test]
fn river_through_few_rows_is_no_gutter() {
    let (mut lines, _) = columns(10);
    for i in 10..24 {
        // Letters where the gutter was.
        lines.push((words(i + 300, 61).replace(' ', "x"), rect(40.0, 40.0 + 30.0 * i as f32, 610.0, 20.0)));
    }
    let want: Vec<String> = lines.iter().map(|(text, _)| text.clone()).collect();
    assert_eq!(sorted(&lines, 0.0), want);
}

#[test]
fn rows_of_a_table_stay_whole() {
    // Two cells in one line, the first of uneven length; and a narrow column of numbers.
    let cell = |i: usize, len: usize| format!("{:<30}", words(i, len));
    let ragged: Vec<String> = (0..12).map(|i| format!("{} {}", cell(i, 5 + (i * 7) % 23), words(i + 50, 30))).collect();
    let numbers: Vec<String> = (0..12).map(|i| format!("{:03} {}", 100 + i, words(i, 57))).collect();
    for rows in [ragged, numbers] {
        let line = |(i, text): (usize, &String)| (text.clone(), rect(40.0, 40.0 + 30.0 * i as f32, 610.0, 20.0));
        assert_eq!(sorted(&rows.iter().enumerate().map(line).collect::<Vec<_>>(), 0.0), rows);
    }
}

#[test]
fn full_page_cuts_nothing_and_loses_nothing() {
    let (lines, _) = columns(MAX_LINES);
    let count = |lines: &[String]| lines.iter().flat_map(|text| text.split(' ')).count();
    let all: Vec<String> = lines.iter().map(|(text, _)| text.clone()).take(MAX_CHARS / 61).collect();
    assert_eq!(count(&sorted(&lines[..all.len()], 0.0)), count(&all));
}
