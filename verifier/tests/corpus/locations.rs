//! Arguments that a catalogue declares to be paths or URLs.

use serde_json::json;

use crate::{
    case::{Case, Declared},
    scene::{case, token},
};

pub(crate) fn cases() -> Vec<Case> {
    [paths(), urls()].concat()
}

fn paths() -> Vec<Case> {
    let under =
        || token(&["check if path_arg(\"path\", $p), $p.starts_with([\"reports\", \"2026\"]);"]);
    let path = |id: &str, verdict: &str, text: &str, why: &str| {
        case(&format!("path-argument-{id}"), verdict, &under(), why)
            .args(json!({ "path": text }))
            .declares("path", Declared::Path)
    };
    vec![
        path(
            "under",
            "allow",
            "reports/2026/q3.md",
            "Under the path (rule 17).",
        ),
        path(
            "itself",
            "allow",
            "reports/2026",
            "The path itself (rule 17).",
        ),
        path(
            "sibling",
            "caveat_failed",
            "reports/2026-private/q3.md",
            "Whole segments are compared (rule 17).",
        ),
        path(
            "traversal",
            "caveat_failed",
            "reports/2026/../secret",
            "A path with `..` does not parse, so there is no fact (rule 19).",
        ),
        path(
            "encoded",
            "caveat_failed",
            "reports/2026/%2e%2e/secret",
            "A path with `%` does not parse (rule 19).",
        ),
        path(
            "backslash",
            "caveat_failed",
            "reports/2026\\..\\secret",
            "A path with a backslash does not parse (rule 19).",
        ),
        path(
            "absolute",
            "caveat_failed",
            "/reports/2026/q3.md",
            "A path with a leading slash does not parse (rule 19).",
        ),
        path(
            "double-slash",
            "caveat_failed",
            "reports//2026/q3.md",
            "A path with an empty segment does not parse (rule 19).",
        ),
        path(
            "nul",
            "caveat_failed",
            "reports/2026/q3.md\u{0}.png",
            "A path with NUL does not parse (rule 19).",
        ),
        path(
            "other-case",
            "caveat_failed",
            "Reports/2026/q3.md",
            "Paths are byte-exact (rule 17).",
        ),
        path(
            "empty",
            "caveat_failed",
            "",
            "An empty path does not parse (rule 19).",
        ),
    ]
}

fn urls() -> Vec<Case> {
    let limited =
        |conditions: &str| token(&[&format!("check if url_arg(\"url\", $u), {conditions};")]);
    let url = |id: &str, verdict: &str, conditions: &str, text: &str, why: &str| {
        case(&format!("url-{id}"), verdict, &limited(conditions), why)
            .args(json!({ "url": text }))
            .declares("url", Declared::Url)
    };
    let host = "$u.get(\"scheme\") == \"https\", $u.get(\"host\") == \"api.example\"";
    let under = "$u.get(\"host\").ends_with(\".example\")";
    vec![
        url(
            "host",
            "allow",
            host,
            "https://api.example/v1",
            "Scheme and host are as asked (rule 17).",
        ),
        url(
            "host-without-path",
            "allow",
            host,
            "https://api.example",
            "A URL without a path (rule 17).",
        ),
        url(
            "all-parts",
            "allow",
            "$u.get(\"scheme\") == \"https\", $u.get(\"host\") == \"api.example\", $u.get(\"port\") == 8443, $u.get(\"path\").starts_with(\"/v1/\")",
            "https://api.example:8443/v1/x",
            "Every part is as asked (rule 17).",
        ),
        url(
            "default-port",
            "allow",
            "$u.get(\"port\") == 443",
            "https://api.example/",
            "The port of the scheme, left out (rule 17).",
        ),
        url(
            "other-port",
            "caveat_failed",
            "$u.get(\"port\") == 443",
            "https://api.example:444/",
            "Another port (rule 17).",
        ),
        url(
            "other-scheme",
            "caveat_failed",
            host,
            "http://api.example/v1",
            "Another scheme (rule 17).",
        ),
        url(
            "host-as-prefix",
            "caveat_failed",
            host,
            "https://api.example.evil/v1",
            "A host that begins like the one asked for (rule 17).",
        ),
        url(
            "host-as-user",
            "caveat_failed",
            host,
            "https://api.example@evil.test/v1",
            "A user that looks like the host: such a URL is not parsed (rule 19).",
        ),
        url(
            "host-as-password",
            "caveat_failed",
            host,
            "https://x:api.example@evil.test/",
            "A password that looks like the host (rule 19).",
        ),
        url(
            "host-in-fragment",
            "caveat_failed",
            host,
            "https://evil.test/#api.example",
            "The host in the fragment (rule 17).",
        ),
        url(
            "host-in-query",
            "caveat_failed",
            host,
            "https://evil.test/?u=https://api.example/",
            "The host in the query (rule 17).",
        ),
        url(
            "backslash",
            "caveat_failed",
            host,
            "https://evil.test\\@api.example/",
            "Two readers see two hosts (rule 19).",
        ),
        url(
            "upper-case-host",
            "caveat_failed",
            host,
            "https://API.EXAMPLE/v1",
            "A host that the parser would have to change (rule 19).",
        ),
        url(
            "trailing-dot",
            "caveat_failed",
            host,
            "https://api.example./v1",
            "A host with a dot at its end is another name for some readers (rule 19).",
        ),
        url(
            "tab-in-scheme",
            "caveat_failed",
            host,
            "ht\ttps://api.example/v1",
            "White space that some parsers drop (rule 19).",
        ),
        url(
            "encoded-host",
            "caveat_failed",
            host,
            "https://api%2eexample/v1",
            "An encoded host (rule 19).",
        ),
        url(
            "fullwidth-dot",
            "caveat_failed",
            host,
            "https://api\u{ff0e}example/v1",
            "A dot that only some readers take for one (rule 19).",
        ),
        url(
            "homoglyph-host",
            "caveat_failed",
            host,
            "https://\u{430}pi.example/v1",
            "A Cyrillic letter in the host (rule 19).",
        ),
        url(
            "no-scheme",
            "caveat_failed",
            host,
            "//api.example/v1",
            "A URL that depends on where it stands (rule 19).",
        ),
        url(
            "script",
            "caveat_failed",
            host,
            "javascript:https://api.example/",
            "A URL without a host (rule 19).",
        ),
        url(
            "not-text",
            "caveat_failed",
            host,
            "",
            "An empty URL (rule 19).",
        ),
        url(
            "address",
            "caveat_failed",
            under,
            "https://127.0.0.1/",
            "An IP address (rule 19).",
        ),
        url(
            "address-as-number",
            "caveat_failed",
            under,
            "https://2130706433/",
            "An IP address in one number (rule 19).",
        ),
        url(
            "address-in-brackets",
            "caveat_failed",
            under,
            "https://[::1]/",
            "An IPv6 address (rule 19).",
        ),
        url(
            "under",
            "allow",
            under,
            "https://files.api.example/",
            "A host under the domain (rule 17).",
        ),
        url(
            "under-itself",
            "caveat_failed",
            under,
            "https://example/",
            "The domain itself is not under it (rule 17).",
        ),
        url(
            "under-sibling",
            "caveat_failed",
            under,
            "https://evilexample/",
            "A domain that ends alike (rule 17).",
        ),
        url(
            "path-traversal",
            "caveat_failed",
            "$u.get(\"path\").starts_with(\"/v1/\")",
            "https://api.example/v1/../admin",
            "A path that the parser would have to change (rule 19).",
        ),
        url(
            "path-encoded",
            "caveat_failed",
            "$u.get(\"path\").starts_with(\"/v1/\")",
            "https://api.example/v1/%2e%2e/admin",
            "An encoded path (rule 19).",
        ),
        url(
            "path-sibling",
            "caveat_failed",
            "$u.get(\"path\").starts_with(\"/v1/\")",
            "https://api.example/v10/x",
            "Another path that begins alike (rule 17).",
        ),
    ]
}
