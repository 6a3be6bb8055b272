//! The URL a proof is for, as far as two of them are compared.
//!
//! RFC 9449 section 4.3 compares `htu` with the request's URL without query and fragment, after
//! normalising scheme and host (RFC 3986 sections 6.2.2 and 6.2.3). Nothing else is normalised: paths
//! are equal byte for byte, and what has no place in a URL is refused.

use super::MAX_URL_BYTES;

/// Scheme, host, port and path of an `http` or `https` URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    https: bool,
    host: String,
    port: u16,
    path: &'a str,
}

impl<'a> Target<'a> {
    pub(super) fn parse(url: &'a str) -> Option<Self> {
        if url.len() > MAX_URL_BYTES || !url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return None;
        }
        let target = url.split(['?', '#']).next()?;
        let (scheme, rest) = target.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (host, port) = match authority.rsplit_once(':') {
            // The last colon of `[::1]` is inside the brackets.
            Some((host, port)) if !port.ends_with(']') => (host, parse_port(port)?),
            _ => (authority, if https { 443 } else { 80 }),
        };
        if !is_host(host) {
            return None;
        }
        Some(Self {
            https,
            host: host.to_ascii_lowercase(),
            port,
            path: if path.is_empty() { "/" } else { path },
        })
    }
}

fn parse_port(text: &str) -> Option<u16> {
    if text.starts_with(['0', '+']) {
        return None;
    }
    text.parse().ok()
}

/// A name or IPv4 address, or something between brackets that is made like an IPv6 address.
fn is_host(host: &str) -> bool {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(address) => {
            address.contains(':')
                && address
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
        }
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(a: &str, b: &str) -> bool {
        let (a, b) = (Target::parse(a), Target::parse(b));
        assert!(a.is_some() && b.is_some(), "{a:?} {b:?}");
        a == b
    }

    #[test]
    fn scheme_and_host_are_compared_without_case_and_default_ports_may_be_left_out() {
        for same in [
            "https://example.com/mcp",
            "HTTPS://Example.COM/mcp",
            "https://example.com:443/mcp",
            "https://example.com/mcp?q=1",
            "https://example.com/mcp#top",
            "https://example.com/mcp?q=/x#top",
        ] {
            assert!(equal(same, "https://example.com/mcp"), "{same}");
        }
        assert!(equal("http://h", "http://h:80/"));
        assert!(equal("http://[::1]:8401/mcp", "http://[::1]:8401/mcp"));
        assert!(equal("http://[::1]/mcp", "http://[::1]:80/mcp"));
    }

    #[test]
    fn everything_else_tells_urls_apart() {
        for other in [
            "http://example.com/mcp",
            "https://example.org/mcp",
            "https://example.com.:443/mcp",
            "https://example.com:8443/mcp",
            "https://example.com/MCP",
            "https://example.com/mcp/",
            "https://example.com//mcp",
            "https://example.com/./mcp",
            "https://example.com/%6dcp",
            "https://example.com",
        ] {
            assert!(!equal(other, "https://example.com/mcp"), "{other}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        for bad in [
            "",
            "/mcp",
            "example.com/mcp",
            "ftp://example.com/mcp",
            "https:/example.com/mcp",
            "https:///mcp",
            "https://user@example.com/mcp",
            "https://example.com:/mcp",
            "https://example.com:0443/mcp",
            "https://example.com:+443/mcp",
            "https://example.com:65536/mcp",
            "https://exa%6dple.com/mcp",
            "https://exämple.com/mcp",
            "https://example.com\\mcp",
            "https://example.com/m cp",
            "https://example.com/mcp\n",
            "http://::1/mcp",
            "http://[::1/mcp",
            "http://[evil.com]/mcp",
            "http://[::g]/mcp",
            "http://[1.2]/mcp",
        ] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn length_bound_is_inclusive() {
        let url = |length: usize| format!("{:x<length$}", "http://h/");
        assert!(Target::parse(&url(MAX_URL_BYTES)).is_some());
        assert!(Target::parse(&url(MAX_URL_BYTES + 1)).is_none());
    }
}
