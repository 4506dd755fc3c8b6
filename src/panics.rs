//! Catches panics of foreign code and turns them into errors.
//!
//! Decoders and the float engine assert what they expect of their input. On a damaged file that must be an error, not
//! the end of a program that runs for years. This needs unwinding: a build with `panic = "abort"` catches nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

std::thread_local! {
    static CAUGHT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `work`; a panic becomes `Err` with its message.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(before);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        text.unwrap_or("it gave up").to_string()
    })
}

/// Installs a panic hook that does not report panics that become errors; all others are reported as before. For
/// programs: a library leaves the process's panic hook alone.
pub fn silence_caught_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !CAUGHT.get() {
            report(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_words() {
        assert_eq!(catch_panic(|| 7), Ok(7));
        assert_eq!(catch_panic(|| -> u8 { panic!("boom") }), Err("boom".into()));
        assert_eq!(catch_panic(|| -> u8 { panic!("boom {}", 2) }), Err("boom 2".into()));
        assert!(!CAUGHT.get());
    }
}
