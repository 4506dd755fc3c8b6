//! Greedy decoding.

use super::*;
use proptest::prelude::*;

fn rows(rows: &[[f32; 4]]) -> Vec<f32> {
    rows.concat()
}

fn read(values: &[f32], allowed: Option<&[usize]>) -> Vec<(usize, f32)> {
    let mut out = Vec::new();
    let p = Probabilities::new(values, 4).unwrap();
    match allowed {
        None => greedy(p, None, &mut out),
        Some(allowed) => greedy_masked(p, allowed, None, &mut out),
    };
    out.iter().map(|s| (s.class, s.score)).collect()
}

#[test]
fn repeats_collapse_and_a_blank_parts_them() {
    let v = rows(&[[0., 0.9, 0., 0.], [0., 0.8, 0., 0.], [1., 0., 0., 0.], [0., 0.7, 0., 0.], [0., 0., 0.6, 0.]]);
    assert_eq!(read(&v, None), [(1, 0.9), (1, 0.7), (2, 0.6)]);
}

#[test]
fn masked_class_yields_to_best_allowed_class() {
    // Class 3 (say, O) is likeliest; only 1 and 2 are allowed; the blank is likelier than both.
    let v = rows(&[[0.05, 0.04, 0.01, 0.9]]);
    let got = read(&v, Some(&[1, 2]));
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].0, 1);
    assert!((got[0].1 - 0.4).abs() < 1e-6, "modest: {}", got[0].1);
    assert_eq!(read(&rows(&[[0.6, 0.1, 0.1, 0.2]]), Some(&[1, 2])), []);
    assert_eq!(read(&v, Some(&[])), []);
    assert_eq!(read(&v, Some(&[99])), []);
}

#[test]
fn second_best_is_neither_blank_nor_same_letter() {
    let row = [0.4, 0.05, 0.3, 0.25];
    let different = |_, _| false;
    assert_eq!(second(&row, 2, 1..4, different), Some((3, 0.25)));
    assert_eq!(second(&row, 2, 1..4, |a, b| (a, b) == (3, 2)), Some((1, 0.05)));
    assert_eq!(second(&row, 2, [2].into_iter(), different), None);
    assert_eq!(second(&[0.0, 0.0, 1.0, 0.0], 2, 1..4, different), None);
    // Of the allowed ones, over the blank and all that is allowed.
    let (class, p) = second_masked(&row, 2, &[1, 2], different).unwrap();
    assert_eq!(class, 1);
    assert!((p - 0.05 / 0.75).abs() < 1e-6, "{p}");
    assert_eq!(second_masked(&row, 2, &[2, 99], different), None);
}

#[test]
fn likeliest_classes_decode_as_all_do() {
    // Steps of the classes 0 to 3, the best two of each.
    let classes = [1, 2, 1, 0, 0, 1, 3, 2, 2, 3];
    let scores = [0.7, 0.2, 0.6, 0.3, 0.9, 0.1, 0.5, 0.4, 0.8, 0.0];
    let mut out = Vec::new();
    greedy_likeliest(Likeliest { classes: &classes, scores: &scores, per_step: 2 }, None, |_, _| false, &mut out);
    let got: Vec<_> = out.iter().map(|s| (s.class, s.score, s.start..s.end, s.second)).collect();
    assert_eq!(got, [(1, 0.7, 0..2, Some((2, 0.2))), (3, 0.5, 3..4, Some((2, 0.4))), (2, 0.8, 4..5, None)]);
    greedy_likeliest(Likeliest { classes: &classes, scores: &scores, per_step: 2 }, None, |a, b| a + b == 5, &mut out);
    assert_eq!(out[1].second, None, "the same letter is no alternative");
    for (classes, scores, per_step) in [(&[][..], &[][..], 0), (&[-1, 5], &[f32::NAN, 2.0], 1)] {
        greedy_likeliest(Likeliest { classes, scores, per_step }, None, |_, _| false, &mut out);
        assert!(out.iter().all(|s| (0.0..=1.0).contains(&s.score)));
    }
}

/// Decodes steps of the blank, two letters and the space (class 3).
fn spaced(values: &[f32], thresh: f32) -> (Vec<(usize, f32)>, f32) {
    let mut out = Vec::new();
    let spaces = Some(Spaces { class: 3, thresh });
    let least = greedy(Probabilities::new(values, 4).unwrap(), spaces, &mut out);
    (out.iter().map(|s| (s.class, s.score)).collect(), least)
}

#[test]
fn space_stands_where_its_probability_suffices() {
    let a = [0.0, 1.0, 0.0, 0.0];
    let b = [0.0, 0.0, 1.0, 0.0];
    let gap = |p: f32| [1.0 - p, 0.0, 0.0, p];
    let (read, least) = spaced(&rows(&[a, gap(0.1), gap(0.2), gap(0.05), b]), 0.2);
    assert_eq!(read, [(1, 1.0), (3, 0.5), (2, 1.0)], "the likeliest step of the gap decides, once");
    assert_eq!(least, 0.5);
    let (read, least) = spaced(&rows(&[a, gap(0.1), b]), 0.2);
    assert_eq!(read, [(1, 1.0), (2, 1.0)]);
    assert!((least - 0.36 / 0.52).abs() < 1e-6, "0.9 x 0.2 times 2 over the sum of both: {least}");
    let (read, least) = spaced(&rows(&[a, gap(0.9), b]), 0.2);
    assert!(read.len() == 3 && read[1].1 > 0.97 && least == read[1].1, "{read:?}");
    let (read, _) = spaced(&rows(&[a, gap(0.3), a]), 0.4);
    assert_eq!(read, [(1, 1.0), (1, 1.0)], "two letters that a blank parts, without a space");
}

#[test]
fn character_that_the_blank_just_outdoes_is_doubt() {
    let (a, b) = ([0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]);
    let blank = |class: usize, p: f32| {
        let mut row = [1.0 - p, 0.0, 0.0, 0.0];
        row[class] = p;
        row
    };
    let least = |values: &[[f32; 4]]| spaced(&rows(values), 0.2).1;
    assert_eq!(least(&[a, blank(1, 0.4), b]), 1.0, "the tail of the letter before");
    assert_eq!(least(&[a, blank(2, 0.4), b]), 1.0, "the beginning of the letter behind");
    assert_eq!(least(&[a, blank(2, 0.4), a]), 0.6, "another letter");
    assert_eq!((least(&[blank(2, 0.4), a]), least(&[a, blank(2, 0.4)])), (0.6, 0.6), "also at the ends");
}

#[test]
fn line_neither_begins_nor_ends_with_a_space() {
    let (space, a) = ([0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(spaced(&rows(&[space, a, space, space]), 0.2), (vec![(1, 1.0)], 1.0));
    assert_eq!(spaced(&rows(&[space]), 0.2), (vec![], 1.0));
}

#[test]
fn masked_space_needs_to_be_allowed() {
    let v = rows(&[[0.0, 1.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.5], [0.0, 0.0, 1.0, 0.0]]);
    let spaces = Some(Spaces { class: 3, thresh: 0.2 });
    let read = |allowed: &[usize]| {
        let mut out = Vec::new();
        greedy_masked(Probabilities::new(&v, 4).unwrap(), allowed, spaces, &mut out);
        out.iter().map(|s| s.class).collect::<Vec<_>>()
    };
    assert_eq!((read(&[1, 2]), read(&[1, 2, 3])), (vec![1, 2], vec![1, 3, 2]));
}

#[test]
fn space_among_the_likeliest_classes_counts() {
    let (classes, scores) = ([1, 0, 0, 3, 2, 0], [0.9, 0.1, 0.7, 0.3, 0.9, 0.1]);
    let mut out = Vec::new();
    let likeliest = Likeliest { classes: &classes, scores: &scores, per_step: 2 };
    let spaces = Some(Spaces { class: 3, thresh: 0.2 });
    let least = greedy_likeliest(likeliest, spaces, |_, _| false, &mut out);
    assert_eq!(out.iter().map(|s| s.class).collect::<Vec<_>>(), [1, 3, 2]);
    assert!((least - 0.24 / 0.38).abs() < 1e-6, "{least}");
}

#[test]
fn extents_share_the_line() {
    let mut out = Vec::new();
    let s = |start, end| Symbol { class: 1, score: 1.0, start, end, second: None };
    extents(&[s(1, 2), s(4, 6), s(8, 9)], 10.0, &mut out);
    assert_eq!(out, [0.0..0.325, 0.325..0.675, 0.675..1.0]);
    extents(&[s(3, 4)], 10.0, &mut out);
    assert_eq!(out, [0.0..1.0]);
}

proptest! {
    #[test]
    fn a_masked_reading_has_only_allowed_classes(values in proptest::collection::vec(prop_oneof![0.0f32..1.0, Just(f32::NAN)], 0..30), allowed in proptest::sample::subsequence(vec![1usize, 2, 3], 0..3)) {
        let values = &values[..values.len() / 4 * 4];
        let mut out = Vec::new();
        let p = Probabilities::new(values, 4).unwrap();
        greedy_masked(p, &allowed, None, &mut out);
        for s in &out {
            prop_assert!(allowed.contains(&s.class) && (0.0..=1.0).contains(&s.score));
            let second = second_masked(p.row(s.start), s.class, &allowed, |_, _| false);
            prop_assert!(second.is_none_or(|(class, p)| {
                allowed.contains(&class) && class != s.class && (0.0..=s.score).contains(&p)
            }), "{:?} after {:?}", second, s);
        }
        let least = greedy(p, Some(Spaces { class: 3, thresh: 0.2 }), &mut out);
        prop_assert!((0.5..=1.0).contains(&least) && out.iter().all(|s| (0.0..=1.0).contains(&s.score)));
        prop_assert!(out.first().is_none_or(|s| s.class != 3) && out.last().is_none_or(|s| s.class != 3));
        let mut spans = Vec::new();
        extents(&out, values.len() as f32 / 4.0, &mut spans);
        prop_assert!(spans.windows(2).all(|w| w[0].end <= w[1].start + 1e-3));
    }
}
