//! Who asks, as the page shows it: part of the request and so of its digest.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::DamagedRequest;
use crate::oauth::{
    client::{AuthMethod, Client, ClientKind, Identity},
    redirect::RedirectUri,
};

/// The client that asks, what is known of it, and where its answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requester {
    pub(crate) client_id: String,
    /// Visible text. A claim, unless an operator registered the client.
    pub(crate) name: String,
    pub(crate) kind: ClientKind,
    pub(crate) identity: Identity,
    /// The host or scheme to which the browser is sent with the answer, where one is.
    pub(crate) returns_to: Option<String>,
}

impl Requester {
    /// The requester that a client is, once its identity was looked at.
    pub(crate) fn new(
        client: &Client,
        identity: Identity,
        returns_to: Option<&RedirectUri>,
    ) -> Self {
        Self {
            client_id: client.id.clone(),
            name: client.name.clone(),
            kind: client.kind,
            identity,
            returns_to: returns_to.map(RedirectUri::shown),
        }
    }

    pub(super) fn to_stored(&self) -> Value {
        let mut object = Map::new();
        object.insert("id".to_owned(), json!(self.client_id));
        object.insert("name".to_owned(), json!(self.name));
        object.insert("kind".to_owned(), json!(self.kind.as_str()));
        if let Identity::Proved { method, subject } = &self.identity {
            let proof = json!({"method": method.as_str(), "subject": subject});
            object.insert("proof".to_owned(), proof);
        }
        if let Some(place) = &self.returns_to {
            object.insert("returns_to".to_owned(), json!(place));
        }
        Value::Object(object)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredRequester {
    id: String,
    name: String,
    kind: String,
    proof: Option<StoredProof>,
    returns_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredProof {
    method: String,
    subject: String,
}

impl TryFrom<StoredRequester> for Requester {
    type Error = DamagedRequest;

    fn try_from(stored: StoredRequester) -> Result<Self, DamagedRequest> {
        let unknown = |what: &str| DamagedRequest(format!("unknown {what}"));
        let identity = match stored.proof {
            None => Identity::Claimed,
            Some(proof) => Identity::Proved {
                method: AuthMethod::parse(&proof.method).ok_or_else(|| unknown("proof"))?,
                subject: proof.subject,
            },
        };
        Ok(Self {
            kind: ClientKind::parse(&stored.kind).ok_or_else(|| unknown("kind of client"))?,
            client_id: stored.id,
            name: stored.name,
            identity,
            returns_to: stored.returns_to,
        })
    }
}
