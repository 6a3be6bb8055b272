//! The text form of a token: base64url, as PROFILE rule 23 has it.

use thiserror::Error;

/// Largest token, in raw bytes.
pub const MAX_TOKEN_BYTES: usize = 16_384;
/// Longest text that can still encode [`MAX_TOKEN_BYTES`]: four characters for three bytes,
/// padding included.
pub const MAX_TOKEN_TEXT_BYTES: usize = MAX_TOKEN_BYTES.div_ceil(3) * 4;

/// Why a text is not a token's text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenTextError {
    /// More text than the largest token needs.
    #[error("token text is longer than {MAX_TOKEN_TEXT_BYTES} bytes")]
    TooLarge,
    /// Empty, another alphabet, white space, wrong padding or non-zero trailing bits.
    #[error("token text is not base64url")]
    Malformed,
}

/// Encodes token bytes as base64url with padding, as the Biscuit libraries write it.
pub fn encode(bytes: &[u8]) -> String {
    base64::encode_url_safe(bytes)
}

/// Decodes base64url with correct padding or with none. Refuses white space, other alphabets,
/// wrong padding and non-zero trailing bits, so that each token has exactly two texts.
///
/// # Errors
/// [`TokenTextError::TooLarge`] before any work is done, else [`TokenTextError::Malformed`].
pub fn decode(text: &str) -> Result<Vec<u8>, TokenTextError> {
    if text.len() > MAX_TOKEN_TEXT_BYTES {
        return Err(TokenTextError::TooLarge);
    }
    if text.is_empty() {
        return Err(TokenTextError::Malformed);
    }
    base64::decode_url_safe(text).ok_or(TokenTextError::Malformed)
}

mod base64 {
    use ::base64::{
        Engine, alphabet,
        engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
    };

    const EITHER_PADDING: GeneralPurpose = GeneralPurpose::new(
        &alphabet::URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(false),
    );

    pub(super) fn encode_url_safe(bytes: &[u8]) -> String {
        general_purpose::URL_SAFE.encode(bytes)
    }

    pub(super) fn decode_url_safe(text: &str) -> Option<Vec<u8>> {
        // `Indifferent` also takes partial padding; whole or none is what the profile allows.
        let padded = text.ends_with('=');
        if padded && !text.len().is_multiple_of(4) {
            return None;
        }
        EITHER_PADDING.decode(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_and_unpadded_are_read_alike() {
        assert_eq!(decode("_-8="), Ok(vec![0xff, 0xef]));
        assert_eq!(decode("_-8"), Ok(vec![0xff, 0xef]));
        assert_eq!(decode("_w=="), Ok(vec![0xff]));
        assert_eq!(decode("_w"), Ok(vec![0xff]));
    }

    #[test]
    fn everything_else_is_malformed() {
        for bad in [
            "", "=", "_", "_w=", "_w===", "/w==", "+w", " _w", "_w\n", "_x", "_w==_w==", "_-9",
        ] {
            assert_eq!(decode(bad), Err(TokenTextError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn text_of_the_largest_token_is_read_and_longer_refused() {
        let text = encode(&vec![0; MAX_TOKEN_BYTES]);
        assert_eq!(text.len(), MAX_TOKEN_TEXT_BYTES);
        assert_eq!(decode(&text).map(|bytes| bytes.len()), Ok(MAX_TOKEN_BYTES));
        assert_eq!(decode(&format!("{text}A")), Err(TokenTextError::TooLarge));
    }

    #[test]
    fn encode_then_decode_is_the_identity() {
        for length in 0..70_u8 {
            let bytes: Vec<u8> = (1..=length.max(1)).collect();
            assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }
    }
}
