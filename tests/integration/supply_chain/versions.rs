//! The one form of version requirement that `deny.toml` uses: `<X.Y.Z`.

/// Versions before a floor.
pub(super) struct Requirement {
    floor: [u64; 3],
}

impl Requirement {
    pub(super) fn parse(text: &str) -> Self {
        let floor = text
            .strip_prefix('<')
            .unwrap_or_else(|| panic!("deny.toml uses only `<X.Y.Z`, not `{text}`"));
        Self {
            floor: numbers(floor),
        }
    }

    pub(super) fn matches(&self, version: &str) -> bool {
        numbers(version) < self.floor
    }
}

/// The three numbers of a version; a pre-release counts as its release.
fn numbers(version: &str) -> [u64; 3] {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = release.split('.').map(|part| part.parse().unwrap());
    [(); 3].map(|()| parts.next().expect("a version has three numbers"))
}

#[cfg(test)]
mod tests {
    use super::Requirement;

    #[test]
    fn floor_itself_is_not_matched_and_the_version_before_is() {
        let below = Requirement::parse("<0.17.12");
        assert!(below.matches("0.17.11"));
        assert!(below.matches("0.9.99"));
        assert!(!below.matches("0.17.12"));
        assert!(!below.matches("1.0.0"));
    }
}
