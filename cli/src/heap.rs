//! Keeping the C library's heap small while the float engine runs or several pictures are read.
//!
//! glibc raises the size from which a block gets pages of its own whenever such a block is freed, up to 32 MB; the float
//! engine's tensors and the decoders' pictures then land on the heap between longer-lived blocks and leave holes there. On the
//! hostile pictures that cost the float engine some 80 MB of 362, on twenty receipts the other one 29 of 116. The threshold can be fixed only by a call that is unsafe or by the environment before the program
//! starts, so the program starts itself once more. It keeps its process number, arguments and files.

use edge_ocr::config::{Config, Engine, Memory};

/// For the float engine: blocks from 8 MB on get pages of their own; at 1 MB its tensors would, which costs time.
const FLOAT: &[(&str, &str)] = &[(THRESHOLD, "8388608")];
/// For the INT8 engine, which allocates nothing while it runs: blocks from 1 MB on, and one heap for all threads, since those
/// of a decoder leave heaps of their own behind. 109 MB for 67 receipts become 90.
const INT8: &[(&str, &str)] = &[(THRESHOLD, "1048576"), ("MALLOC_ARENA_MAX", "1")];
const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";

/// Starts the program anew with fixed settings if `config` asks for little memory, the environment has none and something
/// large is freed before the end. Returns when there is nothing to do, or if it cannot.
pub fn keep_small(config: &Config, pictures: usize) {
    match (config.memory, config.engine) {
        (Memory::Small, Engine::Tract) => restart(FLOAT),
        (Memory::Small, Engine::Arena) if pictures > 1 => restart(INT8),
        _ => {}
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn restart(settings: &[(&str, &str)]) {
    use std::os::unix::process::CommandExt;
    if std::env::var_os(THRESHOLD).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let Some(name) = arguments.next() else { return };
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = std::process::Command::new(program);
    let error = again.arg0(name).args(arguments).envs(settings.iter().copied()).exec();
    log::debug!("the heap's threshold stays as it is: {error}");
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn restart(_: &[(&str, &str)]) {}
