//! What a server that answers 401 asks for (RFC 9110, 11.3 and 11.6.1), and the answer.
//!
//! The digests are computed by the crate `digest_auth`, which gets a header that was taken apart and put together
//! here: its own parser panics on text that is not ASCII, and does not know that one header can hold several
//! challenges.

use crate::util::secret::Secret;
use base64::Engine;
use digest_auth::{AlgorithmType, AuthContext, Qop, WwwAuthenticateHeader};
use edge_ocr::panics::catch_panic;

/// Longest header that is looked at.
const MAX_BYTES: usize = 8192;
/// Most challenges and parameters of one.
const MAX_PARTS: usize = 32;

/// One challenge: the scheme in lower case and its parameters.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

/// A way to log in that the server asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    /// The password itself, in Base64.
    Basic,
    /// Proof of knowing the password.
    Digest(Box<WwwAuthenticateHeader>),
}

/// The best of what the headers ask for: a digest by SHA-256, one by another algorithm, and Basic, as far as they are
/// allowed.
pub fn best<'a>(headers: impl Iterator<Item = &'a str>, basic: bool, digest: bool) -> Option<Login> {
    let challenges: Vec<Challenge> = headers.flat_map(parse).collect();
    let mut digests: Vec<_> = challenges.iter().filter(|_| digest).filter_map(to_digest).collect();
    // The first of equals: servers sort by preference (RFC 7616, 3.7).
    digests.sort_by_key(|d| d.algorithm.algo == AlgorithmType::MD5);
    match digests.into_iter().next() {
        Some(digest) => Some(Login::Digest(Box::new(digest))),
        None => (basic && challenges.iter().any(|c| c.scheme == "basic")).then_some(Login::Basic),
    }
}

impl Login {
    /// The value of `Authorization` for a GET of `target`; `None` if it cannot be made.
    pub fn authorization(&mut self, user: &str, password: &Secret, target: &str) -> Option<String> {
        match self {
            Login::Basic => {
                let pair = format!("{user}:{}", password.reveal());
                Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
            }
            Login::Digest(prompt) => {
                let body = Some(&b""[..]);
                let context =
                    AuthContext::new_with_method(user, password.reveal(), target, body, digest_auth::HttpMethod::GET);
                catch_panic(|| prompt.respond(&context).ok().map(|answer| answer.to_string())).ok().flatten()
            }
        }
    }
}

fn to_digest(challenge: &Challenge) -> Option<WwwAuthenticateHeader> {
    if challenge.scheme != "digest" {
        return None;
    }
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let parameters: Vec<String> =
        challenge.parameters.iter().map(|(key, value)| format!("{key}=\"{}\"", quoted(value))).collect();
    let header = format!("Digest {}", parameters.join(", "));
    let mut prompt = catch_panic(|| digest_auth::parse(&header).ok()).ok().flatten()?;
    // With a choice, the one that does not hash the body: it is what servers have tried.
    if let Some(qop) = &mut prompt.qop
        && qop.contains(&Qop::AUTH)
    {
        *qop = vec![Qop::AUTH];
    }
    Some(prompt)
}

/// The challenges of one header. What is not understood is passed over.
fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    if !header.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')) || header.len() > MAX_BYTES {
        return challenges;
    }
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)));
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        if word.is_empty() {
            // Some other character, or the end.
            let mut characters = rest.chars();
            if characters.next().is_none() {
                return challenges;
            }
            rest = characters.as_str();
            continue;
        }
        let Some(value) = behind.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            if challenges.len() == MAX_PARTS {
                return challenges;
            }
            challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            rest = behind;
            continue;
        };
        let (value, behind) = take_value(value.trim_start_matches([' ', '\t']));
        if let Some(challenge) = challenges.last_mut()
            && challenge.parameters.len() < MAX_PARTS
        {
            challenge.parameters.push((word.to_ascii_lowercase(), value));
        }
        rest = behind;
    }
}

/// A value, quoted or not, and what follows it.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, behind) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), behind);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '"' if !escaped => return (value, &quoted[at + 1..]),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            c => value.push(c),
        }
        escaped = false;
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Junk, repeat};
    use super::*;

    fn of(headers: &[&str]) -> Option<Login> {
        best(headers.iter().copied(), true, true)
    }

    fn digest(headers: &[&str]) -> WwwAuthenticateHeader {
        match of(headers) {
            Some(Login::Digest(prompt)) => *prompt,
            other => panic!("{other:?}"),
        }
    }

    const RFC: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    #[test]
    fn several_challenges_in_one_header_or_in_several() {
        let both = format!("Basic realm=\"a, Digest b\", {RFC}");
        assert_eq!(digest(&[&both]).realm, "http-auth@example.org");
        assert_eq!(digest(&["Basic realm=x", RFC]).qop, Some(vec![Qop::AUTH]));
        assert_eq!(of(&["Negotiate", "basic realm=\"x\""]), Some(Login::Basic));
        assert_eq!(of(&["Bearer realm=\"x\""]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(best([RFC].into_iter(), true, false), None);
        let sha = RFC.replace("MD5", "SHA-256").replace("example", "better");
        assert_eq!(digest(&[RFC, &sha]).realm, "http-auth@better.org");
        let unknown = RFC.replace("MD5", "WHIRLPOOL");
        assert_eq!(of(&[&unknown, "Basic realm=x"]), Some(Login::Basic), "one that is not known is passed over");
    }

    #[test]
    fn what_cameras_write() {
        let camera = "DIGEST realm = \"IP \\\"Cam\\\"\" ,nonce=abc,  stale=FALSE , QOP=auth";
        let prompt = digest(&[camera]);
        assert_eq!((prompt.realm.as_str(), prompt.nonce.as_str()), ("IP \"Cam\"", "abc"));
        assert_eq!(of(&["Digest realm=\"ä\", nonce=\"b\""]), None, "digest_auth would panic");
        assert_eq!(of(&["Digest realm=\"no end, nonce=\"b\""]), None, "without a nonce");
    }

    #[test]
    fn the_answer_of_the_standard() {
        // RFC 7616, 3.9.1; the client's nonce is random here, so only what does not depend on it is compared.
        let mut login = of(&[RFC]).unwrap();
        let password = Secret::new("Circle of Life");
        let first = login.authorization("Mufasa", &password, "/dir/index.html").unwrap();
        assert!(first.contains("qop=auth, nc=00000001") && first.contains("uri=\"/dir/index.html\""), "{first}");
        assert!(!first.contains("Circle"), "{first}");
        let second = login.authorization("Mufasa", &password, "/dir/index.html").unwrap();
        assert!(second.contains("nc=00000002"), "{second}");
        // RFC 7617, 2.
        let basic = Login::Basic.authorization("Aladdin", &Secret::new("open sesame"), "/").unwrap();
        assert_eq!(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn damaged_challenges() {
        let whole = format!("Basic realm=\"a\", {RFC}");
        let mut junk = Junk::new(23);
        repeat(3000, || {
            let damaged = junk.damage(whole.as_bytes());
            let text = String::from_utf8_lossy(&damaged);
            if let Some(mut login) = of(&[&text]) {
                let _ = login.authorization("user", &Secret::new("p"), "/x");
            }
        });
    }
}
