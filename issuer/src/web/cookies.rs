//! The cookies, and the form token derived from them.
//!
//! `session` is a signed-in browser; `visitor` ties the forms before sign-in to a browser;
//! `authorize` ties clients' requests for codes to the browser that brought them, whoever signs
//! in there. These are random secrets. `identity` is what a browser keeps while it is at the
//! identity provider: sealed, so that it says nothing to anybody else. The token in each form is a hash of the cookie, so another site
//! can neither read nor make it, and nothing needs to be stored.

use std::ops::RangeInclusive;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{config::Site, secret::Secret};

const FORM_DOMAIN: &[u8] = b"bailiwick form v1\0";
/// Length of a secret's text.
const SECRET_BYTES: usize = 43;
/// Longest sealed text: with its name it is what browsers keep, 4,096 bytes.
const MAX_SEALED_BYTES: usize = 4_064;

/// Which cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// A signed-in browser.
    Session,
    /// A browser on the way to sign in.
    Visitor,
    /// A browser that brought a client's request for a code.
    Began,
    /// What a browser keeps while it is at the identity provider.
    Identity,
}

impl Cookie {
    /// The name; with https the `__Host-` prefix makes browsers refuse it from anywhere but
    /// this very host (RFC 6265bis section 4.1.3.2).
    fn name(self, site: &Site) -> &'static str {
        match (self, site.is_secure()) {
            (Self::Session, false) => "bailiwick_session",
            (Self::Session, true) => "__Host-bailiwick_session",
            (Self::Visitor, false) => "bailiwick_visitor",
            (Self::Visitor, true) => "__Host-bailiwick_visitor",
            (Self::Began, false) => "bailiwick_authorize",
            (Self::Began, true) => "__Host-bailiwick_authorize",
            (Self::Identity, false) => "bailiwick_identity",
            (Self::Identity, true) => "__Host-bailiwick_identity",
        }
    }

    fn lengths(self) -> RangeInclusive<usize> {
        match self {
            Self::Session | Self::Visitor | Self::Began => SECRET_BYTES..=SECRET_BYTES,
            Self::Identity => SECRET_BYTES..=MAX_SEALED_BYTES,
        }
    }

    /// Reads the cookie. One that is there twice is as good as absent: somebody planted one.
    pub(crate) fn read(self, site: &Site, headers: &HeaderMap) -> Option<Secret> {
        let name = self.name(site);
        let mut values = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter_map(|(key, value)| (key == name).then_some(value));
        let value = values.next()?;
        let single = values.next().is_none();
        let plain = value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        (single && plain && self.lengths().contains(&value.len())).then(|| Secret::received(value))
    }

    /// The `Set-Cookie` that plants it, for `max_age_s` seconds or until the browser closes.
    pub(crate) fn plant(self, site: &Site, secret: &Secret, max_age_s: Option<u64>) -> HeaderValue {
        let age = max_age_s.map_or_else(String::new, |age| format!("; Max-Age={age}"));
        self.line(site, secret.expose(), &age)
    }

    /// The `Set-Cookie` that removes it.
    pub(crate) fn remove(self, site: &Site) -> HeaderValue {
        self.line(site, "", "; Max-Age=0")
    }

    fn line(self, site: &Site, value: &str, age: &str) -> HeaderValue {
        let secure = if site.is_secure() { "; Secure" } else { "" };
        let name = self.name(site);
        let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
        // Only base64url and fixed text are in it, so the fallback is never taken; an empty
        // cookie would merely be ignored.
        let mut value = HeaderValue::from_str(&line).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

/// The token that forms of a browser carry.
#[derive(Clone, Debug)]
pub(crate) struct FormToken(String);

impl FormToken {
    /// The token for the browser with that cookie.
    pub(crate) fn of(cookie: &Secret) -> Self {
        let digest = Sha256::new()
            .chain_update(FORM_DOMAIN)
            .chain_update(cookie.expose())
            .finalize();
        Self(URL_SAFE_NO_PAD.encode(digest))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the form came from that browser.
    pub(crate) fn matches(&self, sent: &str) -> bool {
        self.0.as_bytes().ct_eq(sent.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;

    fn site(url: &str) -> Site {
        Site::new(&url.parse().unwrap()).unwrap()
    }

    fn headers(line: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, line.parse().unwrap());
        headers
    }

    #[test]
    fn planted_cookie_has_every_protection() {
        let secret = Secret::generate(&Entropy::dangerous_seeded(1));
        let plain = Cookie::Session.plant(&site("http://127.0.0.1:1"), &secret, Some(60));
        let text = plain.to_str().unwrap();
        assert!(
            text.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=60"),
            "{text}"
        );
        assert!(!text.contains("Secure"));
        let secure = Cookie::Session.plant(&site("https://a.example"), &secret, None);
        let text = secure.to_str().unwrap();
        assert!(text.starts_with("__Host-bailiwick_session="), "{text}");
        assert!(
            text.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
            "{text}"
        );
        let kept = Cookie::Identity.plant(&site("https://a.example"), &secret, Some(600));
        let text = kept.to_str().unwrap();
        assert!(text.starts_with("__Host-bailiwick_identity="), "{text}");
        assert!(
            text.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"),
            "{text}"
        );
    }

    #[test]
    fn planted_cookie_is_read_back_and_a_doubled_one_is_not() {
        let site = site("http://127.0.0.1:1");
        let secret = Secret::generate(&Entropy::dangerous_seeded(1));
        let pair = format!("bailiwick_session={}", secret.expose());
        let read = |line: &str| Cookie::Session.read(&site, &headers(line));
        assert_eq!(
            read(&format!("a=b; {pair}")).unwrap().expose(),
            secret.expose()
        );
        assert!(read(&format!("{pair}; {pair}")).is_none());
        assert!(read("bailiwick_session=short").is_none());
        assert!(read("bailiwick_visitor=x").is_none());
        for (length, good) in [(4_064, true), (4_065, false)] {
            let line = format!("bailiwick_identity={}", "a".repeat(length));
            let kept = Cookie::Identity.read(&site, &headers(&line));
            assert_eq!(kept.is_some(), good, "{length}");
            let line = format!("bailiwick_session={}", "a".repeat(length));
            assert!(read(&line).is_none());
        }
    }

    #[test]
    fn form_token_fits_its_cookie_alone() {
        let entropy = Entropy::dangerous_seeded(1);
        let (one, other) = (Secret::generate(&entropy), Secret::generate(&entropy));
        let token = FormToken::of(&one);
        assert!(token.matches(FormToken::of(&one).as_str()));
        assert!(!token.matches(FormToken::of(&other).as_str()));
        assert!(!token.matches(""));
        assert_ne!(token.as_str(), one.expose());
    }
}
