//! A machine with a C library, which calls `main` and takes the output.

use core::ffi::c_int;
use core::fmt;

#[link(name = "c")]
unsafe extern "C" {
    safe fn putchar(byte: c_int) -> c_int;
    #[link_name = "exit"]
    safe fn end(status: c_int) -> !;
}

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    crate::program()
}

/// `core` comes compiled for programs that unwind and names this function. This one aborts instead.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Where text goes.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            putchar(byte.into());
        }
        Ok(())
    }
}

/// Ends the program, with status 0 if all is right.
pub fn exit(right: bool) -> ! {
    end(c_int::from(!right))
}
