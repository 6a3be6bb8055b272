//! What a client registered by itself, carried by its own id.
//!
//! Nothing is kept for it here: no number of registrations takes memory, disk or a place in the
//! record, none drives out another, and to register needs no limit that a flood could close to
//! everybody else. The id is the name by which pages and the record know the client (`cli_…`), what
//! it registered as JSON, and an HMAC-SHA256 over both under a key of the issuer's; as long as
//! [`MAX_ID_BYTES`] and no longer. It never ends, for it gives nothing but leave to ask, which
//! anybody may have by registering anew. Who loses the key has such clients register anew.
//!
//! Of a client's secret it holds the SHA-256 alone, like the store.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use super::{
    client::{Client, ClientKind, Credentials, MAX_ID_BYTES},
    redirect::RedirectUri,
};
use crate::{
    access_request::Application,
    secret::{Secret, SecretDigest},
};

/// What their names begin with.
pub(super) const PREFIX: &str = "cli";
const DOMAIN: &[u8] = b"bailiwick client id v1\0";
const BETWEEN: char = '.';

/// What writes and reads such ids.
pub(crate) struct Registrations(Secret);

impl Registrations {
    /// With a key that is kept between starts.
    pub(crate) fn new(key: Secret) -> Self {
        Self(key)
    }

    /// The id of a client.
    pub(super) fn id_of(&self, client: &Client) -> Option<String> {
        let carried = serde_json::to_vec(&Carried::of(client)?).ok()?;
        let carried = URL_SAFE_NO_PAD.encode(carried);
        let signed = format!("{}{BETWEEN}{carried}", client.id);
        let mac = self.mac(&signed)?.finalize().into_bytes();
        Some(format!("{signed}{BETWEEN}{}", URL_SAFE_NO_PAD.encode(mac)))
    }

    /// The name by which the client with that id is known, if it was written here.
    pub(crate) fn name(&self, id: &str) -> Option<String> {
        Some(self.read(id)?.name)
    }

    /// What an id carries, if it was written here.
    pub(super) fn read(&self, id: &str) -> Option<Registration> {
        if id.len() > MAX_ID_BYTES {
            return None;
        }
        let (signed, mac) = id.rsplit_once(BETWEEN)?;
        let (name, carried) = signed.split_once(BETWEEN)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        // Takes the same time whatever differs.
        self.mac(signed)?.verify_slice(&mac).ok()?;
        let carried = URL_SAFE_NO_PAD.decode(carried).ok()?;
        let carried = serde_json::from_slice(&carried).ok()?;
        let name = name.to_owned();
        Some(Registration { name, carried })
    }

    fn mac(&self, signed: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::new_from_slice(self.0.expose().as_bytes()).ok()?;
        mac.update(DOMAIN);
        mac.update(signed.as_bytes());
        Some(mac)
    }
}

/// What an id says.
pub(super) struct Registration {
    name: String,
    carried: Carried,
}

impl Registration {
    /// The client, as long as `open` is the application that it registered with.
    pub(super) fn client(self, open: Application) -> Option<Client> {
        let Carried {
            application,
            name,
            redirects,
            secret,
            keys,
        } = self.carried;
        if application != open.id.as_str() {
            return None;
        }
        let redirects = redirects.iter().map(|text| RedirectUri::parse(text).ok());
        let credentials = match (secret, keys) {
            (None, None) => Credentials::None,
            (Some(digest), None) => {
                let digest = URL_SAFE_NO_PAD.decode(digest).ok()?;
                Credentials::Secret(SecretDigest::stored(&digest)?)
            }
            (None, Some(keys)) => Credentials::Keys(keys.to_string()),
            (Some(_), Some(_)) => return None,
        };
        Some(Client {
            id: self.name,
            application: open,
            kind: ClientKind::Dynamic,
            name,
            redirects: redirects.collect::<Option<_>>()?,
            credentials,
        })
    }
}

/// The registration in as few words as it takes: it travels in addresses.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Carried {
    #[serde(rename = "a")]
    application: String,
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "r")]
    redirects: Vec<String>,
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(rename = "k", skip_serializing_if = "Option::is_none")]
    keys: Option<Value>,
}

impl Carried {
    /// `None` for credentials that no client registers by itself.
    fn of(client: &Client) -> Option<Self> {
        let (secret, keys) = match &client.credentials {
            Credentials::None => (None, None),
            Credentials::Secret(digest) => (Some(URL_SAFE_NO_PAD.encode(digest.as_slice())), None),
            Credentials::Keys(keys) => (None, Some(serde_json::from_str(keys).ok()?)),
            Credentials::Spiffe(_) => return None,
        };
        let redirects = client.redirects.iter();
        Some(Self {
            application: client.application.id.as_str().to_owned(),
            name: client.name.clone(),
            redirects: redirects.map(|uri| uri.as_str().to_owned()).collect(),
            secret,
            keys,
        })
    }
}
