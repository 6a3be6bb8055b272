//! OAuth clients.

use bailiwick_datalog::{ApplicationId, Timestamp};
use sqlx::FromRow;

use super::{Change, Store, StoreError, applications::ApplicationRow, damaged, from_db, to_db};
use crate::{
    access_request::Application,
    oauth::{
        client::{AuthMethod, Client, ClientKind, Credentials},
        redirect::RedirectUri,
    },
    secret::SecretDigest,
};

/// A client about to be stored.
#[derive(Debug)]
pub(crate) struct NewClient<'a> {
    pub(crate) id: &'a str,
    pub(crate) application: &'a ApplicationId,
    pub(crate) kind: ClientKind,
    pub(crate) name: &'a str,
    pub(crate) redirects: &'a [RedirectUri],
    pub(crate) method: AuthMethod,
    pub(crate) credentials: &'a Credentials,
    pub(crate) created_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    client_id: String,
    kind: String,
    client_name: String,
    redirect_uris: String,
    auth_method: String,
    secret_hash: Option<Vec<u8>>,
    jwks: Option<String>,
    spiffe_id: Option<String>,
    #[sqlx(flatten)]
    application: ApplicationRow,
}

impl TryFrom<Row> for Client {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let about = |what: &str| damaged(format!("{what} of client {}", row.client_id));
        let kind = ClientKind::parse(&row.kind).ok_or_else(|| about("kind"))?;
        let method = AuthMethod::parse(&row.auth_method).ok_or_else(|| about("method"))?;
        let texts: Vec<String> =
            serde_json::from_str(&row.redirect_uris).map_err(|_| about("redirect URIs"))?;
        let redirects: Result<Vec<RedirectUri>, _> =
            texts.iter().map(|text| RedirectUri::parse(text)).collect();
        let redirects = redirects.map_err(|_| about("redirect URIs"))?;
        let credentials = match (method, row.secret_hash, row.jwks, row.spiffe_id) {
            (AuthMethod::None, None, None, None) => Credentials::None,
            (AuthMethod::SecretBasic | AuthMethod::SecretPost, Some(hash), None, None) => {
                let digest = SecretDigest::stored(&hash).ok_or_else(|| about("secret"))?;
                Credentials::Secret(digest)
            }
            (AuthMethod::PrivateKeyJwt, None, Some(jwks), None) => Credentials::Keys(jwks),
            (AuthMethod::SpiffeJwt, None, None, Some(id)) => Credentials::Spiffe(id),
            _ => return Err(about("credentials")),
        };
        Ok(Self {
            application: row.application.try_into()?,
            id: row.client_id,
            kind,
            name: row.client_name,
            redirects,
            credentials,
        })
    }
}

impl Store {
    /// The client with that id, while its application is there.
    pub(crate) async fn client(&self, id: &str) -> Result<Option<Client>, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT c.client_id, c.kind, c.name AS client_name, c.redirect_uris, c.auth_method,
                 c.secret_hash, c.jwks, c.spiffe_id,
                 a.id, a.name, a.default_duration_s, a.max_duration_s, a.max_depth,
                 a.allowed_tools_json, a.rules_json
             FROM clients c JOIN applications a ON a.id = c.application_id
             WHERE c.client_id = ? AND a.removed_at IS NULL",
        )
        .bind(id)
        .fetch_optional(&self.reader)
        .await?;
        row.map(Client::try_from).transpose()
    }

    /// The client that a SPIFFE workload is.
    pub(crate) async fn client_of_spiffe(&self, id: &str) -> Result<Option<Client>, StoreError> {
        let client: Option<String> =
            sqlx::query_scalar("SELECT client_id FROM clients WHERE spiffe_id = ?")
                .bind(id)
                .fetch_optional(&self.reader)
                .await?;
        match client {
            Some(client) => self.client(&client).await,
            None => Ok(None),
        }
    }

    /// The clients that an operator registered, by id.
    pub(crate) async fn registered_clients(&self) -> Result<Vec<Client>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT client_id FROM clients WHERE kind = 'registered' ORDER BY client_id",
        )
        .fetch_all(&self.reader)
        .await?;
        let mut clients = Vec::new();
        for id in ids {
            clients.extend(self.client(&id).await?);
        }
        Ok(clients)
    }

    /// The client that a document described, and until when that need not be looked at again.
    pub(crate) async fn document(
        &self,
        id: &str,
    ) -> Result<Option<(Client, Timestamp)>, StoreError> {
        let fresh: Option<i64> = sqlx::query_scalar(
            "SELECT fresh_until FROM clients WHERE client_id = ? AND kind = 'document'",
        )
        .bind(id)
        .fetch_optional(&self.reader)
        .await?
        .flatten();
        let Some(fresh) = fresh else { return Ok(None) };
        let client = self.client(id).await?;
        Ok(client.zip(Some(from_db(fresh)?)))
    }

    /// The application that takes clients nobody registered.
    pub(crate) async fn open_application(&self) -> Result<Option<Application>, StoreError> {
        let row: Option<ApplicationRow> = sqlx::query_as(
            "SELECT id, name, default_duration_s, max_duration_s, max_depth, allowed_tools_json,
                 rules_json
             FROM applications WHERE dynamic_registration = 1 AND removed_at IS NULL
             ORDER BY id LIMIT 1",
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(Application::try_from).transpose()
    }
}

/// Stores a client.
pub(crate) async fn insert_client(
    change: &mut Change,
    new: &NewClient<'_>,
) -> Result<(), StoreError> {
    let redirects: Vec<&str> = new.redirects.iter().map(RedirectUri::as_str).collect();
    let (secret, jwks, spiffe_id) = match new.credentials {
        Credentials::None => (None, None, None),
        Credentials::Secret(digest) => (Some(digest.as_slice()), None, None),
        Credentials::Keys(jwks) => (None, Some(jwks), None),
        Credentials::Spiffe(id) => (None, None, Some(id)),
    };
    sqlx::query(
        "INSERT INTO clients (client_id, application_id, kind, name, redirect_uris, auth_method,
             secret_hash, jwks, spiffe_id, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.id)
    .bind(new.application.as_str())
    .bind(new.kind.as_str())
    .bind(new.name)
    .bind(serde_json::json!(redirects).to_string())
    .bind(new.method.as_str())
    .bind(secret)
    .bind(jwks)
    .bind(spiffe_id)
    .bind(to_db(new.created_at))
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Stores what a document says of its client, in place of what it said before.
pub(crate) async fn store_document(
    change: &mut Change,
    new: &NewClient<'_>,
    fresh_until: Timestamp,
) -> Result<(), StoreError> {
    let asked: Option<Option<i64>> =
        sqlx::query_scalar("SELECT last_asked_at FROM clients WHERE client_id = ?")
            .bind(new.id)
            .fetch_optional(&mut **change)
            .await?;
    sqlx::query("DELETE FROM clients WHERE client_id = ? AND kind = 'document'")
        .bind(new.id)
        .execute(&mut **change)
        .await?;
    insert_client(change, new).await?;
    sqlx::query("UPDATE clients SET fresh_until = ?, last_asked_at = ? WHERE client_id = ?")
        .bind(to_db(fresh_until))
        .bind(asked.flatten())
        .bind(new.id)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Notes that a proof was used: `false` when it was before. Those that expired are forgotten.
pub(crate) async fn use_assertion(
    change: &mut Change,
    digest: &[u8; 32],
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM used_assertions WHERE expires_at < ?")
        .bind(to_db(now))
        .execute(&mut **change)
        .await?;
    let inserted = sqlx::query(
        "INSERT INTO used_assertions (digest, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(digest.as_slice())
    .bind(to_db(expires_at))
    .execute(&mut **change)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Removes a client that an operator registered: `false` when there is none. The one that came
/// with an application goes with it alone.
pub(crate) async fn remove_registered(change: &mut Change, id: &str) -> Result<bool, StoreError> {
    let removed = sqlx::query(
        "DELETE FROM clients WHERE client_id = ? AND kind = 'registered'
             AND client_id NOT IN (SELECT client_id FROM applications)",
    )
    .bind(id)
    .execute(&mut **change)
    .await?;
    Ok(removed.rows_affected() == 1)
}

/// Whether a workload has a client already.
pub(crate) async fn knows_spiffe(change: &mut Change, id: &str) -> Result<bool, StoreError> {
    Ok(
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM clients WHERE spiffe_id = ?)")
            .bind(id)
            .fetch_one(&mut **change)
            .await?,
    )
}

/// Notes that a client asked for access: of those that were approved, who never does again is
/// forgotten in time.
pub(crate) async fn note_request(
    change: &mut Change,
    id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE clients SET last_asked_at = ? WHERE client_id = ?")
        .bind(to_db(now))
        .bind(id)
        .execute(&mut **change)
        .await?;
    Ok(())
}
