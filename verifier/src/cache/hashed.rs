//! The hasher of a map whose keys are hashes: a secret one was made of them before, so another
//! would cost time and gain nothing.

use std::hash::Hasher;

/// The hash of what is a hash already.
#[derive(Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_stands_for_itself_and_bytes_for_what_they_are() {
        let of = |write: &dyn Fn(&mut Hashed)| {
            let mut hasher = Hashed::default();
            write(&mut hasher);
            hasher.finish()
        };
        for hash in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(of(&|hasher| hasher.write_u64(hash)), hash);
        }
        assert_eq!(of(&|hasher| hasher.write(b"ab")), 0x6162);
        let nine = of(&|hasher| hasher.write(&[0xff; 9]));
        assert_eq!(nine, 0xffff_ffff_ffff_ff00);
    }
}
