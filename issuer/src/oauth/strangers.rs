//! The record of clients that nobody registered by hand.
//!
//! To become one takes nothing, and the record is kept for good: whoever could make it as long as
//! they like could fill the disk, without which nothing goes on. So the first in an hour are named
//! each, and from then on every hundredth line says how many there were. What a client asks for is
//! on the record whenever it asks.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use serde_json::{Value, json};

use super::client::ClientKind;
use crate::{
    core::{Core, Unavailable},
    store::{self, Change, client_room},
};

/// What is counted together.
const WINDOW: Duration = Duration::from_secs(60 * 60);
/// Clients of one kind that are named each in a window; beyond, one line stands for as many.
const NAMED: u32 = 100;

impl Core {
    /// Ends the change that stored a client, with a line for it or for all of the last hour.
    ///
    /// # Errors
    /// [`Unavailable`]; the change did not happen.
    pub(super) async fn seal_stranger(
        &self,
        mut change: Change,
        now: Timestamp,
        kind: ClientKind,
        event: &'static str,
        fields: Value,
    ) -> Result<(), Unavailable> {
        let count = client_room::count_lately(&mut change, kind, WINDOW, now).await?;
        if count <= NAMED {
            return self.seal(change, now, event, fields).await;
        }
        if count.is_multiple_of(NAMED) {
            let within_s = WINDOW.as_secs();
            let fields = json!({"kind": kind.as_str(), "count": count, "within_s": within_s});
            return self.seal(change, now, "clients_counted", fields).await;
        }
        Ok(store::commit(change).await?)
    }
}
