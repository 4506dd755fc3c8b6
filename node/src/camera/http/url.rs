//! Addresses of cameras, and what of them may be shown.

use ureq::http::Uri;

/// An `http` or `https` address without a user in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `http` or `https`.
    scheme: &'static str,
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
        let scheme = match uri.scheme_str() {
            Some("http") => "http",
            Some("https") if cfg!(feature = "tls") => "https",
            Some("https") => {
                return Err("it is https, and this program was built without TLS: give an http address, or build it \
                     with the feature tls");
            }
            _ => return Err("it does not begin with http:// or https://"),
        };
        let authority = uri.authority().map_or("", |a| a.as_str());
        if authority.contains('@') {
            return Err("it has a user or password in it: give them by username and password_file");
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err("it has no host");
        }
        let target = uri.path_and_query().map_or("/", |p| p.as_str());
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Url { scheme, authority: authority.to_owned(), target })
    }

    /// Where a redirection leads.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn join(&self, location: &str) -> Result<Url, &'static str> {
        let location = location.split('#').next().unwrap_or_default();
        // A query may hold an address, too.
        let is_scheme = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+');
        if location.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
            return Url::parse(location);
        }
        let path = self.target.split('?').next().unwrap_or("/");
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let whole = match location {
            "" => return Err("it is empty"),
            l if l.starts_with("//") => format!("{}:{l}", self.scheme),
            l if l.starts_with('/') => format!("{}{l}", self.server()),
            l if l.starts_with('?') => format!("{}{path}{l}", self.server()),
            l => format!("{}{folder}/{l}", self.server()),
        };
        Url::parse(&whole)
    }

    /// Whether `other` is on the same server: the same host and port, or the step from `http` to `https` at their
    /// usual ports. Then credentials for `self` may be sent there.
    pub fn same_server(&self, other: &Url) -> bool {
        let (host, port) = self.host_and_port();
        let (other_host, other_port) = other.host_and_port();
        let same = self.scheme == other.scheme && port == other_port;
        let upgrade = (self.scheme, port, other.scheme, other_port) == ("http", "80", "https", "443");
        host.eq_ignore_ascii_case(other_host) && (same || upgrade)
    }

    /// The port is the scheme's usual one if none is written.
    fn host_and_port(&self) -> (&str, &str) {
        let usual = if self.scheme == "https" { "443" } else { "80" };
        match self.authority.rsplit_once(':') {
            // Not the end of an IPv6 address.
            Some((host, port)) if !port.contains(']') => (host, if port.is_empty() { usual } else { port }),
            _ => (&self.authority, usual),
        }
    }

    /// Whether it is `https`.
    #[cfg(feature = "tls")]
    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Scheme, host and port.
    pub fn server(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// All of it, for the request.
    pub fn whole(&self) -> String {
        format!("{}{}", self.server(), self.target)
    }

    /// Path and query, for digests.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What logs may show. Cameras take passwords and tokens in queries, and some even in paths (`/user=…`).
    pub fn display_name(&self) -> String {
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
        format!("{}{open}{hidden}", self.server())
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
            assert_eq!(Url::parse(text).unwrap().display_name(), shown);
        }
    }

    #[test]
    fn invalid_url_error_does_not_repeat_url() {
        for (text, word) in [
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
    fn https_without_tls_is_refused() {
        match Url::parse("https://hunter2/x") {
            Err(said) => assert!(!cfg!(feature = "tls") && said.contains("feature tls") && !said.contains("hunter2")),
            Ok(url) => assert!(cfg!(feature = "tls") && url.whole() == "https://hunter2/x"),
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
        assert_eq!(url.join("/x?back=http://other/").unwrap().whole(), "http://cam:80/x?back=http://other/");
        assert!(url.join("ftp://cam/x").is_err());
        assert!(url.join("").is_err());
    }

    #[test]
    fn same_server_compares_scheme_host_and_port() {
        let same = |a: &str, b: &str| Url::parse(a).unwrap().same_server(&Url::parse(b).unwrap());
        assert!(same("http://cam:80/a", "http://CAM/b") && same("http://[fe80::1]/a", "http://[fe80::1]:80/b"));
        for other in ["http://cam:81/", "http://cam.evil/", "http://evil/cam", "http://[fe80::1]/", "http://cam.:80/"] {
            assert!(!same("http://cam/", other), "{other}");
        }
        if cfg!(feature = "tls") {
            assert!(same("http://cam/", "https://cam/") && same("https://cam:443/", "https://cam/"));
            assert!(!same("https://cam/", "http://cam/"), "a step back");
            assert!(!same("http://cam:8080/", "https://cam/") && !same("http://cam/", "https://cam:8443/"));
        }
    }

    proptest! {
        #[test]
        fn any_text(text in "(https?://)?[ -~]{0,40}|\\PC{0,20}", location in "\\PC{0,20}|[/?#:a.]{0,9}") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(Url::parse(&url.whole()), Ok(url.clone()));
                let _ = (url.display_name(), url.join(&location));
            }
        }
    }
}
