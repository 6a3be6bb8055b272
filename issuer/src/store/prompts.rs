//! Which agent asked how often, and was denied when.

use std::collections::HashMap;

use bailiwick_datalog::Timestamp;

use super::{Change, Store, StoreError, damaged, from_db, seconds_to_db, to_db};
use crate::fatigue::{AgentKey, LATELY};

impl Store {
    /// How often each agent asked in the last hour.
    pub(crate) async fn prompts_lately(
        &self,
        now: Timestamp,
    ) -> Result<HashMap<AgentKey, i64>, StoreError> {
        let rows: Vec<(Vec<u8>, i64)> =
            sqlx::query_as("SELECT agent, count(*) FROM prompts WHERE asked_at > ? GROUP BY agent")
                .bind(to_db(now).saturating_sub(seconds_to_db(LATELY)))
                .fetch_all(&self.reader)
                .await?;
        let keyed = rows
            .into_iter()
            .map(|(key, count)| Ok((agent(&key)?, count)));
        keyed.collect()
    }
}

fn agent(key: &[u8]) -> Result<AgentKey, StoreError> {
    AgentKey::stored(key).ok_or_else(|| damaged("agent of a request"))
}

/// Notes which agent made a request.
pub(crate) async fn note(
    change: &mut Change,
    request: &str,
    agent: AgentKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO prompts (request_id, agent, asked_at) VALUES (?, ?, ?)")
        .bind(request)
        .bind(agent.as_slice())
        .bind(to_db(now))
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// How often an agent asked in the last hour.
pub(crate) async fn asked_lately(
    change: &mut Change,
    agent: AgentKey,
    now: Timestamp,
) -> Result<i64, StoreError> {
    Ok(
        sqlx::query_scalar("SELECT count(*) FROM prompts WHERE agent = ? AND asked_at > ?")
            .bind(agent.as_slice())
            .bind(to_db(now).saturating_sub(seconds_to_db(LATELY)))
            .fetch_one(&mut **change)
            .await?,
    )
}

/// Notes that a person denied a request.
pub(crate) async fn note_denied(
    change: &mut Change,
    request: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE prompts SET denied_at = ? WHERE request_id = ?")
        .bind(to_db(now))
        .bind(request)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// How often an agent was denied in the last hour, and when last.
pub(crate) async fn denied_lately(
    change: &mut Change,
    agent: AgentKey,
    now: Timestamp,
) -> Result<Option<(u32, Timestamp)>, StoreError> {
    let (count, last): (i64, Option<i64>) = sqlx::query_as(
        "SELECT count(*), max(denied_at) FROM prompts WHERE agent = ? AND denied_at > ?",
    )
    .bind(agent.as_slice())
    .bind(to_db(now).saturating_sub(seconds_to_db(LATELY)))
    .fetch_one(&mut **change)
    .await?;
    let count = u32::try_from(count).map_err(damaged)?;
    last.map(|last| Ok((count, from_db(last)?))).transpose()
}
