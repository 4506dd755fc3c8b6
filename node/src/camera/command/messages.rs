//! A program's messages, made fit for a log: one line each, and without passwords.

use regex_lite::Regex;
use std::sync::LazyLock;

/// Longest line that is kept.
const MAX_LINE_BYTES: usize = 200;

/// How much of a line is searched for secrets, of which what is kept shows the beginning. Searching a flood of
/// messages would take longer than reading the frame.
const MAX_SEARCHED_BYTES: usize = 1024;

/// What hides a secret in a line: where it is, and what stands there instead.
static SECRETS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    // A password may hold a slash or an at sign of its own: up to the last one in the word.
    let user = r"(\w://)\S+@";
    // Cameras take tokens and passwords in queries.
    let query = r"(://[^\s?#]*\?)\S*";
    // Also in paths, in options, in JSON: `password=x`, `--api-key=x`, `"token": "x"`.
    let name = r"passw[a-z]*|passphrase|\bpass|[_-]pass|pwd|secret|token|api[_-]?key|access[_-]?key|credentials?|signature|session[_-]?id";
    let value = format!("(?i)((?:{name})[a-z0-9_.-]*[\"']?(?:=|: ?))(?:\"[^\"]*\"|'[^']*'|[^\\s&;,\"']+)");
    let header = r"(?i)(authorization[\x22']?: ?).*";
    let rules = [(user, "$1***@"), (query, "$1…"), (header, "$1***"), (value.as_str(), "$1***")];
    rules.into_iter().filter_map(|(rule, instead)| Some((Regex::new(rule).ok()?, instead))).collect()
});

/// One line without control characters, not endless, and without what may be a secret: programs repeat the addresses
/// that they are given.
pub fn presentable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(MAX_SEARCHED_BYTES)]);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let hide = |line: String, (rule, instead): &(Regex, &str)| rule.replace_all(&line, *instead).into_owned();
    let mut line = SECRETS.iter().fold(line, hide);
    if line.len() > MAX_LINE_BYTES {
        line.truncate(line.floor_char_boundary(MAX_LINE_BYTES));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_without_passwords() {
        assert_eq!(SECRETS.len(), 4, "each rule is a regular expression");
        for (line, want) in [
            (&b"  no\tcamera\r\n"[..], "no camera"),
            (b"\x1b[31mred\x07", "[31mred"),
            (b"open 'rtsp://me:hunter2@cam/x': no", "open 'rtsp://***@cam/x': no"),
            (b"rtsp://me:hun/ter@2@cam", "rtsp://***@cam"),
            (b"http://cam/x \xff", "http://cam/x \u{fffd}"),
            (b"\r\n", ""),
        ] {
            assert_eq!(presentable(line), want);
        }
        let long = presentable("é".repeat(500).as_bytes());
        assert!(long.len() <= MAX_LINE_BYTES + 3 && long.ends_with('…'));
    }

    /// Queries and options were repeated in the log.
    #[test]
    fn query_values_and_options_are_hidden() {
        for (line, want) in [
            ("GET http://cam/shot?user=a&token=hunter2 failed", "GET http://cam/shot?… failed"),
            ("'rtsp://me:hunter2@cam/x?hunter2': no", "'rtsp://***@cam/x?… no"),
            ("http://cam/user=a&password=hunter2/x.jpg: 404", "http://cam/user=a&password=*** 404"),
            (
                "using --api-key=hunter2, PASSWORD=hunter2; user_pass: hunter2",
                "using --api-key=***, PASSWORD=***; user_pass: ***",
            ),
            ("{\"access_token\": \"hunter2, too\", \"id\": 3}", "{\"access_token\": ***, \"id\": 3}"),
            ("> Authorization: Basic hunter2 hunter2", "> Authorization: ***"),
            (
                "frame=12 pass 1: 20% keyint=30 author: me http://cam/x",
                "frame=12 pass 1: 20% keyint=30 author: me http://cam/x",
            ),
        ] {
            assert_eq!(presentable(line.as_bytes()), want);
        }
    }
}
