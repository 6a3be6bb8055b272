//! Webhooks, signed as the Standard Webhooks specification says: `webhook-id`,
//! `webhook-timestamp` and `webhook-signature` with HMAC-SHA256 over all three.
//!
//! The address is the operator's, so it may be an internal one; it is https unless it is this very
//! machine. No redirect is followed and no proxy asked, what the receiver answers beyond its status
//! is not read.

use std::{fmt, net::IpAddr, time::Duration};

use bailiwick_datalog::{ApplicationId, Timestamp};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{DEADLINE, NotifyError, Undelivered};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// What secrets begin with in their text form.
const SECRET_PREFIX: &str = "whsec_";
/// How long a secret is, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What both sides of a webhook know.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// Reads `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// [`NotifyError`].
    pub fn parse(text: &str) -> Result<Self, NotifyError> {
        let wrong = || {
            let why = format!(
                "a webhook's secret is `{SECRET_PREFIX}` and {} to {} bytes in base64",
                SECRET_BYTES.start(),
                SECRET_BYTES.end()
            );
            NotifyError::new(why)
        };
        let encoded = text.trim().strip_prefix(SECRET_PREFIX).ok_or_else(wrong)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| wrong())?;
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(wrong());
        }
        Ok(Self(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// An HTTP endpoint that is told when requests wait.
#[derive(Clone)]
pub struct WebhookTarget {
    url: Url,
    secret: WebhookSecret,
    /// Only what concerns these; empty: everything.
    pub applications: Vec<ApplicationId>,
}

impl fmt::Debug for WebhookTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookTarget")
            .field("name", &self.name())
            .field("applications", &self.applications)
            .finish_non_exhaustive()
    }
}

impl WebhookTarget {
    /// The host and what tells two addresses on it apart: the address itself is often the secret.
    pub(super) fn name(&self) -> String {
        let digest = hex::encode(Sha256::digest(self.url.as_str()));
        let host = self.url.host_str().unwrap_or_default();
        format!("webhook {host} {}", digest.get(..12).unwrap_or_default())
    }

    /// Checks the address.
    ///
    /// # Errors
    /// [`NotifyError`] for one that is neither https nor this very machine, or has credentials.
    pub fn new(
        url: Url,
        secret: WebhookSecret,
        applications: Vec<ApplicationId>,
    ) -> Result<Self, NotifyError> {
        let host = url.host_str().unwrap_or_default();
        let refuse = |why: &str| NotifyError::new(format!("the webhook at `{host}` {why}"));
        let local = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return Err(refuse("has no host")),
        };
        if url.scheme() != "https" && !(local && url.scheme() == "http") {
            return Err(refuse("must be https"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(refuse("must have no credentials and no fragment"));
        }
        Ok(Self {
            url,
            secret,
            applications,
        })
    }
}

/// An endpoint, and the way to it.
pub(super) struct Webhook {
    target: WebhookTarget,
    http: reqwest::Client,
}

impl Webhook {
    pub(super) fn new(target: WebhookTarget) -> Result<Self, NotifyError> {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .connect_timeout(CONNECT_DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| NotifyError::new(error.to_string()))?;
        Ok(Self { target, http })
    }

    /// Sends one thing; the same `id` each time, so that the receiver takes it once.
    pub(super) async fn send(
        &self,
        id: &str,
        body: &str,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        let time = now.unix().to_string();
        let signature = sign(&self.target.secret, id, &time, body)?;
        let request = self
            .http
            .post(self.target.url.clone())
            .header("content-type", "application/json")
            .header("user-agent", "bailiwick")
            .header("webhook-id", id)
            .header("webhook-timestamp", time)
            .header("webhook-signature", signature)
            .body(body.to_owned());
        let answer = request.send().await;
        let answer = answer.map_err(|error| Undelivered::Later(error.without_url().to_string()))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(Undelivered::Later(format!(
                "it answers {}",
                answer.status()
            )))
        }
    }
}

fn sign(secret: &WebhookSecret, id: &str, time: &str, body: &str) -> Result<String, Undelivered> {
    let mac = Hmac::<Sha256>::new_from_slice(&secret.0);
    let mut mac = mac.map_err(|error| Undelivered::Never(error.to_string()))?;
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    Ok(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn signature_is_that_of_the_specifications_example() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let signature = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "{\"test\": 2432232314}",
        );
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn secret_has_its_prefix_and_its_length() {
        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![1; length]));
        for (length, good) in [(23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(WebhookSecret::parse(&of(length)).is_ok(), good, "{length}");
        }
        for bad in ["", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert!(WebhookSecret::parse(bad).is_err(), "{bad}");
        }
        let secret = WebhookSecret::parse(SECRET).unwrap();
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
    }

    #[test]
    fn address_that_may_be_a_secret_is_in_no_name_and_no_message() {
        let secret = || WebhookSecret::parse(SECRET).unwrap();
        let target = |url: &str| WebhookTarget::new(Url::parse(url).unwrap(), secret(), Vec::new());
        let one = target("https://chat.example/T0K3N?key=5ecret").unwrap();
        let other = target("https://chat.example/T0K3N?key=0ther").unwrap();
        assert_ne!(one.name(), other.name());
        let refused = target("http://me:pa55@chat.example/T0K3N?key=5ecret").unwrap_err();
        for text in [one.name(), format!("{one:?}"), refused.to_string()] {
            assert!(text.contains("chat.example"), "{text}");
            for hidden in ["T0K3N", "5ecret", "pa55"] {
                assert!(!text.contains(hidden), "{text}");
            }
        }
    }

    #[test]
    fn place_that_is_there_twice_is_refused() {
        let target = |key: &str| {
            let url = Url::parse(&format!("https://chat.example/?key={key}")).unwrap();
            let secret = WebhookSecret::parse(SECRET).unwrap();
            let target = WebhookTarget::new(url, secret, Vec::new());
            super::super::NotifyTarget::Webhook(target.unwrap())
        };
        let places = |keys: [&str; 2]| super::super::Places::new(keys.map(target).into());
        assert!(places(["1", "2"]).is_ok());
        assert!(places(["1", "1"]).is_err());
    }

    #[test]
    fn endpoint_is_https_or_this_machine_and_carries_no_credentials() {
        let good = |url: &str| {
            let secret = WebhookSecret::parse(SECRET).unwrap();
            WebhookTarget::new(Url::parse(url).unwrap(), secret, Vec::new()).is_ok()
        };
        for url in [
            "https://chat.example/hook?key=1",
            "https://10.0.0.1/hook",
            "http://127.0.0.1:1/hook",
            "http://[::1]:1/",
            "http://localhost/",
        ] {
            assert!(good(url), "{url}");
        }
        for url in [
            "http://chat.example/hook",
            "http://10.0.0.1/hook",
            "https://user@chat.example/",
            "https://:pw@chat.example/",
            "https://chat.example/#x",
            "ftp://localhost/",
            "mailto:x@example.org",
        ] {
            assert!(!good(url), "{url}");
        }
    }
}
