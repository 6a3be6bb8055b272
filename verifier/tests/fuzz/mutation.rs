//! Small damage to an input, from a seeded generator.

use rand::{Rng, rngs::StdRng, seq::SliceRandom};

/// Bytes that tags, lengths, signs, separators and ends are made of.
const TELLING: [u8; 20] = [
    0x00, 0x01, 0x02, 0x08, 0x0a, 0x12, 0x1a, 0x20, 0x22, 0x3d, 0x7f, 0x80, 0xfe, 0xff, b'/', b'.',
    b'"', b'{', b'*', b'|',
];
/// Numbers at which something ends or turns over.
const NUMBERS: [&str; 8] = [
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "1e400",
    "65536",
];

/// A place in `bytes`, or its end.
fn place(bytes: &[u8], rng: &mut StdRng) -> usize {
    rng.gen_range(0..=bytes.len())
}

/// A short stretch of `bytes`.
fn stretch(bytes: &[u8], rng: &mut StdRng) -> std::ops::Range<usize> {
    let start = place(bytes, rng);
    let most = (bytes.len() - start).min(64);
    start..start + rng.gen_range(0..=most)
}

/// One to four changes; `other` is material to splice in.
pub(crate) fn mutate(bytes: &mut Vec<u8>, other: &[u8], rng: &mut StdRng) {
    for _ in 0..rng.gen_range(1..=4) {
        change(bytes, other, rng);
    }
}

fn change(bytes: &mut Vec<u8>, other: &[u8], rng: &mut StdRng) {
    let at = place(bytes, rng);
    match rng.gen_range(0..11) {
        0 | 1 => edit(bytes, at, |byte| byte ^ (1 << (at % 8))),
        2 => {
            let telling = *TELLING.choose(rng).unwrap();
            edit(bytes, at, |_| telling);
        }
        // One more or less: what lengths and indices are most easily wrong by.
        3 => edit(bytes, at, |byte| byte.wrapping_add(1)),
        4 => edit(bytes, at, |byte| byte.wrapping_sub(1)),
        5 => bytes.insert(at, *TELLING.choose(rng).unwrap()),
        6 => drop(bytes.drain(stretch(bytes, rng))),
        7 => {
            let copy = bytes[stretch(bytes, rng)].to_vec();
            bytes.splice(at..at, copy);
        }
        8 => {
            let copy = other[stretch(other, rng)].to_vec();
            let end = (at + copy.len()).min(bytes.len());
            bytes.splice(at..end, copy);
        }
        9 => {
            let number = NUMBERS.choose(rng).unwrap();
            bytes.splice(at..at, number.bytes());
        }
        _ => bytes.truncate(at),
    }
}

fn edit(bytes: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}
