//! What measuring devices show, from the pixels to the reading.

use edge_ocr::Config;
use edge_ocr::config::Mode;
use edge_ocr::image::Image;
use edge_ocr::image::decode::{self, Limits};
use edge_ocr_node::node::{FieldConfig, FieldReader};
use edge_ocr_node::rules::{Field, Moment, Status, Value};

fn case(name: &str) -> Image {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(name);
    decode::decode(&std::fs::read(path).unwrap(), &Limits::default()).unwrap()
}

#[test]
fn minus_apart_on_display_is_not_lost() {
    let image = case("display_minus.png");
    let config = |mode| FieldConfig { name: "t".into(), mode, ..FieldConfig::default() };
    for mode in [Mode::Line, Mode::Page] {
        let mut reader = FieldReader::new(&Config::default(), &[config(mode)], None).unwrap();
        let observation = reader.read(&image).unwrap().fields.remove(0).observation;
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
