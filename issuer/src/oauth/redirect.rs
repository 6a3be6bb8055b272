//! Where an authorization response may go.
//!
//! A redirect URI is compared byte for byte with those a client registered. The one difference
//! allowed is the port of a loopback address, which a program on this machine learns only when
//! it starts (RFC 8252 section 7.3).

use thiserror::Error;
use url::{Host, Url};

/// Longest redirect URI, in bytes.
const MAX_BYTES: usize = 2_048;
/// Names of this machine. `localhost` is among them because clients register it, although RFC
/// 8252 section 8.3 prefers the addresses.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// A URI to which a browser may be sent with a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedirectUri {
    text: String,
    url: Url,
}

/// Why a URI is no redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum RedirectError {
    /// Empty, too long, or with a character that is not printable ASCII.
    #[error("it must have 1 to {MAX_BYTES} printable ASCII characters")]
    Text,
    /// Not an absolute URI.
    #[error("it is not an absolute URI")]
    NotAbsolute,
    /// It has a fragment (RFC 6749 section 3.1.2).
    #[error("it has a fragment")]
    Fragment,
    /// It names a user.
    #[error("it names a user")]
    UserInfo,
    /// Plain http to another machine.
    #[error("plain http is for loopback addresses alone")]
    InsecureHost,
    /// A scheme that browsers run or that no program can own.
    #[error("its scheme must be https, http to this machine, or one with a dot in it")]
    Scheme,
}

impl RedirectUri {
    /// Reads a redirect URI: https; http to this machine; or a private-use scheme, which has a
    /// dot because it is a domain name turned round (RFC 8252 section 7.1). So `javascript:`,
    /// `data:` and their like are none.
    ///
    /// # Errors
    /// [`RedirectError`].
    pub(crate) fn parse(text: &str) -> Result<Self, RedirectError> {
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        if text.is_empty() || text.len() > MAX_BYTES || !plain {
            return Err(RedirectError::Text);
        }
        let url = Url::parse(text).map_err(|_| RedirectError::NotAbsolute)?;
        if url.fragment().is_some() {
            return Err(RedirectError::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RedirectError::UserInfo);
        }
        match url.scheme() {
            "https" if url.has_host() => {}
            "http" if is_loopback(&url) && loopback_parts(text).is_some() => {}
            "http" => return Err(RedirectError::InsecureHost),
            scheme if scheme.contains('.') => {}
            _ => return Err(RedirectError::Scheme),
        }
        let text = text.to_owned();
        Ok(Self { text, url })
    }

    /// The text as registered or sent.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a client that registered this one may be answered at `sent`.
    pub(crate) fn admits(&self, sent: &Self) -> bool {
        if self.text == sent.text {
            return true;
        }
        match (loopback_parts(&self.text), loopback_parts(&sent.text)) {
            (Some(registered), Some(sent)) => registered == sent,
            _ => false,
        }
    }

    /// Whether it leads to this machine, where nobody far away listens.
    pub(crate) fn is_loopback(&self) -> bool {
        matches!(self.url.scheme(), "http" | "https") && is_loopback(&self.url)
    }

    /// Where the browser will be sent, in a word for people: the host, or the scheme of a
    /// program on this machine.
    pub(crate) fn shown(&self) -> String {
        match self.url.host_str() {
            Some(host) if matches!(self.url.scheme(), "http" | "https") => host.to_owned(),
            _ => format!("{}:", self.url.scheme()),
        }
    }

    /// The source expression of a content security policy that admits it (CSP 3 section 2.3.1),
    /// which has no form for an IPv6 address: there it is the scheme.
    pub(crate) fn policy_source(&self) -> String {
        match self.url.host() {
            Some(Host::Ipv6(_)) | None => format!("{}:", self.url.scheme()),
            Some(_) if matches!(self.url.scheme(), "http" | "https") => {
                self.url.origin().ascii_serialization()
            }
            Some(_) => format!("{}:", self.url.scheme()),
        }
    }

    /// The URI with parameters added to its query.
    pub(crate) fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        url.into()
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Host, and everything from the path on, of `http://LOOPBACK[:PORT]…`.
fn loopback_parts(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let host = LOOPBACK
        .into_iter()
        .find(|host| authority.starts_with(host))?;
    let port = authority.strip_prefix(host)?;
    let is_port = |digits: &str| {
        digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|n| n > 0)
    };
    let known = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    known.then_some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn https_loopback_and_private_schemes_are_redirect_uris() {
        for good in [
            "https://app.example/cb",
            "https://app.example:8443/cb?x=1",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:49152/cb",
            "http://[::1]:9/",
            "http://localhost:3000",
            "com.example.app:/cb",
            "com.example.app://cb",
        ] {
            assert_eq!(uri(good).as_str(), good);
        }
    }

    #[test]
    fn anything_else_is_none() {
        use RedirectError::{Fragment, InsecureHost, NotAbsolute, Scheme, Text, UserInfo};
        for (bad, why) in [
            ("", Text),
            ("https://app.example/\ncb", Text),
            ("https://app.example/ü", Text),
            ("https://app.example\\@evil.example/", Text),
            ("/cb", NotAbsolute),
            ("//evil.example/cb", NotAbsolute),
            ("https://", NotAbsolute),
            ("https://app.example/#f", Fragment),
            ("https://app.example@evil.example/", UserInfo),
            ("http://app.example/cb", InsecureHost),
            ("http://127.0.0.1.evil.example/", InsecureHost),
            ("http://localhost.evil.example/", InsecureHost),
            ("http://2130706433/", InsecureHost),
            ("http://127.0.0.2/", InsecureHost),
            ("http://LOCALHOST/", InsecureHost),
            ("http://localhost:0/", InsecureHost),
            ("javascript:alert(1)", Scheme),
            ("data:text/html,x", Scheme),
            ("file:///etc/passwd", Scheme),
            ("myapp:/cb", Scheme),
            ("ftp://app.example/", Scheme),
        ] {
            assert_eq!(RedirectUri::parse(bad).err(), Some(why), "{bad:?}");
        }
    }

    #[test]
    fn text_of_2048_bytes_is_read_and_of_2049_refused() {
        let of = |length: usize| {
            let start = "https://app.example/";
            format!("{start}{}", "a".repeat(length - start.len()))
        };
        assert!(RedirectUri::parse(&of(2_048)).is_ok());
        assert_eq!(
            RedirectUri::parse(&of(2_049)).err(),
            Some(RedirectError::Text)
        );
    }

    #[test]
    fn only_the_port_of_a_loopback_address_is_free() {
        let registered = uri("http://127.0.0.1:1/cb?a=1");
        for sent in ["http://127.0.0.1:65535/cb?a=1", "http://127.0.0.1/cb?a=1"] {
            assert!(registered.admits(&uri(sent)), "{sent}");
        }
        for sent in [
            "http://localhost:1/cb?a=1",
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:1/cb/?a=1",
            "http://127.0.0.1:1/CB?a=1",
            "http://127.0.0.1:1/cb?a=1&b=2",
            "http://127.0.0.1:1/x/../cb?a=1",
        ] {
            assert!(!registered.admits(&uri(sent)), "{sent}");
        }
        let secure = uri("https://app.example/cb");
        assert!(secure.admits(&uri("https://app.example/cb")));
        for sent in [
            "https://app.example:8443/cb",
            "https://app.example:443/cb",
            "https://APP.example/cb",
            "https://app.example/cb?",
        ] {
            assert!(!secure.admits(&uri(sent)), "{sent}");
        }
    }

    #[test]
    fn loopback_is_this_machine_alone() {
        for here in [
            "http://127.0.0.1:5/cb",
            "http://[::1]/",
            "https://localhost/cb",
        ] {
            assert!(uri(here).is_loopback(), "{here}");
        }
        for far in [
            "https://app.example/",
            "https://127.0.0.1.example/",
            "https://localhost.example/",
            "https://10.0.0.1/",
            "com.example.app://localhost/cb",
        ] {
            assert!(!uri(far).is_loopback(), "{far}");
        }
    }

    #[test]
    fn parameters_are_added_to_those_that_stand() {
        assert_eq!(
            uri("https://app.example/cb?a=1").with(&[("code", "x&y"), ("iss", "https://i")]),
            "https://app.example/cb?a=1&code=x%26y&iss=https%3A%2F%2Fi"
        );
        assert_eq!(
            uri("com.example.app:/cb").with(&[("code", "x")]),
            "com.example.app:/cb?code=x"
        );
    }

    #[test]
    fn policy_names_no_more_than_it_must() {
        for (text, source, shown) in [
            (
                "https://app.example/cb",
                "https://app.example",
                "app.example",
            ),
            ("http://127.0.0.1:5/cb", "http://127.0.0.1:5", "127.0.0.1"),
            ("http://[::1]:5/cb", "http:", "[::1]"),
            (
                "com.example.app:/cb",
                "com.example.app:",
                "com.example.app:",
            ),
        ] {
            assert_eq!(uri(text).policy_source(), source);
            assert_eq!(uri(text).shown(), shown);
        }
    }
}
