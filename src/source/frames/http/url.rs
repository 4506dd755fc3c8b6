//! Addresses of cameras, and what of them may be shown.

use ureq::http::Uri;

/// An `http` address without a user in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Host and port as written.
    authority: String,
    /// Path and query; begins with `/`.
    target: String,
}

impl Url {
    /// # Errors
    /// One clause that does not repeat the text: it may hold a secret.
    pub fn parse(text: &str) -> Result<Url, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is no URL such as http://192.168.1.20/snapshot.jpg")?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err("it is https, and this program has no TLS for cameras: give an http address"),
            _ => return Err("it does not begin with http://"),
        }
        let authority = uri.authority().map_or("", |a| a.as_str());
        if authority.contains('@') {
            return Err("it has a user or password in it: give them by username and password_file");
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err("it has no host");
        }
        let target = uri.path_and_query().map_or("/", |p| p.as_str());
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Url { authority: authority.to_owned(), target })
    }

    /// Where a redirection leads.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn join(&self, location: &str) -> Result<Url, &'static str> {
        let location = location.split('#').next().unwrap_or_default();
        if location.contains("://") {
            return Url::parse(location);
        }
        let path = self.target.split('?').next().unwrap_or("/");
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let whole = match location {
            "" => return Err("it is empty"),
            l if l.starts_with("//") => format!("http:{l}"),
            l if l.starts_with('/') => format!("http://{}{l}", self.authority),
            l if l.starts_with('?') => format!("http://{}{path}{l}", self.authority),
            l => format!("http://{}{folder}/{l}", self.authority),
        };
        Url::parse(&whole)
    }

    /// Whether credentials for `self` may be sent to `other`.
    pub fn same_server(&self, other: &Url) -> bool {
        let with_port = |url: &Url| url.authority.strip_suffix(":80").unwrap_or(&url.authority).to_ascii_lowercase();
        with_port(self) == with_port(other)
    }

    /// All of it, for the request.
    pub fn whole(&self) -> String {
        format!("http://{}{}", self.authority, self.target)
    }

    /// Path and query, for digests.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What logs may show. Cameras take passwords and tokens in queries, and some even in paths (`/user=…`).
    pub fn shown(&self) -> String {
        let (path, query) =
            self.target.split_once('?').map_or((&*self.target, None), |(path, query)| (path, Some(query)));
        let open =
            path.find(['=', '&', ';']).map_or(path, |at| &path[..path[..at].rfind('/').map_or(0, |slash| slash + 1)]);
        let hidden = if query.is_some() {
            "?…"
        } else if open.len() < path.len() {
            "…"
        } else {
            ""
        };
        format!("http://{}{open}{hidden}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_not_shown() {
        for (text, shown) in [
            ("http://cam/a/shot.jpg", "http://cam/a/shot.jpg"),
            ("http://cam:81", "http://cam:81/"),
            ("http://cam/shot?user=a&password=hunter2", "http://cam/shot?…"),
            ("http://cam/a/user=admin&password=hunter2/x.jpg", "http://cam/a/…"),
            ("http://[fe80::1]:8080/x", "http://[fe80::1]:8080/x"),
            ("http://cam?hunter2", "http://cam/?…"),
        ] {
            assert_eq!(Url::parse(text).unwrap().shown(), shown);
        }
    }

    #[test]
    fn addresses_that_cannot_be_are_told_without_repeating_them() {
        for (text, word) in [
            ("https://hunter2/x", "TLS"),
            ("rtsp://hunter2/x", "http://"),
            ("http://user:hunter2@cam/", "username"),
            ("hunter2", "http://"),
            ("http://hunter2 x/", "no URL"),
            ("http://", "URL"),
            ("", "URL"),
        ] {
            let said = Url::parse(text).unwrap_err();
            assert!(said.contains(word) && !said.contains("hunter2"), "{text}: {said}");
        }
    }

    #[test]
    fn redirections() {
        let url = Url::parse("http://cam:80/a/b?c=1").unwrap();
        for (location, whole) in [
            ("/x", "http://cam:80/x"),
            ("x?y", "http://cam:80/a/x?y"),
            ("?d=2", "http://cam:80/a/b?d=2"),
            ("//other/x", "http://other/x"),
            ("http://other/x#there", "http://other/x"),
        ] {
            assert_eq!(url.join(location).unwrap().whole(), whole);
        }
        assert!(url.join("https://cam/x").is_err());
        assert!(url.join("").is_err());
        assert!(url.same_server(&Url::parse("http://CAM/").unwrap()));
        assert!(!url.same_server(&Url::parse("http://cam:81/").unwrap()));
    }

    proptest! {
        #[test]
        fn any_text(text in "(http://)?[ -~]{0,40}|\\PC{0,20}", location in "\\PC{0,20}|[/?#:a.]{0,9}") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(Url::parse(&url.whole()), Ok(url.clone()));
                let _ = (url.shown(), url.join(&location));
            }
        }
    }
}
