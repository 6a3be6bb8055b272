//! The first of two approvals.

use bailiwick_datalog::{Principal, Timestamp};
use sqlx::FromRow;

use super::{Change, StoreError, damaged, to_db};
use crate::{access_request::read_granted, narrowing::Granted};

/// The first approval of a request that needs two.
#[derive(Clone, Debug)]
pub(crate) struct FirstApproval {
    /// Who gave it.
    pub(crate) account: String,
    pub(crate) user_name: Principal,
    /// For whom, by the id of the account.
    pub(crate) on_behalf_of: Option<String>,
    /// The workload that the account is of, if it is one.
    pub(crate) workload_identity: Option<String>,
    /// A passkey confirmed it, which the account still has.
    pub(crate) touched: bool,
    pub(crate) granted: Granted,
    pub(crate) instructions: Option<String>,
}

/// A first approval about to be stored.
#[derive(Debug)]
pub(crate) struct NewFirstApproval<'a> {
    pub(crate) request: &'a str,
    pub(crate) account: &'a str,
    pub(crate) on_behalf_of: Option<&'a str>,
    pub(crate) granted_json: &'a str,
    pub(crate) instructions: Option<&'a str>,
    /// The passkey that confirmed it.
    pub(crate) passkey: Option<&'a str>,
    pub(crate) approved_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    account_id: String,
    user_name: String,
    on_behalf_of: Option<String>,
    workload_identity: Option<String>,
    touched: bool,
    granted_json: String,
    instructions: Option<String>,
}

/// The first approval of a request, if there is one.
pub(crate) async fn first_in(
    change: &mut Change,
    request: &str,
) -> Result<Option<FirstApproval>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT f.account_id, a.user_name, f.on_behalf_of, a.workload_identity, f.granted_json,
             f.instructions, EXISTS (SELECT 1 FROM passkeys p
                 WHERE p.id = f.passkey_id AND p.account_id = f.account_id) AS touched
         FROM first_approvals f JOIN accounts a ON a.id = f.account_id WHERE f.request_id = ?",
    )
    .bind(request)
    .fetch_optional(&mut **change)
    .await?;
    row.map(|row| {
        let (duration, tools) = read_granted(&row.granted_json)?;
        Ok(FirstApproval {
            account: row.account_id,
            user_name: Principal::parse(row.user_name).map_err(damaged)?,
            on_behalf_of: row.on_behalf_of,
            workload_identity: row.workload_identity,
            touched: row.touched,
            granted: Granted { duration, tools },
            instructions: row.instructions,
        })
    })
    .transpose()
}

/// Stores a first approval.
pub(crate) async fn insert(
    change: &mut Change,
    new: &NewFirstApproval<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO first_approvals (request_id, account_id, on_behalf_of, granted_json,
             instructions, approved_at, passkey_id)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.request)
    .bind(new.account)
    .bind(new.on_behalf_of)
    .bind(new.granted_json)
    .bind(new.instructions)
    .bind(to_db(new.approved_at))
    .bind(new.passkey)
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Takes back the first approval of a request.
pub(crate) async fn delete(change: &mut Change, request: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM first_approvals WHERE request_id = ?")
        .bind(request)
        .execute(&mut **change)
        .await?;
    Ok(())
}
