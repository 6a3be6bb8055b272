//! The decision on one case: its own keys, audience, time and revocations, and
//! the same verifier that a gateway asks.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_datalog::words::visible;
use bailiwick_datalog::{Call, ResourcePath, ToolName};
use bailiwick_verifier::{
    Authorization, Denied, MemoryRevocations, Now, UnverifiedToken, Verifier, VerifierConfig,
};

use super::case::{Case, Credential, WantedCall};
use super::{Decision, Setup, Verdict};
use crate::clock::Stopwatch;

/// Decides one case. The time it takes is that of reading and checking the
/// token, without the preparation of a verifier that a gateway makes once.
pub(crate) fn decide(case: Case, setup: &Setup) -> Decision {
    let id = case.id.clone();
    let verifier = match verifier(&case, setup) {
        Ok(verifier) => verifier,
        Err(reason) => return Decision::deny(id, "policy_denied", reason),
    };
    let stopwatch = Stopwatch::start();
    let outcome = authorize(&verifier, &case);
    let micros = u64::try_from(stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX);
    match outcome {
        Ok(authorization) => Decision {
            id,
            decision: Verdict::Allow,
            code: None,
            explanation: granted(&authorization),
            micros,
        },
        Err(refusal) => Decision {
            micros,
            ..Decision::deny(id, refusal.code, refusal.explanation)
        },
    }
}

/// Why a case is denied.
struct Refusal {
    code: &'static str,
    explanation: String,
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self {
            code: denied.code(),
            explanation: denied.explanation(),
        }
    }
}

fn verifier(case: &Case, setup: &Setup) -> Result<Verifier, String> {
    let verifier = Verifier::new(VerifierConfig {
        audience: case.audience.clone(),
        keys: Arc::new(case.keys.clone()),
        revocations: Arc::new(MemoryRevocations::fixed(case.revoked.iter().copied())),
    })?;
    let verifier = verifier
        .sharing_proofs(Arc::clone(&setup.proofs))
        .with_evaluation(setup.evaluation);
    verifier.replace_policy(setup.policy.clone());
    Ok(verifier)
}

fn authorize(verifier: &Verifier, case: &Case) -> Result<Authorization, Refusal> {
    let now = Now {
        utc: case.now,
        monotonic: Duration::ZERO,
    };
    let token = match &case.credential {
        Credential::Token(text) => UnverifiedToken::from_text(text)?,
        Credential::Authorization(header) => {
            UnverifiedToken::from_authorization_header(header.as_bytes())?
        }
    };
    let call = match canonical(&case.call) {
        Ok(call) => call,
        Err(unreadable) => {
            // Names that no grant can hold; what is wrong with the token itself comes first.
            verifier.verify(&token, now)?;
            return Err(unreadable);
        }
    };
    Ok(verifier.authorization_with_proof(&token, &call, case.proof.as_ref(), now)?)
}

/// The call with canonical names, through the same door as a gateway's.
fn canonical(wanted: &WantedCall) -> Result<Call, Refusal> {
    let tool = ToolName::parse(wanted.tool.as_str())
        .map_err(|error| not_granted("tool_not_granted", &wanted.tool, &error))?;
    let resources = wanted
        .resources
        .iter()
        .map(|text| {
            ResourcePath::parse(text).map_err(|error| {
                Denied::unreadable_resource(&tool, text, &error.to_string()).into()
            })
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    Ok(Call::new(tool, wanted.access, resources, &wanted.args))
}

fn not_granted(code: &'static str, text: &str, error: &dyn Display) -> Refusal {
    Refusal {
        code,
        explanation: format!("no grant can cover `{}`: {error}", visible(text)),
    }
}

/// Nothing is made here, so nothing is counted: whether an exact call was made before, its gateway
/// knows.
fn granted(authorization: &Authorization) -> String {
    let (session, call, ends, grants, times) = match authorization {
        Authorization::Free(permit) => (
            permit.session(),
            permit.call(),
            permit.expires_at(),
            permit.grant_ids(),
            None,
        ),
        Authorization::Once(single) => (
            single.claim().session.as_str(),
            single.call(),
            single.expires_at(),
            single.grant_ids(),
            Some(single.claim().times),
        ),
    };
    let counted = match times {
        None => String::new(),
        Some(1) => "; the gateway allows this call once".to_owned(),
        Some(times) => format!("; the gateway allows this call {times} times"),
    };
    let grants: Vec<String> = grants.iter().map(|id| visible(id)).collect();
    format!(
        "session `{}` may call `{}` ({}) until {ends}, by grant {}{counted}",
        visible(session),
        call.tool,
        call.access,
        grants.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use bailiwick_verifier::Evaluation;
    use serde_json::{Value, json};

    use super::*;
    use crate::check::{Line, read_line};
    use crate::fixture::{AUDIENCE, EXPIRES_AT, ISSUED_AT, authority, mint, root_public, text_of};
    use crate::token_file::TokenText;

    fn good() -> Value {
        json!({
            "id": 1,
            "token": text_of(&mint(&authority())).expose(),
            "call": {
                "tool": "files.read_file",
                "access": "read",
                "resources": ["files/reports/q3.md"],
                "args": {"path": "reports/q3.md"},
            },
            "now": ISSUED_AT.to_rfc3339(),
            "audience": AUDIENCE,
            "keys": {"1": root_public()},
            "revoked": [],
        })
    }

    fn decided(case: &Value) -> Decision {
        match read_line(case.to_string().as_bytes()) {
            Line::Case(case) => decide(*case, &Setup::new(Evaluation::default(), None)),
            other => panic!("{other:?}"),
        }
    }

    fn code_with(edit: impl FnOnce(&mut Value)) -> Option<&'static str> {
        let mut case = good();
        edit(&mut case);
        decided(&case).code
    }

    #[test]
    fn a_granted_call_is_allowed_and_says_by_what() {
        let decision = decided(&good());
        assert_eq!((decision.decision, decision.code), (Verdict::Allow, None));
        assert!(
            decision.explanation.contains("grant g1"),
            "{}",
            decision.explanation
        );
    }

    #[test]
    fn a_case_that_differs_in_one_thing_is_denied_for_that() {
        let other_key = format!(
            "ed25519/{}",
            biscuit_auth::KeyPair::from(
                &biscuit_auth::PrivateKey::from_bytes(
                    &[8; 32],
                    biscuit_auth::builder::Algorithm::Ed25519
                )
                .unwrap(),
            )
            .public()
            .to_bytes_hex()
        );
        assert_eq!(
            code_with(|case| case["now"] = json!(EXPIRES_AT.to_rfc3339())),
            Some("expired")
        );
        assert_eq!(
            code_with(|case| case["audience"] = json!("http://h/mcp")),
            Some("wrong_audience")
        );
        assert_eq!(
            code_with(|case| case["keys"] = json!({})),
            Some("unknown_key")
        );
        assert_eq!(
            code_with(|case| case["keys"]["1"] = json!(other_key)),
            Some("bad_signature")
        );
        let revoked_itself = |case: &mut Value| {
            let token = TokenText::new(case["token"].as_str().unwrap());
            case["revoked"] = json!([token.decode().unwrap().revocation_ids()[0].to_hex()]);
        };
        assert_eq!(code_with(revoked_itself), Some("revoked"));
        assert_eq!(
            code_with(|case| case["call"]["access"] = json!("write")),
            Some("tool_not_granted")
        );
        assert_eq!(
            code_with(|case| case["token"] = json!("")),
            Some("malformed_token")
        );
    }

    #[test]
    fn names_that_no_grant_can_hold_are_not_granted() {
        for tool in ["", "Files.read_file", "files.read_file ", "files/read"] {
            assert_eq!(
                code_with(|case| case["call"]["tool"] = json!(tool)),
                Some("tool_not_granted")
            );
        }
        for path in [
            "",
            "/",
            "files/reports/",
            "files/reports/../x",
            "files/reports/%2e",
            "files/reports\\x",
            "files/reports/\0",
        ] {
            assert_eq!(
                code_with(|case| case["call"]["resources"] = json!(["files/reports/a", path])),
                Some("resource_not_granted"),
                "{path:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_the_token_comes_before_what_is_wrong_with_the_names() {
        let expired_and_unreadable = |case: &mut Value| {
            case["now"] = json!(EXPIRES_AT.to_rfc3339());
            case["call"]["resources"] = json!([".."]);
        };
        assert_eq!(code_with(expired_and_unreadable), Some("expired"));
    }

    #[test]
    fn a_header_is_read_as_a_gateway_reads_it() {
        let with_header = |header: String| {
            code_with(|case| {
                case.as_object_mut().unwrap().remove("token");
                case["authorization"] = json!(header);
            })
        };
        let token = text_of(&mint(&authority()));
        assert_eq!(with_header(format!("Bearer {}", token.expose())), None);
        assert_eq!(
            with_header(token.expose().to_owned()),
            Some("malformed_token")
        );
        assert_eq!(
            with_header(format!("Basic {}", token.expose())),
            Some("malformed_token")
        );
    }
}
