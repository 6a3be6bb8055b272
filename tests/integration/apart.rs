//! Issuer and gateway as two processes: what the gateway still knows when it
//! is alone, and what it does when time passes.

use std::time::Duration;

use serde_json::json;

use crate::harness::agent::{Granted, Wish, outcome};
use crate::harness::eventually;
use crate::harness::form::Form;
use crate::harness::http::Request;
use crate::harness::python::Sdk;
use crate::harness::service::Apart;
use crate::harness::visitor::Visitor;

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Both servers, a signed-in approver, and what it takes to get tokens.
struct Scene {
    servers: Apart,
    visitor: Visitor,
}

impl Scene {
    fn new() -> Self {
        let servers = Apart::start();
        let visitor = Visitor::signs_up(&servers);
        Self { servers, visitor }
    }

    fn grant(&self, token_file: &str) -> Granted {
        let wish = Wish {
            tools: &["files.read_file"],
            resources: &["files/reports"],
            task: "Read the report",
            time: "10m",
        };
        let asked = self.servers.request(&wish, &["--token-file", token_file]);
        self.visitor.approves(&asked);
        asked.granted()
    }

    /// Presses the button on the session's page.
    fn revoke(&self, granted: &Granted) {
        let address = format!("/sessions/{}", granted.session);
        let page = self.visitor.get(&address).expect_status(200).text();
        let answer = self.visitor.submit(&Form::of(&page, "/revoke"));
        assert!(
            (300..400).contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.text()
        );
    }

    /// What the gateway says to a good call with this token.
    fn outcome(&self, granted: &Granted) -> String {
        let path = json!({ "path": "reports/q3.md" });
        outcome(
            &self.servers.gateway,
            &granted.token,
            "files.read_file",
            &path,
        )
    }

    /// Waits until the gateway says so.
    fn becomes(&self, granted: &Granted, wanted: &str, limit: Duration) {
        eventually(wanted, limit, || {
            let outcome = self.outcome(granted);
            if outcome == wanted {
                Ok(())
            } else {
                Err(outcome)
            }
        });
    }

    fn gateway_is_ready(&self) -> bool {
        Request::get(&self.servers.gateway, "/readyz").send().status == 200
    }
}

#[test]
fn a_gateway_restarted_without_its_issuer_still_refuses_what_was_revoked() {
    let mut scene = Scene::new();
    let (revoked, other) = (scene.grant("revoked"), scene.grant("other"));
    scene.becomes(&revoked, "allowed", Duration::from_secs(2));
    scene.revoke(&revoked);
    scene.becomes(&revoked, "revoked", Duration::from_secs(2));
    assert_eq!(
        scene.outcome(&other),
        "allowed",
        "one session's end is not another's"
    );

    scene.servers.stop_issuer();
    scene.servers.kill_gateway();
    scene.servers.start_gateway(&[]);
    assert_eq!(scene.outcome(&revoked), "revoked");
    // What is not known to be revoked is not known to be good either.
    assert_eq!(scene.outcome(&other), "revocation_stale");
    assert!(!scene.gateway_is_ready());
}

#[test]
fn an_expired_session_is_refused() {
    let scene = Scene::new();
    let granted = scene.grant("token");
    assert_eq!(scene.outcome(&granted), "allowed");
    scene
        .servers
        .clock
        .advance(TEN_MINUTES - Duration::from_secs(60));
    assert_eq!(scene.outcome(&granted), "allowed", "a minute is left");
    scene.servers.clock.advance(TEN_MINUTES);
    assert_eq!(scene.outcome(&granted), "expired");
    let path = json!({ "path": "reports/q3.md" });
    for sdk in [Sdk::V1, Sdk::V2] {
        let answer = sdk.call(
            &scene.servers.mcp(),
            &granted.token,
            "files.read_file",
            &path,
        );
        assert_eq!(answer.code(), "expired", "{sdk:?}");
        assert!(answer.challenge().contains("invalid_token"), "{answer:?}");
    }
    let through_command =
        scene
            .servers
            .call_with(&granted.token, "files.read_file", "path=reports/q3.md");
    assert_eq!(through_command.expect_code(4).json()["code"], "expired");
}

#[test]
fn a_gateway_cut_off_from_its_issuer_refuses_everything_past_the_limit() {
    let mut scene = Scene::new();
    let granted = scene.grant("token");
    scene.servers.kill_gateway();
    scene.servers.start_gateway(&["--max-staleness", "3s"]);
    scene.becomes(&granted, "allowed", Duration::from_secs(2));
    scene.servers.kill_issuer();
    assert_eq!(scene.outcome(&granted), "allowed", "within the limit");
    scene.becomes(&granted, "revocation_stale", Duration::from_secs(6));
    assert!(!scene.gateway_is_ready());
}

#[test]
fn a_gateway_that_never_met_its_issuer_refuses_everything() {
    let mut scene = Scene::new();
    let granted = scene.grant("token");
    scene.servers.stop_issuer();
    scene.servers.kill_gateway();
    std::fs::remove_dir_all(scene.servers.folder.join("gateway")).unwrap();
    scene.servers.start_gateway(&[]);
    assert_eq!(scene.outcome(&granted), "revocation_stale");
    assert!(!scene.gateway_is_ready());
}
