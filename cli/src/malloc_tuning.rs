//! Tunes glibc's malloc so that the heap stays small while the float engine runs or several images are read.
//!
//! Whenever glibc frees a block that has pages of its own, it raises the size from which blocks get such pages, up to
//! 32 MB. The float engine's tensors and the decoders' images then lie on the heap between longer-lived blocks and
//! leave holes. That costs the float engine 80 MB of 362 on the malformed images, and the INT8 engine 29 MB of 116
//! on twenty receipts. The threshold can be fixed only by an unsafe call, or by the environment before the program
//! starts. So the program executes itself once more, with the same process id, arguments and open files.

use edge_ocr::config::{Config, Engine, Memory};

/// For the float engine: blocks from 8 MB on get pages of their own; at 1 MB its tensors would, which costs time.
const FLOAT: &[(&str, &str)] = &[(THRESHOLD, "8388608")];
/// For the INT8 engine, which allocates nothing while it runs: blocks from 1 MB on, and one heap for all threads,
/// because the threads of a decoder leave their own heaps behind. 109 MB for 67 receipts become 90.
const INT8: &[(&str, &str)] = &[(THRESHOLD, "1048576"), ("MALLOC_ARENA_MAX", "1")];
const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";

/// Restarts the program with fixed settings if `config` asks for little memory, the environment does not set the
/// threshold, and large blocks will be freed. Returns if there is nothing to do or if the restart fails.
pub fn apply(config: &Config, images: usize) {
    match (config.memory, config.engine) {
        (Memory::Small, Engine::Tract) => restart(FLOAT),
        (Memory::Small, Engine::Arena) if images > 1 => restart(INT8),
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
