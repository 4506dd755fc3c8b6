use super::*;

const PI: &str = include_str!("../../../targets/pi5.toml");

fn refused(from: &str, to: &str, said: &str) {
    assert!(PI.contains(from), "{from}");
    let error = Target::parse(&PI.replace(from, to), "pi5").expect_err(to);
    assert!(error.contains(said) && error.lines().count() == 1, "{to}: {error}");
}

#[test]
fn mistakes_are_named() {
    assert!(Target::parse(PI, "pi5").is_ok());
    assert!(Target::parse(PI, "pi6").is_err());
    refused("schema = 1", "schema = 2", "schema");
    refused("threads = 4", "thread = 4", "thread");
    refused("threads = 4", "threads = 0", "threads");
    refused("cores = 4", "cores = 0", "cores");
    refused("kernels = \"neon-dot\"", "kernels = \"neon\"", "neon-sadalp");
    refused("kernels = \"neon-dot\"", "kernels = \"avx2\"", "not for aarch64");
    refused("features = [\"dotprod\"]", "features = []", "dotprod");
    refused("\"aarch64-unknown-linux-gnu\"", "\"armv7-unknown-linux-gnueabihf\"", "several architectures");
    refused("ram_mib = 2048", "ram_mib = 64", "half of");
    refused("[640, 640]", "[640, 650]", "multiples of 32");
    refused("[320, 160], ", "[4096, 4096], ", "smallest");
    refused("max_side_px = 2000", "max_side_px = 9000", "max_side_px");
}

#[test]
fn plans_are_compressed_if_the_target_says_so() {
    let compressed = |table: &str| Target::parse(&format!("{PI}{table}"), "pi5").map(|target| target.program.compress);
    assert_eq!(compressed(""), Ok(false));
    assert_eq!(compressed("[program]"), Ok(false));
    assert_eq!(compressed("[program]\ncompress = true"), Ok(true));
    assert!(compressed("[program]\ncompressed = true").is_err_and(|said| said.contains("compressed")));
}

#[test]
fn a_board_is_built_for_its_architecture() {
    let target = Target::parse(PI, "pi5").expect("pi5");
    assert_eq!(target.suits("aarch64"), Ok(()));
    assert!(target.suits("x86_64").is_err_and(|said| said.contains("--target aarch64-unknown-linux-gnu")));
    assert_eq!(arch("armv7-unknown-linux-gnueabihf"), "arm");
    assert_eq!(arch("thumbv7neon-unknown-linux-gnueabihf"), "arm");
    assert_eq!(arch("x86_64-unknown-linux-musl"), "x86_64");
}
