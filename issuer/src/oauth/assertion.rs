//! Identity that a client proves with a signed JWT: by its own key (RFC 7523), or by a JWT-SVID of
//! its SPIFFE trust domain.
//!
//! Both are good for this issuer alone and for a short time. A client's own assertion counts once;
//! a JWT-SVID is issued to be shown until it expires, and so may be.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    authenticate::AuthenticationError,
    client::{AuthMethod, Client, ClientError, Credentials, Identity, Lookup},
    jwt::{self, CLIENT_ALGORITHMS, Claims, SVID_ALGORITHMS},
    spiffe::{NoKeys, SpiffeTrust},
};
use crate::{
    core::{Core, Unavailable},
    store::{self, clients},
};

/// Longest time that an assertion may still run: it is made for one request.
const MAX_LIFE: Duration = Duration::from_secs(10 * 60);
/// How far another machine's clock may be ahead.
const SKEW: Duration = Duration::from_secs(30);

/// Which kind of proof it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AssertionKind {
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`
    OwnKey,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe`
    Spiffe,
}

impl AssertionKind {
    /// Reads `client_assertion_type`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" => Some(Self::OwnKey),
            "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe" => Some(Self::Spiffe),
            _ => None,
        }
    }
}

impl Core {
    /// The client that signed an assertion.
    ///
    /// # Errors
    /// [`AuthenticationError`]; what exactly is wrong with a proof is not said.
    pub(crate) async fn prove(
        &self,
        client_id: Option<&str>,
        kind: AssertionKind,
        assertion: &str,
        lookup: Lookup,
    ) -> Result<(Client, Identity), AuthenticationError> {
        match kind {
            AssertionKind::OwnKey => self.prove_own_key(client_id, assertion, lookup).await,
            AssertionKind::Spiffe => self.prove_spiffe(client_id, assertion).await,
        }
    }

    async fn prove_own_key(
        &self,
        client_id: Option<&str>,
        assertion: &str,
        lookup: Lookup,
    ) -> Result<(Client, Identity), AuthenticationError> {
        let (subject, _) = jwt::stated(assertion).ok_or_else(wrong)?;
        if client_id.is_some_and(|named| named != subject) {
            return Err(wrong());
        }
        let client = self.client(&subject, lookup).await?;
        let Credentials::Keys(keys) = &client.credentials else {
            return Err(wrong());
        };
        let keys: JwkSet = serde_json::from_str(keys).map_err(|_| {
            Unavailable::from(store::StoreError::Damaged(format!("keys of {}", client.id)))
        })?;
        let claims = jwt::verify(assertion, &keys, &CLIENT_ALGORITHMS).ok_or_else(wrong)?;
        let is_own = claims.sub == subject && claims.iss.as_deref() == Some(subject.as_str());
        let now = self.clock.now().utc;
        let ends = self.checked_end(&claims, now).ok_or_else(wrong)?;
        let Some(id) = claims.jti.filter(|_| is_own) else {
            return Err(wrong());
        };
        let digest = Sha256::new()
            .chain_update(client.id.as_bytes())
            .chain_update([0])
            .chain_update(id.as_bytes())
            .finalize();
        let mut change = self.store.change().await.map_err(Unavailable::from)?;
        let fresh = clients::use_assertion(&mut change, &digest.into(), ends, now).await;
        if !fresh.map_err(Unavailable::from)? {
            return Err(AuthenticationError::Refused(
                "that assertion was used already",
            ));
        }
        store::commit(change).await.map_err(Unavailable::from)?;
        let subject = client.id.clone();
        let method = AuthMethod::PrivateKeyJwt;
        Ok((client, Identity::Proved { method, subject }))
    }

    async fn prove_spiffe(
        &self,
        client_id: Option<&str>,
        svid: &str,
    ) -> Result<(Client, Identity), AuthenticationError> {
        let trust = self.spiffe.as_ref().ok_or(AuthenticationError::Refused(
            "this issuer trusts no SPIFFE domain",
        ))?;
        let (subject, key) = jwt::stated(svid).ok_or_else(wrong)?;
        // Whoever is not of the trust domain does not make us fetch anything.
        if !trust.covers(&subject) {
            return Err(wrong());
        }
        let now = self.clock.now();
        let keys = match trust.keys(key.as_deref(), now.monotonic).await {
            Ok(keys) => keys,
            Err(none) => return Err(self.without_bundle(trust, &none, now.utc).await),
        };
        let claims = jwt::verify(svid, &keys, &SVID_ALGORITHMS).ok_or_else(wrong)?;
        self.checked_end(&claims, now.utc).ok_or_else(wrong)?;
        let client = self.store.client_of_spiffe(&claims.sub).await;
        let client = client.map_err(Unavailable::from)?;
        let client = client.ok_or(ClientError::Unknown)?;
        if claims.sub != subject || client_id.is_some_and(|named| named != client.id) {
            return Err(wrong());
        }
        let method = AuthMethod::SpiffeJwt;
        Ok((client, Identity::Proved { method, subject }))
    }

    /// Puts it on the record that the workloads of a domain can prove nothing, when it begins.
    async fn without_bundle(
        &self,
        trust: &SpiffeTrust,
        none: &NoKeys,
        now: Timestamp,
    ) -> AuthenticationError {
        let why = none.cause.to_string();
        if none.is_news {
            let fields = json!({"trust_domain": trust.name(), "why": why});
            let recorded = self.audit.record(now, "spiffe_bundle_unavailable", fields);
            if let Err(cause) = recorded.await {
                return Unavailable::from(cause).into();
            }
        }
        Unavailable::Internal(why).into()
    }

    /// Audience and time: when the proof ends, if it is good now and for this issuer alone.
    fn checked_end(&self, claims: &Claims, now: Timestamp) -> Option<Timestamp> {
        let site = &self.settings.site;
        let endpoint = site.url("/oauth/token");
        let ends = Timestamp::from_unix(claims.exp);
        let latest = now.checked_add(MAX_LIFE)?;
        let skewed = now.checked_add(SKEW)?.unix();
        let begun = claims.nbf.is_none_or(|at| at <= skewed);
        let issued = claims.iat.is_none_or(|at| at <= skewed);
        let in_time = now < ends && ends <= latest && begun && issued;
        let for_us = claims.aud.is_only(&[site.origin(), &endpoint]);
        (in_time && for_us).then_some(ends)
    }
}

fn wrong() -> AuthenticationError {
    AuthenticationError::Refused("that assertion does not prove it")
}
