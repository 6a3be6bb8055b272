//! The issuer's one source of randomness.
//!
//! Everything unguessable (keys, session ids, device codes, cookies) is drawn from here;
//! nothing else in the crate reaches for a generator. A host hands it in, so tests can be
//! repeated.

use std::sync::{Arc, Mutex, PoisonError};

use rand::{CryptoRng, RngCore, SeedableRng, rngs::OsRng, rngs::StdRng};

/// A shared cryptographic generator.
#[derive(Clone)]
pub struct Entropy(Arc<Mutex<StdRng>>);

impl Entropy {
    /// A generator seeded once by the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn from_os() -> Result<Self, std::io::Error> {
        let rng = StdRng::from_rng(OsRng).map_err(std::io::Error::other)?;
        Ok(Self(Arc::new(Mutex::new(rng))))
    }

    /// A generator that yields the same values for the same seed: for tests alone, since
    /// whoever knows the seed knows every key.
    pub fn dangerous_seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// `N` fresh random bytes.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        bytes
    }

    /// Lends the generator, for libraries that draw from it themselves.
    pub(crate) fn with<T>(&self, draw: impl FnOnce(&mut CryptoSource<'_>) -> T) -> T {
        // A panic while drawing leaves a generator that is still sound.
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        draw(&mut CryptoSource(&mut rng))
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy")
    }
}

/// The generator while it is lent out.
pub(crate) struct CryptoSource<'a>(&'a mut StdRng);

impl RngCore for CryptoSource<'_> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill_bytes(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand::Error> {
        self.0.try_fill_bytes(dest)
    }
}

impl CryptoRng for CryptoSource<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_draws_the_same_and_another_seed_differs() {
        let draw = |seed| Entropy::dangerous_seeded(seed).bytes::<32>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn two_draws_differ() {
        let entropy = Entropy::from_os().unwrap();
        assert_ne!(entropy.bytes::<32>(), entropy.bytes::<32>());
    }
}
