//! The project's own JSON.

use super::*;
use proptest::prelude::*;

#[test]
fn json_of_one_image_is_an_object() {
    let mut page = page(&[]);
    page.timing = Timing { decode_ms: 1.234_56, total_ms: f32::NAN, ..Timing::default() };
    push(&mut page, "a b", rect(1.26, 2.0, 30.0, 10.0), 2, 0.987_654_3);
    assert_eq!(
        written(Format::Json, false, &[("a.png", Some(&page))]),
        concat!(
            r#"{"schema":"edge-ocr/1","source":"a.png","page":1,"pages":1,"width":200,"height":100,"engine":"arena","#,
            r#""models":{"det":"det","cls":null,"rec":"rec"},"#,
            r#""params":{"det":{"thresh":0.3},"det_box_thresh":0.6,"rec-score-thresh":0.5},"#,
            r#""timing_ms":{"decode":1.235,"prepare":0.0,"detect":0.0,"classify":0.0,"recognise":0.0,"total":0.0},"#,
            r#""truncated":0,"lines":[{"text":"a b","score":0.98765,"det_score":0.75,"#,
            r#""box":[[1.3,2.0],[31.3,2.0],[31.3,12.0],[1.3,12.0]],"angle":180}]}"#,
            "\n"
        )
    );
}

#[test]
fn json_has_words_and_characters_when_asked() {
    let mut page = page(&[]);
    push(&mut page, "a b", rect(0.0, 0.0, 30.0, 10.0), 0, 0.5);
    let value = parsed(&written(Format::Json, true, &[("a.png", Some(&page))]));
    let line = &value["lines"][0];
    assert_eq!(line["words"][1]["text"], "b");
    assert_eq!(line["words"][1]["box"], json!([[20.0, 0.0], [30.0, 0.0], [30.0, 10.0], [20.0, 10.0]]));
    assert_eq!(line["chars"].as_array().map(Vec::len), Some(3));
    assert_eq!(line["chars"][2], json!({"char": "b", "score": 0.5, "box": line["words"][1]["box"]}));
    assert!(line.get("polygon").is_none());
}

#[test]
fn json_has_the_outline_if_there_is_one() {
    let mut page = page(&[]);
    let outline = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.04]];
    let draft = LineDraft {
        quad: Quad::default(),
        quarter_turns: 0,
        score: f32::NAN,
        det_score: 1.0,
        second: false,
        polygon: &outline,
        chars: &[],
    };
    page.push_line(draft).expect("room");
    let value = parsed(&written(Format::Json, false, &[("a.png", Some(&page))]));
    assert_eq!(value["lines"][0]["polygon"], json!([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]));
    assert_eq!(value["lines"][0]["score"], 0.0);
    assert_eq!(value["lines"][0]["text"], "");
}

#[test]
fn json_of_several_images_is_an_array() {
    let page = page(&["x"]);
    for format in [Format::Json, Format::Paddle] {
        assert_eq!(parsed(&written(format, false, &[])), json!([]));
        assert!(parsed(&written(format, false, &[("a", Some(&page))])).is_object());
        let three = [("a", Some(&*page)), ("b", None), ("c", Some(&*page))];
        let value = parsed(&written(format, false, &three));
        assert_eq!(value.as_array().map(Vec::len), Some(3));
        assert_eq!(value[1], json!({"schema": "edge-ocr/1", "source": "b", "error": "it is \"broken\""}));
    }
    assert_eq!(
        written(Format::Json, false, &[("b", None)]),
        "{\"schema\":\"edge-ocr/1\",\"source\":\"b\",\"error\":\"it is \\\"broken\\\"\"}\n"
    );
}

#[test]
fn json_lines_are_one_object_each() {
    let page = page(&[HOSTILE, "x"]);
    let text = written(Format::Jsonl, true, &[("a", Some(&page)), ("b", None)]);
    let lines: Vec<Value> = text.lines().map(parsed).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["lines"][0]["text"], HOSTILE);
    assert_eq!(lines[1]["error"], "it is \"broken\"");
    assert_eq!(written(Format::Jsonl, false, &[]), "");
}

proptest! {
    #[test]
    fn json_of_any_page_parses_back(
        lines in prop::collection::vec(
            (any::<String>(), prop::array::uniform8(prop::num::f32::ANY), any::<u8>(), prop::num::f32::ANY), 0..8),
        time in prop::num::f32::ANY,
        chars in any::<bool>(),
    ) {
        let mut page = page(&[]);
        page.timing.total_ms = time;
        for (text, v, turns, score) in &lines {
            push(&mut page, text, [[v[0], v[1]], [v[2], v[3]], [v[4], v[5]], [v[6], v[7]]], *turns, *score);
        }
        let value = parsed(&written(Format::Json, chars, &[("a", Some(&page))]));
        let texts: Vec<&str> = value["lines"].as_array().into_iter().flatten()
            .filter_map(|line| line["text"].as_str()).collect();
        prop_assert_eq!(texts, lines.iter().map(|(text, ..)| text.as_str()).collect::<Vec<_>>());
        for line in value["lines"].as_array().into_iter().flatten() {
            prop_assert!(line["score"].is_number() && line["box"][3][1].is_number());
            if chars {
                let back: String = line["chars"].as_array().into_iter().flatten()
                    .filter_map(|c| c["char"].as_str()).collect();
                prop_assert_eq!(Some(back.as_str()), line["text"].as_str());
            }
        }
        for format in Format::ALL {
            written(format, chars, &[("a", Some(&page)), ("b", None), ("c", Some(&page))]);
        }
    }
}
