//! How often the readings that a node accepts are wrong: fields and rules on labelled images, each image a frame
//! of its own.
//!
//! `cargo bench -p edge-ocr-node --features formats -- DATA [SET…]`, where DATA holds `displays/` and `meters/` with
//! their `labels.jsonl`. `node_accuracy/SET.toml` is the configuration of a set. Its `min_confidence` was found on
//! one half of the images (an even first byte of the SHA-256 of the file name); the other half was not looked at
//! for it. `--tune` shows what other thresholds do to that first half, and only to it.
//!
//! A display is somewhere else in each photograph, while a node's camera stands still.
//! `node_accuracy/displays.regions.json` has the region that a person would draw: a rectangle above the word LITRES,
//! in multiples of that word's box as our detector found it.

use edge_ocr::config::Config;
use edge_ocr::image::decode::{Limits, decode};
use edge_ocr::image::{Image, warp};
use edge_ocr_node::node::field_config::FieldConfig;
use edge_ocr_node::node::fields::FieldReader;
use edge_ocr_node::rules::{Field, Moment, Observation, RulesConfig, Status, Value};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Setup {
    field: FieldConfig,
    rules: RulesConfig,
}

#[derive(Deserialize)]
struct Label {
    image: String,
    /// The number; empty if none must be given.
    text: String,
    /// All digits, where `text` has only the whole part.
    display_by_eye: Option<String>,
}

struct Case {
    label: Label,
    observation: Observation,
    /// Whether the thresholds were chosen on it.
    tuned: bool,
}

type Quad = [[f32; 2]; 4];

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let tune = args.iter().any(|arg| arg == "--tune");
    args.retain(|arg| arg != "--tune");
    let Some(data) = args.first() else {
        eprintln!("node_accuracy: there are no images; give the folder that holds displays/ and meters/");
        return;
    };
    let all = ["displays".to_string(), "meters".to_string()];
    let sets = if args.len() > 1 { &args[1..] } else { &all[..] };
    for set in sets {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/node_accuracy");
        let text = std::fs::read_to_string(here.join(format!("{set}.toml"))).expect("a configuration");
        let setup: Setup = toml::from_str(&text).expect("a configuration");
        let regions: HashMap<String, Quad> = std::fs::read_to_string(here.join(format!("{set}.regions.json")))
            .map_or_else(|_| HashMap::new(), |text| serde_json::from_str(&text).expect("regions"));
        let cases = read(&Path::new(data).join(set), &setup.field, &regions);
        report(set, &setup.rules, &cases);
        if tune {
            thresholds(&setup.rules, &cases);
        }
    }
}

/// Reads every image once; the rules can then be tried at no cost.
fn read(folder: &Path, field: &FieldConfig, regions: &HashMap<String, Quad>) -> Vec<Case> {
    let mut reader = FieldReader::new(&Config::default(), std::slice::from_ref(field), None).expect("a reader");
    let labels = std::fs::read_to_string(folder.join("labels.jsonl")).expect("labels.jsonl");
    let case = |line: &str| {
        let label: Label = serde_json::from_str(line).expect("a label");
        let bytes = std::fs::read(folder.join(&label.image)).expect("an image");
        let mut image = decode(&bytes, &Limits::default()).expect("an image");
        if let Some(quad) = regions.get(&label.image) {
            image = cut(&image, *quad);
        }
        let read = reader.read(&image).expect("readings").fields.remove(0);
        assert!(read.problem.is_none(), "{}: {:?}", label.image, read.problem);
        let name = Path::new(&label.image).file_name().expect("a name").as_encoded_bytes();
        let tuned = Sha256::digest(name)[0].is_multiple_of(2);
        Case { label, observation: read.observation, tuned }
    };
    labels.lines().map(case).collect()
}

/// What a camera that stands still would have in its region.
fn cut(image: &Image, quad: Quad) -> Image {
    let side = |a: [f32; 2], b: [f32; 2]| (b[0] - a[0]).hypot(b[1] - a[1]).round() as usize;
    let (w, h) = (side(quad[0], quad[1]), side(quad[0], quad[3]));
    let matrix = warp::perspective_from_quad(quad, w, h).expect("a region");
    let mut region = Image::new(w, h, [0; 3]).expect("a region");
    warp::warp_cubic(image.view(), &matrix, region.as_raw_mut(), w, h).expect("a region");
    region
}

/// The status of a case as a node's first reading, and whether what was accepted is wrong.
fn judge(rules: &RulesConfig, case: &Case) -> (Status, bool) {
    let mut field = Field::new("field", rules).expect("rules");
    let reading = field.judge(std::slice::from_ref(&case.observation), Moment::default());
    let shown = match &reading.value {
        Some(Value::Number { value, decimals }) => format!("{value:.0$}", usize::from(*decimals)),
        Some(Value::Text(text)) => text.clone(),
        None => String::new(),
    };
    let right = match &case.label.display_by_eye {
        Some(number) => shown == *number,
        None => shown.split('.').next() == Some(&case.label.text) && !shown.is_empty(),
    };
    (reading.status, reading.status == Status::Ok && !right)
}

fn report(set: &str, rules: &RulesConfig, cases: &[Case]) {
    println!("{set}: min_confidence {}, min_char_confidence {}", rules.min_confidence, rules.min_char_confidence);
    for (half, tuned) in [("thresholds chosen on", Some(true)), ("held out", Some(false)), ("all", None)] {
        let cases: Vec<&Case> = cases.iter().filter(|case| tuned.is_none_or(|tuned| case.tuned == tuned)).collect();
        let (mut accepted, mut wrong, mut refused) = (0, Vec::new(), BTreeMap::new());
        for case in &cases {
            match judge(rules, case) {
                (Status::Ok, bad) => {
                    accepted += 1;
                    if bad {
                        wrong.push(format!("{} read {:?}", case.label.image, case.observation.text));
                    }
                }
                (status, _) => *refused.entry(status.code()).or_insert(0) += 1,
            }
        }
        let share = |count: usize, of: usize| 100.0 * count as f64 / of.max(1) as f64;
        println!(
            "  {half:>20}: {:3} images, accepted {accepted} ({:.0} %), of these wrong {} ({:.1} %), refused {refused:?}",
            cases.len(),
            share(accepted, cases.len()),
            wrong.len(),
            share(wrong.len(), accepted),
        );
        if tuned.is_none() {
            wrong.iter().for_each(|wrong| println!("    wrong: {wrong}"));
        }
    }
}

/// What other thresholds would have done to the half on which they are chosen.
fn thresholds(rules: &RulesConfig, cases: &[Case]) {
    let half: Vec<&Case> = cases.iter().filter(|case| case.tuned).collect();
    for min_confidence in [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99] {
        for min_char_confidence in [0.0, 0.3, 0.5, 0.7] {
            let rules = RulesConfig { min_confidence, min_char_confidence, ..rules.clone() };
            let judged = half.iter().map(|case| judge(&rules, case));
            let (accepted, wrong) = judged.fold((0, 0), |(accepted, wrong), (status, bad)| {
                (accepted + usize::from(status == Status::Ok), wrong + usize::from(bad))
            });
            println!(
                "    {min_confidence:.2} {min_char_confidence:.1}: accepted {accepted} of {}, wrong {wrong}",
                half.len()
            );
        }
    }
}
