//! Authority blocks that the issuer's own key signed: what the profile asks of them, limits on
//! arguments, and time.

use crate::{
    case::Case,
    forge::Draft,
    scene::{EXPIRES_AT, authority, authority_replacing, authority_with, case},
};

pub(crate) fn cases() -> Vec<Case> {
    contents()
}

pub(crate) fn minted(source: &str) -> Draft {
    Draft::of(source, &[])
}

fn contents() -> Vec<Case> {
    let replaced = |id: &str, start: &str, by: &str, verdict: &str, why: &str| {
        case(
            &format!("authority-{id}"),
            verdict,
            &minted(&authority_replacing(start, by)),
            why,
        )
    };
    let added = |id: &str, statement: &str, verdict: &str, why: &str| {
        case(
            &format!("authority-{id}"),
            verdict,
            &minted(&authority_with(statement)),
            why,
        )
    };
    let mut cases = vec![
        replaced(
            "version-2",
            "bailiwick(",
            "bailiwick(2)",
            "profile_violation",
            "Another version of the profile (rule 1).",
        ),
        replaced(
            "version-text",
            "bailiwick(",
            "bailiwick(\"1\")",
            "profile_violation",
            "The version is a number (rule 1).",
        ),
        replaced(
            "digest-short",
            "request_digest(",
            "request_digest(hex:09)",
            "profile_violation",
            "A digest has 32 bytes (rule 1).",
        ),
        replaced(
            "expiry-text",
            "expires_at(",
            &format!("expires_at(\"{EXPIRES_AT}\")"),
            "profile_violation",
            "A date is a date (rule 1).",
        ),
        replaced(
            "depth-negative",
            "max_depth(",
            "max_depth(-1)",
            "profile_violation",
            "A depth is not below zero (rule 1).",
        ),
        replaced(
            "depth-text",
            "max_depth(",
            "max_depth(\"3\")",
            "profile_violation",
            "A depth is a number (rule 1).",
        ),
        replaced(
            "check-of-time-missing",
            "check if time",
            "",
            "profile_violation",
            "The check of time is there for every other reader of the token (rule 2).",
        ),
        replaced(
            "check-of-time-differs",
            "check if time",
            "check if time($t), $t < 2030-01-01T00:00:00Z",
            "profile_violation",
            "The check of time says what `expires_at` says (rule 2).",
        ),
        replaced(
            "check-of-audience-missing",
            "check if request_audience",
            "",
            "profile_violation",
            "The check of the audience is there for every other reader of the token (rule 2).",
        ),
        replaced(
            "check-of-audience-differs",
            "check if request_audience",
            "check if request_audience(\"https://other.example/mcp\")",
            "profile_violation",
            "The check of the audience says what `audience` says (rule 2).",
        ),
        added(
            "check-of-time-twice",
            &format!("check if time($now), $now < {EXPIRES_AT}"),
            "profile_violation",
            "Each fixed check once (rule 2).",
        ),
        added(
            "check-of-its-own",
            "check if tool(\"files.read_file\")",
            "profile_violation",
            "The issuer writes no other check (rule 3).",
        ),
        added(
            "rule",
            "grant($i, $t, \"write\", $p) <- grant($i, $t, \"read\", $p)",
            "profile_violation",
            "No rule, not even by the issuer (rule 1).",
        ),
        added(
            "unknown-fact",
            "admin(\"ada\")",
            "profile_violation",
            "A fact that the profile does not know (rule 1).",
        ),
        added(
            "delegate",
            "delegate(\"sub-7\")",
            "profile_violation",
            "Delegates are named by later blocks (rules 1 and 15).",
        ),
        added(
            "session-twice",
            "session(\"s-2\")",
            "profile_violation",
            "Each fact once (rule 1).",
        ),
        added(
            "grant-without-path",
            "grant(\"g9\", \"files.read_file\", \"read\", [])",
            "profile_violation",
            "A path has at least one segment (rule 1).",
        ),
        added(
            "grant-path-dots",
            "grant(\"g9\", \"files.read_file\", \"read\", [\"files\", \"..\"])",
            "profile_violation",
            "Segments of a grant are as strict as those of a call (rule 8).",
        ),
        added(
            "grant-path-slash",
            "grant(\"g9\", \"files.read_file\", \"read\", [\"files/reports\"])",
            "profile_violation",
            "A segment holds no `/` (rule 8).",
        ),
        added(
            "grant-path-of-numbers",
            "grant(\"g9\", \"files.read_file\", \"read\", [1])",
            "profile_violation",
            "Segments are texts (rule 1).",
        ),
        added(
            "grant-path-set",
            "grant(\"g9\", \"files.read_file\", \"read\", {\"files\"})",
            "profile_violation",
            "A path has an order (rule 1).",
        ),
        added(
            "grant-tool-upper-case",
            "grant(\"g9\", \"Files.read_file\", \"read\", [\"files\"])",
            "profile_violation",
            "Names of tools are lower case (rule 6).",
        ),
        added(
            "grant-tool-homoglyph",
            "grant(\"g9\", \"files.re\u{430}d_file\", \"read\", [\"files\"])",
            "profile_violation",
            "Names of tools are ASCII (rule 6).",
        ),
        added(
            "grant-access-unheard",
            "grant(\"g9\", \"files.read_file\", \"admin\", [\"files\"])",
            "profile_violation",
            "Three kinds of access (rule 6).",
        ),
        added(
            "grant-of-three",
            "grant(\"g9\", \"files.read_file\", \"read\")",
            "profile_violation",
            "A grant has four parts (rule 1).",
        ),
        added(
            "grant-same-id",
            "grant(\"g1\", \"files.list_directory\", \"read\", [\"files\"])",
            "allow",
            "Two grants may share an id (rule 1).",
        ),
    ];
    for name in [
        "session",
        "approval",
        "application",
        "principal",
        "agent",
        "task",
        "audience",
        "issued_at",
        "expires_at",
        "max_depth",
    ] {
        cases.push(replaced(
            &format!("without-{}", name.replace('_', "-")),
            &format!("{name}("),
            "",
            "profile_violation",
            &format!("`{name}` is there exactly once (rule 1)."),
        ));
    }
    let no_grant = ["grant(\"g1\"", "grant(\"g2\"", "grant(\"g3\""]
        .iter()
        .fold(authority(), |source, start| {
            source
                .split('\n')
                .filter(|line| !line.starts_with(start))
                .collect::<Vec<_>>()
                .join("\n")
        });
    let most = |count: usize| {
        (3..count)
            .map(|n| format!("grant(\"{n}\", \"t\", \"read\", [\"{n}\"])"))
            .collect::<Vec<_>>()
            .join(";\n")
    };
    let task =
        |bytes: usize| authority_replacing("task(", &format!("task(\"{}\")", "e".repeat(bytes)));
    cases.extend([
        case(
            "authority-no-grant",
            "tool_not_granted",
            &minted(&no_grant),
            "A token with no grant may only discover tools (rule 1).",
        ),
        case(
            "authority-most-grants",
            "allow",
            &minted(&authority_with(&most(256))),
            "256 grants (rule 22).",
        ),
        case(
            "authority-more-than-most-grants",
            "limit_exceeded",
            &minted(&authority_with(&most(257))),
            "257 grants (rule 22).",
        ),
        case(
            "authority-longest-task",
            "allow",
            &minted(&task(4_096)),
            "4,096 bytes of task (rule 22).",
        ),
        case(
            "authority-longer-task",
            "limit_exceeded",
            &minted(&task(4_097)),
            "4,097 bytes of task (rule 22).",
        ),
        case(
            "grant-of-another-tool",
            "tool_not_granted",
            &minted(&authority()),
            "No grant has this tool (rule 20).",
        )
        .tool("files.delete_file", "destructive"),
        case(
            "grant-of-another-access",
            "tool_not_granted",
            &minted(&authority()),
            "Reading is granted, writing with the same tool is not (rule 6).",
        )
        .tool("files.read_file", "write"),
        case(
            "grant-write-does-not-imply-read",
            "tool_not_granted",
            &minted(&authority()),
            "Access is not ordered (rule 6).",
        )
        .tool("files.write_file", "read")
        .resources(&["files/reports/drafts/a.md"]),
        case(
            "grant-write",
            "allow",
            &minted(&authority()),
            "Tool, access and path of one grant (rule 6).",
        )
        .tool("files.write_file", "write")
        .resources(&["files/reports/drafts/a.md"]),
        case(
            "grant-parts-of-two",
            "resource_not_granted",
            &minted(&authority()),
            "The tool of one grant on the path of another (rule 6).",
        )
        .tool("files.write_file", "write"),
        case(
            "grant-parts-of-two-places",
            "resource_not_granted",
            &minted(&authority()),
            "The tool of one grant in the place of another (rule 6).",
        )
        .resources(&["drive/reports/q3.md"]),
        case(
            "grant-path-itself",
            "allow",
            &minted(&authority()),
            "The granted path itself (rule 6).",
        )
        .resources(&["files/reports"]),
        case(
            "grant-above-path",
            "resource_not_granted",
            &minted(&authority()),
            "What lies above the granted path (rule 6).",
        )
        .resources(&["files"]),
        case(
            "grant-beside-path",
            "resource_not_granted",
            &minted(&authority()),
            "`reports-evil` is not under `reports` (rule 6).",
        )
        .resources(&["files/reports-evil/q3.md"]),
    ]);
    cases
}
