//! `multipart/x-mixed-replace`: parts that replace each other (RFC 2046, 5.1, as cameras understand it).
//!
//! Cameras write boundaries with and without the leading dashes, in quotes or not; lines end with CR LF or LF; parts
//! have a `Content-Length` or end where the next boundary is. All of it is accepted, in pieces of any size.
//! Crates for forms (`multer`) want CR LF and the boundary exactly as it was announced.

use super::Part;

/// Longest line that is kept: a boundary has at most 70 characters.
const MAX_LINE_BYTES: usize = 1024;
/// Most bytes of the headers of a part.
const MAX_HEADER_BYTES: usize = 8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a boundary: what comes is skipped line by line.
    Outside,
    /// In the headers of a part: its length if it was given, and bytes of headers so far.
    Headers(Option<usize>, usize),
    /// In a part of known length: bytes left, and whether they are kept.
    Counted(usize, bool),
    /// In a part that ends at the next boundary: where its last line begins.
    Until(usize),
}

/// Cuts such a stream into parts.
#[derive(Debug)]
pub(super) struct Multipart {
    /// The boundary without leading dashes; `None` until the first one is seen.
    boundary: Option<Vec<u8>>,
    max_bytes: usize,
    state: State,
    line: Vec<u8>,
    part: Vec<u8>,
}

/// The boundary that a `Content-Type` names.
pub(super) fn boundary_of(content_type: &str) -> Option<String> {
    let mut rest = content_type;
    loop {
        // By hand, because a quoted value may hold a semicolon.
        let at = rest.find(';')?;
        rest = rest[at + 1..].trim_start();
        let Some((key, value)) = rest.split_once('=') else { continue };
        if !key.trim().eq_ignore_ascii_case("boundary") {
            continue;
        }
        let value = value.trim_start();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or_default(),
            None => value.split(';').next().unwrap_or_default().trim_end(),
        };
        return (!value.is_empty()).then(|| value.to_owned());
    }
}

impl Multipart {
    /// Parts of at most `max_bytes` bytes; without a `boundary`, the first line that begins with two dashes is it.
    pub fn new(boundary: Option<&str>, max_bytes: usize) -> Multipart {
        let boundary = boundary.map(|b| undashed(b.as_bytes()).to_vec());
        Multipart { boundary, max_bytes, state: State::Outside, line: Vec::new(), part: Vec::new() }
    }

    /// Takes the next bytes of the stream, however cut, and gives the parts that end in them.
    pub fn push(&mut self, mut bytes: &[u8], give: &mut dyn FnMut(Part)) {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Outside | State::Headers(..) => self.line(bytes, give),
                State::Counted(left, kept) => {
                    let now = left.min(bytes.len());
                    if kept {
                        self.part.extend_from_slice(&bytes[..now]);
                    }
                    self.state = State::Counted(left - now, kept);
                    if left == now {
                        self.state = State::Outside;
                        if kept {
                            give(Part::Frame(std::mem::take(&mut self.part)));
                        }
                    }
                    now
                }
                State::Until(line) => self.until(bytes, line, give),
            };
            bytes = &bytes[taken..];
        }
    }

    /// Takes at most one line of what is outside parts.
    fn line(&mut self, bytes: &[u8], give: &mut dyn FnMut(Part)) -> usize {
        let end = bytes.iter().position(|&b| b == b'\n');
        let now = end.map_or(bytes.len(), |at| at + 1);
        let room = MAX_LINE_BYTES - self.line.len();
        self.line.extend_from_slice(&bytes[..now.min(room)]);
        if let State::Headers(length, count) = self.state {
            self.state = State::Headers(length, count + now);
            if count + now > MAX_HEADER_BYTES {
                self.line.clear();
                self.state = State::Outside;
                give(Part::Broken("the headers of a part have no end"));
                return now;
            }
        }
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.whole_line(line.trim_ascii_end(), give);
        }
        now
    }

    fn whole_line(&mut self, line: &[u8], give: &mut dyn FnMut(Part)) {
        match self.state {
            State::Headers(length, count) if !line.is_empty() => {
                let colon = line.iter().position(|&b| b == b':').unwrap_or(0);
                let (key, value) = line.split_at(colon);
                if key.trim_ascii().eq_ignore_ascii_case(b"content-length") {
                    let value = std::str::from_utf8(value[1..].trim_ascii()).ok().and_then(|v| v.parse().ok());
                    self.state = State::Headers(value.or(length), count);
                }
            }
            State::Headers(length, _) => {
                self.state = match length {
                    Some(0) => State::Outside,
                    Some(length) if length > self.max_bytes => {
                        give(Part::TooLarge);
                        State::Counted(length, false)
                    }
                    Some(length) => State::Counted(length, true),
                    None => State::Until(0),
                };
            }
            _ => {
                if self.boundary.is_none() && line.len() > 2 && line.starts_with(b"--") {
                    self.boundary = Some(undashed(line).to_vec());
                }
                if self.is_boundary(line) {
                    self.state = State::Headers(None, 0);
                }
            }
        }
    }

    /// Takes bytes of a part of unknown length up to the end of a line; `start` is where that line begins in it.
    fn until(&mut self, bytes: &[u8], start: usize, give: &mut dyn FnMut(Part)) -> usize {
        let end = bytes.iter().position(|&b| b == b'\n');
        let now = end.map_or(bytes.len(), |at| at + 1);
        self.part.extend_from_slice(&bytes[..now]);
        let line = self.part[start..].trim_ascii_end();
        if end.is_some() && line.len() <= MAX_LINE_BYTES && self.is_boundary(line) {
            let mut part = std::mem::take(&mut self.part);
            part.truncate(start);
            // The line end before a boundary belongs to the boundary.
            if part.last() == Some(&b'\n') {
                part.pop();
                if part.last() == Some(&b'\r') {
                    part.pop();
                }
            }
            self.state = State::Headers(None, 0);
            if part.len() > self.max_bytes {
                give(Part::TooLarge);
            } else if !part.is_empty() {
                give(Part::Frame(part));
            }
        } else if self.part.len() > self.max_bytes + MAX_LINE_BYTES {
            // What is left of it is skipped like all that is outside parts.
            self.part = Vec::new();
            self.line.clear();
            self.state = State::Outside;
            give(Part::TooLarge);
        } else if end.is_some() {
            self.state = State::Until(self.part.len());
        }
        now
    }

    /// Whether a line, without its end, is the boundary, perhaps the last one.
    fn is_boundary(&self, line: &[u8]) -> bool {
        let Some(boundary) = &self.boundary else { return false };
        // Short ones could be anything.
        if boundary.len() < 3 && !line.starts_with(b"--") {
            return false;
        }
        let line = undashed(line);
        line == boundary || line.strip_suffix(b"--") == Some(boundary)
    }
}

fn undashed(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|&b| b != b'-').unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Junk, repeat};
    use super::*;
    use proptest::prelude::*;

    /// The parts, and how many were lost.
    fn split(boundary: Option<&str>, max_bytes: usize, chunks: &[&[u8]]) -> (Vec<Vec<u8>>, usize) {
        let (mut parts, mut lost) = (Vec::new(), 0);
        let mut multipart = Multipart::new(boundary, max_bytes);
        for chunk in chunks {
            multipart.push(chunk, &mut |part| match part {
                Part::Frame(frame) => parts.push(frame),
                _ => lost += 1,
            });
            let held = multipart.part.len() + multipart.line.len();
            assert!(held <= max_bytes + 2 * MAX_LINE_BYTES + chunk.len(), "{held}");
        }
        (parts, lost)
    }

    fn texts(boundary: Option<&str>, stream: &str) -> Vec<String> {
        let (parts, lost) = split(boundary, 1000, &[stream.as_bytes()]);
        assert_eq!(lost, 0, "{stream}");
        parts.into_iter().map(|part| String::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn boundaries_as_cameras_write_them() {
        for (header, boundary) in [
            ("multipart/x-mixed-replace; boundary=frame", Some("frame")),
            ("multipart/x-mixed-replace;boundary=\"a;b\"", Some("a;b")),
            ("multipart/x-mixed-replace; charset=x; BOUNDARY = --ipcamera ; x=y", Some("--ipcamera")),
            ("multipart/x-mixed-replace", None),
            ("multipart/x-mixed-replace; boundary=", None),
            ("multipart/x-mixed-replace; boundary=\"", None),
        ] {
            assert_eq!(boundary_of(header).as_deref(), boundary, "{header}");
        }
        let with = |b: &str| format!("{b}\r\nContent-Length: 3\r\n\r\nabc\r\n{b}\r\n\r\ndef\r\n{b}--\r\n");
        for (named, written) in
            [("frame", "--frame"), ("--frame", "--frame"), ("--frame", "----frame"), ("frame", "frame"), ("--a", "--a")]
        {
            assert_eq!(texts(Some(named), &with(written)), ["abc", "def"], "{named} {written}");
        }
        assert_eq!(texts(None, &with("--unnamed")), ["abc", "def"]);
    }

    #[test]
    fn parts_with_and_without_a_length() {
        let stream = "preamble\r\n--b\r\nContent-Type: image/jpeg\r\nCONTENT-length : 9\r\n\r\n\r\n--b\r\n\r\n\r\n--b\n\nx\n--y\r\nz\r\n--b\n\
            Content-Length: many\n\nline\n\n--b\nContent-Length: 0\n\n--b\n\nend\n--b--\n";
        assert_eq!(texts(Some("b"), stream), ["\r\n--b\r\n\r\n", "x\n--y\r\nz", "line\n", "end"]);
    }

    #[test]
    fn a_wrong_length_costs_at_most_one_part() {
        let stream = "--cam\r\nContent-Length: 2\r\n\r\nabcd\r\n--cam\r\nContent-Length: 3\r\n\r\nxyz\r\n--cam\r\n";
        assert_eq!(texts(Some("cam"), stream), ["ab", "xyz"]);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let large = "y".repeat(5000);
        for head in ["", "Content-Length: 5000\r\n"] {
            let stream = format!("--cam\r\n{head}\r\n{large}\r\n--cam\r\n\r\nok\r\n--cam\r\n");
            assert_eq!(split(Some("cam"), 100, &[stream.as_bytes()]), (vec![b"ok".to_vec()], 1), "{head}");
        }
        let headers = format!("--cam\r\n{}\r\n--cam\r\n\r\nok\r\n--cam\r\n", "X: y\r\n".repeat(2000));
        assert_eq!(split(Some("cam"), 100, &[headers.as_bytes()]), (vec![b"ok".to_vec()], 1));
        let claims = format!("--cam\r\nContent-Length: {}\r\n\r\n", usize::MAX);
        assert_eq!(split(Some("cam"), 100, &[claims.as_bytes(), &[0; 999]]), (vec![], 1));
        let between = b"--cam\r\n\r\n123\r\n--cam\r\n";
        assert_eq!(split(Some("cam"), 3, &[between]).0, [b"123"], "as long as allowed");
        assert_eq!(split(Some("cam"), 2, &[between]), (vec![], 1));
    }

    fn sample() -> Vec<u8> {
        let mut stream = b"\r\n--cam\r\nContent-Length: 40\r\n\r\n".to_vec();
        stream.extend(0..40);
        stream.extend(b"\r\n--cam\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\n\r\n--ca\r\n--camera\xff\xd9\r\n--cam\n\nz\n--cam\n");
        stream
    }

    proptest! {
        #[test]
        fn however_it_is_cut(cuts in prop::collection::vec(0usize..170, 0..12)) {
            let stream = sample();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|c| &stream[c[0]..c[1]]).collect();
            let want = vec![(0..40).collect(), b"\xff\xd8\n\r\n--ca\r\n--camera\xff\xd9".to_vec(), b"z".to_vec()];
            prop_assert_eq!(split(Some("cam"), 1000, &chunks), (want, 0));
        }

        #[test]
        fn any_header(text in "multipart/x; ?[ -~]{0,30}|\\PC{0,20}") {
            let _ = boundary_of(&text);
        }
    }

    #[test]
    fn damaged_streams() {
        let stream = sample();
        let mut junk = Junk::new(31);
        repeat(3000, || {
            let damaged = junk.damage(&stream);
            let (chunk, later) = damaged.split_at(junk.below(damaged.len() + 1));
            let boundary = (junk.below(2) == 0).then_some("cam");
            let whole = split(boundary, 60, &[&damaged]);
            assert!(whole.0.iter().all(|part| part.len() <= 60));
            assert_eq!(split(boundary, 60, &[chunk, later]), whole);
        });
    }
}
