//! Every board of `targets/` can be built for, and what its memory is.

use edge_ocr_quantize::Model;
use edge_ocr_quantize::charset::Charset;
use edge_ocr_quantize::plan::{Compiled, Options, compile};
use edge_ocr_quantize::target::{Arena, Target};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn targets() -> BTreeMap<String, Target> {
    let files = std::fs::read_dir(root().join("targets")).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let target = Target::parse(&std::fs::read_to_string(&path).unwrap(), &name);
        (name, target.unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    };
    files.filter(|path| path.extension().is_some_and(|e| e == "toml")).map(read).collect()
}

/// Plans by model, sizes: many boards share them. The sizes of a plan do not depend on the board's name.
#[derive(Default)]
struct Plans(BTreeMap<(String, Vec<[usize; 2]>), Compiled>);

impl Plans {
    fn of(&mut self, model: &str, sizes: Vec<[usize; 2]>) -> &Compiled {
        self.0.entry((model.into(), sizes.clone())).or_insert_with(|| {
            let mut file = Model::load(&root().join(format!("models/{model}.q8"))).unwrap();
            if model.ends_with("-rec") {
                file = file.prune(&Charset::parse("latin").unwrap()).unwrap();
            }
            let options = Options { target: "any".into(), sizes };
            compile(&file, &options).unwrap()
        })
    }
}

/// The model of a target, and its second one.
fn models(first: &str, second: &Option<String>) -> Vec<String> {
    [Some(first.to_string()), second.clone()].into_iter().flatten().collect()
}

/// `EDGE_OCR_UPDATE_GOLDEN=1 cargo test --release -p edge-ocr-quantize --test targets` rewrites the table; read the
/// difference before committing it. The program's own tests compare its constants with the same table.
#[test]
fn arena_sizes_are_frozen() {
    let mut plans = Plans::default();
    let mut table = String::from("# target, model (latin charset), input, bytes with one thread, with all threads\n");
    for (name, target) in targets() {
        let canvases: Vec<[usize; 2]> = target.detector.canvases_px.iter().map(|[w, h]| [*h, *w]).collect();
        let lines: Vec<[usize; 2]> = target.recogniser.widths_px.iter().map(|w| [48, *w]).collect();
        let cls = plans.of("ppocr-mobile-v2-cls", vec![[48, 192]]).clone();
        let mut all = vec![("ppocr-mobile-v2-cls".to_string(), cls.clone())];
        let own = [
            models(&target.detector.model, &target.detector.second_model),
            models(&target.recogniser.model, &target.recogniser.second_model),
        ];
        let older = [vec!["ppocrv4-mobile-det".to_string()], vec!["ppocrv4-mobile-rec".to_string()]];
        for [det, rec] in [own, older] {
            let names = [&det[..], &rec].concat().join("+");
            let det: Vec<_> =
                det.into_iter().map(|name| (name.clone(), plans.of(&name, canvases.clone()).clone())).collect();
            let rec: Vec<_> =
                rec.into_iter().map(|name| (name.clone(), plans.of(&name, lines.clone()).clone())).collect();
            let [of_det, of_rec] = [&det, &rec].map(|list| list.iter().map(|(_, plan)| plan).collect::<Vec<_>>());
            let arena = Arena::of(&target, &of_det, &of_rec, &cls).unwrap();
            let _ = writeln!(table, "{name} {names} arena {}", arena.bytes);
            all.extend(det.into_iter().chain(rec));
        }
        for (model, plan) in all {
            for v in &plan.variants {
                let [h, w] = v.size;
                let (one, all) = (v.arena_bytes(1), v.arena_bytes(target.threads));
                let _ = writeln!(table, "{name} {model} {w}x{h} {one} {all}");
                assert!((1.0..=1.15).contains(&v.memory_layout.ratio()), "{name} {model} {w}x{h}");
            }
        }
    }
    let path = root().join("tests/golden/arenas.txt");
    if std::env::var_os("EDGE_OCR_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let frozen = std::fs::read_to_string(&path).unwrap();
    let wrong = table.lines().zip(frozen.lines()).find(|(now, then)| now != then);
    assert!(wrong.is_none() && table.len() == frozen.len(), "now and then: {wrong:?}");
}

/// All characters need room for the probabilities of each at every step: every board has it but the smallest, which
/// says so.
#[test]
fn the_full_charset_fits_where_it_should() {
    let compile = |model: &str, sizes: Vec<[usize; 2]>| {
        let model = Model::load(&root().join(format!("models/{model}.q8"))).unwrap();
        compile(&model, &Options { target: "any".into(), sizes }).unwrap()
    };
    let det = compile("ppocrv6-small-det", vec![[640, 640]]);
    let cls = compile("ppocr-mobile-v2-cls", vec![[48, 192]]);
    let mut recognisers = BTreeMap::new();
    for (name, target) in targets() {
        let widest = target.recogniser.widths_px.last().copied().unwrap();
        let rec = recognisers.entry(widest).or_insert_with(|| compile("ppocrv6-small-rec", vec![[48, widest]]));
        match (name.as_str(), Arena::of(&target, &[&det], &[rec], &cls)) {
            ("pi-zero2w", result) => assert!(result.is_err_and(|said| said.contains("arena_budget_bytes"))),
            (_, result) => assert!(result.is_ok(), "{name}: {result:?}"),
        }
    }
}

#[test]
fn plan_over_budget_refused_with_size() {
    let mut plans = Plans::default();
    let mut target = targets().remove("generic").unwrap();
    let canvases = target.detector.canvases_px.iter().map(|[w, h]| [*h, *w]).collect();
    let det = plans.of("ppocrv6-small-det", canvases).clone();
    let rec = plans.of("ppocrv6-small-rec", vec![[48, 320]]).clone();
    let cls = plans.of("ppocr-mobile-v2-cls", vec![[48, 192]]).clone();
    let bytes = Arena::of(&target, &[&det], &[&rec], &cls).unwrap().bytes;
    target.arena_budget_bytes = bytes;
    assert!(Arena::of(&target, &[&det], &[&rec], &cls).is_ok());
    target.arena_budget_bytes = bytes - 1;
    let said = Arena::of(&target, &[&det], &[&rec], &cls).unwrap_err();
    assert!(said.contains(&bytes.to_string()) && said.contains("generic"), "{said}");
}

/// What is documented of a board is what its file says.
#[test]
fn guide_lists_every_target_and_field() {
    let guide = std::fs::read_to_string(root().join("docs/boards.md")).unwrap();
    let frozen = std::fs::read_to_string(root().join("tests/golden/arenas.txt")).unwrap();
    for (name, target) in targets() {
        let row = guide.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/boards.md does not list {name}"));
        let arena = frozen.lines().find(|line| line.starts_with(&format!("{name} ")) && line.contains(" arena "));
        let bytes: f64 = arena.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap();
        assert!(row.contains(&format!("| {:.1} MB |", bytes / 1e6)), "{row}: {bytes}");
        for triple in target.board.iter().flat_map(|board| &board.triples) {
            assert!(guide.contains(&format!("`{triple}`")), "{triple} of {name}");
        }
    }
    for name in targets().keys() {
        let file = std::fs::read_to_string(root().join(format!("targets/{name}.toml"))).unwrap();
        for field in file.lines().filter_map(|line| line.split_once(" = ")).map(|(field, _)| field) {
            assert!(guide.contains(&format!("`{field}`")), "docs/boards.md does not explain {field} of {name}");
        }
    }
}

/// `cross` builds for every ARM board, and for 32-bit systems, which have the target `generic`.
#[test]
fn cross_knows_every_arm_triple() {
    let text = std::fs::read_to_string(root().join("cross.toml")).unwrap();
    assert!(text.lines().next().is_some_and(|line| line.contains("CROSS_CONFIG=cross.toml")));
    let cross: toml::Table = toml::from_str(&text).unwrap();
    let known: Vec<&String> = cross["target"].as_table().unwrap().keys().collect();
    let mut wanted = vec!["armv7-unknown-linux-gnueabihf".to_string()];
    for target in targets().into_values() {
        let triples = target.board.into_iter().flat_map(|board| board.triples);
        wanted.extend(triples.filter(|triple| !triple.starts_with("x86_64")));
    }
    for triple in &wanted {
        assert!(known.contains(&triple), "cross.toml has no {triple}");
    }
    assert!(known.iter().all(|triple| wanted.contains(triple)), "{known:?}");
    let passed = cross["build"]["env"]["passthrough"].as_array().unwrap();
    for variable in ["EDGE_OCR_TARGET", "EDGE_OCR_CHARSET"] {
        assert!(passed.iter().any(|name| name.as_str() == Some(variable)), "{variable}");
    }
}
