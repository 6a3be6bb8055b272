//! The decision on one case: its own keys, audience, time and revocations, and
//! the same verifier that a gateway asks.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_datalog::words::visible;
use bailiwick_datalog::{Call, ResourcePath, ToolName};
use bailiwick_verifier::{
    Denied, MemoryRevocations, Now, Permit, UnverifiedToken, Verifier, VerifierConfig,
    holder::ProofVerifier,
};

use super::case::{Case, Credential, WantedCall};
use super::{Decision, Verdict};
use crate::clock::Stopwatch;

/// Decides one case. The time it takes is that of reading and checking the
/// token, without the preparation of a verifier that a gateway makes once.
pub(crate) fn decide(case: Case, proofs: &Arc<ProofVerifier>) -> Decision {
    let id = case.id.clone();
    let verifier = match verifier(&case, proofs) {
        Ok(verifier) => verifier,
        Err(reason) => return Decision::deny(id, "policy_denied", reason),
    };
    let stopwatch = Stopwatch::start();
    let outcome = authorize(&verifier, &case);
    let micros = u64::try_from(stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX);
    match outcome {
        Ok(permit) => Decision {
            id,
            decision: Verdict::Allow,
            code: None,
            explanation: granted(&permit),
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

fn verifier(case: &Case, proofs: &Arc<ProofVerifier>) -> Result<Verifier, String> {
    let verifier = Verifier::new(VerifierConfig {
        audience: case.audience.clone(),
        keys: Arc::new(case.keys.clone()),
        revocations: Arc::new(MemoryRevocations::fixed(case.revoked.iter().copied())),
    })?;
    Ok(verifier.sharing_proofs(Arc::clone(proofs)))
}

fn authorize(verifier: &Verifier, case: &Case) -> Result<Permit, Refusal> {
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
    Ok(verifier.authorize_with_proof(&token, &call, case.proof.as_ref(), now)?)
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

fn granted(permit: &Permit) -> String {
    let grants: Vec<String> = permit.grant_ids().iter().map(|id| visible(id)).collect();
    format!(
        "session `{}` may call `{}` ({}) until {}, by grant {}",
        visible(permit.session()),
        permit.call().tool,
        permit.call().access,
        permit.expires_at(),
        grants.join(", ")
    )
}
