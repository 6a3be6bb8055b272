//! How a token is presented to a gateway: by itself, or with a proof by the
//! key that it is bound to (DPoP, RFC 9449).
//!
//! Owns the two header values. Which key a command has is `holder_key`'s
//! business, and what a proof must say is the verifier crate's.

use bailiwick_datalog::{Chain, Timestamp, ToolName, canonical_call_digest};
use bailiwick_verifier::holder::{HolderKey, ProofRequest};
use rand::RngCore as _;
use rand::rngs::OsRng;
use reqwest::header::HeaderValue;
use serde_json::{Map, Value};

use crate::exit::Failure;
use crate::http;
use crate::token_file::TokenText;

/// What a request to a gateway carries of the token.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    authorization: HeaderValue,
    proof: Option<HeaderValue>,
}

impl Credential {
    /// A token with no proof: enough to see the tools, and to call them
    /// unless it is bound to a key.
    ///
    /// # Errors
    ///
    /// `malformed_token` when it holds characters that no header may.
    pub(crate) fn of(token: &TokenText, chain: &Chain) -> Result<Self, Failure> {
        // A token that is bound is not one of a bearer (RFC 9449 section 7.1).
        let scheme = match chain.holder() {
            Some(_) => "DPoP",
            None => "Bearer",
        };
        Ok(Self {
            authorization: http::authorization(scheme, token.expose())?,
            proof: None,
        })
    }

    /// The same with a proof by `key` for one call, good for a minute from
    /// `now` and once.
    ///
    /// # Errors
    ///
    /// `usage` when the call has no canonical form that a proof could bind.
    pub(crate) fn with_proof(
        self,
        key: &HolderKey,
        token: &TokenText,
        chain: &Chain,
        call: (&str, &Map<String, Value>),
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let (tool, arguments) = call;
        let tool = ToolName::parse(tool).map_err(|error| Failure::usage(error.to_string()))?;
        let digest = canonical_call_digest(&tool, arguments).ok_or_else(|| {
            Failure::usage(
                "the arguments hold a number that has no canonical form, so no proof can bind them",
            )
        })?;
        let mut id = [0; 16];
        OsRng.fill_bytes(&mut id);
        let proof = key.create_proof(&ProofRequest {
            method: "POST",
            // The gateway's own name for itself, which is the token's audience.
            url: chain.authority().audience.as_str(),
            token_text: token.expose(),
            call_digest: &digest,
            issued_at: now,
            id: &in_hex(&id),
        });
        let mut proof = HeaderValue::from_str(&proof.dpop)
            .map_err(|error| Failure::new("internal", error.to_string()))?;
        proof.set_sensitive(true);
        Ok(Self {
            proof: Some(proof),
            ..self
        })
    }

    /// The `Authorization` header.
    pub(crate) fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// The `DPoP` header, if there is one.
    pub(crate) fn proof(&self) -> Option<&HeaderValue> {
        self.proof.as_ref()
    }
}

fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bailiwick_datalog::{Access, Audience, Authority, Call, ResourcePath};
    use bailiwick_verifier::holder::HolderProof;
    use bailiwick_verifier::{
        KeySet, MemoryRevocations, Now, UnverifiedToken, Verifier, VerifierConfig,
    };
    use serde_json::json;

    use super::*;
    use crate::fixture;

    fn key() -> HolderKey {
        HolderKey::from_secret(&[3; 32])
    }

    fn token(holder: Option<&HolderKey>) -> (TokenText, Chain) {
        let authority = Authority {
            holder: holder.map(HolderKey::thumbprint),
            ..fixture::authority()
        };
        let token = fixture::text_of(&fixture::mint(&authority));
        let chain = token.decode().unwrap();
        (token, chain)
    }

    fn arguments() -> Map<String, Value> {
        json!({"path": "reports/q3.md"})
            .as_object()
            .unwrap()
            .clone()
    }

    fn proven(arguments: &Map<String, Value>) -> Result<Credential, Failure> {
        let (token, chain) = token(Some(&key()));
        Credential::of(&token, &chain)?.with_proof(
            &key(),
            &token,
            &chain,
            ("files.read_file", arguments),
            fixture::ISSUED_AT,
        )
    }

    #[test]
    fn the_scheme_follows_from_the_token() {
        for (holder, scheme) in [(None, "Bearer "), (Some(&key()), "DPoP ")] {
            let (token, chain) = token(holder);
            let credential = Credential::of(&token, &chain).unwrap();
            let value = credential.authorization();
            assert!(value.is_sensitive());
            assert_eq!(
                value.to_str().unwrap(),
                format!("{scheme}{}", token.expose())
            );
            assert_eq!(credential.proof(), None);
        }
    }

    #[test]
    fn the_verifier_takes_the_header_and_the_proof() {
        let credential = proven(&arguments()).unwrap();
        let verifier = Verifier::new(VerifierConfig {
            audience: Audience::parse(fixture::AUDIENCE).unwrap(),
            keys: Arc::new(
                KeySet::from_entries([(1, fixture::root_public().parse().unwrap())]).unwrap(),
            ),
            revocations: Arc::new(MemoryRevocations::fixed([])),
        })
        .unwrap();
        let header = credential.authorization().as_bytes();
        let token = UnverifiedToken::from_authorization_header(header).unwrap();
        let call = Call::new(
            ToolName::parse("files.read_file").unwrap(),
            Access::Read,
            vec![ResourcePath::parse("files/reports/q3.md").unwrap()],
            &arguments(),
        );
        let proof = HolderProof {
            dpop: credential.proof().unwrap().to_str().unwrap().to_owned(),
            method: "POST".to_owned(),
            url: fixture::AUDIENCE.to_owned(),
        };
        let now = Now {
            utc: fixture::ISSUED_AT,
            monotonic: Duration::ZERO,
        };
        let decide = || {
            let decision = verifier.authorize_with_proof(&token, &call, Some(&proof), now);
            decision.map(drop).map_err(|denied| denied.code())
        };
        assert_eq!(decide(), Ok(()));
        assert_eq!(decide(), Err("holder_proof_replayed"));
    }

    #[test]
    fn no_two_proofs_are_the_same() {
        let proof = || proven(&arguments()).unwrap().proof().cloned();
        assert_ne!(proof(), proof());
    }

    #[test]
    fn arguments_without_a_canonical_form_are_a_usage_error() {
        let exact = json!({"n": 9_007_199_254_740_991_u64});
        let rounded = json!({"n": 9_007_199_254_740_992_u64});
        assert!(proven(exact.as_object().unwrap()).is_ok());
        let refused = proven(rounded.as_object().unwrap()).unwrap_err();
        assert_eq!(refused.code(), "usage");
    }
}
