//! The sequence number of the published key set.

use super::{Store, StoreError, damaged};

impl Store {
    /// The sequence number for a key set of this content: the same as last time for the same
    /// content, the next one for another.
    pub(crate) async fn key_set_seq(&self, content: &str) -> Result<u64, StoreError> {
        let mut change = self.change().await?;
        let seq: i64 = sqlx::query_scalar(
            "INSERT INTO key_set (only_row, seq, content) VALUES (1, 1, ?)
             ON CONFLICT (only_row) DO UPDATE SET
                 seq = seq + (content IS NOT excluded.content),
                 content = excluded.content
             RETURNING seq",
        )
        .bind(content)
        .fetch_one(&mut *change)
        .await?;
        super::commit(change).await?;
        u64::try_from(seq).map_err(damaged)
    }
}
