//! Applications, and which accounts decide for which.

use bailiwick_datalog::{ApplicationId, Principal, Timestamp};
use sqlx::FromRow;

use super::{Change, Store, StoreError, damaged, seconds_from_db, seconds_to_db, to_db};
use crate::{access_request::Application, applications::OwnClient};

/// An application as it is joined to what belongs to it.
#[derive(FromRow)]
pub(super) struct ApplicationRow {
    id: String,
    name: String,
    default_duration_s: i64,
    max_duration_s: i64,
    max_depth: i64,
    allowed_tools_json: Option<String>,
    rules_json: String,
}

/// What [`ApplicationRow`] reads.
macro_rules! application_columns {
    () => {
        "applications.id, applications.name, default_duration_s, max_duration_s, max_depth,
         allowed_tools_json, rules_json"
    };
}

impl TryFrom<ApplicationRow> for Application {
    type Error = StoreError;

    fn try_from(row: ApplicationRow) -> Result<Self, StoreError> {
        let tools = row.allowed_tools_json;
        Ok(Self {
            id: ApplicationId::parse(row.id).map_err(damaged)?,
            name: row.name,
            default_duration: seconds_from_db(row.default_duration_s)?,
            max_duration: seconds_from_db(row.max_duration_s)?,
            max_depth: u32::try_from(row.max_depth).map_err(damaged)?,
            allowed_tools: tools
                .map(|text| serde_json::from_str(&text).map_err(damaged))
                .transpose()?,
            // Damage here must not read as "no rule".
            rules: serde_json::from_str(&row.rules_json).map_err(damaged)?,
        })
    }
}

const LIVE_BY_ID: &str = concat!(
    "SELECT ",
    application_columns!(),
    " FROM applications WHERE id = ? AND removed_at IS NULL"
);

impl Store {
    /// The application with that id, removed or not: what it led to is still shown.
    pub(crate) async fn application(
        &self,
        id: &ApplicationId,
    ) -> Result<Option<Application>, StoreError> {
        let row: Option<ApplicationRow> = sqlx::query_as(concat!(
            "SELECT ",
            application_columns!(),
            " FROM applications WHERE id = ?"
        ))
        .bind(id.as_str())
        .fetch_optional(&self.reader)
        .await?;
        row.map(Application::try_from).transpose()
    }

    /// The application with that id, if it was not removed.
    pub(crate) async fn live_application(
        &self,
        id: &ApplicationId,
    ) -> Result<Option<Application>, StoreError> {
        let row: Option<ApplicationRow> = sqlx::query_as(LIVE_BY_ID)
            .bind(id.as_str())
            .fetch_optional(&self.reader)
            .await?;
        row.map(Application::try_from).transpose()
    }

    /// Those that were not removed, by id.
    pub(crate) async fn live_applications(&self) -> Result<Vec<Application>, StoreError> {
        let rows: Vec<ApplicationRow> = sqlx::query_as(concat!(
            "SELECT ",
            application_columns!(),
            " FROM applications WHERE removed_at IS NULL ORDER BY id"
        ))
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Application::try_from).collect()
    }

    /// The applications an account decides for, by id.
    pub(crate) async fn assignments_of(&self, account: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT application_id FROM application_approvers
             JOIN applications ON applications.id = application_id
             WHERE account_id = ? AND removed_at IS NULL ORDER BY application_id";
        Ok(sqlx::query_scalar(sql)
            .bind(account)
            .fetch_all(&self.reader)
            .await?)
    }
}

const APPROVERS: &str = "SELECT user_name FROM accounts
     JOIN application_approvers ON account_id = accounts.id
     WHERE application_id = ? ORDER BY user_name";

const IS_ASSIGNED: &str = "SELECT EXISTS (SELECT 1 FROM application_approvers
     WHERE application_id = ? AND account_id = ?)";

fn principal(name: String) -> Result<Principal, StoreError> {
    Principal::parse(name).map_err(damaged)
}

/// Whether an account decides for an application, as it is inside a change.
pub(crate) async fn is_assigned(
    change: &mut Change,
    application: &ApplicationId,
    account: &str,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(IS_ASSIGNED)
        .bind(application.as_str())
        .bind(account)
        .fetch_one(&mut **change)
        .await?)
}

/// The application with that id, if it was not removed, as it is inside a change.
pub(crate) async fn live_application_in(
    change: &mut Change,
    id: &ApplicationId,
) -> Result<Option<Application>, StoreError> {
    let row: Option<ApplicationRow> = sqlx::query_as(LIVE_BY_ID)
        .bind(id.as_str())
        .fetch_optional(&mut **change)
        .await?;
    row.map(Application::try_from).transpose()
}

/// Who decides for an application, as it is inside a change.
pub(crate) async fn approvers_in(
    change: &mut Change,
    id: &ApplicationId,
) -> Result<Vec<Principal>, StoreError> {
    let names: Vec<String> = sqlx::query_scalar(APPROVERS)
        .bind(id.as_str())
        .fetch_all(&mut **change)
        .await?;
    names.into_iter().map(principal).collect()
}

/// The client that comes with an application, as it is inside a change.
pub(crate) async fn own_client_in(
    change: &mut Change,
    id: &ApplicationId,
) -> Result<OwnClient, StoreError> {
    let (client, uris): (String, String) = sqlx::query_as(
        "SELECT c.client_id, c.redirect_uris FROM applications a
         JOIN clients c ON c.client_id = a.client_id WHERE a.id = ?",
    )
    .bind(id.as_str())
    .fetch_one(&mut **change)
    .await?;
    Ok(OwnClient {
        id: client,
        redirect_uris: serde_json::from_str(&uris).map_err(damaged)?,
    })
}

/// Says where the answers of that client may go.
pub(crate) async fn set_redirects(
    change: &mut Change,
    id: &ApplicationId,
    uris: &[&str],
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE clients SET redirect_uris = ?
         WHERE client_id = (SELECT client_id FROM applications WHERE id = ?)",
    )
    .bind(serde_json::to_string(uris).map_err(damaged)?)
    .bind(id.as_str())
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Stores a new application, with one client of the same id: `false` when either was given before.
pub(crate) async fn insert(
    change: &mut Change,
    application: &Application,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO applications (id, client_id, name, default_duration_s, max_duration_s,
             max_depth, allowed_tools_json, rules_json)
         VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )
    .bind(application.id.as_str())
    .bind(&application.name)
    .bind(seconds_to_db(application.default_duration))
    .bind(seconds_to_db(application.max_duration))
    .bind(i64::from(application.max_depth))
    .bind(tools_to_db(application)?)
    .bind(serde_json::to_string(&application.rules).map_err(damaged)?)
    .execute(&mut **change)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    let client = sqlx::query(
        "INSERT INTO clients (client_id, application_id, kind, name, redirect_uris, auth_method,
             created_at)
         VALUES (?1, ?1, 'registered', ?2, '[]', 'none', ?3) ON CONFLICT DO NOTHING",
    )
    .bind(application.id.as_str())
    .bind(&application.name)
    .bind(to_db(now))
    .execute(&mut **change)
    .await?;
    Ok(client.rows_affected() == 1)
}

/// Replaces what an application allows.
pub(crate) async fn update(
    change: &mut Change,
    application: &Application,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE applications SET name = ?, default_duration_s = ?, max_duration_s = ?,
             max_depth = ?, allowed_tools_json = ?, rules_json = ?
         WHERE id = ?",
    )
    .bind(&application.name)
    .bind(seconds_to_db(application.default_duration))
    .bind(seconds_to_db(application.max_duration))
    .bind(i64::from(application.max_depth))
    .bind(tools_to_db(application)?)
    .bind(serde_json::to_string(&application.rules).map_err(damaged)?)
    .bind(application.id.as_str())
    .execute(&mut **change)
    .await?;
    sqlx::query("UPDATE clients SET name = ?1 WHERE client_id = ?2 AND application_id = ?2")
        .bind(&application.name)
        .bind(application.id.as_str())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Marks an application as removed.
pub(crate) async fn mark_removed(
    change: &mut Change,
    id: &ApplicationId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE applications SET removed_at = ? WHERE id = ?")
        .bind(to_db(now))
        .bind(id.as_str())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Lets an account decide for an application.
pub(crate) async fn assign(
    change: &mut Change,
    application: &str,
    account: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO application_approvers (application_id, account_id) VALUES (?, ?)
         ON CONFLICT DO NOTHING",
    )
    .bind(application)
    .bind(account)
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Lets an account decide for an application no longer.
pub(crate) async fn unassign(
    change: &mut Change,
    application: &ApplicationId,
    account: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM application_approvers WHERE application_id = ? AND account_id = ?")
        .bind(application.as_str())
        .bind(account)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Leaves an application without anybody to decide.
pub(crate) async fn unassign_all(
    change: &mut Change,
    application: &ApplicationId,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM application_approvers WHERE application_id = ?")
        .bind(application.as_str())
        .execute(&mut **change)
        .await?;
    Ok(())
}

fn tools_to_db(application: &Application) -> Result<Option<String>, StoreError> {
    let tools = application.allowed_tools.as_ref();
    tools
        .map(|tools| serde_json::to_string(tools).map_err(damaged))
        .transpose()
}
