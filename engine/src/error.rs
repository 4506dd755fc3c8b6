//! Why an operator was refused.

use core::fmt;

/// An operator's arguments do not fit together. Nothing was written when an operator returns this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Two shapes disagree, or a shape is impossible (zero, too large, more channels than the pixel stride holds).
    Shape {
        /// Operator that refused.
        op: &'static str,
        /// What disagrees.
        what: &'static str,
    },
    /// A buffer is too short.
    Length {
        /// Operator that refused.
        op: &'static str,
        /// Which buffer.
        what: &'static str,
        /// Elements needed.
        need: usize,
        /// Elements given.
        have: usize,
    },
    /// A pointer or stride is not a multiple of the element's size.
    Alignment {
        /// Operator that refused.
        op: &'static str,
    },
    /// A row range does not lie inside the output.
    Rows {
        /// Operator that refused.
        op: &'static str,
        /// End of the range asked for.
        end: usize,
        /// Rows there are.
        rows: usize,
    },
    /// A combination that no network needs and no kernel implements.
    Unsupported {
        /// Operator that refused.
        op: &'static str,
        /// What is not supported.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Shape { op, what } => write!(f, "{op}: {what}"),
            Error::Length { op, what, need, have } => {
                write!(f, "{op}: {what} holds {have} elements, {need} are needed")
            }
            Error::Alignment { op } => write!(f, "{op}: pointer or stride is not a multiple of the element size"),
            Error::Rows { op, end, rows } => write!(f, "{op}: rows up to {end} asked for, the output has {rows}"),
            Error::Unsupported { op, what } => write!(f, "{op}: {what} is not supported"),
        }
    }
}

impl core::error::Error for Error {}

/// Checks `rows` against an output of `h` rows.
pub(crate) fn check_rows(op: &'static str, rows: &core::ops::Range<usize>, h: usize) -> Result<(), Error> {
    if rows.start > rows.end || rows.end > h {
        return Err(Error::Rows { op, end: rows.end, rows: h });
    }
    Ok(())
}

/// Checks that a buffer of `have` elements holds `need`.
pub(crate) fn check_len(op: &'static str, what: &'static str, have: usize, need: usize) -> Result<(), Error> {
    if have < need { Err(Error::Length { op, what, need, have }) } else { Ok(()) }
}

/// Refuses with [`Error::Shape`] unless `ok`.
pub(crate) fn check(op: &'static str, what: &'static str, ok: bool) -> Result<(), Error> {
    if ok { Ok(()) } else { Err(Error::Shape { op, what }) }
}
