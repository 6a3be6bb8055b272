//! Tokens bound to a key, from the making of the key to the call: who has only
//! the token can do nothing with it, and nothing with it for anybody else.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use bailiwick_datalog::{Timestamp, ToolName, canonical_call_digest};
use bailiwick_verifier::holder::{HolderKey, ProofRequest};
use serde_json::{Value, json};

use crate::harness::agent::{Granted, Wish, call_body, code_of, mcp_post};
use crate::harness::clock::WallClock;
use crate::harness::process::{Ended, Running};
use crate::harness::python::Sdk;
use crate::harness::service::Bailiwick;
use crate::harness::visitor::Visitor;

const TOOL: &str = "files.read_file";
const CALL: [&str; 4] = ["call", TOOL, "--arg", "path=reports/q3.md"];

/// Servers, two keys, and a token bound to the first.
struct Scene {
    servers: Bailiwick,
    granted: Granted,
}

impl Scene {
    fn new() -> Self {
        let servers = Bailiwick::up();
        for file in ["first.jwk", "second.jwk"] {
            let made = servers.run(&["holder-key", "new", "--out", file]);
            made.expect_code(0);
        }
        let wish = Wish {
            tools: &[TOOL],
            resources: &["files/reports"],
            task: "Read the reports",
            time: "15m",
        };
        let asked = servers.request(&wish, &["--holder", "first.jwk"]);
        Visitor::signs_up(&servers).approves(&asked);
        let granted = asked.granted();
        Self { servers, granted }
    }

    fn run(&self, arguments: &[&str], more: &[&str]) -> Ended {
        self.servers.run(&[arguments, more].concat())
    }

    /// How a call through the command line ends: `allowed`, or the code.
    fn called(&self, token_file: &str, key: &[&str]) -> String {
        let ended = self.run(&CALL, &[&["--token-file", token_file], key].concat());
        outcome(&ended)
    }

    fn key(&self, file: &str) -> HolderKey {
        let text = std::fs::read_to_string(self.servers.folder.join(file)).unwrap();
        HolderKey::parse_jwk(&text).unwrap()
    }

    fn proof(&self, key: &str, token: &str, id: &str) -> String {
        let tool = ToolName::parse(TOOL).unwrap();
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        let proof = self.key(key).create_proof(&ProofRequest {
            method: "POST",
            url: &self.servers.mcp(),
            token_text: token,
            call_digest: &canonical_call_digest(&tool, arguments().as_object().unwrap()).unwrap(),
            issued_at: Timestamp::from_unix(now.as_secs()),
            id,
        });
        proof.dpop
    }

    /// What the gateway itself makes of a call with this token and proof.
    fn posted(&self, token: &str, proof: Option<&str>) -> String {
        let mut request = mcp_post(&self.servers.gateway)
            .header("Authorization", &format!("DPoP {token}"))
            .json(&call_body(TOOL, &arguments()));
        if let Some(proof) = proof {
            request = request.header("DPoP", proof);
        }
        let response = request.send();
        if response.status == 200 && response.text().contains("\"isError\":false") {
            return "allowed".to_owned();
        }
        assert_eq!(response.status, 401, "{}", response.text());
        code_of(&response)
    }
}

fn arguments() -> Value {
    json!({ "path": "reports/q3.md" })
}

fn outcome(ended: &Ended) -> String {
    let said = ended.json();
    match said["event"].as_str().unwrap() {
        "result" => "allowed".to_owned(),
        _ => said["code"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn a_holder_key_is_made_once_and_shown_as_often_as_wanted() {
    let servers = Bailiwick::up();
    let new = ["holder-key", "new", "--out", "agent.jwk"];
    let made = servers.run(&new).expect_code(0).json();
    assert_eq!(made["event"], "holder_key");
    let thumbprint = made["thumbprint"].as_str().unwrap();
    assert_eq!(thumbprint.len(), 43);
    assert!(made["public"].as_str().unwrap().starts_with("ed25519/"));
    assert_eq!(made["jwk"].get("d"), None);

    let path = servers.folder.join("agent.jwk");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read(&path).unwrap();
    let again = servers.run(&new).expect_code(1).json();
    assert_eq!(again["code"], "holder_key_exists");
    assert_eq!(std::fs::read(&path).unwrap(), kept);

    let shown = servers.run(&["holder-key", "show", "agent.jwk"]);
    assert_eq!(shown.expect_code(0).json()["thumbprint"], thumbprint);
}

#[test]
fn a_bound_token_serves_its_holder_once_per_proof_and_nobody_else() {
    let scene = Scene::new();
    let token = scene.granted.token.as_str();
    let file = scene.granted.token_file.to_str().unwrap();

    let refused = scene.run(&CALL, &["--token-file", file]).expect_code(3);
    let said = refused.json();
    assert_eq!(said["code"], "holder_proof_missing");
    let wanted = scene.key("first.jwk").thumbprint();
    let message = said["message"].as_str().unwrap();
    assert!(message.contains(wanted.as_str()), "{message}");
    assert_eq!(scene.posted(token, None), "holder_proof_missing");

    let with = |key: &'static str| scene.called(file, &["--holder-key", key]);
    assert_eq!(with("first.jwk"), "allowed");
    assert_eq!(with("second.jwk"), "wrong_holder_key");

    let proof = scene.proof("first.jwk", token, "1");
    assert_eq!(scene.posted(token, Some(&proof)), "allowed");
    assert_eq!(scene.posted(token, Some(&proof)), "holder_proof_replayed");
    let other = scene.proof("second.jwk", token, "2");
    assert_eq!(scene.posted(token, Some(&other)), "holder_proof_invalid");

    // Seeing the tools is no call.
    let tools = scene.run(&["tools"], &["--token-file", file]);
    let tools = tools.expect_code(0).json_lines();
    assert!(tools.iter().any(|tool| tool["callable"] == true));
}

#[test]
fn a_proof_of_a_wrong_clock_is_refused_with_its_code() {
    let scene = Scene::new();
    let file = scene.granted.token_file.to_str().unwrap();
    let clock = WallClock::new();
    let call = || {
        let key = ["--token-file", file, "--holder-key", "first.jwk"];
        let mut command = scene.servers.command(&[&CALL[..], &key].concat());
        clock.rule(&mut command);
        outcome(&Running::start("bailiwick call", command).ended())
    };
    assert_eq!(call(), "allowed");
    clock.advance(Duration::from_secs(300));
    assert_eq!(call(), "holder_proof_invalid");
}

#[test]
fn a_token_is_handed_to_the_next_key_by_the_one_before_and_by_no_other() {
    let scene = Scene::new();
    let file = scene.granted.token_file.to_str().unwrap();
    let attenuate = |key: &[&str]| {
        let to = ["--to", "second.jwk", "--token-file", file, "--out", "sub"];
        scene.run(&["attenuate"], &[&to[..], key].concat())
    };
    for (key, code) in [
        (&[][..], "holder_already_bound"),
        (&["--holder-key", "second.jwk"], "wrong_holder_key"),
    ] {
        assert_eq!(attenuate(key).expect_code(1).json()["code"], code);
        assert!(!scene.servers.folder.join("sub").exists());
    }
    let handed = attenuate(&["--holder-key", "first.jwk"]).expect_code(0);
    let next = scene.key("second.jwk").thumbprint();
    assert_eq!(handed.json()["effective"]["holder"], next.as_str());

    let with = |key: &'static str| scene.called("sub", &["--holder-key", key]);
    assert_eq!(with("second.jwk"), "allowed");
    assert_eq!(with("first.jwk"), "wrong_holder_key");
    let sub = std::fs::read_to_string(scene.servers.folder.join("sub")).unwrap();
    let sub = sub.trim();
    let old = scene.proof("first.jwk", sub, "1");
    assert_eq!(scene.posted(sub, Some(&old)), "holder_proof_invalid");
    let new = scene.proof("second.jwk", sub, "2");
    assert_eq!(scene.posted(sub, Some(&new)), "allowed");
    assert_eq!(scene.posted(sub, None), "holder_proof_missing");
    // The token that was handed on is still its holder's own.
    assert_eq!(
        scene.called(file, &["--holder-key", "first.jwk"]),
        "allowed"
    );
}

#[test]
fn a_library_of_another_language_reads_what_was_handed_on_and_hands_it_on() {
    let scene = Scene::new();
    let root = scene.servers.mint_key();
    let made = scene
        .servers
        .run(&["holder-key", "new", "--out", "third.jwk"]);
    made.expect_code(0);
    let by_python = |token: &str, signer: &str, block: &str| {
        let key = std::fs::read_to_string(scene.servers.folder.join(signer)).unwrap();
        let key: Value = serde_json::from_str(&key).unwrap();
        let input = json!({ "token": token, "root": root, "key": key, "block": block });
        Sdk::V1.run("hand_over.py", &input)
    };
    let to_third = format!(
        "holder(\"{}\"); check if access(\"read\");",
        scene.key("third.jwk").thumbprint().as_str()
    );

    // From the first to the second by us, to the third by the library.
    let file = scene.granted.token_file.to_str().unwrap();
    let hand_over = ["--to", "second.jwk", "--holder-key", "first.jwk"];
    let out = ["--token-file", file, "--out", "sub"];
    scene
        .run(&["attenuate"], &[hand_over, out].concat())
        .expect_code(0);
    let sub = std::fs::read_to_string(scene.servers.folder.join("sub")).unwrap();
    let answer = by_python(sub.trim(), "second.jwk", &to_third);
    let first = scene.servers.run(&["holder-key", "show", "first.jwk"]);
    let first = first.expect_code(0).json()["public"].clone();
    assert_eq!(answer["signers"], json!([null, first]));

    let token = answer["token"].as_str().unwrap();
    let proof = scene.proof("third.jwk", token, "1");
    assert_eq!(scene.posted(token, Some(&proof)), "allowed");
    let old = scene.proof("second.jwk", token, "2");
    assert_eq!(scene.posted(token, Some(&old)), "holder_proof_invalid");
    // Who does not hold it any more hands on nothing, whatever library it uses.
    let stolen = by_python(token, "first.jwk", &to_third);
    let stolen = stolen["token"].as_str().unwrap();
    assert_eq!(scene.posted(stolen, None), "profile_violation");
}
