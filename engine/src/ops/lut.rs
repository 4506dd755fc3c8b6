//! A function of one byte as a table.

use crate::error::{Error, check, check_rows};
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// Output rows `rows` of out = table\[x\]. Input and output may be the same tensor. The same on every ISA.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn lut(table: &[u8; 256], input: View<'_, u8>, output: ViewMut<'_, u8>, rows: Range<usize>) -> Result<(), Error> {
    const OP: &str = "lut";
    let s = output.shape();
    check(OP, "the shapes differ", input.shape().same_extent(&s))?;
    check_rows(OP, &rows, s.h)?;
    let (a, b) = (input.stride(), output.stride());
    for pixel in rows.start * s.w..rows.end * s.w {
        for c in 0..s.c {
            // SAFETY: the pixel exists in both.
            unsafe { *output.ptr().add(pixel * b + c) = table[usize::from(*input.ptr().add(pixel * a + c))] };
        }
    }
    Ok(())
}
