//! Where to go after signing in: a page of this site and nowhere else.

/// A path on this origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalPath(String);

/// Long enough for a client's request for a code that says in detail what it wants, and that has
/// to go through sign-in.
const MAX_BYTES: usize = 8 * 1024;

impl LocalPath {
    /// Where those start who decide or look.
    pub(crate) fn start() -> Self {
        Self("/approvals".to_owned())
    }

    /// Where those start who only manage.
    pub(crate) fn accounts() -> Self {
        Self("/accounts".to_owned())
    }

    /// Reads a path that cannot lead to another site: one `/` at its start, printable ASCII,
    /// no backslash (which browsers take for `/`).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let local = text.starts_with('/') && !text.starts_with("//");
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        (local && plain && text.len() <= MAX_BYTES).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as the value of a query parameter.
    pub(crate) fn encoded(&self) -> String {
        url::form_urlencoded::byte_serialize(self.0.as_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_this_site_is_read() {
        for good in [
            "/",
            "/approvals",
            "/approve?user_code=BCDF-GHJK",
            "/approvals/apr_1",
        ] {
            assert_eq!(LocalPath::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn path_to_another_site_is_refused() {
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "approvals",
            "/a\n",
            "/\u{202e}",
            "/a b",
        ] {
            assert_eq!(LocalPath::parse(bad), None, "{bad:?}");
        }
        assert!(LocalPath::parse(&format!("/{}", "a".repeat(8 * 1024 - 1))).is_some());
        assert!(LocalPath::parse(&format!("/{}", "a".repeat(8 * 1024))).is_none());
    }
}
