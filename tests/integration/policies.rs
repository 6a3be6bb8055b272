//! Operator policies with the real binary: checked, tested and explained at the terminal, and in
//! force at a gateway on top of what a person approved.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use bailiwick_datalog::Timestamp;
use serde_json::{Value, json};

use crate::harness::agent::{Wish, outcome};
use crate::harness::process::{Ended, Running};
use crate::harness::service::{Bailiwick, Folder, bailiwick};
use crate::harness::visitor::Visitor;

const POLICY: &str = r#"// Drafts stay where they are, whoever was allowed to read the folder.
classification(["files", "reports", "q4-draft.md"], "draft");

deny if resource($r), classification($p, "draft"), $r.starts_with($p);
deny if tool("files.delete_file"), application($a), $a != "cleaning";
"#;

fn policy_command(folder: &Folder, arguments: &[&str]) -> Ended {
    let mut command = bailiwick(&["policy"]);
    command.args(arguments).arg("--json");
    command.current_dir(folder.path());
    Running::start("bailiwick policy", command).ended()
}

fn lines(ended: &Ended) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap();
    ended.stdout.lines().map(parse).collect()
}

fn folder_with(policy: &str) -> Folder {
    let folder = Folder::new();
    fs::write(folder.join("policy.datalog"), policy).unwrap();
    folder
}

#[test]
fn a_policy_refuses_what_a_person_approved_and_nothing_else() {
    let folder = folder_with(POLICY);
    fs::write(
        folder.join("bailiwick.toml"),
        "[verifier]\npolicy = \"policy.datalog\"\nevaluation = \"reference\"\n",
    )
    .unwrap();
    for option in [
        ["--policy", "policy.datalog"],
        ["--config", "bailiwick.toml"],
    ] {
        let folder = {
            let again = Folder::new();
            for name in ["policy.datalog", "bailiwick.toml"] {
                fs::copy(folder.join(name), again.join(name)).unwrap();
            }
            again
        };
        let servers = Bailiwick::up_with(folder, |command| {
            command.args(option);
        });
        let wish = Wish {
            tools: &["files.read_file", "files.delete_file:destructive"],
            resources: &["files/reports"],
            task: "Read the reports",
            time: "10m",
        };
        let asked = servers.request(&wish, &[]);
        Visitor::signs_up(&servers).approves(&asked);
        let granted = asked.granted();
        let calling = |tool: &str, path: &str| {
            outcome(
                &servers.gateway,
                &granted.token,
                tool,
                &json!({"path": path}),
            )
        };
        assert_eq!(calling("files.read_file", "reports/q3.md"), "allowed");
        assert_eq!(
            calling("files.read_file", "reports/q4-draft.md"),
            "policy_denied"
        );
        assert_eq!(
            calling("files.delete_file", "reports/q3.md"),
            "policy_denied"
        );
        // What the token does not grant is still the token's to refuse.
        assert_eq!(
            calling("files.read_file", "notes.md"),
            "resource_not_granted"
        );
    }
}

#[test]
fn servers_do_not_start_with_a_policy_that_does_not_hold_together() {
    let folder = folder_with("deny if acess(\"write\");\n");
    let data = folder.arg("data");
    let arguments = [
        "up",
        "--data-dir",
        &data,
        "--policy",
        "policy.datalog",
        "--json",
    ];
    let mut command = bailiwick(&arguments);
    command.current_dir(folder.path());
    let ended = Running::start("bailiwick up", command).ended();
    let failure = ended.expect_code(1).json();
    assert_eq!(failure["code"], "policy_invalid");
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("line 1, column 9"), "{message}");
    assert!(!folder.join("data").exists(), "nothing was begun");
}

#[test]
fn checking_names_every_problem_with_its_place() {
    let folder =
        folder_with("// two slips\ndeny if acess(\"write\");\ndeny if access(\"Read\");\n");
    let ended = policy_command(&folder, &["check", "policy.datalog"]);
    let said = lines(&ended);
    ended.expect_code(1);
    let problems: Vec<_> = said
        .iter()
        .filter(|line| line["event"] == "problem")
        .collect();
    let places = problems.iter().map(|problem| {
        let place = |name: &str| problem[name].as_u64().unwrap();
        (
            problem["code"].as_str().unwrap(),
            place("line"),
            place("column"),
        )
    });
    assert_eq!(
        places.collect::<Vec<_>>(),
        [("unknown_fact", 2, 9), ("impossible_value", 3, 16)]
    );
    assert!(problems[0]["help"].as_str().unwrap().contains("`access`"));
    assert_eq!(said.last().unwrap()["code"], "policy_invalid");

    let folder = folder_with(POLICY);
    let ended = policy_command(&folder, &["check", "policy.datalog"]);
    let checked = ended.expect_code(0).json();
    assert_eq!(checked["event"], "policy_checked");
    assert_eq!(checked["otherwise"], "left_to_the_token");
    assert_eq!(checked["rules"][0]["line"], 4);
    assert_eq!(checked["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn checking_draws_the_place_for_people() {
    let folder = folder_with("deny if acess(\"write\");\n");
    let mut command = bailiwick(&["policy", "check", "policy.datalog"]);
    command.current_dir(folder.path());
    let ended = Running::start("bailiwick policy", command)
        .ended()
        .expect_code(1);
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    for part in [
        "policy.datalog:1:9",
        "deny if acess(\"write\");",
        "did you mean",
    ] {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
}

/// A case about reading one report, and what is expected.
fn case(path: &str, expect: &str) -> Value {
    json!({
        "name": path,
        "expect": expect,
        "now": "2026-01-05T12:00:00Z",
        "call": {"tool": "files.read_file", "access": "read", "resources": [path]},
    })
}

#[test]
fn a_test_passes_when_every_case_does_and_fails_when_one_does_not() {
    let folder = folder_with(POLICY);
    let test = |cases: &[Value]| {
        let text: Vec<String> = cases.iter().map(Value::to_string).collect();
        fs::write(folder.join("cases.jsonl"), text.join("\n")).unwrap();
        policy_command(&folder, &["test", "policy.datalog", "cases.jsonl"])
    };
    let mut draft = case("files/reports/q4-draft.md", "deny");
    draft["line"] = json!(4);
    let good = [case("files/reports/q3.md", "allow"), draft.clone()];
    let said = lines(&test(&good).expect_code(0));
    assert_eq!(said.len(), 3);
    assert_eq!(said[1]["decided_by"], 4);
    assert_eq!(
        said[2],
        json!({"event": "policy_tested", "passed": 2, "failed": 0})
    );

    // What tries nothing has shown nothing.
    assert_eq!(
        lines(&test(&[]).expect_code(1))[0],
        json!({"event": "policy_tested", "passed": 0, "failed": 0})
    );

    let mut other_line = draft.clone();
    other_line["line"] = json!(5);
    let mut unexpected = draft.clone();
    unexpected.as_object_mut().unwrap().remove("expect");
    for bad in [
        case("files/reports/q3.md", "deny"),
        case("files/reports/q4-draft.md", "allow"),
        other_line,
        unexpected,
        json!({"name": "no case"}),
    ] {
        let ended = test(&[case("files/reports/q3.md", "allow"), bad.clone()]);
        let said = lines(&ended);
        ended.expect_code(1);
        assert_eq!(said[1]["passed"], false, "{bad}");
        assert_eq!(
            (&said[2]["passed"], &said[2]["failed"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(said[3]["code"], "policy_test_failed");
    }
}

#[test]
fn explaining_shows_every_rule_and_the_one_that_decided() {
    let folder = folder_with(POLICY);
    let explain = |case: &Value| {
        fs::write(folder.join("call.json"), case.to_string()).unwrap();
        let ended = policy_command(&folder, &["explain", "policy.datalog", "call.json"]);
        ended.expect_code(0).json()
    };
    let mut call = case("files/reports/q4-draft.md", "deny");
    call.as_object_mut().unwrap().remove("expect");
    let refused = explain(&call);
    assert_eq!(refused["allowed"], false);
    assert_eq!(refused["decided_by"], 4);
    let results = refused["rules"].as_array().unwrap().iter();
    let results: Vec<_> = results
        .map(|rule| (&rule["line"], &rule["result"]))
        .collect();
    assert_eq!(
        results,
        [
            (&json!(4), &json!("matched")),
            (&json!(5), &json!("not_matched"))
        ]
    );
    call["call"]["resources"] = json!(["files/reports/q3.md"]);
    let allowed = explain(&call);
    assert_eq!(
        (&allowed["allowed"], &allowed["decided_by"]),
        (&json!(true), &Value::Null)
    );

    fs::write(folder.join("call.json"), "{}").unwrap();
    let ended = policy_command(&folder, &["explain", "policy.datalog", "call.json"]);
    assert_eq!(ended.expect_code(1).json()["code"], "malformed_request");
}

#[test]
fn the_offline_check_takes_a_policy_too() {
    let servers = Bailiwick::up();
    let wish = Wish {
        tools: &["files.read_file"],
        resources: &["files/reports"],
        task: "Read the reports",
        time: "10m",
    };
    let asked = servers.request(&wish, &[]);
    Visitor::signs_up(&servers).approves(&asked);
    let (granted, root) = (asked.granted(), servers.mint_key());
    fs::write(servers.folder.join("policy.datalog"), POLICY).unwrap();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_unix(since.as_secs()).to_rfc3339();
    let cases: Vec<String> = ["q3.md", "q4-draft.md"]
        .map(|name| {
            json!({
                "id": name, "token": granted.token, "now": now, "audience": servers.mcp(),
                "keys": {"1": root}, "revoked": [],
                "call": {"tool": "files.read_file", "access": "read", "args": {},
                    "resources": [format!("files/reports/{name}")]},
            })
            .to_string()
        })
        .to_vec();
    for evaluation in ["compiled", "reference"] {
        let file = servers.folder.join("cases.jsonl");
        fs::write(&file, cases.join("\n")).unwrap();
        let mut command = bailiwick(&["check", "--jsonl", "--policy", "policy.datalog"]);
        command.args(["--evaluation", evaluation]);
        command.current_dir(servers.folder.path());
        command.stdin(fs::File::open(file).unwrap());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said: Vec<Value> = serde_json::Deserializer::from_slice(&output.stdout)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(said[0]["decision"], "allow");
        assert_eq!(
            (&said[1]["decision"], &said[1]["code"]),
            (&json!("deny"), &json!("policy_denied"))
        );
        let why = said[1]["explanation"].as_str().unwrap();
        assert!(why.contains("line 4"), "{why}");
    }
}
