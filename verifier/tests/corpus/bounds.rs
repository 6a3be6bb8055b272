//! What the issuer bounds besides grants: arguments of a tool, time, and the server.

use serde_json::json;

use crate::{
    authority::minted,
    case::Case,
    forge::Draft,
    scene::{
        AUDIENCE, EXPIRES_AT, ISSUED_AT, authority, authority_replacing, authority_with, case,
    },
};

pub(crate) fn cases() -> Vec<Case> {
    [limits(), time(), audience()].concat()
}

fn limits() -> Vec<Case> {
    let limited = |argument: &str, tool: &str| {
        minted(&authority_with(&format!(
            "check if tool($t), ![\"{tool}\"].contains($t) or {argument}"
        )))
    };
    let exact = "args($a), $a.get(\"path\") == \"reports/q3.md\"";
    let closed = "args($a), $a.all($kv -> [\"path\"].contains($kv.get(0)))";
    vec![
        case(
            "limit-holds",
            "allow",
            &limited(exact, "files.read_file"),
            "The issuer's limit on an argument holds (rule 3).",
        ),
        case(
            "limit-fails",
            "caveat_failed",
            &limited(exact, "files.read_file"),
            "The issuer's limit on an argument does not hold (rules 3 and 20).",
        )
        .args(json!({"path": "reports/q4.md"})),
        case(
            "limit-of-another-tool",
            "allow",
            &limited(exact, "drive.search"),
            "A limit of another tool says nothing of this one (rule 3).",
        )
        .args(json!({"path": "reports/q4.md"})),
        case(
            "limit-closed",
            "allow",
            &limited(closed, "files.read_file"),
            "No argument but the listed one (rule 3).",
        ),
        case(
            "limit-closed-fails",
            "caveat_failed",
            &limited(closed, "files.read_file"),
            "An argument that is not listed (rule 3).",
        )
        .args(json!({"path": "reports/q3.md", "follow": true})),
        case(
            "limit-missing-argument",
            "caveat_failed",
            &limited(exact, "files.read_file"),
            "A limited argument that is not there (rule 3).",
        )
        .args(json!({})),
        case(
            "limit-on-request",
            "profile_violation",
            &limited("access(\"read\")", "files.read_file"),
            "A limit is about arguments (rule 3).",
        ),
        case(
            "limit-of-two-tools",
            "profile_violation",
            &minted(&authority_with(&format!(
                "check if tool($t), ![\"files.read_file\", \"drive.search\"].contains($t) or {exact}"
            ))),
            "A limit is of one tool (rule 3).",
        ),
        case(
            "limit-in-later-block",
            "profile_violation",
            &Draft::of(
                &authority(),
                &[&format!(
                    "check if tool($t), ![\"files.read_file\"].contains($t) or {exact};"
                )],
            ),
            "Only the issuer writes this form (rule 3).",
        ),
        case(
            "limit-most-checks",
            "allow",
            &minted(&authority_with(
                &vec![
                    "check if tool($t), ![\"x\"].contains($t) or args($a), $a.contains(\"n\")";
                    30
                ]
                .join(";\n"),
            )),
            "Thirty-two checks with the two fixed ones (rule 22).",
        ),
        case(
            "limit-more-than-most-checks",
            "limit_exceeded",
            &minted(&authority_with(
                &vec![
                    "check if tool($t), ![\"x\"].contains($t) or args($a), $a.contains(\"n\")";
                    31
                ]
                .join(";\n"),
            )),
            "Thirty-three checks with the two fixed ones (rule 22).",
        ),
    ]
}

fn time() -> Vec<Case> {
    let usual = || minted(&authority());
    let narrowed =
        |end: &str| Draft::of(&authority(), &[&format!("check if time($t), $t <= {end};")]);
    vec![
        case(
            "time-last-second",
            "allow",
            &usual(),
            "The last second before the end (rule 4).",
        )
        .at("2026-01-31T12:14:59Z"),
        case(
            "time-last-fraction",
            "allow",
            &usual(),
            "Fractions of a second do not round up (rules 4 and 25).",
        )
        .at("2026-01-31T12:14:59.999999999Z"),
        case(
            "time-end",
            "expired",
            &usual(),
            "The end itself is past, without leeway (rule 4).",
        )
        .at(EXPIRES_AT),
        case(
            "time-offset",
            "expired",
            &usual(),
            "The end in another zone (rules 4 and 25).",
        )
        .at("2026-01-31T13:15:00+01:00"),
        case(
            "time-offset-before-end",
            "allow",
            &usual(),
            "A later hour in a zone to the east (rules 4 and 25).",
        )
        .at("2026-01-31T17:44:59+05:30"),
        case(
            "time-far-future",
            "expired",
            &usual(),
            "The last moment that can be written (rule 4).",
        )
        .at("9999-12-31T23:59:59Z"),
        case(
            "time-start",
            "allow",
            &usual(),
            "The moment of issue (rule 4).",
        )
        .at(ISSUED_AT),
        case(
            "time-skew-allowed",
            "allow",
            &usual(),
            "Thirty seconds of leeway for an issuer whose clock is ahead (rule 4).",
        )
        .at("2026-01-31T11:59:30Z"),
        case(
            "time-skew-too-much",
            "not_yet_valid",
            &usual(),
            "Thirty-one seconds are more than the leeway (rule 4).",
        )
        .at("2026-01-31T11:59:29Z"),
        case(
            "time-long-ago",
            "not_yet_valid",
            &usual(),
            "The clock of the server was set back (rule 4).",
        )
        .at("1970-01-01T00:00:00Z"),
        case(
            "time-narrowed-last-second",
            "allow",
            &narrowed("2026-01-31T12:05:00Z"),
            "An end that counts itself in (rule 17).",
        )
        .at("2026-01-31T12:05:00Z"),
        case(
            "time-narrowed-end",
            "expired",
            &narrowed("2026-01-31T12:05:00Z"),
            "The second after an end that counts itself in (rule 20).",
        )
        .at("2026-01-31T12:05:01Z"),
        case(
            "time-narrowed-wider",
            "expired",
            &narrowed("2099-01-01T00:00:00Z"),
            "A block that would last longer does not (rule 2).",
        )
        .at(EXPIRES_AT),
        case(
            "time-narrowed-to-nothing",
            "expired",
            &narrowed("1970-01-01T00:00:00Z"),
            "A block that ended long ago (rule 20).",
        ),
        case(
            "time-issued-after-end",
            "expired",
            &minted(&authority_replacing(
                "issued_at(",
                "issued_at(2027-01-01T00:00:00Z)",
            )),
            "The end comes before the start: the end is told first (rule 4).",
        )
        .at("2026-06-01T00:00:00Z"),
    ]
}

fn audience() -> Vec<Case> {
    let usual = |id: &str, audience: &str, why: &str| {
        case(
            &format!("audience-{id}"),
            "wrong_audience",
            &minted(&authority()),
            why,
        )
        .audience(audience)
    };
    vec![
        usual(
            "other-host",
            "http://other.example:8401/mcp",
            "Another server (rule 5).",
        ),
        usual(
            "other-port",
            "http://127.0.0.1:8402/mcp",
            "Another port (rule 5).",
        ),
        usual(
            "other-scheme",
            "https://127.0.0.1:8401/mcp",
            "Another scheme (rule 5).",
        ),
        usual(
            "slash-behind",
            "http://127.0.0.1:8401/mcp/",
            "Byte for byte: a slash more (rule 5).",
        ),
        usual(
            "other-case",
            "http://127.0.0.1:8401/MCP",
            "Byte for byte: another case (rule 5).",
        ),
        usual(
            "query",
            "http://127.0.0.1:8401/mcp?tenant=1",
            "Byte for byte: a query more (rule 5).",
        ),
        usual(
            "localhost",
            "http://localhost:8401/mcp",
            "Byte for byte: another name of the same host (rule 5).",
        ),
        case(
            "audience-of-another-in-block",
            "wrong_audience",
            &Draft::of(
                &authority(),
                &[&format!("check if request_audience(\"{AUDIENCE}/\");")],
            ),
            "A block narrowed the token to another server (rule 20).",
        ),
    ]
}
