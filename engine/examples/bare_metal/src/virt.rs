//! QEMU's board `virt` with one aarch64 core: start, and output by semihosting.

use core::arch::{asm, global_asm};
use core::fmt;

// Stack, floating point and vectors (which trap after a reset), zeros in .bss, and an identity map of the first 2 GiB:
// the devices, then the memory as normal memory. With the MMU off all memory is like a device's, which takes aligned
// accesses only, and compilers emit others.
global_asm!(
    r#"
    .section .text.start, "ax"
    .global _start
_start:
    ldr x0, =stack_top
    mov sp, x0
    mov x0, #(3 << 20)
    msr cpacr_el1, x0
    isb
    ldr x0, =bss_start
    ldr x1, =bss_end
1:  cmp x0, x1
    b.hs 2f
    stp xzr, xzr, [x0], #16
    b 1b
2:  ldr x0, =0xff00                 // attribute 0: device, 1: normal memory, cached
    msr mair_el1, x0
    ldr x0, =map
    msr ttbr0_el1, x0
    ldr x0, =0x803520               // addresses of 32 bits, pages of 4 KiB, a cached map, no upper half
    msr tcr_el1, x0
    dsb sy
    isb
    tlbi vmalle1
    dsb nsh
    isb
    mrs x0, sctlr_el1
    mov x1, #0x1005                 // MMU, data cache, instruction cache
    orr x0, x0, x1
    bic x0, x0, #2                  // no check of alignment
    msr sctlr_el1, x0
    isb
    bl start
    b .

    .section .rodata.map, "a"
    .balign 4096
map:                                // each entry a block of 1 GiB
    .quad 0x60000000000401, 0x40000705, 0, 0
"#
);

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    crate::program()
}

/// Calls the emulator.
fn semihosting(operation: usize, argument: *const usize) {
    // SAFETY: QEMU answers this instruction and reads the argument, which the callers below keep alive meanwhile.
    unsafe { asm!("hlt #0xf000", inout("x0") operation => _, in("x1") argument, options(nostack)) }
}

/// Where text goes.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let byte = usize::from(byte);
            // SYS_WRITEC; the machine is little endian.
            semihosting(0x03, &raw const byte);
        }
        Ok(())
    }
}

/// Ends the emulation, with status 0 if all is right.
pub fn exit(right: bool) -> ! {
    // SYS_EXIT: the application ended, with this status.
    let argument = [0x20026, usize::from(!right)];
    loop {
        semihosting(0x18, argument.as_ptr());
    }
}
