//! What a later block may say: the closed list with one call that passes and one that fails for
//! each shape, facts that try to forge the request or the grant, and everything outside the list.

use biscuit_auth::format::schema::{self, scope};

use crate::{
    case::{Case, Declared},
    forge::{Draft, key, public},
    scene::{AUDIENCE, case, token},
};
use serde_json::json;

pub(crate) fn cases() -> Vec<Case> {
    [shapes(), facts(), outside()].concat()
}

fn narrowed(source: &str) -> Draft {
    token(&[source])
}

/// Conditions on the request, each in a form that holds and one that does not.
fn shapes() -> Vec<Case> {
    let other_audience = "https://other.example/mcp";
    let rows = [
        (
            "expiry-inclusive",
            "time($t), $t <= 2026-01-31T12:01:00Z",
            "time($t), $t <= 2026-01-31T12:00:59Z",
            "expired",
        ),
        (
            "expiry-exclusive",
            "time($now), $now < 2026-01-31T12:01:01Z",
            "time($now), $now < 2026-01-31T12:01:00Z",
            "expired",
        ),
        (
            "tool",
            "tool(\"files.read_file\")",
            "tool(\"drive.search\")",
            "caveat_failed",
        ),
        (
            "tool-list",
            "tool($t), [\"drive.search\", \"files.read_file\"].contains($t)",
            "tool($t), [\"drive.search\", \"files.write_file\"].contains($t)",
            "caveat_failed",
        ),
        (
            "tool-set",
            "tool($t), {\"drive.search\", \"files.read_file\"}.contains($t)",
            "tool($t), {\"drive.search\"}.contains($t)",
            "caveat_failed",
        ),
        (
            "tool-empty-list",
            "tool($t), [\"\", \"files.read_file\"].contains($t)",
            "tool($t), [].contains($t)",
            "caveat_failed",
        ),
        (
            "access",
            "access(\"read\")",
            "access(\"write\")",
            "caveat_failed",
        ),
        (
            "access-list",
            "access($a), [\"read\", \"write\"].contains($a)",
            "access($a), [\"write\", \"destructive\"].contains($a)",
            "caveat_failed",
        ),
        (
            "resource",
            "resource($r), $r.starts_with([\"files\", \"reports\", \"q3.md\"])",
            "resource($r), $r.starts_with([\"files\", \"reports\", \"q\"])",
            "caveat_failed",
        ),
        (
            "resource-any-of",
            "resource($r), $r.starts_with([\"drive\"]) || $r.starts_with([\"files\"])",
            "resource($r), $r.starts_with([\"drive\"]) || $r.starts_with([\"file\"])",
            "caveat_failed",
        ),
        (
            "resource-root",
            "resource($r), $r.starts_with([])",
            "resource($r), $r.starts_with([\"\"])",
            "caveat_failed",
        ),
        (
            "audience",
            &format!("request_audience(\"{AUDIENCE}\")"),
            &format!("request_audience(\"{other_audience}\")"),
            "wrong_audience",
        ),
    ]
    .map(|(id, holds, fails, code)| (id.to_owned(), holds.to_owned(), fails.to_owned(), code));
    let mut cases = Vec::new();
    for (index, (id, holds, fails, code)) in rows.into_iter().enumerate() {
        // Both kinds of check, in turn.
        let kind = if index % 2 == 0 { "if" } else { "all" };
        cases.push(case(
            &format!("shape-{id}"),
            "allow",
            &narrowed(&format!("check {kind} {holds};")),
            &format!("`check {kind} {holds}` holds for the call (rule 17)."),
        ));
        cases.push(case(
            &format!("shape-{id}-fails"),
            code,
            &narrowed(&format!("check {kind} {fails};")),
            &format!("`check {kind} {fails}` does not hold for the call (rules 17 and 20)."),
        ));
    }
    cases.extend([
        case("shape-all-checks-hold", "allow", &narrowed("check if access(\"read\"); check if tool(\"files.read_file\"); check all resource($x), $x.starts_with([\"files\"]);"), "Every check of a block has to hold, and does (rule 17)."),
        case("shape-one-check-fails", "caveat_failed", &narrowed("check if access(\"read\"); check if tool(\"files.write_file\"); check all resource($x), $x.starts_with([\"files\"]);"), "Every check of a block has to hold, and one does not (rule 20)."),
        case("shape-contradiction", "caveat_failed", &narrowed("check if tool(\"files.read_file\"); check if tool(\"files.write_file\");"), "Two checks that no call meets (rule 20)."),
        case("shape-later-block-cannot-undo", "caveat_failed", &token(&["check if tool(\"drive.search\");", "check if tool(\"files.read_file\");"]), "A later block that allows the tool does not undo an earlier one (rule 17)."),
        case("shape-variables-of-any-name", "allow", &narrowed("check if resource($resource_of_the_call), $resource_of_the_call.starts_with([\"files\"]);"), "Any names for variables (rule 17)."),
        case("shape-every-resource", "caveat_failed", &narrowed("check if resource($r), $r.starts_with([\"files\", \"reports\", \"q3.md\"]);"), "A call on two resources is decided for each, and one is outside (rule 7).").resources(&["files/reports/q3.md", "files/reports/q4.md"]),
        case("shape-every-resource-holds", "allow", &narrowed("check if resource($r), $r.starts_with([\"files\", \"reports\"]);"), "A call on two resources, both inside (rule 7).").resources(&["files/reports/q3.md", "files/reports/q4.md"]),
        case("shape-path-argument", "allow", &narrowed("check if path_arg(\"path\", $p), $p.starts_with([\"reports\"]);"), "The catalogue declares the path (rule 19).").declares("path", Declared::Path),
        case("shape-path-argument-fails", "caveat_failed", &narrowed("check if path_arg(\"path\", $p), $p.starts_with([\"report\"]);"), "Paths are compared by whole segments (rule 17).").declares("path", Declared::Path),
        case("shape-path-argument-undeclared", "caveat_failed", &narrowed("check if path_arg(\"path\", $p), $p.starts_with([\"reports\"]);"), "No catalogue declares the path, so there is no fact (rule 19)."),
        case("shape-path-argument-of-another-name", "caveat_failed", &narrowed("check if path_arg(\"target\", $p), $p.starts_with([\"reports\"]);"), "Another argument is declared (rule 19).").declares("path", Declared::Path),
        case("shape-url-argument-undeclared", "caveat_failed", &narrowed("check if url_arg(\"url\", $u), $u.get(\"host\") == \"api.example\";"), "No catalogue declares the URL, so there is no fact (rule 19).").args(json!({"url": "https://api.example/"})),
    ]);
    cases
}

fn facts() -> Vec<Case> {
    let forged = [
        (
            "grant-copy",
            "grant(\"g1\", \"files.read_file\", \"read\", [\"files\", \"reports\"]);",
            "Even a copy of a fact of the authority block is refused",
        ),
        (
            "grant-wider",
            "grant(\"g9\", \"files.read_file\", \"read\", [\"files\"]);",
            "Nobody but the issuer grants",
        ),
        (
            "grant-of-every-tool",
            "grant(\"g9\", \"files.delete_file\", \"destructive\", [\"files\"]);",
            "Nobody but the issuer grants",
        ),
        (
            "time",
            "time(2020-01-01T00:00:00Z);",
            "A block does not tell the time",
        ),
        (
            "time-with-expiry",
            "time(2020-01-01T00:00:00Z); check if time($t), $t < 2021-01-01T00:00:00Z;",
            "A block that tells the time to satisfy its own check",
        ),
        (
            "tool",
            "tool(\"files.read_file\");",
            "A block does not say which tool is called",
        ),
        (
            "access",
            "access(\"read\");",
            "A block does not say what a call does",
        ),
        (
            "resource",
            "resource([\"files\", \"reports\"]);",
            "A block does not say what a call touches",
        ),
        (
            "args",
            "args({\"path\": \"reports/q3.md\"});",
            "A block does not make up arguments",
        ),
        ("depth", "depth(0);", "A block does not count itself away"),
        (
            "request-audience",
            "request_audience(\"https://other.example/mcp\");",
            "A block does not say who is asked",
        ),
        (
            "path-argument",
            "path_arg(\"path\", [\"reports\"]);",
            "A block does not declare arguments",
        ),
        (
            "url-argument",
            "url_arg(\"url\", {\"host\": \"api.example\"});",
            "A block does not declare arguments",
        ),
        (
            "session",
            "session(\"s-9\");",
            "A block does not change sessions",
        ),
        (
            "principal",
            "principal(\"root\");",
            "A block does not change the human behind it",
        ),
        (
            "expires-at",
            "expires_at(2099-01-01T00:00:00Z);",
            "A block does not live longer",
        ),
        (
            "issued-at",
            "issued_at(2020-01-01T00:00:00Z);",
            "A block does not issue",
        ),
        (
            "max-depth",
            "max_depth(99);",
            "A block does not raise its bound",
        ),
        (
            "audience",
            "audience(\"https://other.example/mcp\");",
            "A block does not move to another server",
        ),
        (
            "profile-version",
            "bailiwick(1);",
            "A block does not state the profile",
        ),
        ("unknown", "anything(1);", "A fact that nobody knows"),
        (
            "delegate-twice",
            "delegate(\"a\"); delegate(\"b\");",
            "At most one delegate",
        ),
        (
            "delegate-number",
            "delegate(1);",
            "A delegate is named by a text",
        ),
        (
            "delegate-pair",
            "delegate(\"a\", \"b\");",
            "A delegate is one text",
        ),
        ("holder-number", "holder(1);", "A holder is named by a text"),
        (
            "holder-not-a-thumbprint",
            "holder(\"me\");",
            "A holder is named by a thumbprint of 43 characters",
        ),
        (
            "holder-twice",
            "holder(\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"); holder(\"BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA\");",
            "At most one holder",
        ),
    ];
    let mut cases: Vec<Case> = forged
        .into_iter()
        .map(|(id, source, why)| {
            case(
                &format!("fact-{id}"),
                "profile_violation",
                &narrowed(source),
                &format!("{why} (rule 15)."),
            )
        })
        .collect();
    cases.push(
        case(
            "fact-grant-for-the-call",
            "profile_violation",
            &narrowed("grant(\"g9\", \"files.delete_file\", \"destructive\", [\"files\"]);"),
            "A forged grant is refused before anybody asks whether the call is granted (rule 15).",
        )
        .tool("files.delete_file", "destructive"),
    );
    for (id, name, why) in [
        ("plain", "sub-7", "A block may name its delegate"),
        (
            "bidi",
            "\u{202e}7-bus",
            "A delegate's name is shown, never compared, so controls in it are made visible where it is shown",
        ),
        (
            "zero-width",
            "sub\u{200b}-7",
            "A delegate's name is shown, never compared",
        ),
        (
            "like-datalog",
            "x); grant(1);",
            "Text of a token is never read as Datalog",
        ),
    ] {
        cases.push(case(
            &format!("fact-delegate-{id}"),
            "allow",
            &narrowed(&format!("delegate(\"{name}\"); check if access(\"read\");")),
            &format!("{why} (rule 15)."),
        ));
    }
    cases
}

fn outside() -> Vec<Case> {
    let third_party = "ed25519/d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let rows = [
        ("rule-grants", "grant($i, $t, \"write\", $p) <- grant($i, $t, \"read\", $p);", "A rule, which would turn reading into writing (rule 15)."),
        ("rule-harmless", "x($t) <- tool($t);", "Any rule, whatever it derives (rule 15)."),
        ("scope-authority", "check if access(\"read\") trusting authority;", "Any scope, even the usual one (rule 15)."),
        ("scope-previous", "check if access(\"read\") trusting previous;", "Any scope (rule 15)."),
        ("scope-key", &format!("check if access(\"read\") trusting {third_party};"), "A scope that trusts a key of the block's choice (rule 15)."),
        ("reject-if", "reject if tool(\"files.write_file\");", "`reject if A or B` refuses only where both match, so none is accepted (rule 17)."),
        ("always-true", "check if true;", "A check about nothing (rule 17)."),
        ("or", "check if access(\"write\") or access(\"read\");", "One query in a check (rule 17)."),
        ("two-predicates", "check if tool(\"files.read_file\"), access(\"read\");", "One predicate in a query (rule 17)."),
        ("three-predicates", "check if tool($t), access($a), resource($r);", "One predicate in a query (rule 17)."),
        ("authority-fact", "check if session(\"s-1\");", "A check on a fact of the authority block (rule 17)."),
        ("grant-fact", "check if grant($i, $t, $a, $p);", "A check on grants (rule 17)."),
        ("unknown-fact", "check if weekday(\"sunday\");", "A fact that no verifier makes (rule 17)."),
        ("bare-variable", "check if tool($t);", "A check that any call meets (rule 17)."),
        ("time-from-below", "check if time($t), $t > 2020-01-01T00:00:00Z;", "Expiry is the only condition on time (rule 17)."),
        ("time-turned-round", "check if time($t), 2030-01-01T00:00:00Z > $t;", "Expiry the other way round (rule 17)."),
        ("time-not-before-and-expiry", "check if time($t), $t >= 2020-01-01T00:00:00Z, $t < 2030-01-01T00:00:00Z;", "A window is not one expiry (rule 17)."),
        ("tool-regex", "check if tool($t), $t.matches(\"files\\\\..*\");", "No regular expression (rule 17)."),
        ("tool-regex-broken", "check if tool($t), !$t.matches(\"[\");", "A broken expression is silently false, and its negation true (rule 17)."),
        ("tool-prefix", "check if tool($t), $t.starts_with(\"files.\");", "Tools are named whole (rule 17)."),
        ("tool-excluded", "check if tool($t), ![\"drive.search\"].contains($t);", "What is not on a list of exclusions grows by itself (rule 17)."),
        ("tool-list-of-numbers", "check if tool($t), [1].contains($t);", "Tools are texts (rule 17)."),
        ("tool-or-true", "check if tool($t), [\"x\"].contains($t) || true;", "An alternative that always holds (rule 17)."),
        ("access-set", "check if access($a), {\"read\", \"write\"}.contains($a);", "A set only for tools (rule 17)."),
        ("resource-equal", "check if resource($r), $r == [\"files\", \"reports\", \"q3.md\"];", "Equality is no shape for resources (rule 17)."),
        ("resource-negated", "check if resource($r), !$r.starts_with([\"files\", \"private\"]);", "No exclusions (rule 17)."),
        ("resource-and", "check if resource($r), $r.starts_with([\"files\"]) && $r.starts_with([\"files\", \"reports\"]);", "Two conditions are two checks (rule 17)."),
        ("resource-text", "check if resource($r), $r.starts_with(\"files\");", "A path is a list of segments (rule 17)."),
        ("depth-equal", "check if depth($d), $d == 1;", "Depth is bounded from above only (rule 17)."),
        ("audience-prefix", "check if request_audience($a), $a.starts_with(\"http\");", "An audience is compared whole (rules 5 and 17)."),
        ("argument-not-equal", "check if args($a), $a.get(\"path\") != \"x\";", "No exclusions (rule 17)."),
        ("argument-strict-equal", "check if args($a), $a.get(\"path\") === \"reports/q3.md\";", "`===` errs on another type where `==` is false (rule 17)."),
        ("argument-or-true", "check if args($a), $a.get(\"path\") == \"x\" || true;", "An alternative that always holds (rule 17)."),
        ("argument-or", "check if args($a), $a.get(\"path\") == \"a\" || $a.get(\"path\") == \"reports/q3.md\";", "One of a list is written as a list (rule 17)."),
        ("argument-optional-other", "check if args($a), !$a.contains(\"other\") || $a.get(\"path\") == \"x\";", "Optional by the absence of another argument (rule 17)."),
        ("argument-regex", "check if args($a), $a.get(\"path\").matches(\"^reports/\");", "No regular expression (rule 17)."),
        ("argument-substring", "check if args($a), $a.get(\"path\").contains(\"q3\");", "No search inside a text (rule 17)."),
        ("argument-indirect", "check if args($a), $a.get($a.get(\"path\")) == 1;", "An argument that names another (rule 17)."),
        ("argument-null", "check if args($a), $a.get(\"path\") == null;", "Null is no value to compare with (rule 18)."),
        ("argument-arithmetic", "check if args($a), $a.get(\"n\") + 1 == 2;", "No arithmetic (rule 17)."),
        ("argument-extern", "check if args($a), $a.get(\"path\").extern::trusted();", "No call into the host (rule 17)."),
        ("argument-type-of", "check if args($a), $a.get(\"path\").type() == \"string\";", "No question about types (rule 17)."),
        ("argument-try", "check if args($a), ($a.get(\"n\") + 1 == 2).try_or(true);", "An error that counts as yes (rule 17)."),
        ("argument-shadowed-parameter", "check if args($a), $a.get(\"path\").all($x -> [\"a\"].any($y -> $x == $y));", "A closure with parameters inside another (rule 17)."),
        ("args-literal", "check if args({\"path\": \"reports/q3.md\"});", "Arguments are asked about one by one (rule 17)."),
        ("two-args", "check if args($a), args($b), $a.get(\"n\") == 1;", "One predicate in a query (rule 17)."),
        ("path-name-variable", "check if path_arg($n, $p), $p.starts_with([\"reports\"]);", "A path argument by any name (rule 17)."),
        ("url-query", "check if url_arg(\"url\", $u), $u.get(\"query\") == \"\";", "A part of a URL that no verifier tells (rule 17)."),
        ("url-host-without-dot", "check if url_arg(\"url\", $u), $u.get(\"host\").ends_with(\"example\");", "A suffix that another domain may have as well (rule 17)."),
        ("url-host-prefix", "check if url_arg(\"url\", $u), $u.get(\"host\").starts_with(\"api.\");", "The front of a host name says nothing of who owns it (rule 17)."),
    ]
    .map(|(id, source, why)| (id.to_owned(), source.to_owned(), why));
    let mut cases: Vec<Case> = rows
        .iter()
        .map(|(id, source, why)| {
            case(
                &format!("outside-{id}"),
                "profile_violation",
                &narrowed(source),
                why,
            )
        })
        .collect();
    let plain = || narrowed("check if access(\"read\");");
    let previous = schema::Scope {
        content: Some(scope::Content::ScopeType(i32::from(
            scope::ScopeType::Previous,
        ))),
    };
    cases.extend([
        case(
            "outside-public-key",
            "profile_violation",
            &plain().edit(1, |block| block.public_keys.push(public(&key("intruder")))),
            "A public key in the block's table, used by nothing (rule 15).",
        ),
        case(
            "outside-context",
            "profile_violation",
            &plain().edit(1, |block| block.context = Some("note".to_owned())),
            "A free text that other readers may show or trust (rule 15).",
        ),
        case(
            "outside-scope-of-block-alone",
            "profile_violation",
            &plain().edit(1, |block| block.scope.push(previous)),
            "A scope for a whole block (rule 15).",
        ),
        case(
            "outside-in-the-middle",
            "profile_violation",
            &token(&["", "check if true;", "check if access(\"read\");"]),
            "One block outside the profile spoils the token, wherever it is (rule 15).",
        ),
        case(
            "outside-though-expired",
            "profile_violation",
            &plain().edit(1, |block| block.context = Some("note".to_owned())),
            "Shape comes before time: nothing is evaluated of such a token (rule 15).",
        )
        .at("2027-01-01T00:00:00Z"),
    ]);
    cases
}
