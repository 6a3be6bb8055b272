//! Challenges of passkeys that are under way.
//!
//! Anybody may begin to sign in, so room is shared out: each purpose has its own, and each owner a
//! part of that. Where room runs out the oldest goes, of the same owner or at least of the same
//! purpose: whoever floods one kind keeps nobody from another.

use bailiwick_datalog::Timestamp;

use super::{Change, StoreError, to_db};

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Signing a browser in, by whoever comes.
    SignIn,
    /// Registering a passkey.
    Register,
    /// Confirming an approval.
    Approve,
}

impl Purpose {
    /// The word for it, in the store and in what challenges are bound to.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Register => "register",
            Self::Approve => "approve",
        }
    }
}

/// A challenge about to be kept.
#[derive(Debug)]
pub(crate) struct NewChallenge<'a> {
    pub(crate) challenge: [u8; 16],
    pub(crate) purpose: Purpose,
    pub(crate) owner: &'a [u8],
    pub(crate) bound_to: [u8; 32],
    pub(crate) state: &'a [u8],
    pub(crate) expires_at: Timestamp,
}

/// How many challenges there may be at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// For one purpose.
    pub(crate) of_purpose: i64,
    /// Of these, of one owner.
    pub(crate) of_owner: i64,
}

/// Keeps a challenge until its answer comes, its time is over, or newer ones need the room.
pub(crate) async fn keep(
    change: &mut Change,
    new: &NewChallenge<'_>,
    room: Room,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM passkey_challenges WHERE expires_at <= ?")
        .bind(to_db(now))
        .execute(&mut **change)
        .await?;
    // What is left over after the newest ones that still have room beside this one.
    sqlx::query(
        "DELETE FROM passkey_challenges WHERE seq IN (
             SELECT seq FROM passkey_challenges WHERE purpose = ? AND owner = ?
             ORDER BY seq DESC LIMIT -1 OFFSET ?)",
    )
    .bind(new.purpose.as_str())
    .bind(new.owner)
    .bind(room.of_owner.saturating_sub(1))
    .execute(&mut **change)
    .await?;
    sqlx::query(
        "DELETE FROM passkey_challenges WHERE seq IN (
             SELECT seq FROM passkey_challenges WHERE purpose = ?
             ORDER BY seq DESC LIMIT -1 OFFSET ?)",
    )
    .bind(new.purpose.as_str())
    .bind(room.of_purpose.saturating_sub(1))
    .execute(&mut **change)
    .await?;
    sqlx::query(
        "INSERT INTO passkey_challenges (challenge, purpose, owner, bound_to, state, expires_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(new.challenge.as_slice())
    .bind(new.purpose.as_str())
    .bind(new.owner)
    .bind(new.bound_to.as_slice())
    .bind(new.state)
    .bind(to_db(new.expires_at))
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Uses up a challenge, and gives back what was kept with it: `None` when there is none such, its
/// time is over, or its answer is good for something else.
pub(crate) async fn take(
    change: &mut Change,
    challenge: [u8; 16],
    bound_to: [u8; 32],
    now: Timestamp,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(sqlx::query_scalar(
        "DELETE FROM passkey_challenges WHERE challenge = ? AND bound_to = ? AND expires_at > ?
         RETURNING state",
    )
    .bind(challenge.to_vec())
    .bind(bound_to.to_vec())
    .bind(to_db(now))
    .fetch_optional(&mut **change)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    const NOW: Timestamp = Timestamp::from_unix(1_000);
    const ROOM: Room = Room {
        of_purpose: 4,
        of_owner: 2,
    };

    async fn store() -> Store {
        let file = tempfile::NamedTempFile::new().unwrap();
        // The open connections keep the file.
        Store::open(file.path()).await.unwrap()
    }

    async fn kept(change: &mut Change, number: u8, purpose: Purpose, owner: &str) {
        let new = NewChallenge {
            challenge: [number; 16],
            purpose,
            owner: owner.as_bytes(),
            bound_to: [0; 32],
            state: &[number],
            expires_at: Timestamp::from_unix(1_120),
        };
        keep(change, &new, ROOM, NOW).await.unwrap();
    }

    async fn left(change: &mut Change) -> Vec<u8> {
        let sql = "SELECT state FROM passkey_challenges ORDER BY seq";
        let states: Vec<Vec<u8>> = sqlx::query_scalar(sql)
            .fetch_all(&mut **change)
            .await
            .unwrap();
        states.concat()
    }

    #[tokio::test]
    async fn newest_of_a_purpose_stay_and_those_of_another_are_not_touched() {
        let store = store().await;
        let mut change = store.change().await.unwrap();
        kept(&mut change, 100, Purpose::Approve, "ada").await;
        for number in 1..=4 {
            kept(&mut change, number, Purpose::SignIn, &number.to_string()).await;
        }
        assert_eq!(left(&mut change).await, [100, 1, 2, 3, 4]);
        kept(&mut change, 5, Purpose::SignIn, "5").await;
        assert_eq!(left(&mut change).await, [100, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn owner_who_begins_again_loses_their_own_oldest_alone() {
        let store = store().await;
        let mut change = store.change().await.unwrap();
        kept(&mut change, 100, Purpose::Register, "ada").await;
        kept(&mut change, 101, Purpose::Approve, "bob").await;
        kept(&mut change, 1, Purpose::Approve, "ada").await;
        kept(&mut change, 2, Purpose::Approve, "ada").await;
        assert_eq!(left(&mut change).await, [100, 101, 1, 2]);
        kept(&mut change, 3, Purpose::Approve, "ada").await;
        assert_eq!(left(&mut change).await, [100, 101, 2, 3]);
    }

    #[tokio::test]
    async fn challenge_is_taken_once_in_time_and_for_what_it_was_kept_for() {
        let store = store().await;
        let mut change = store.change().await.unwrap();
        kept(&mut change, 1, Purpose::SignIn, "x").await;
        let (last, over) = (Timestamp::from_unix(1_119), Timestamp::from_unix(1_120));
        let wrong = take(&mut change, [1; 16], [1; 32], NOW).await.unwrap();
        assert_eq!(wrong, None);
        let late = take(&mut change, [1; 16], [0; 32], over).await.unwrap();
        assert_eq!(late, None);
        let good = take(&mut change, [1; 16], [0; 32], last).await.unwrap();
        assert_eq!(good, Some(vec![1]));
        let again = take(&mut change, [1; 16], [0; 32], last).await.unwrap();
        assert_eq!(again, None);
    }
}
