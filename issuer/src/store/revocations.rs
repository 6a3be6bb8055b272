//! The revocation list: which sessions ended early, under which sequence number.

use std::time::Duration;

use bailiwick_datalog::{RevocationId, Timestamp};

use super::{Change, Store, StoreError, damaged, seconds_to_db, to_db};

/// Entries stay listed this long after their token expired, so that a verifier whose clock
/// is behind still sees them.
pub(super) const LISTED_AFTER_EXPIRY: Duration = Duration::from_secs(5 * 60);

/// What a revocation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// The session ended now, in list number `seq`.
    Now {
        /// The list's sequence number.
        seq: u64,
    },
    /// It had ended before, in list number `seq`.
    Before {
        /// The sequence number of that list.
        seq: u64,
    },
    /// There is no such session.
    Unknown,
}

/// The published content at one sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) seq: u64,
    pub(crate) ids: Vec<[u8; 16]>,
    pub(crate) sessions: Vec<String>,
}

impl Store {
    /// What the list says at this moment.
    pub(crate) async fn listed_revocations(&self) -> Result<Listed, StoreError> {
        // One transaction, so that sequence number and entries belong together.
        let mut read = self.reader.begin().await?;
        let seq: i64 = sqlx::query_scalar("SELECT seq FROM revocation_feed")
            .fetch_one(&mut *read)
            .await?;
        let rows: Vec<(String, Option<Vec<u8>>)> = sqlx::query_as(
            "SELECT id, revocation_id FROM sessions WHERE revoked_at IS NOT NULL AND delisted = 0",
        )
        .fetch_all(&mut *read)
        .await?;
        let mut listed = Listed {
            seq: sequence(seq)?,
            ids: Vec::new(),
            sessions: Vec::new(),
        };
        for (session, id) in rows {
            if let Some(id) = id {
                listed.ids.push(prefix(&id)?);
            }
            listed.sessions.push(session);
        }
        let blocks: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT revocation_id FROM revoked_blocks WHERE delisted = 0")
                .fetch_all(&mut *read)
                .await?;
        for id in blocks {
            listed.ids.push(prefix(&id)?);
        }
        Ok(listed)
    }

    /// The ids of the blocks of a session that were given back.
    pub(crate) async fn revoked_blocks(&self, session: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT revocation_id FROM revoked_blocks WHERE session_id = ?")
                .bind(session)
                .fetch_all(&self.reader)
                .await?,
        )
    }

    /// Takes entries off the list whose tokens expired some minutes ago, and puts those back
    /// that a clock running ahead had taken off too early. A changed list gets a new sequence
    /// number: one number never means two lists.
    pub(crate) async fn delist_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        let before = to_db(now).saturating_sub(seconds_to_db(LISTED_AFTER_EXPIRY));
        let due: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sessions
                 WHERE revoked_at IS NOT NULL AND delisted = 0 AND expires_at < ?1)
             OR EXISTS (SELECT 1 FROM sessions WHERE delisted = 1 AND expires_at >= ?1)
             OR EXISTS (SELECT 1 FROM revoked_blocks WHERE delisted = (expires_at >= ?1))",
        )
        .bind(before)
        .fetch_one(&self.reader)
        .await?;
        if !due {
            return Ok(());
        }
        let mut change = self.change().await?;
        sqlx::query(
            "UPDATE sessions SET delisted = 1 - delisted
             WHERE (revoked_at IS NOT NULL AND delisted = 0 AND expires_at < ?1)
                 OR (delisted = 1 AND expires_at >= ?1)",
        )
        .bind(before)
        .execute(&mut *change)
        .await?;
        sqlx::query(
            "UPDATE revoked_blocks SET delisted = 1 - delisted WHERE delisted = (expires_at >= ?1)",
        )
        .bind(before)
        .execute(&mut *change)
        .await?;
        next_sequence(&mut change).await?;
        super::commit(change).await
    }
}

/// Ends a session and assigns the sequence number of the list that says so.
pub(crate) async fn revoke_session(
    change: &mut Change,
    id: &str,
    by: &str,
    now: Timestamp,
) -> Result<Revoked, StoreError> {
    let found: Option<Option<i64>> =
        sqlx::query_scalar("SELECT revoked_seq FROM sessions WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut **change)
            .await?;
    match found {
        None => return Ok(Revoked::Unknown),
        Some(Some(seq)) => {
            return Ok(Revoked::Before {
                seq: sequence(seq)?,
            });
        }
        Some(None) => {}
    }
    let seq = next_sequence(change).await?;
    sqlx::query(
        "UPDATE sessions SET revoked_at = ?, revoked_by = ?, revoked_seq = ?
         WHERE id = ? AND revoked_at IS NULL",
    )
    .bind(to_db(now))
    .bind(by)
    .bind(seq)
    .bind(id)
    .execute(&mut **change)
    .await?;
    Ok(Revoked::Now {
        seq: sequence(seq)?,
    })
}

/// How many blocks of a session were given back that stand so deep, the first holder's at 1.
pub(crate) async fn count_blocks(
    change: &mut Change,
    session: &str,
    depth: usize,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM revoked_blocks AS block WHERE session_id = ? AND ? =
             (SELECT count(*) FROM revoked_block_lines AS line
              WHERE line.revocation_id = block.revocation_id)",
    )
    .bind(session)
    .bind(i64::try_from(depth).map_err(damaged)?)
    .fetch_one(&mut **change)
    .await?)
}

/// How many blocks were given back that stand so deep and were made from a block.
pub(crate) async fn count_below(
    change: &mut Change,
    block: &RevocationId,
    depth: usize,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM revoked_block_lines AS below WHERE ancestor = ? AND ? =
             (SELECT count(*) FROM revoked_block_lines AS line
              WHERE line.revocation_id = below.revocation_id)",
    )
    .bind(block.as_bytes().as_slice())
    .bind(i64::try_from(depth).map_err(damaged)?)
    .fetch_one(&mut **change)
    .await?)
}

/// Ends the last block of a line, of a session that goes on, and assigns the sequence number of
/// the list that says so.
pub(crate) async fn revoke_block(
    change: &mut Change,
    session: &str,
    line: &[RevocationId],
    ends: Timestamp,
    now: Timestamp,
) -> Result<Revoked, StoreError> {
    let Some(block) = line.last() else {
        return Ok(Revoked::Unknown);
    };
    let inserted = sqlx::query(
        "INSERT INTO revoked_blocks (revocation_id, session_id, revoked_at, expires_at)
         VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(block.as_bytes().as_slice())
    .bind(session)
    .bind(to_db(now))
    .bind(to_db(ends))
    .execute(&mut **change)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Revoked::Unknown);
    }
    for ancestor in line {
        sqlx::query("INSERT INTO revoked_block_lines (ancestor, revocation_id) VALUES (?, ?)")
            .bind(ancestor.as_bytes().as_slice())
            .bind(block.as_bytes().as_slice())
            .execute(&mut **change)
            .await?;
    }
    let seq = sequence(next_sequence(change).await?)?;
    Ok(Revoked::Now { seq })
}

async fn next_sequence(change: &mut Change) -> Result<i64, StoreError> {
    Ok(
        sqlx::query_scalar("UPDATE revocation_feed SET seq = seq + 1 RETURNING seq")
            .fetch_one(&mut **change)
            .await?,
    )
}

fn sequence(seq: i64) -> Result<u64, StoreError> {
    u64::try_from(seq).map_err(damaged)
}

fn prefix(id: &[u8]) -> Result<[u8; 16], StoreError> {
    let bytes: [u8; 64] = id.try_into().map_err(damaged)?;
    Ok(RevocationId::from_bytes(bytes).prefix())
}
