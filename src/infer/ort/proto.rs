//! The wire format of protocol buffers: fields read without a schema, and fields written.
//!
//! A message is a sequence of fields, each with a number and a value of one of four forms. A message inside another is
//! a value of bytes. Nothing here allocates while it reads, and a length is believed only as far as there are bytes.

use std::ops::Range;

/// Why bytes are not a message.
#[derive(thiserror::Error, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// A value is longer than what is left.
    #[error("it ends within a field")]
    Truncated,
    /// A varint that does not end after ten bytes, or has more bits than its type.
    #[error("it holds a number of more than 64 bits")]
    Number,
    /// A field whose number or form protocol buffers do not have. The groups of old versions belong here: ONNX has
    /// none.
    #[error("it holds a field of an unknown form")]
    Field,
    /// A name that is not UTF-8.
    #[error("it holds a name that is not UTF-8")]
    Text,
    /// A message that may stand once stands twice.
    #[error("it holds a part twice that may stand once")]
    Twice,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer, a truth value or an enumeration; a negative one in two's complement.
    Varint(u64),
    /// Eight bytes, little-endian.
    Fixed64(u64),
    /// Four bytes, little-endian.
    Fixed32(u32),
    /// A string, a message, or numbers without gaps.
    Bytes(&'a [u8]),
}

/// One field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number, 1 to 2²⁹ - 1.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
    /// Where it is in its message, number and length included.
    pub range: Range<usize>,
}

impl<'a> Field<'a> {
    /// The bytes, if this is field `number` and holds bytes.
    pub fn bytes_of(&self, number: u32) -> Option<&'a [u8]> {
        match self.value {
            Value::Bytes(bytes) if self.number == number => Some(bytes),
            _ => None,
        }
    }
}

/// The fields of a message in their order; ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    offset: usize,
}

/// Reads the fields of a message.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message, offset: 0 }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest;
        if rest.is_empty() {
            return None;
        }
        let field = read(&mut rest).map(|(number, value)| {
            let end = self.offset + (self.rest.len() - rest.len());
            Field { number, value, range: std::mem::replace(&mut self.offset, end)..end }
        });
        self.rest = if field.is_ok() { rest } else { &[] };
        Some(field)
    }
}

fn read<'a>(rest: &mut &'a [u8]) -> Result<(u32, Value<'a>), WireError> {
    let tag = varint(rest)?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
    let number = number.ok_or(WireError::Field)?;
    let value = match tag & 7 {
        0 => Value::Varint(varint(rest)?),
        1 => Value::Fixed64(u64::from_le_bytes(array(rest)?)),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| WireError::Truncated)?;
            let (bytes, after) = rest.split_at_checked(length).ok_or(WireError::Truncated)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        5 => Value::Fixed32(u32::from_le_bytes(array(rest)?)),
        _ => return Err(WireError::Field),
    };
    Ok((number, value))
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], WireError> {
    let (bytes, after) = rest.split_first_chunk().ok_or(WireError::Truncated)?;
    *rest = after;
    Ok(*bytes)
}

fn varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let [byte] = array(rest)?;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(WireError::Number)
}

/// The last value of a field, which is the one that counts where a field may stand once.
///
/// # Errors
/// As [`Fields`].
pub fn last(message: &[u8], number: u32) -> Result<Option<Value<'_>>, WireError> {
    let mut found = None;
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            found = Some(field.value);
        }
    }
    Ok(found)
}

/// The last string of a field; empty when there is none.
///
/// # Errors
/// As [`Fields`], and [`WireError::Text`].
pub fn text(message: &[u8], number: u32) -> Result<&str, WireError> {
    match last(message, number)? {
        Some(Value::Bytes(bytes)) => utf8(bytes),
        _ => Ok(""),
    }
}

/// Bytes as text.
///
/// # Errors
/// [`WireError::Text`].
pub fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| WireError::Text)
}

/// The message in a field that may stand once. Protocol buffers would merge two of them, which no writer relies on.
///
/// # Errors
/// As [`Fields`], and [`WireError::Twice`].
pub fn only(message: &[u8], number: u32) -> Result<Option<&[u8]>, WireError> {
    let mut found = None;
    for field in fields(message) {
        let bytes = field?.bytes_of(number);
        if bytes.is_some() && std::mem::replace(&mut found, bytes).is_some() {
            return Err(WireError::Twice);
        }
    }
    Ok(found)
}

/// A message, or a part of one, while it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// An empty message with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Message {
        Message(Vec::with_capacity(bytes))
    }

    /// Adds an integer, a truth value or an enumeration.
    pub fn number(mut self, field: u32, value: u64) -> Message {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    /// Adds a string or a message.
    pub fn bytes(self, field: u32, value: impl AsRef<[u8]>) -> Message {
        let value = value.as_ref();
        self.head(field, value.len()).raw(value)
    }

    /// Adds number and length of a string or a message of `length` bytes, which are to follow.
    pub fn head(mut self, field: u32, length: usize) -> Message {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(length as u64);
        self
    }

    /// Adds bytes as they are: whole fields, or the value of the field before.
    pub fn raw(mut self, fields: impl AsRef<[u8]>) -> Message {
        self.0.extend_from_slice(fields.as_ref());
        self
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_are_those_of_the_format() {
        let message = Message::default().number(1, 150).bytes(2, "testing").number(3, u64::MAX).raw([0x25, 1, 0, 0, 0]);
        let bytes = message.into_bytes();
        assert_eq!(&bytes[..5], [0x08, 0x96, 0x01, 0x12, 0x07]);
        let read: Vec<_> = fields(&bytes).map(|field| field.map(|f| (f.number, f.value)).unwrap()).collect();
        let want = [
            (1, Value::Varint(150)),
            (2, Value::Bytes(b"testing")),
            (3, Value::Varint(u64::MAX)),
            (4, Value::Fixed32(1)),
        ];
        assert_eq!(read, want);
        assert_eq!((text(&bytes, 2), text(&bytes, 9)), (Ok("testing"), Ok("")));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let error = |bytes: &[u8]| fields(bytes).find_map(Result::err);
        assert_eq!(error(&[0x08]), Some(WireError::Truncated));
        assert_eq!(error(&[0x12, 2, 0]), Some(WireError::Truncated));
        assert_eq!(error(&[0x09, 1, 2, 3, 4, 5, 6, 7]), Some(WireError::Truncated));
        assert_eq!(error(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some(WireError::Truncated));
        assert_eq!(error(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]), Some(WireError::Number));
        assert_eq!(error(&[0x08, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0]), Some(WireError::Number));
        for tag in [0x00, 0x0b, 0x0c, 0x0e, 0x0f] {
            assert_eq!(error(&[tag, 0]), Some(WireError::Field), "{tag}");
        }
        assert_eq!(error(&[0x80, 0x80, 0x80, 0x80, 0x10, 0]), Some(WireError::Field), "a number above 2^29 - 1");
        assert_eq!(only(&[0x12, 0, 0x12, 0], 2), Err(WireError::Twice));
        assert_eq!(text(&[0x12, 1, 0xff], 2), Err(WireError::Text));
    }

    proptest! {
        #[test]
        fn fields_cover_a_message_without_gaps(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut end = 0;
            for field in fields(&bytes).map_while(Result::ok) {
                prop_assert_eq!(field.range.start, end);
                prop_assert!(field.range.end > end && field.range.end <= bytes.len());
                end = field.range.end;
            }
            prop_assert!(end == bytes.len() || fields(&bytes).any(|field| field.is_err()));
        }

        #[test]
        fn what_is_written_is_read(
            number in 1u32..1 << 29, value: u64, bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let message = Message::default().number(number, value).bytes(number, &bytes).into_bytes();
            let read: Result<Vec<_>, _> = fields(&message).collect();
            let values: Vec<_> = read.unwrap().iter().map(|f| (f.number, f.value)).collect();
            prop_assert_eq!(values, [(number, Value::Varint(value)), (number, Value::Bytes(&bytes))]);
        }
    }
}
