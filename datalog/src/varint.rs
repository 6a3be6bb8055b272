//! Varints of the wire format, each in the one way it is written.

/// A varint in as few bytes as it can have, and what follows it.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((first.into(), rest));
    }
    let mut number = u64::from(first & 0x7f);
    for shift in (7_u32..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (byte != 0).then_some((number, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_as_short_as_they_can_be() {
        for (bytes, number) in [
            (&[0][..], Some(0)),
            (&[0x7f], Some(127)),
            (&[0x80, 1], Some(128)),
            (&[0x80, 0], None),
            (&[0xff, 0x80, 0], None),
            (&[0x80], None),
            (&[], None),
        ] {
            assert_eq!(read(bytes).map(|(number, _)| number), number, "{bytes:?}");
        }
        let longest = |last: u8| [&[0xff; 9][..], &[last]].concat();
        assert_eq!(read(&longest(1)), Some((u64::MAX, &[][..])));
        assert_eq!(read(&longest(2)), None);
        assert_eq!(read(&[&[0x80; 10][..], &[1]].concat()), None);
    }
}
