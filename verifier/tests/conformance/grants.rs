//! Grants and resources: rules 6 to 8.

use bailiwick_datalog::{Access, Authority, Call, ResourcePath, ToolName};
use serde_json::Map;

use crate::support::{authority, call_on, code, decide_call, grant, mint};

fn decide(authority: &Authority, tool: &str, access: Access, resources: &[&str]) -> &'static str {
    let resources = resources
        .iter()
        .map(|path| ResourcePath::parse(path).unwrap())
        .collect();
    let call = Call::new(
        ToolName::parse(tool).unwrap(),
        access,
        resources,
        &Map::new(),
    );
    code(&decide_call(&mint(authority).to_vec().unwrap(), &call))
}

fn two_grants() -> Authority {
    Authority {
        grants: vec![
            grant("1", "files.read_file", Access::Read, "files/reports"),
            grant("2", "files.write_file", Access::Write, "files/drafts"),
        ],
        ..authority()
    }
}

#[test]
fn tool_access_and_path_come_from_one_grant() {
    let authority = two_grants();
    for (tool, access, path, expected) in [
        ("files.read_file", Access::Read, "files/reports/a", "allow"),
        ("files.write_file", Access::Write, "files/drafts/a", "allow"),
        (
            "files.read_file",
            Access::Read,
            "files/drafts/a",
            "resource_not_granted",
        ),
        (
            "files.write_file",
            Access::Write,
            "files/reports/a",
            "resource_not_granted",
        ),
        (
            "files.read_file",
            Access::Write,
            "files/drafts/a",
            "tool_not_granted",
        ),
        (
            "files.write_file",
            Access::Read,
            "files/drafts/a",
            "tool_not_granted",
        ),
        (
            "files.delete_file",
            Access::Destructive,
            "files/drafts/a",
            "tool_not_granted",
        ),
    ] {
        assert_eq!(
            decide(&authority, tool, access, &[path]),
            expected,
            "{tool} {access:?} {path}"
        );
    }
}

#[test]
fn access_is_not_ordered() {
    for granted in Access::ALL {
        for asked in Access::ALL {
            let authority = Authority {
                grants: vec![grant("g", "t", granted, "files")],
                ..authority()
            };
            let expected = if granted == asked {
                "allow"
            } else {
                "tool_not_granted"
            };
            assert_eq!(
                decide(&authority, "t", asked, &["files/a"]),
                expected,
                "{granted:?} {asked:?}"
            );
        }
    }
}

#[test]
fn a_path_covers_itself_and_what_is_below() {
    let authority = two_grants();
    for (path, expected) in [
        ("files/reports", "allow"),
        ("files/reports/2026/q3.md", "allow"),
        ("files", "resource_not_granted"),
        ("files/reports-evil", "resource_not_granted"),
        ("files/report", "resource_not_granted"),
        ("files/Reports/a", "resource_not_granted"),
        ("reports/files/a", "resource_not_granted"),
        ("x/files/reports/a", "resource_not_granted"),
    ] {
        assert_eq!(
            decide(&authority, "files.read_file", Access::Read, &[path]),
            expected,
            "{path}"
        );
    }
}

#[test]
fn every_resource_of_a_call_must_be_granted_and_there_must_be_one() {
    let authority = two_grants();
    for (resources, expected) in [
        (&["files/reports/a", "files/reports/b"][..], "allow"),
        (
            &["files/reports/a", "files/drafts/b"][..],
            "resource_not_granted",
        ),
        (
            &["files/drafts/b", "files/reports/a"][..],
            "resource_not_granted",
        ),
        (&[][..], "resource_not_granted"),
    ] {
        assert_eq!(
            decide(&authority, "files.read_file", Access::Read, resources),
            expected,
            "{resources:?}"
        );
    }
}

#[test]
fn resource_text_is_refused_rather_than_normalised() {
    for bad in [
        "",
        "/files",
        "files/",
        "files//a",
        "./files",
        "files/./a",
        "files/../a",
        "..",
        "files/%2e%2e/a",
        "files/a%00",
        "files\\a",
        "files/a\0",
        "files/a\n",
        "files/\u{7f}",
        "files/\u{202e}a",
        "files/\u{200b}a",
        "files/\u{feff}a",
    ] {
        assert!(ResourcePath::parse(bad).is_err(), "{bad:?}");
    }
    for good in [
        "files",
        "files/...",
        "files/.hidden",
        "files/a b",
        "files/é",
        "files/e\u{301}",
    ] {
        assert_eq!(ResourcePath::parse(good).unwrap().to_string(), good);
    }
    // Two ways to write one character are two names.
    let authority = Authority {
        grants: vec![grant("g", "files.read_file", Access::Read, "files/é")],
        ..authority()
    };
    for (path, expected) in [
        ("files/é/a", "allow"),
        ("files/e\u{301}/a", "resource_not_granted"),
    ] {
        let call = call_on(&[path], &Map::new());
        let token = mint(&authority).to_vec().unwrap();
        assert_eq!(code(&decide_call(&token, &call)), expected, "{path}");
    }
}

#[test]
fn a_token_without_grants_allows_nothing() {
    let authority = Authority {
        grants: Vec::new(),
        ..authority()
    };
    assert_eq!(
        decide(&authority, "files.read_file", Access::Read, &["files/a"]),
        "tool_not_granted"
    );
}
