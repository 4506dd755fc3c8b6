//! The memory map of the board, for the linker.

fn main() {
    println!("cargo::rerun-if-changed=virt.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        println!("cargo::rustc-link-arg-bins=-T{}/virt.ld", env!("CARGO_MANIFEST_DIR"));
    }
}
