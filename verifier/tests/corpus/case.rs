//! One case of the corpus: a line of `bailiwick check --jsonl` with what must come of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bailiwick_datalog::{Audience, Call, ResourcePath, Timestamp, ToolName, UrlArgument};
use bailiwick_verifier::{
    Denied, Evaluation, KeySet, MemoryRevocations, Now, RevocationView, UnverifiedToken, Verifier,
    VerifierConfig,
    holder::{HolderProof, ProofVerifier},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A case as its file holds it. All but `why`, `expect`, `expect_without_catalogue`, `after` and
/// `declares` are fields of `check --jsonl`, which passes those over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The file's name without its ending.
    pub(crate) id: String,
    /// One sentence, with the rule of the token profile that decides.
    pub(crate) why: String,
    pub(crate) expect: Expect,
    /// What to expect where nobody declares arguments to be paths or URLs, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expect_without_catalogue: Option<Expect>,
    /// The case that has to be decided before, by a verifier with the same memory of proofs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    pub(crate) call: Wanted,
    pub(crate) now: String,
    pub(crate) audience: String,
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) revoked: Vec<String>,
    /// Arguments that a catalogue declares to be paths or URLs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) declares: BTreeMap<String, Declared>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) holder_proof: Option<HolderProof>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorization: Option<String>,
}

/// The call as it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) tool: String,
    pub(crate) access: String,
    pub(crate) resources: Vec<String>,
    pub(crate) args: Map<String, Value>,
}

/// What a catalogue says of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Declared {
    Path,
    Url,
}

/// The decision that must be met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) decision: String,
    pub(crate) code: Option<String>,
}

impl Expect {
    /// `allow`, or the code of a deny.
    pub(crate) fn of(verdict: &str) -> Self {
        match verdict {
            "allow" => Self {
                decision: "allow".to_owned(),
                code: None,
            },
            code => Self {
                decision: "deny".to_owned(),
                code: Some(code.to_owned()),
            },
        }
    }

    /// The inverse of [`Expect::of`].
    pub(crate) fn verdict(&self) -> &str {
        match (self.decision.as_str(), &self.code) {
            ("allow", None) => "allow",
            ("deny", Some(code)) => code,
            _ => panic!("{self:?} is neither a plain allow nor a deny with a code"),
        }
    }
}

impl Case {
    /// A verifier that knows what the case says, with a memory of proofs that may be shared.
    pub(crate) fn verifier(&self, proofs: &Arc<ProofVerifier>) -> Verifier {
        let revoked = self.revoked.iter().map(|id| id.parse().unwrap());
        let revocations = MemoryRevocations::fixed(revoked.collect::<Vec<_>>());
        self.verifier_with(Arc::new(revocations))
            .sharing_proofs(Arc::clone(proofs))
    }

    /// A verifier with the case's keys and audience, and another view of what is revoked.
    pub(crate) fn verifier_with(&self, revocations: Arc<dyn RevocationView>) -> Verifier {
        let keys = self
            .keys
            .iter()
            .map(|(id, key)| (id.parse().unwrap(), key.parse().unwrap()));
        Verifier::new(VerifierConfig {
            audience: Audience::parse(self.audience.as_str()).unwrap(),
            keys: Arc::new(KeySet::from_entries(keys).unwrap()),
            revocations,
        })
        .unwrap()
    }

    /// As [`Case::decide`], and what the plan allows is asked of the library's engine again.
    pub(crate) fn decide_by_the_engine(&self, proofs: &Arc<ProofVerifier>) -> &'static str {
        let verifier = self.verifier(proofs).with_evaluation(Evaluation::Reference);
        match self.unverified() {
            Ok(token) => self.decide_token(&verifier, &token),
            Err(denied) => denied.code(),
        }
    }

    /// The token as it is presented.
    pub(crate) fn unverified(&self) -> Result<UnverifiedToken, Denied> {
        match (&self.token, &self.authorization) {
            (Some(text), None) => UnverifiedToken::from_text(text),
            (None, Some(header)) => UnverifiedToken::from_authorization_header(header.as_bytes()),
            _ => panic!("{}: a case has either a token or a header", self.id),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            utc: Timestamp::parse_rfc3339(&self.now).unwrap(),
            monotonic: Duration::ZERO,
        }
    }

    /// The call with canonical names, or the code that a host answers for names that have none.
    pub(crate) fn canonical_call(&self) -> Result<Call, &'static str> {
        let wanted = &self.call;
        let tool = ToolName::parse(wanted.tool.as_str()).map_err(|_| "tool_not_granted")?;
        let resources = wanted
            .resources
            .iter()
            .map(|text| ResourcePath::parse(text).map_err(|_| "resource_not_granted"))
            .collect::<Result<_, _>>()?;
        let call = Call::new(
            tool,
            wanted.access.parse().unwrap(),
            resources,
            &wanted.args,
        );
        Ok(self.declares.iter().fold(call, |call, (name, declared)| {
            let text = wanted.args.get(name).and_then(Value::as_str).unwrap_or("");
            match declared {
                Declared::Path => match ResourcePath::parse(text) {
                    Ok(path) => call.with_path_argument(name, path),
                    Err(_) => call,
                },
                Declared::Url => match UrlArgument::parse(text) {
                    Some(url) => call.with_url_argument(name, url),
                    None => call,
                },
            }
        }))
    }

    /// `allow` or the code, by the public interface of the verifier and as a host would use it.
    pub(crate) fn decide(&self, proofs: &Arc<ProofVerifier>) -> &'static str {
        let token = match self.unverified() {
            Ok(token) => token,
            Err(denied) => return denied.code(),
        };
        self.decide_token(&self.verifier(proofs), &token)
    }

    pub(crate) fn decide_token(
        &self,
        verifier: &Verifier,
        token: &UnverifiedToken,
    ) -> &'static str {
        let decision = match self.canonical_call() {
            Ok(call) => {
                let proof = self.holder_proof.as_ref();
                verifier
                    .authorization_with_proof(token, &call, proof, self.now())
                    .map(drop)
            }
            // What is wrong with the token itself comes first.
            Err(code) => match verifier.verify(token, self.now()) {
                Ok(_) => return code,
                Err(denied) => Err(denied),
            },
        };
        decision.map_or_else(|denied| denied.code(), |()| "allow")
    }

    /// The header that the token comes in.
    pub(crate) fn header_value(&self) -> String {
        match (&self.token, &self.authorization) {
            (Some(text), None) => format!("Bearer {text}"),
            (None, Some(header)) => header.clone(),
            _ => panic!("{}: a case has either a token or a header", self.id),
        }
    }

    /// As [`Case::decide_token`], by the shortest way from a header to a decision.
    pub(crate) fn decide_header(&self, verifier: &Verifier, header: &[u8]) -> &'static str {
        let proof = self.holder_proof.as_ref();
        let decision = match self.canonical_call() {
            Ok(call) => verifier
                .authorization_header(header, &Arc::new(call), proof, self.now())
                .map(drop),
            Err(code) => match verifier.verify_header(header, self.now()) {
                Ok(_) => return code,
                Err(denied) => Err(denied),
            },
        };
        decision.map_or_else(|denied| denied.code(), |()| "allow")
    }
}
