//! The SPIFFE trust domain whose workloads may prove who they are: its bundle of keys, from a file
//! or an address that the operator names.
//!
//! A bundle that was read lately is used without looking again, also while its place is away; past
//! [`FRESH_FOR`] it is not used any more, whatever the reason. However many proofs come, its place is
//! asked once in [`READ_AFTER`] at most.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jsonwebtoken::jwk::{JwkSet, PublicKeyUse};
use thiserror::Error;
use tokio::sync::Mutex;
use url::Url;

/// How long a bundle is used as it is.
const FRESH_FOR: Duration = Duration::from_secs(5 * 60);
/// Least time between two readings, whichever keys proofs name.
const READ_AFTER: Duration = Duration::from_secs(10);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Far above a bundle of a hundred keys.
const MAX_BUNDLE_BYTES: usize = 256 * 1024;

/// A SPIFFE trust domain with the place of its bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffeDomain {
    /// The name, such as `prod.example`.
    pub name: String,
    /// Where its keys are.
    pub bundle: SpiffeBundle,
}

/// Where a trust bundle is: a JWK set (SPIFFE Trust Domain and Bundle, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpiffeBundle {
    /// In a file, which is read anew every few minutes.
    File(PathBuf),
    /// At an address, which is fetched anew every few minutes.
    Url(Url),
}

/// Why there are no keys.
#[derive(Debug, Error)]
pub(crate) enum BundleError {
    /// The file cannot be read.
    #[error("the SPIFFE bundle cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// The address does not answer with a bundle.
    #[error("the SPIFFE bundle cannot be fetched: {0}")]
    Fetch(String),
    /// It is no bundle.
    #[error("the SPIFFE bundle is not a JWK set of at most 256 KiB")]
    Malformed,
    /// It could not be had a moment ago.
    #[error("the SPIFFE bundle could not be had a moment ago")]
    Resting,
}

/// That there are no keys.
#[derive(Debug)]
pub(crate) struct NoKeys {
    /// Why.
    pub(crate) cause: BundleError,
    /// It could be read before, or nobody has tried.
    pub(crate) is_news: bool,
}

/// The bundle as last read.
#[derive(Default)]
struct Bundle {
    keys: Option<(Arc<JwkSet>, Duration)>,
    /// When it could not be read, if that was last.
    failed: Option<Duration>,
}

/// The trust domain as the issuer uses it.
pub(crate) struct SpiffeTrust {
    domain: SpiffeDomain,
    // Held across the reading, so that a burst of proofs makes one.
    bundle: Mutex<Bundle>,
}

impl SpiffeTrust {
    pub(crate) fn new(domain: SpiffeDomain) -> Self {
        let bundle = Mutex::default();
        Self { domain, bundle }
    }

    /// Whether that is the name of a workload in this domain: `spiffe://DOMAIN/PATH`.
    pub(crate) fn covers(&self, id: &str) -> bool {
        let path = id
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.strip_prefix(self.domain.name.as_str()))
            .and_then(|rest| rest.strip_prefix('/'));
        path.is_some_and(|path| !path.is_empty())
    }

    /// The name of the trust domain.
    pub(crate) fn name(&self) -> &str {
        &self.domain.name
    }

    /// The keys for JWT-SVIDs, read lately, and just now if `wanted` was not among them.
    ///
    /// # Errors
    /// [`NoKeys`] when they had to be read and could not be: old ones are not used instead.
    pub(crate) async fn keys(
        &self,
        wanted: Option<&str>,
        now: Duration,
    ) -> Result<Arc<JwkSet>, NoKeys> {
        let mut bundle = self.bundle.lock().await;
        if let Some((keys, at)) = &bundle.keys {
            let age = now.saturating_sub(*at);
            let known = wanted.is_none_or(|wanted| keys.find(wanted).is_some());
            if age < READ_AFTER || (known && age < FRESH_FOR) {
                return Ok(Arc::clone(keys));
            }
        }
        let rests = |at: Duration| now.saturating_sub(at) < READ_AFTER;
        if bundle.failed.is_some_and(rests) {
            let cause = BundleError::Resting;
            let is_news = false;
            return Err(NoKeys { cause, is_news });
        }
        match self.read().await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                bundle.keys = Some((Arc::clone(&keys), now));
                bundle.failed = None;
                Ok(keys)
            }
            Err(cause) => {
                let is_news = bundle.failed.replace(now).is_none();
                Err(NoKeys { cause, is_news })
            }
        }
    }

    async fn read(&self) -> Result<JwkSet, BundleError> {
        let bytes = match &self.domain.bundle {
            SpiffeBundle::File(path) => tokio::fs::read(path).await?,
            SpiffeBundle::Url(url) => fetch(url).await?,
        };
        read_bundle(&bytes)
    }
}

impl std::fmt::Debug for SpiffeTrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SpiffeTrust").field(&self.domain).finish()
    }
}

/// Only keys that are for JWT-SVIDs count: those for X.509 are another matter.
fn read_bundle(bytes: &[u8]) -> Result<JwkSet, BundleError> {
    if bytes.len() > MAX_BUNDLE_BYTES {
        return Err(BundleError::Malformed);
    }
    let mut set: JwkSet = serde_json::from_slice(bytes).map_err(|_| BundleError::Malformed)?;
    set.keys.retain(|key| {
        matches!(&key.common.public_key_use, Some(PublicKeyUse::Other(other)) if other == "jwt-svid")
            && key.common.key_id.is_some()
    });
    Ok(set)
}

async fn fetch(url: &Url) -> Result<Vec<u8>, BundleError> {
    let failed = |e: reqwest::Error| BundleError::Fetch(e.without_url().to_string());
    // Does nothing where the host has installed a provider already.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(FETCH_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(failed)?;
    let mut response = client.get(url.clone()).send().await.map_err(failed)?;
    if !response.status().is_success() {
        let why = format!("status {}", response.status().as_u16());
        return Err(BundleError::Fetch(why));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len().saturating_add(chunk.len()) > MAX_BUNDLE_BYTES {
            return Err(BundleError::Malformed);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(file: PathBuf) -> SpiffeTrust {
        SpiffeTrust::new(SpiffeDomain {
            name: "prod.example".to_owned(),
            bundle: SpiffeBundle::File(file),
        })
    }

    #[test]
    fn workloads_of_the_domain_are_covered_and_no_others() {
        let trust = trust(PathBuf::new());
        assert!(trust.covers("spiffe://prod.example/agent/1"));
        for other in [
            "spiffe://prod.example",
            "spiffe://prod.example/",
            "spiffe://prod.example.evil/agent",
            "spiffe://evil.example/prod.example/agent",
            "https://prod.example/agent",
            "prod.example/agent",
        ] {
            assert!(!trust.covers(other), "{other}");
        }
    }

    #[tokio::test]
    async fn bundle_is_read_again_when_it_is_old_or_lacks_the_key_and_not_all_the_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bundle.json");
        let bundle = |kid: &str, usage: &str| {
            let text = format!(
                r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"{kid}","use":"{usage}"}}]}}"#
            );
            std::fs::write(&file, text).unwrap();
        };
        let trust = trust(file.clone());
        let at = Duration::from_secs;
        let has = async |kid: &str, now: u64| {
            let keys = trust.keys(Some(kid), at(now)).await.unwrap();
            keys.find(kid).is_some()
        };
        bundle("a", "jwt-svid");
        assert!(has("a", 1_000).await);
        bundle("b", "jwt-svid");
        assert!(!has("b", 1_009).await, "read a moment ago");
        assert!(has("b", 1_010).await);
        bundle("b", "x509-svid");
        assert!(has("b", 1_309).await, "still fresh");
        assert!(!has("b", 1_310).await, "not for JWT-SVIDs any more");
        std::fs::remove_file(&file).unwrap();
        assert!(
            trust.keys(None, at(1_620)).await.is_err(),
            "old keys are not used"
        );
    }
}
