//! What honest holders and other libraries write: every accepted form that lies beside a refused
//! one. A verifier that refuses too much is no proof of one that refuses rightly.

use biscuit_auth::format::schema::Block;
use serde_json::json;

use crate::{
    case::{Case, Declared},
    forge::{Draft, key},
    holder::{Forged, bound},
    scene::{
        AUDIENCE, NOW_UNIX, Presented, authority, authority_replacing, authority_with, case, text,
        token,
    },
};

pub(crate) fn cases() -> Vec<Case> {
    [
        chains(),
        keys_and_texts(),
        request_conditions(),
        resources(),
        delegates(),
        grants(),
        moments(),
        urls(),
        proofs(),
    ]
    .concat()
}

/// Every depth that is allowed, by both versions of signatures, open and sealed.
fn chains() -> Vec<Case> {
    let mut cases = Vec::new();
    for depth in 0..=3 {
        for (version, wire) in [(0, None), (1, Some(1))] {
            for sealed in [false, true] {
                let draft =
                    token(&vec!["check if access(\"read\");"; depth]).signature_version(wire);
                let draft = if sealed { draft.seal() } else { draft };
                let form = if sealed { "sealed" } else { "open" };
                cases.push(case(
                    &format!("sound-chain-{depth}-version-{version}-{form}"),
                    "allow",
                    &draft,
                    &format!("{depth} later blocks, signature version {version}, {form} (rules 9, 10 and 13)."),
                ));
            }
        }
    }
    cases
}

fn keys_and_texts() -> Vec<Case> {
    let root = key("root");
    let mut cases = Vec::new();
    // One id for each length of a varint.
    for id in [127_u32, 128, 16_384, 2_097_152, 268_435_456] {
        let mut draft = token(&[]);
        draft.root_key_id = Some(id);
        let case = case(
            &format!("sound-key-id-{id}"),
            "allow",
            &draft,
            "An id of any size (rule 11).",
        );
        cases.push(case.keys(&[(&id.to_string(), &root), ("1", &key("other root"))]));
    }
    for name in ["a", "bb", "ccc"] {
        let padded = text(&token(&[&format!("delegate(\"{name}\");")]).bytes());
        let bare = padded.trim_end_matches('=').to_owned();
        let ends = padded.len() - bare.len();
        cases.push(case(
            &format!("sound-text-{ends}-padding"),
            "allow",
            &padded,
            "A text with all of its padding (rule 23).",
        ));
        cases.push(case(
            &format!("sound-text-{ends}-padding-left-out"),
            "allow",
            &bare,
            "A text with none of its padding (rule 23).",
        ));
    }
    cases
}

/// The same condition under the newest version and of the other kind.
fn request_conditions() -> Vec<Case> {
    let rows = [
        ("expiry", "time($t), $t <= 2026-01-31T12:14:00Z"),
        ("expiry-before", "time($0), $0 < 2026-01-31T12:14:00Z"),
        ("tool", "tool(\"files.read_file\")"),
        (
            "tool-list",
            "tool($tool), [\"files.read_file\"].contains($tool)",
        ),
        (
            "tool-set",
            "tool($tool), {\"z\", \"files.read_file\", \"a\"}.contains($tool)",
        ),
        ("access", "access(\"read\")"),
        ("access-list", "access($write), [\"read\"].contains($write)"),
        (
            "resource",
            "resource($r), $r.starts_with([\"files\", \"reports\"])",
        ),
        ("depth", "depth($d), $d <= 1"),
        ("audience", &format!("request_audience(\"{AUDIENCE}\")")),
    ]
    .map(|(id, condition)| (id, condition.to_owned()));
    let newest = |block: &mut Block| block.version = Some(6);
    let mut cases = Vec::new();
    for (id, condition) in rows {
        let newest = token(&[&format!("check all {condition};")]).edit(1, newest);
        let sealed = token(&[&format!("check if {condition};")])
            .signature_version(Some(1))
            .seal();
        cases.push(case(
            &format!("sound-request-{id}"),
            "allow",
            &newest,
            &format!("`check all {condition}`, declared as version 6 (rules 13 and 17)."),
        ));
        cases.push(case(
            &format!("sound-request-{id}-sealed"),
            "allow",
            &sealed,
            &format!("`check if {condition}` in a sealed token (rules 10 and 17)."),
        ));
    }
    cases
}

fn resources() -> Vec<Case> {
    [
        ("dot-in-front", "files/reports/.hidden"),
        ("dot-behind", "files/reports/q3."),
        ("four-dots", "files/reports/...."),
        ("tilde", "files/reports/~"),
        ("star", "files/reports/*"),
        ("colon", "files/reports/c:"),
        ("equals-and-comma", "files/reports/a=1,b=2"),
        ("spaces", "files/reports/ q3 .md "),
        ("no-break-space", "files/reports/q3\u{a0}.md"),
        ("fullwidth-slash", "files/reports/a\u{ff0f}b"),
        (
            "cyrillic",
            "files/reports/\u{43e}\u{442}\u{447}\u{451}\u{442}",
        ),
        ("hebrew", "files/reports/\u{5d3}\u{5d5}\u{5d7}"),
        ("combining", "files/reports/e\u{301}"),
        (
            "deep",
            "files/reports/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
        ),
    ]
    .into_iter()
    .map(|(id, path)| {
        case(
            &format!("sound-resource-{id}"),
            "allow",
            &token(&[]),
            "Ordinary text below the granted path (rule 8).",
        )
        .resources(&[path])
    })
    .collect()
}

fn delegates() -> Vec<Case> {
    [
        ("space", "sub agent"),
        ("cyrillic", "\u{430}gent"),
        ("emoji", "\u{1f916}"),
        ("slash", "team/sub"),
        ("of-the-human", "ada"),
        ("of-the-agent", "scribe"),
    ]
    .into_iter()
    .map(|(id, name)| {
        case(
            &format!("sound-delegate-{id}"),
            "allow",
            &token(&[&format!("delegate(\"{name}\");")]),
            "A delegate has any name: it grants nothing (rule 15).",
        )
    })
    .collect()
}

fn grants() -> Vec<Case> {
    let longest = "t".repeat(64);
    [
        (
            "tool-longest",
            longest.as_str(),
            "read",
            "files",
            "A name of 64 characters",
        ),
        (
            "tool-signs",
            "a.b_c-9",
            "read",
            "files",
            "Every sign that a name may have",
        ),
        (
            "tool-one-letter",
            "t",
            "write",
            "files",
            "A name of one letter",
        ),
        (
            "destructive",
            "files.delete_file",
            "destructive",
            "files",
            "The third kind of access",
        ),
        (
            "path-of-one-segment",
            "t",
            "read",
            "x",
            "A path of one segment",
        ),
        (
            "path-with-space",
            "t",
            "read",
            "my files",
            "A path with a space",
        ),
        (
            "path-beyond-ascii",
            "t",
            "read",
            "caf\u{e9}",
            "A path beyond ASCII",
        ),
    ]
    .into_iter()
    .map(|(id, tool, access, path, why)| {
        let granted = authority_with(&format!(
            "grant(\"g9\", \"{tool}\", \"{access}\", [\"{path}\"])"
        ));
        case(
            &format!("sound-grant-{id}"),
            "allow",
            &Draft::of(&granted, &[]),
            &format!("{why} (rules 1 and 6)."),
        )
        .tool(tool, access)
        .resources(&[path])
    })
    .chain([
        case(
            "sound-grant-second-of-two",
            "allow",
            &Draft::of(
                &authority_with(
                    "grant(\"g9\", \"files.read_file\", \"read\", [\"files\", \"notes\"])",
                ),
                &[],
            ),
            "One of two grants of the tool covers the resource (rule 6).",
        )
        .resources(&["files/notes/a"]),
        case(
            "sound-grant-each-by-another",
            "allow",
            &Draft::of(
                &authority_with(
                    "grant(\"g9\", \"files.read_file\", \"read\", [\"files\", \"notes\"])",
                ),
                &[],
            ),
            "Two resources, each under a grant of its own (rules 6 and 7).",
        )
        .resources(&["files/notes/a", "files/reports/b"]),
        case(
            "sound-grant-beside-write",
            "allow",
            &Draft::of(
                &authority_with(
                    "grant(\"g9\", \"files.read_file\", \"write\", [\"files\", \"reports\"])",
                ),
                &[],
            ),
            "Reading and writing by one tool, granted apart (rule 6).",
        )
        .tool("files.read_file", "write"),
        case(
            "sound-authority-empty-task",
            "allow",
            &Draft::of(&authority_replacing("task(", "task(\"\")"), &[]),
            "A task without words (rule 1).",
        ),
        case(
            "sound-authority-in-another-order",
            "allow",
            &Draft::of(
                &authority().lines().rev().collect::<Vec<_>>().join("\n"),
                &[],
            ),
            "Facts in any order (rule 1).",
        ),
    ])
    .collect()
}

fn moments() -> Vec<Case> {
    [
        ("lower-case", "2026-01-31t12:01:00z"),
        ("negative-offset", "2026-01-31T04:01:00-08:00"),
        ("next-day-elsewhere", "2026-02-01T02:01:00+14:00"),
        ("unknown-offset", "2026-01-31T12:01:00-00:00"),
        ("fraction", "2026-01-31T12:01:00.5Z"),
        ("fraction-of-zeros", "2026-01-31T12:01:00.000000000Z"),
        ("half-hours-away", "2026-01-31T17:31:00+05:30"),
        ("quarter-hours-away", "2026-01-31T17:46:00+05:45"),
    ]
    .into_iter()
    .map(|(id, now)| {
        case(
            &format!("sound-time-{id}"),
            "allow",
            &token(&[]),
            "A moment in time, in any writing of RFC 3339 (rule 25).",
        )
        .at(now)
    })
    .collect()
}

fn urls() -> Vec<Case> {
    [
        (
            "plain-http",
            "$u.get(\"scheme\") == \"http\"",
            "http://api.example/",
        ),
        (
            "port-of-http",
            "$u.get(\"port\") == 80",
            "http://api.example/",
        ),
        (
            "host-alone",
            "$u.get(\"host\") == \"api.example\"",
            "https://api.example:8443/x",
        ),
        (
            "query-and-fragment",
            "$u.get(\"host\") == \"api.example\"",
            "https://api.example/x?q=1#top",
        ),
        (
            "deep-host",
            "$u.get(\"host\").ends_with(\".example\")",
            "https://a.b.c.d.example/",
        ),
        (
            "path-itself",
            "$u.get(\"path\").starts_with(\"/v1\")",
            "https://api.example/v1",
        ),
        (
            "punycode",
            "$u.get(\"host\") == \"xn--pi-7ra.example\"",
            "https://xn--pi-7ra.example/",
        ),
    ]
    .into_iter()
    .map(|(id, condition, url)| {
        let draft = token(&[&format!("check if url_arg(\"url\", $u), {condition};")]);
        case(
            &format!("sound-url-{id}"),
            "allow",
            &draft,
            &format!("`{condition}` holds for {url} (rules 17 and 19)."),
        )
        .args(json!({ "url": url }))
        .declares("url", Declared::Url)
    })
    .collect()
}

fn proofs() -> Vec<Case> {
    let text = bound().presented();
    let made = |id: &str, change: &dyn Fn(Forged) -> Forged, why: &str| {
        let proof = change(Forged::of(&key("holder"), &text, &format!("sound-{id}"))).signed();
        case(&format!("sound-proof-{id}"), "allow", &text, why).proof(proof)
    };
    vec![
        made(
            "url-with-query",
            &|p| p.claim("htu", json!(format!("{AUDIENCE}?session=1"))),
            "Queries are not compared (rule 24, RFC 9449 section 4.3).",
        ),
        made(
            "url-with-fragment",
            &|p| p.claim("htu", json!(format!("{AUDIENCE}#top"))),
            "Fragments are not compared (rule 24).",
        ),
        made(
            "url-scheme-in-upper-case",
            &|p| p.claim("htu", json!(AUDIENCE.replace("http:", "HTTP:"))),
            "Schemes are compared without case (rule 24).",
        ),
        made(
            "request-with-query",
            &|mut p| {
                p.url = format!("{AUDIENCE}?session=1");
                p
            },
            "The request's query is not compared (rule 24).",
        ),
        made(
            "claims-of-others",
            &|p| p.claim("nonce", json!("n")).claim("iss", json!("me")),
            "Claims that nobody asks for (rule 24).",
        ),
        made(
            "header-of-others",
            &|p| p.header("kid", json!("k")),
            "Header members that nobody asks for (rule 24).",
        ),
        made(
            "id-longest",
            &|p| p.claim("jti", json!("i".repeat(128))),
            "An id of 128 characters (rule 24).",
        ),
        made(
            "id-beyond-ascii",
            &|p| p.claim("jti", json!("\u{e9}\u{1f916}")),
            "An id of any characters (rule 24).",
        ),
        made(
            "end-to-come",
            &|p| p.claim("exp", json!(NOW_UNIX + 1)),
            "A proof before its own end (rule 24).",
        ),
        made(
            "begun",
            &|p| p.claim("nbf", json!(NOW_UNIX)),
            "A proof at its own start (rule 24).",
        ),
        made(
            "other-method",
            &|mut p| {
                p.method = "GET".to_owned();
                p.claim("htm", json!("GET"))
            },
            "Any method, as long as it is the request's (rule 24).",
        ),
    ]
}
