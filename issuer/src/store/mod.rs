//! The issuer's record in SQLite.
//!
//! One connection writes, a few read. Every change of state is a compare-and-swap inside an
//! immediate transaction on the writer, so of many simultaneous ones exactly one wins. A
//! transaction that is dropped without `commit` changes nothing. The modules below hold the
//! SQL; no rule of the domain lives here beyond the conditions of the swaps.

pub(crate) mod accounts;
pub(crate) mod applications;
mod audit_intake;
pub(crate) mod authorizations;
pub(crate) mod browsers;
pub(crate) mod client_room;
pub(crate) mod clients;
pub(crate) mod delegations;
pub(crate) mod first_approvals;
pub(crate) mod identities;
pub(crate) mod invitations;
mod key_set;
pub(crate) mod notifications;
pub(crate) mod passkey_challenges;
pub(crate) mod passkey_permissions;
pub(crate) mod passkeys;
pub(crate) mod prompts;
pub(crate) mod requests;
pub(crate) mod revocations;
pub(crate) mod session_lists;
pub(crate) mod sessions;
mod usage;
mod waiting;

use std::{path::Path, time::Duration};

use bailiwick_datalog::Timestamp;
use sqlx::{
    Connection as _, Sqlite, SqlitePool, Transaction,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use thiserror::Error;

pub(crate) use accounts::Account;
pub(crate) use audit_intake::CallDecision;
pub(crate) use authorizations::Authorization;
pub(crate) use browsers::BrowserSession;
pub(crate) use clients::NewClient;
pub(crate) use delegations::Delegation;
pub(crate) use first_approvals::{FirstApproval, NewFirstApproval};
pub(crate) use notifications::{NewNotification, Notification};
pub(crate) use passkeys::Passkey;
pub(crate) use requests::{Decider, NewRequest, Poll, RequestState, StoredRequest};
pub(crate) use revocations::Revoked;
pub(crate) use session_lists::{Place, SessionFilter, Standing};
pub(crate) use sessions::{NewSession, StoredSession};
pub(crate) use usage::{CallCounts, DelegateChain, Usage};
pub(crate) use waiting::WaitingRequest;

use crate::access_request::DamagedRequest;

const READERS: u32 = 4;
/// How long a request waits for a connection before it is refused.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the store could not answer. Callers refuse whatever depended on it.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be brought up to date")]
    Migrate(#[from] MigrateError),
    /// A row cannot be what this program wrote.
    #[error("a database row is damaged: {0}")]
    Damaged(String),
}

impl From<DamagedRequest> for StoreError {
    fn from(damage: DamagedRequest) -> Self {
        Self::Damaged(damage.to_string())
    }
}

/// An open write transaction; dropping it rolls back.
pub(crate) type Change = Transaction<'static, Sqlite>;

/// The open database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    writer: SqlitePool,
    reader: SqlitePool,
}

impl Store {
    /// Opens the database file, which must exist (it may be empty), and brings its schema up
    /// to date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(false)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(ACQUIRE_TIMEOUT)
        };
        // A commit that failed for want of room leaves a transaction that the driver cannot end.
        let writer = pool(1).before_acquire(|connection, _| {
            let ended = !connection.is_in_transaction();
            Box::pin(async move { Ok(ended) })
        });
        let writer = writer.connect_with(options.clone()).await?;
        sqlx::migrate!("./migrations").run(&writer).await?;
        let reader = pool(READERS)
            .connect_with(options.pragma("query_only", "1"))
            .await?;
        Ok(Self { writer, reader })
    }

    /// Starts a change. Only one is open at any moment; the others wait.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub(crate) async fn change(&self) -> Result<Change, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Reads that belong together; nothing can be changed through it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub(crate) async fn look(&self) -> Result<Change, StoreError> {
        Ok(self.reader.begin().await?)
    }

    /// Proves that the database can be read.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT seq FROM revocation_feed")
            .fetch_one(&self.reader)
            .await?;
        Ok(())
    }

    /// Closes all connections; later calls fail.
    pub(crate) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Makes a change durable.
///
/// # Errors
/// [`StoreError::Database`]; the change then did not happen.
pub(crate) async fn commit(change: Change) -> Result<(), StoreError> {
    Ok(change.commit().await?)
}

fn to_db(time: Timestamp) -> i64 {
    i64::try_from(time.unix()).unwrap_or(i64::MAX)
}

fn from_db(seconds: i64) -> Result<Timestamp, StoreError> {
    u64::try_from(seconds)
        .map(Timestamp::from_unix)
        .map_err(|_| StoreError::Damaged(format!("time {seconds} is before 1970")))
}

fn seconds_to_db(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn seconds_from_db(seconds: i64) -> Result<Duration, StoreError> {
    u64::try_from(seconds)
        .map(Duration::from_secs)
        .map_err(|_| StoreError::Damaged(format!("duration {seconds} is negative")))
}

fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(what.to_string())
}
