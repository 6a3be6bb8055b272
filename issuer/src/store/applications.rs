//! Which accounts decide for which application.

use super::{Change, StoreError};

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
