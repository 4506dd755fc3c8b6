use super::*;
use crate::infer::ort::elf::writer::Writer;
use crate::param::Param;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// A folder of its own for a test.
struct Folder {
    path: PathBuf,
    _temporary: TempDir,
}

impl Folder {
    fn new() -> Folder {
        let temporary = TempDir::new().expect("a temporary folder");
        Folder { path: fs::canonicalize(temporary.path()).expect("it exists"), _temporary: temporary }
    }

    /// Writes a file, and the folders that it is in.
    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("folders");
        fs::write(&path, bytes).expect("a file");
        path
    }

    fn put_onnxruntime(&self, name: &str) -> PathBuf {
        self.put(name, &Writer::onnxruntime("VERS_1.23.0").bytes())
    }

    fn put_providers(&self, folder: &str, names: &[&str]) {
        for name in names {
            let path = Path::new(folder).join(format!("libonnxruntime_providers_{name}.so"));
            self.put(path.to_str().expect("UTF-8"), &Writer::provider().bytes());
        }
    }
}

fn given(path: &Path, provider: Provider) -> Result<Library, LibraryError> {
    find(&Search { given: Some(path), ..Search::default() }, provider)
}

fn in_environment(path: &Path) -> Result<Library, LibraryError> {
    find(&Search { environment: Some(path.into()), ..Search::default() }, Provider::Cpu)
}

fn in_places(places: &[PathBuf], provider: Provider) -> Result<Library, LibraryError> {
    find(&Search { places: places.to_vec(), ..Search::default() }, provider)
}

/// The error's text, which must be one sentence: the thing, the reason; the remedy.
fn text(result: Result<Library, LibraryError>) -> String {
    let text = result.expect_err("a refusal").to_string();
    assert_eq!(text.matches("; ").count(), 1, "{text}");
    assert!(!text.contains('\n') && !text.contains("  ") && !text.ends_with('.'), "{text}");
    text
}

#[test]
fn a_named_library_is_found() {
    let folder = Folder::new();
    let path = folder.put_onnxruntime("any.name");
    let library = Library { path: path.clone(), version: Some((1, 23, 0)), providers: Providers::default() };
    assert_eq!(given(&path, Provider::Cpu), Ok(library.clone()));
    assert_eq!(in_environment(&path), Ok(library));
}

#[test]
fn a_bad_file_is_refused_by_whoever_named_it() {
    let folder = Folder::new();
    let whole = Writer::onnxruntime("VERS_1.23.0").bytes();
    let (bits, machine) = if cfg!(target_arch = "aarch64") { (64, 62) } else { (64, 183) };
    let other = Writer { bits, machine, ..Writer::onnxruntime("VERS_1.23.0") };
    let files: [(&str, &[u8], &str); 7] = [
        ("text.so", b"INPUT(libonnxruntime.so.1)\n", "is a text file, not a shared library; "),
        ("empty.so", b"", "is empty; "),
        ("machine.so", &other.bytes(), ", but this program is for "),
        ("cut.so", &whole[..whole.len() / 2], "is cut off: it has "),
        ("program.so", &Writer { kind: 2, ..Writer::default() }.bytes(), "is a program, not a shared library; "),
        ("no-symbol.so", &Writer::default().bytes(), "does not export OrtGetApiBase, so it is another library"),
        (
            "old.so",
            &Writer::onnxruntime("VERS_1.16.3").bytes(),
            "has version 1.16.3, which is too old; install 1.17 or",
        ),
    ];
    let good = folder.put_onnxruntime("good/libonnxruntime.so");
    let places = vec![good.parent().expect("a folder").to_path_buf()];
    let missing = folder.path.join("missing.so");
    let mut bad = vec![(missing, "does not exist; name the file libonnxruntime.so.1.x.y ")];
    bad.extend(files.map(|(name, bytes, part)| (folder.put(name, bytes), part)));
    for (path, part) in &bad {
        let search = Search { given: Some(path), environment: Some(good.clone().into()), places: places.clone() };
        let by_parameter = text(find(&search, Provider::Cpu));
        let search = Search { given: None, environment: Some(path.into()), places: places.clone() };
        let by_environment = text(find(&search, Provider::Cpu));
        for (text, name) in [(by_parameter, Param::OrtLibrary.to_string()), (by_environment, ENVIRONMENT.into())] {
            let start = format!("the ONNX Runtime library {} (named by {name}) ", path.display());
            assert!(text.starts_with(&start) && text.contains(part), "{text}");
        }
    }
}

#[test]
fn every_cut_library_is_refused() {
    let folder = Folder::new();
    let whole = Writer::onnxruntime("VERS_1.23.0").bytes();
    for length in (0..whole.len()).step_by(7) {
        let path = folder.put("libonnxruntime.so", &whole[..length]);
        let cut = |reason: &ElfError| matches!(reason, ElfError::Truncated { .. } | ElfError::Empty);
        let refused = given(&path, Provider::Cpu);
        assert!(matches!(&refused, Err(LibraryError::Unusable { reason, .. }) if cut(reason)), "{length}: {refused:?}");
    }
}

#[test]
fn a_folder_stands_for_its_only_library() {
    let folder = Folder::new();
    folder.put("capi/libonnxruntime_providers_shared.so", b"");
    folder.put("capi/libonnxruntime.so.txt", b"");
    let capi = folder.path.join("capi");
    let none = format!("the folder {} (named by {}) holds no libonnxruntime.so; ", capi.display(), Param::OrtLibrary);
    assert!(text(given(&capi, Provider::Cpu)).starts_with(&none));

    let library = folder.put_onnxruntime("capi/libonnxruntime.so.1.23.0");
    assert_eq!(given(&capi, Provider::Cpu).map(|library| library.path), Ok(library.clone()));
    assert_eq!(in_environment(&capi).map(|library| library.path), Ok(library));

    folder.put_onnxruntime("capi/libonnxruntime.so.1.9.0");
    let several = text(given(&capi, Provider::Cpu));
    assert!(several.contains("(libonnxruntime.so.1.23.0, libonnxruntime.so.1.9.0); name one"), "{several}");
}

#[cfg(unix)]
#[test]
fn links_are_followed() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    let library = folder.put_onnxruntime("lib/libonnxruntime.so.1.23.0");
    folder.put_providers("lib", &["shared", "cuda"]);
    symlink("libonnxruntime.so.1.23.0", folder.path.join("lib/libonnxruntime.so.1")).expect("a link");
    symlink("libonnxruntime.so.1", folder.path.join("lib/libonnxruntime.so")).expect("a link");
    symlink("lib/libonnxruntime.so", folder.path.join("link.so")).expect("a link");
    for path in ["lib", "lib/libonnxruntime.so", "link.so"] {
        let found = given(&folder.path.join(path), Provider::Cuda);
        assert_eq!(found.map(|library| library.path), Ok(library.clone()), "{path}");
    }

    symlink("libnone.so", folder.path.join("broken.so")).expect("a link");
    let broken = text(given(&folder.path.join("broken.so"), Provider::Cpu));
    assert!(broken.contains(" is a link to libnone.so, which does not exist; "), "{broken}");
    symlink("gone", folder.path.join("libonnxruntime.so")).expect("a link");
    let broken = in_places(std::slice::from_ref(&folder.path), Provider::Cpu);
    assert!(matches!(broken, Err(LibraryError::BrokenLink { .. })));
    symlink("loop.so", folder.path.join("loop.so")).expect("a link");
    assert!(
        text(given(&folder.path.join("loop.so"), Provider::Cpu)).contains("cannot be read because the system says")
    );
}

#[cfg(unix)]
#[test]
fn a_device_is_refused() {
    assert!(text(given(Path::new("/dev/null"), Provider::Cpu)).contains(" is not a regular file; "));
}

#[test]
fn a_relative_path_becomes_absolute() {
    let folder = Folder::new();
    let library = folder.put_onnxruntime("libonnxruntime.so");
    let here = std::env::current_dir().expect("a current folder");
    let up = here.components().skip(1).map(|_| "..");
    let relative: PathBuf = up.chain(library.to_str().and_then(|path| path.strip_prefix('/'))).collect();
    assert!(relative.is_relative());
    assert_eq!(given(&relative, Provider::Cpu).map(|found| found.path), Ok(library));
    let missing = text(given(Path::new("none/libonnxruntime.so"), Provider::Cpu));
    assert!(missing.contains(&here.join("none/libonnxruntime.so").display().to_string()), "{missing}");
    assert!(text(given(Path::new(""), Provider::Cpu)).contains("library '' (named by "));
}

#[test]
fn the_parameter_goes_before_the_environment() {
    let folder = Folder::new();
    let [first, second, third] =
        ["a", "b", "c"].map(|name| folder.put_onnxruntime(&format!("{name}/libonnxruntime.so")));
    let places = vec![third.parent().expect("a folder").into()];
    let mut search = Search { given: Some(&first), environment: Some(second.clone().into()), places };
    let path = |search: &Search| find(search, Provider::Cpu).map(|library| library.path);
    assert_eq!(path(&search), Ok(first.clone()));
    search.given = None;
    assert_eq!(path(&search), Ok(second));
    for unset in [None, Some(OsString::new())] {
        search.environment = unset;
        assert_eq!(path(&search), Ok(third.clone()));
    }
}

#[test]
fn usual_places_give_the_first_that_passes() {
    let folder = Folder::new();
    let places = ["none", "old", "cpu", "gpu"].map(|name| folder.path.join(name));
    let nothing = text(in_places(&places, Provider::Cpu));
    assert!(places.iter().all(|place| nothing.contains(&place.display().to_string())), "{nothing}");
    let remedy = format!("name its file with {} or the environment variable ORT_DYLIB_PATH", Param::OrtLibrary);
    assert!(nothing.ends_with(&remedy), "{nothing}");

    folder.put("old/libonnxruntime.so.1.10.0", &Writer::onnxruntime("VERS_1.10.0").bytes());
    let old = text(in_places(&places, Provider::Cpu));
    assert!(old.contains("old/libonnxruntime.so.1.10.0 has version 1.10.0"), "{old}");

    let cpu = folder.put_onnxruntime("cpu/libonnxruntime.so.1.23.0");
    assert_eq!(in_places(&places, Provider::Cpu).map(|library| library.path), Ok(cpu));
    assert!(text(in_places(&places, Provider::Cuda)).contains("has version 1.10.0"));

    let gpu = folder.put_onnxruntime("gpu/libonnxruntime.so");
    folder.put_providers("gpu", &["shared", "cuda"]);
    assert_eq!(in_places(&places, Provider::Cuda).map(|library| library.path), Ok(gpu));
}

#[test]
fn the_newest_in_a_place_is_taken() {
    let folder = Folder::new();
    let pattern = folder.path.join("python3*/*-packages/capi");
    for python in ["python3.9/site", "python3.12/dist", "python2.13/site"] {
        for version in ["1.9.0", "1.23.0", "1.3.0"] {
            folder.put_onnxruntime(&format!("{python}-packages/capi/libonnxruntime.so.{version}"));
        }
    }
    let newest = folder.path.join("python3.12/dist-packages/capi/libonnxruntime.so.1.23.0");
    assert_eq!(in_places(&[pattern], Provider::Cpu).map(|library| library.path), Ok(newest));
}

#[test]
fn usual_places_are_those_of_jetpack_and_python() {
    let places = usual_places(&["/env".into()], Some(Path::new("/home/user")));
    let expected = [
        "/env/lib/python3*/*-packages/onnxruntime/capi",
        "/env/lib",
        "/home/user/.local/lib/python3*/*-packages/onnxruntime/capi",
        "/usr/local/lib",
        "/usr/local/lib/python3*/*-packages/onnxruntime/capi",
        "/usr/lib",
        "/usr/lib/python3*/*-packages/onnxruntime/capi",
    ];
    let places: Vec<&str> = places.iter().filter_map(|place| place.to_str()).collect();
    let triplet = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    assert_eq!(places.iter().filter(|place| expected.contains(place)).count(), expected.len(), "{places:?}");
    assert!(cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) || places.contains(&triplet.as_str()));
    assert!(!usual_places(&[], None).is_empty());
    assert!(Search::usual(None).places.len() >= 4);
}

#[test]
fn the_version_comes_from_the_library_or_its_name() {
    let folder = Folder::new();
    let plain = Writer { exports: vec![SYMBOL], ..Writer::default() };
    let defined = Writer { versions: vec!["OTHER", "VERS_1.18.2"], ..plain.clone() };
    let named = Writer { soname: "libonnxruntime.so.1.17.1", ..plain.clone() };
    let short = Writer { soname: "libonnxruntime.so.1", ..plain.clone() };
    let files = [
        ("libonnxruntime.so.1.20.0", &defined, Some((1, 18, 2))),
        ("libonnxruntime.so.1.20.0", &named, Some((1, 17, 1))),
        ("libonnxruntime.so.1.20", &short, Some((1, 20, 0))),
        ("libonnxruntime.so.2.0.0", &plain, Some((2, 0, 0))),
        ("libonnxruntime.so.1", &plain, None),
        ("libonnxruntime.so.99999999999.1", &plain, None),
        ("libort.so", &plain, None),
    ];
    for (name, library, version) in files {
        let found = given(&folder.put(name, &library.bytes()), Provider::Cpu);
        assert_eq!(found.map(|found| found.version), Ok(version), "{name}");
    }
    let named = Writer { soname: "libonnxruntime.so.1.16.0", ..plain.clone() };
    for (name, library) in [("libort.so", named), ("libonnxruntime.so.0.19.9", plain)] {
        let refused = given(&folder.put(name, &library.bytes()), Provider::Cpu);
        assert!(matches!(refused, Err(LibraryError::TooOld { .. })), "{name}");
    }
}

#[test]
fn a_provider_needs_its_files_beside_the_library() {
    let folder = Folder::new();
    let library = folder.put_onnxruntime("libonnxruntime.so");
    let missing = |provider, file: &str, name: &str| {
        let text = text(given(&library, provider));
        let part = format!("has no libonnxruntime_providers_{file}.so beside it, which the provider {name} needs; ");
        assert!(text.contains(&part), "{text}");
    };
    missing(Provider::Cuda, "shared", "CUDA");
    missing(Provider::Tensorrt, "shared", "TensorRT");
    folder.put_providers("", &["shared"]);
    missing(Provider::Cuda, "cuda", "CUDA");
    missing(Provider::Tensorrt, "tensorrt", "TensorRT");
    folder.put_providers("", &["cuda"]);
    missing(Provider::Tensorrt, "tensorrt", "TensorRT");
    let found = given(&library, Provider::Cuda).map(|library| library.providers);
    assert_eq!(found, Ok(Providers { shared: true, cuda: true, tensorrt: false }));
    folder.put_providers("", &["tensorrt"]);
    let found = given(&library, Provider::Tensorrt).map(|library| library.providers);
    assert_eq!(found, Ok(Providers { shared: true, cuda: true, tensorrt: true }));
}

#[test]
fn a_providers_file_is_checked_too() {
    let folder = Folder::new();
    let library = folder.put_onnxruntime("libonnxruntime.so");
    folder.put_providers("", &["shared", "tensorrt"]);
    let whole = Writer::provider().bytes();
    let bad: [(&[u8], &str); 3] = [
        (&whole[..whole.len() - 9], "is cut off: "),
        (&Writer::default().bytes(), "does not export GetProvider, "),
        (b"", "is empty; "),
    ];
    for (bytes, part) in bad {
        let file = folder.put("libonnxruntime_providers_tensorrt.so", bytes);
        let text = text(given(&library, Provider::Tensorrt));
        assert!(text.starts_with(&format!("the ONNX Runtime library {} {part}", file.display())), "{text}");
        assert!(given(&library, Provider::Cpu).is_ok());
    }
}

/// Compiles a library with the C compiler of this machine; `None`, and said, where there is none.
fn compile(folder: &Folder, name: &str, source: &str, script: &str) -> Option<PathBuf> {
    let source = folder.put(&format!("{name}.c"), source.as_bytes());
    let script = folder.put(&format!("{name}.map"), script.as_bytes());
    let library = folder.path.join(name);
    let option = format!("-Wl,--version-script={}", script.display());
    let compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-nostdlib", &option, "-Wl,-soname,libonnxruntime.so.1"])
        .arg("-o")
        .arg(&library)
        .arg(source)
        .status();
    match compiler {
        Ok(status) => assert!(status.success(), "cc failed"),
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs cc: {error}");
            eprintln!("skipped: cc not here");
            return None;
        }
    }
    Some(library)
}

#[test]
fn libraries_of_a_real_linker_are_read() {
    let folder = Folder::new();
    let source = "const void *OrtGetApiBase(void) { return 0; }\nint hidden(void) { return 1; }\n";
    let script = |version: &str, name: &str| format!("VERS_{version} {{ global: {name}; local: *; }};\n");
    let Some(library) = compile(&folder, "libgood.so", source, &script("1.22.1", "OrtGetApiBase")) else { return };
    let found = given(&library, Provider::Cpu).map(|library| library.version);
    assert_eq!(found, Ok(Some((1, 22, 1))));
    let old = compile(&folder, "libold.so", source, &script("1.10.0", "OrtGetApiBase")).expect("cc is here");
    assert!(matches!(given(&old, Provider::Cpu), Err(LibraryError::TooOld { .. })));
    let hidden = compile(&folder, "libhidden.so", source, &script("1.22.1", "hidden")).expect("cc is here");
    assert!(matches!(given(&hidden, Provider::Cpu), Err(LibraryError::NoSymbol { .. })));
    let whole = fs::read(&library).expect("it was read above");
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let cut = folder.put("cut.so", &whole[..length]);
        assert!(matches!(given(&cut, Provider::Cpu), Err(LibraryError::Unusable { .. })), "{length}");
    }
}
