//! The Debian package: what its list in `Cargo.toml` names is there, and nothing that a user needs is missing.

use std::path::{Path, PathBuf};

/// Sources and destinations; without what `packaging/release` makes.
fn assets() -> Vec<(PathBuf, String)> {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(cli.join("Cargo.toml")).expect("the manifest");
    let manifest: toml::Table = toml::from_str(&manifest).expect("TOML");
    let deb = &manifest["package"]["metadata"]["deb"];
    let part = |asset: &toml::Value, at: usize| asset[at].as_str().expect("text").to_owned();
    let listed = deb["assets"].as_array().expect("a list").iter().map(|asset| (part(asset, 0), part(asset, 1)));
    let copyright = (part(&deb["license-file"], 0), "copyright".to_owned());
    let scripts = (deb["maintainer-scripts"].as_str().expect("text").to_owned() + "/postinst", "postinst".to_owned());
    let repository = |(source, _): &(String, String)| !source.starts_with("target/") && !source.contains("/target/");
    listed.chain([copyright, scripts]).filter(repository).map(|(source, to)| (cli.join(source), to)).collect()
}

/// The files that a source with a `*` in its last part means.
fn files(source: &Path) -> Vec<PathBuf> {
    let pattern = source.to_str().expect("UTF-8");
    glob::glob(pattern).expect("a pattern").map(|file| file.expect("a file").canonicalize().expect("a path")).collect()
}

#[test]
fn deb_assets_are_files_of_the_repository() {
    for (source, to) in assets() {
        let found = files(&source);
        assert!(
            !found.is_empty() && found.iter().all(|file| file.is_file()),
            "{} for {to}: {found:?}",
            source.display()
        );
    }
}

#[test]
fn deb_has_guides_licences_and_service() {
    let packed: Vec<PathBuf> = assets().iter().flat_map(|(source, _)| files(source)).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the root");
    let needed = ["docs/*.md", "docs/images/*", "LICENSE-*", "NOTICE", "README.md", "CHANGELOG.md"]
        .into_iter()
        .chain(["packaging/systemd/*.service", "packaging/systemd/*/*.conf", "packaging/debian/*", "packaging/*.acl"])
        .chain(["examples/node/*.toml", "node/src/node/default.toml", "src/output/font/LICENSE"]);
    for pattern in needed {
        let wanted = files(&root.join(pattern));
        assert!(!wanted.is_empty(), "{pattern}");
        for file in wanted {
            assert!(packed.contains(&file), "{} is not in the package", file.display());
        }
    }
}
