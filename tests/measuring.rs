//! What measuring devices show, from the pixels to the text and the reading.

use edge_ocr::image::Picture;
use edge_ocr::image::decode::{self, Limits};
use edge_ocr::{Config, Frame, Pipeline};

fn case(name: &str) -> Picture {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    decode::decode(&std::fs::read(path).unwrap(), &Limits::default()).unwrap()
}

/// Drawn with DejaVu Sans, 34 pixels high.
#[test]
fn measuring_signs_are_read_as_signs() {
    let picture = case("measuring_signs.png");
    let mut pipeline = Pipeline::from_config(&Config::default()).unwrap();
    let page = pipeline.run(Frame::new(picture.view())).unwrap();
    let lines: Vec<String> = page.lines().map(|line| line.text().to_string().replace(' ', "")).collect();
    assert_eq!(lines, ["R≤47kΩ±5%", "CO₂≥400ppm", "Al₂O₃≈12kg", "ΔT=3K", "5→7and5≠7", "length2πrand√2", "21℃or70℉"]);
}

#[cfg(feature = "node")]
#[test]
fn minus_apart_on_display_is_not_lost() {
    use edge_ocr::config::Mode;
    use edge_ocr::node::{FieldConfig, FieldReader};
    use edge_ocr::rules::{Field, Moment, Status, Value};
    let picture = case("display_minus.png");
    let config = |mode| FieldConfig { name: "t".into(), mode, ..FieldConfig::default() };
    for mode in [Mode::Line, Mode::Page] {
        let mut reader = FieldReader::new(&Config::default(), &[config(mode)], None).unwrap();
        let observation = reader.read(&picture).unwrap().fields.remove(0).observation;
        assert_eq!(observation.text.replace(' ', ""), "-12.5", "what is read is not what this test is about");
        for rules in [
            "",
            "select = 'largest-number'",
            "select = 'longest-word'",
            "select = 'longest-line'",
            "select = 'first-match'\nregex = '[0-9.]+'",
            "regex = '.*?([0-9.]+)'",
        ] {
            let rules = toml::from_str(&format!("number = {{}}\n{rules}")).unwrap();
            let reading = Field::new("t", &rules).unwrap().judge(std::slice::from_ref(&observation), Moment::default());
            assert_eq!(reading.status, Status::Ok, "{rules:?}: {}", reading.reason);
            assert_eq!(reading.value, Some(Value::Number { value: -12.5, decimals: 1 }), "{rules:?}");
        }
    }
}
