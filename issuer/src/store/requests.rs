//! Access requests: asked, then approved or denied once.

use std::time::Duration;

use bailiwick_datalog::{ApplicationId, Timestamp};
use sqlx::FromRow;

use super::{
    Change, Store, StoreError, damaged, from_db, notifications, seconds_from_db, seconds_to_db,
    to_db,
};
use crate::{
    access_request::{AccessRequest, RequestDigest},
    ids::UserCode,
    people::{Authority, Sight},
    secret::SecretDigest,
};

/// Decided and expired requests are kept this long for the page that shows them.
const KEEP_UNDECIDED: Duration = Duration::from_secs(24 * 60 * 60);

/// A request about to be stored.
#[derive(Debug)]
pub(crate) struct NewRequest<'a> {
    pub(crate) id: &'a str,
    pub(crate) application: &'a ApplicationId,
    pub(crate) client_id: &'a str,
    pub(crate) device_code: &'a SecretDigest,
    pub(crate) user_code: &'a UserCode,
    pub(crate) canonical: &'a str,
    pub(crate) digest: RequestDigest,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) poll_interval: Duration,
}

/// What was decided. That an undecided request is too old is a matter of time, not of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestState {
    /// Waits for an approver.
    Pending,
    /// Approved; the session exists.
    Approved,
    /// Denied.
    Denied,
}

/// A request as stored, its digest checked.
#[derive(Clone, Debug)]
pub(crate) struct StoredRequest {
    pub(crate) id: String,
    pub(crate) user_code: UserCode,
    pub(crate) request: AccessRequest,
    pub(crate) digest: RequestDigest,
    pub(crate) state: RequestState,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) decided_at: Option<Timestamp>,
    pub(crate) decided_by: Option<String>,
    /// The approver for whom a delegate decided.
    pub(crate) decided_on_behalf_of: Option<String>,
    pub(crate) denial_reason: Option<String>,
}

/// Who decides, by user name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decider<'a> {
    pub(crate) user_name: &'a str,
    /// The approver they stand in for.
    pub(crate) on_behalf_of: Option<&'a str>,
}

impl<'a> Decider<'a> {
    /// Whoever has that authority.
    pub(crate) fn of(authority: &'a Authority) -> Self {
        Self {
            user_name: authority.account.user_name.as_str(),
            on_behalf_of: authority.behalf(),
        }
    }
}

/// Whether a waiting agent kept the pace it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// It did.
    InTime,
    /// It did not, and has to wait this long between polls from now on.
    TooFast {
        /// The new interval.
        interval: Duration,
    },
}

#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    user_code: String,
    request_json: String,
    request_digest: Vec<u8>,
    state: String,
    created_at: i64,
    expires_at: i64,
    decided_at: Option<i64>,
    decided_by: Option<String>,
    decided_on_behalf_of: Option<String>,
    denial_reason: Option<String>,
}

impl TryFrom<Row> for StoredRequest {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let digest = RequestDigest::of(&row.request_json);
        if row.request_digest != digest.bytes() {
            return Err(damaged(format!(
                "request {} does not match its digest",
                row.id
            )));
        }
        let request = AccessRequest::from_stored(&row.request_json, digest)?;
        let user_code = UserCode::parse(&row.user_code).ok_or_else(|| damaged("user code"))?;
        let state = match row.state.as_str() {
            "pending" => RequestState::Pending,
            "approved" => RequestState::Approved,
            "denied" => RequestState::Denied,
            other => return Err(damaged(format!("state {other}"))),
        };
        Ok(Self {
            user_code,
            request,
            digest,
            state,
            created_at: from_db(row.created_at)?,
            expires_at: from_db(row.expires_at)?,
            decided_at: row.decided_at.map(from_db).transpose()?,
            decided_by: row.decided_by,
            decided_on_behalf_of: row.decided_on_behalf_of,
            denial_reason: row.denial_reason,
            id: row.id,
        })
    }
}

impl Store {
    /// The request with that id.
    pub(crate) async fn request(&self, id: &str) -> Result<Option<StoredRequest>, StoreError> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM access_requests WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.reader)
            .await?;
        row.map(StoredRequest::try_from).transpose()
    }

    /// The requests with these ids.
    pub(super) async fn requests_with(
        &self,
        ids: &[&str],
    ) -> Result<Vec<StoredRequest>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT * FROM access_requests WHERE id IN (SELECT value FROM json_each(?))",
        )
        .bind(serde_json::to_string(ids).map_err(damaged)?)
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(StoredRequest::try_from).collect()
    }

    /// The request whose device code has that digest.
    pub(crate) async fn request_of_device(
        &self,
        device_code: &SecretDigest,
    ) -> Result<Option<StoredRequest>, StoreError> {
        let row: Option<Row> =
            sqlx::query_as("SELECT * FROM access_requests WHERE device_code_hash = ?")
                .bind(device_code.as_slice())
                .fetch_optional(&self.reader)
                .await?;
        row.map(StoredRequest::try_from).transpose()
    }

    /// The id of the request a person's code stands for, if it waits at `now` and they see it.
    pub(crate) async fn waiting_request_of_code(
        &self,
        code: &UserCode,
        sight: &Sight,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let (everything, applications) = sight.bounds();
        Ok(sqlx::query_scalar(
            "SELECT id FROM access_requests
             WHERE user_code = ? AND state = 'pending' AND expires_at > ?
                 AND (? OR application_id IN (SELECT value FROM json_each(?)))",
        )
        .bind(code.as_str())
        .bind(to_db(now))
        .bind(everything)
        .bind(applications)
        .fetch_optional(&self.reader)
        .await?)
    }
}

/// How many requests of an application that anybody may be asked about wait at `now`. Those that
/// came through a browser are that browser's own.
pub(crate) async fn count_waiting(
    change: &mut Change,
    application: &ApplicationId,
    now: Timestamp,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM access_requests
         WHERE application_id = ? AND state = 'pending' AND expires_at > ?
             AND id NOT IN (SELECT request_id FROM authorization_requests)",
    )
    .bind(application.as_str())
    .bind(to_db(now))
    .fetch_one(&mut **change)
    .await?)
}

/// Stores a request, dropping undecided ones that expired long ago. `false` when its user
/// code is taken: draw another.
pub(crate) async fn insert_request(
    change: &mut Change,
    new: &NewRequest<'_>,
) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM access_requests WHERE state <> 'approved' AND expires_at < ?")
        .bind(to_db(new.created_at).saturating_sub(seconds_to_db(KEEP_UNDECIDED)))
        .execute(&mut **change)
        .await?;
    let inserted = sqlx::query(
        "INSERT INTO access_requests (id, application_id, client_id, device_code_hash, user_code,
             request_json, request_digest, state, created_at, expires_at, poll_interval_s)
         VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)
         ON CONFLICT (user_code) DO NOTHING",
    )
    .bind(new.id)
    .bind(new.application.as_str())
    .bind(new.client_id)
    .bind(new.device_code.as_slice())
    .bind(new.user_code.as_str())
    .bind(new.canonical)
    .bind(new.digest.bytes().to_vec())
    .bind(to_db(new.created_at))
    .bind(to_db(new.expires_at))
    .bind(seconds_to_db(new.poll_interval))
    .execute(&mut **change)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Whether a request waits still at `now`, and is the one that was shown.
pub(crate) async fn is_open(
    change: &mut Change,
    id: &str,
    shown: RequestDigest,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM access_requests
         WHERE id = ? AND state = 'pending' AND expires_at > ? AND request_digest = ?)",
    )
    .bind(id)
    .bind(to_db(now))
    .bind(shown.bytes().to_vec())
    .fetch_one(&mut **change)
    .await?)
}

/// Turns a waiting request into an approved one: `false` when it is not waiting any more, is
/// expired at `now`, or is not the one that was shown. Nobody is told any more that it waits.
pub(crate) async fn swap_to_approved(
    change: &mut Change,
    id: &str,
    shown: RequestDigest,
    by: Decider<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let swapped = sqlx::query(
        "UPDATE access_requests SET state = 'approved', decided_at = ?, decided_by = ?,
             decided_on_behalf_of = ?
         WHERE id = ? AND state = 'pending' AND expires_at > ? AND request_digest = ?",
    )
    .bind(to_db(now))
    .bind(by.user_name)
    .bind(by.on_behalf_of)
    .bind(id)
    .bind(to_db(now))
    .bind(shown.bytes().to_vec())
    .execute(&mut **change)
    .await?;
    decided(change, id, swapped.rows_affected(), now).await
}

async fn decided(
    change: &mut Change,
    id: &str,
    swapped: u64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if swapped == 1 {
        notifications::forget_request(change, id, now).await?;
    }
    Ok(swapped == 1)
}

/// Denies everything that waits in an application, and names it.
pub(crate) async fn deny_waiting(
    change: &mut Change,
    application: &ApplicationId,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let denied = sqlx::query_scalar(
        "UPDATE access_requests SET state = 'denied', decided_at = ?1, decided_by = ?2,
             denial_reason = ?3
         WHERE application_id = ?4 AND state = 'pending' AND expires_at > ?1 RETURNING id",
    )
    .bind(to_db(now))
    .bind(by)
    .bind(reason)
    .bind(application.as_str())
    .fetch_all(&mut **change)
    .await?;
    notifications::forget_application(change, application).await?;
    Ok(denied)
}

/// Turns a waiting request into a denied one, under the same conditions as
/// [`swap_to_approved`].
pub(crate) async fn swap_to_denied(
    change: &mut Change,
    id: &str,
    shown: RequestDigest,
    by: Decider<'_>,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let swapped = sqlx::query(
        "UPDATE access_requests SET state = 'denied', decided_at = ?, decided_by = ?,
             decided_on_behalf_of = ?, denial_reason = ?
         WHERE id = ? AND state = 'pending' AND expires_at > ? AND request_digest = ?",
    )
    .bind(to_db(now))
    .bind(by.user_name)
    .bind(by.on_behalf_of)
    .bind(reason)
    .bind(id)
    .bind(to_db(now))
    .bind(shown.bytes().to_vec())
    .execute(&mut **change)
    .await?;
    decided(change, id, swapped.rows_affected(), now).await
}

/// Notes a poll and tells whether it kept the pace (RFC 8628 section 3.5). One that came too
/// soon makes the interval `penalty` longer.
pub(crate) async fn note_poll(
    change: &mut Change,
    id: &str,
    now: Timestamp,
    penalty: Duration,
) -> Result<Poll, StoreError> {
    let (interval, last): (i64, Option<i64>) =
        sqlx::query_as("SELECT poll_interval_s, last_polled_at FROM access_requests WHERE id = ?")
            .bind(id)
            .fetch_one(&mut **change)
            .await?;
    let in_time = last.is_none_or(|last| to_db(now).saturating_sub(last) >= interval);
    let interval = if in_time {
        interval
    } else {
        interval.saturating_add(seconds_to_db(penalty))
    };
    sqlx::query("UPDATE access_requests SET poll_interval_s = ?, last_polled_at = ? WHERE id = ?")
        .bind(interval)
        .bind(to_db(now))
        .bind(id)
        .execute(&mut **change)
        .await?;
    if in_time {
        Ok(Poll::InTime)
    } else {
        Ok(Poll::TooFast {
            interval: seconds_from_db(interval)?,
        })
    }
}
