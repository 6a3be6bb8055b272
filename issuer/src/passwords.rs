//! Passwords: argon2id, computed off the async threads, a few at a time.

use std::sync::Arc;

use argon2::{
    Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _, password_hash::SaltString,
};
use thiserror::Error;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::entropy::Entropy;

/// Shortest password, in characters. Length is what counts (NIST SP 800-63B section 3.1.1).
const MIN_CHARS: usize = 12;
/// Longest password, in bytes: nobody types more, and hashing is not free.
const MAX_BYTES: usize = 512;
/// Hashes computed at once. Each takes 19 MiB and one core for tens of milliseconds, and
/// anybody may ask for one.
const CONCURRENT_HASHES: usize = 2;

/// A password as typed. Never shown by `Debug`.
#[derive(Clone)]
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// Wraps what was typed.
    pub(crate) fn typed(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Refuses a password that is too easy to guess or too long to hash.
    ///
    /// # Errors
    /// [`PasswordRefused`].
    pub(crate) fn check_new(&self, user_name: &str) -> Result<(), PasswordRefused> {
        if self.0.chars().count() < MIN_CHARS {
            return Err(PasswordRefused::TooShort);
        }
        if self.0.len() > MAX_BYTES {
            return Err(PasswordRefused::TooLong);
        }
        if self.0.to_lowercase().contains(user_name) && self.0.len() < user_name.len() + MIN_CHARS {
            return Err(PasswordRefused::HoldsUserName);
        }
        Ok(())
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum PasswordRefused {
    /// Fewer than twelve characters.
    #[error("the password needs at least {MIN_CHARS} characters")]
    TooShort,
    /// More than half a kilobyte.
    #[error("the password may have {MAX_BYTES} bytes at most")]
    TooLong,
    /// Little more than the user name.
    #[error("the password must not be built around the user name")]
    HoldsUserName,
}

/// Hashing failed for a reason of its own.
#[derive(Debug, Error)]
#[error("password hashing failed: {0}")]
pub(crate) struct HashError(String);

/// Hashes and verifies.
#[derive(Clone)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
    entropy: Entropy,
    /// A hash no password fits, verified when there is no account, so that the answer takes
    /// as long as for one that exists.
    decoy: Arc<str>,
}

impl Passwords {
    /// Prepares the decoy.
    ///
    /// # Errors
    /// [`HashError`].
    pub(crate) async fn new(entropy: Entropy) -> Result<Self, HashError> {
        let permits = Arc::new(Semaphore::new(CONCURRENT_HASHES));
        let unguessable = Password::typed(hex::encode(entropy.bytes::<32>()));
        let mut passwords = Self {
            permits,
            entropy,
            decoy: Arc::from(""),
        };
        passwords.decoy = passwords.hash(unguessable).await?.into();
        Ok(passwords)
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`HashError`].
    pub(crate) async fn hash(&self, password: Password) -> Result<String, HashError> {
        let salt = SaltString::encode_b64(&self.entropy.bytes::<16>())
            .map_err(|e| HashError(e.to_string()))?;
        self.run(move || {
            Argon2::default()
                .hash_password(password.0.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|e| HashError(e.to_string()))
        })
        .await?
    }

    /// True when the password fits the hash. Without a hash, takes as long and is false.
    ///
    /// # Errors
    /// [`HashError`] when the stored hash cannot be read.
    pub(crate) async fn verify(
        &self,
        password: Password,
        stored: Option<&str>,
    ) -> Result<bool, HashError> {
        if password.0.len() > MAX_BYTES {
            return Ok(false);
        }
        let known = stored.is_some();
        let stored: Arc<str> = stored.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        let fits = self.run(move || {
            let hash = PasswordHash::new(&stored).map_err(|e| HashError(e.to_string()))?;
            Ok(Argon2::default()
                .verify_password(password.0.as_bytes(), &hash)
                .is_ok())
        });
        Ok(fits.await?? && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|e| HashError(e.to_string()))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| HashError(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Password {
        Password::typed(text.to_owned())
    }

    #[tokio::test]
    async fn right_password_fits_and_another_does_not() {
        let passwords = Passwords::new(Entropy::dangerous_seeded(1)).await.unwrap();
        let hash = passwords
            .hash(typed("correct horse battery"))
            .await
            .unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(
            passwords
                .verify(typed("correct horse battery"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(typed("correct horse batterz"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(typed("correct horse battery"), None)
                .await
                .unwrap()
        );
    }

    #[test]
    fn twelve_characters_are_enough_and_eleven_are_not() {
        assert_eq!(typed("abcdefghijkl").check_new("ada"), Ok(()));
        assert_eq!(
            typed("abcdefghijk").check_new("ada"),
            Err(PasswordRefused::TooShort)
        );
        assert_eq!(typed(&"x".repeat(512)).check_new("ada"), Ok(()));
        assert_eq!(
            typed(&"x".repeat(513)).check_new("ada"),
            Err(PasswordRefused::TooLong)
        );
        assert_eq!(
            typed("ada123456789").check_new("ada"),
            Err(PasswordRefused::HoldsUserName)
        );
    }
}
