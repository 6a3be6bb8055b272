//! Texts and headers that a token comes in, and how large it may be.

use crate::{
    case::Case,
    encoding::narrowed,
    forge::Draft,
    scene::{case, text, token},
};

pub(crate) fn cases() -> Vec<Case> {
    [texts(), headers(), sizes()].concat()
}

fn texts() -> Vec<Case> {
    // One that ends with a single `=`, so that every kind of wrong padding can be shown.
    let padded = ["a", "bb", "ccc"]
        .map(|name| text(&token(&[&format!("delegate(\"{name}\");")]).bytes()))
        .into_iter()
        .find(|text| text.ends_with('=') && !text.ends_with("=="))
        .unwrap();
    let bare = padded.trim_end_matches('=').to_owned();
    let at = padded
        .find(['-', '_'])
        .expect("a long text has all characters");
    let mut standard = padded.clone().into_bytes();
    standard[at] = if standard[at] == b'-' { b'+' } else { b'/' };
    let standard = String::from_utf8(standard).unwrap();
    let stray = {
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (head, last) = bare.split_at(bare.len() - 1);
        let value = ALPHABET.find(last).unwrap();
        format!("{head}{}=", &ALPHABET[value + 1..value + 2])
    };
    let malformed = |id: &str, text: String, why: &str| case(id, "malformed_token", &text, why);
    let middle = padded.len() / 2;
    vec![
        case(
            "text-padded",
            "allow",
            &padded,
            "Base64url with padding, as the Biscuit libraries write it (rule 23).",
        ),
        case(
            "text-without-padding",
            "allow",
            &bare,
            "Base64url without padding (rule 23).",
        ),
        malformed(
            "text-padded-too-much",
            format!("{padded}="),
            "One `=` too many (rule 23).",
        ),
        malformed(
            "text-padding-in-front",
            format!("={bare}"),
            "Padding stands at the end (rule 23).",
        ),
        malformed(
            "text-stray-bits",
            stray,
            "The last character carries bits that no byte has, so that many texts would mean one token (rule 23).",
        ),
        malformed(
            "text-standard-alphabet",
            standard,
            "`+` and `/` belong to another alphabet (rule 23).",
        ),
        malformed(
            "text-line-break-behind",
            format!("{padded}\n"),
            "White space is no part of a token (rule 23).",
        ),
        malformed(
            "text-line-break-inside",
            format!("{}\n{}", &padded[..middle], &padded[middle..]),
            "Text broken into lines (rule 23).",
        ),
        malformed(
            "text-space-in-front",
            format!(" {padded}"),
            "White space is no part of a token (rule 23).",
        ),
        malformed(
            "text-zero-width-space",
            format!("{}\u{200b}{}", &padded[..middle], &padded[middle..]),
            "A character nobody sees (rule 23).",
        ),
        malformed(
            "text-nul-behind",
            format!("{padded}\0"),
            "Text that ends early for programs written in C (rule 23).",
        ),
        malformed(
            "text-fullwidth",
            padded.replacen('A', "\u{ff21}", 1),
            "A character that only looks like one of the alphabet (rule 23).",
        ),
        malformed(
            "text-with-prefix",
            format!("biscuit:{padded}"),
            "A prefix that some tools print (rule 23).",
        ),
        malformed(
            "text-two-tokens",
            format!("{padded}.{padded}"),
            "Two tokens with a dot between (rule 23).",
        ),
        malformed(
            "text-token-appended",
            format!("{bare}{padded}"),
            "Two tokens run together (rule 23).",
        ),
        malformed(
            "text-empty",
            String::new(),
            "No text is no token (rule 23).",
        ),
        malformed(
            "text-of-padding",
            "====".to_owned(),
            "Padding of nothing (rule 23).",
        ),
        malformed(
            "text-hexadecimal",
            hex::encode(token(&[]).bytes()),
            "The right bytes in another writing decode to other bytes (rule 23).",
        ),
    ]
}

fn headers() -> Vec<Case> {
    let text = text(&narrowed().bytes());
    let header = |id: &str, verdict: &str, value: String, why: &str| {
        case(id, verdict, &text, why).header(value)
    };
    vec![
        header(
            "header-bearer",
            "allow",
            format!("Bearer {text}"),
            "A scheme, one space and one token (rule 23).",
        ),
        header(
            "header-dpop",
            "allow",
            format!("DPoP {text}"),
            "The scheme of RFC 9449 (rule 23).",
        ),
        header(
            "header-scheme-in-lower-case",
            "allow",
            format!("bearer {text}"),
            "The case of a scheme does not matter (rule 23, RFC 9110).",
        ),
        header(
            "header-scheme-in-upper-case",
            "allow",
            format!("DPOP {text}"),
            "The case of a scheme does not matter (rule 23, RFC 9110).",
        ),
        header(
            "header-without-scheme",
            "malformed_token",
            text.clone(),
            "A bare token is no header (rule 23).",
        ),
        header(
            "header-basic",
            "malformed_token",
            format!("Basic {text}"),
            "Another scheme (rule 23).",
        ),
        header(
            "header-scheme-homoglyph",
            "malformed_token",
            format!("\u{412}earer {text}"),
            "A Cyrillic letter that looks like `B` (rule 23).",
        ),
        header(
            "header-tab",
            "malformed_token",
            format!("Bearer\t{text}"),
            "A tab is not the one space (rule 23).",
        ),
        header(
            "header-two-spaces",
            "malformed_token",
            format!("Bearer  {text}"),
            "Two spaces (rule 23).",
        ),
        header(
            "header-space-in-front",
            "malformed_token",
            format!(" Bearer {text}"),
            "White space in front of the scheme (rule 23).",
        ),
        header(
            "header-space-behind",
            "malformed_token",
            format!("Bearer {text} "),
            "White space behind the token (rule 23).",
        ),
        header(
            "header-two-tokens",
            "malformed_token",
            format!("Bearer {text} {text}"),
            "One token, not two (rule 23).",
        ),
        header(
            "header-list",
            "malformed_token",
            format!("Bearer {text}, Bearer {text}"),
            "Two headers that a proxy joined (rule 23).",
        ),
        header(
            "header-parameter",
            "malformed_token",
            format!("Bearer token=\"{text}\""),
            "A parameter in place of a token (rule 23).",
        ),
        header(
            "header-line-break",
            "malformed_token",
            format!("Bearer {text}\r\nX-Role: admin"),
            "A header that would become two (rule 23).",
        ),
        header(
            "header-only-scheme",
            "malformed_token",
            "Bearer ".to_owned(),
            "A scheme without a token (rule 23).",
        ),
        header(
            "header-empty",
            "malformed_token",
            String::new(),
            "An empty header (rule 23).",
        ),
    ]
}

/// A token of exactly `bytes` bytes, filled up with a check that holds.
fn sized(bytes: usize) -> Draft {
    let with = |fill: usize| {
        let names = format!(
            "check if tool($t), [\"files.read_file\", \"{}\"].contains($t);",
            "x".repeat(fill)
        );
        token(&[&names])
    };
    let overhead = with(bytes - 1_000).bytes().len() - (bytes - 1_000);
    let draft = with(bytes - overhead);
    assert_eq!(draft.bytes().len(), bytes);
    draft
}

fn sizes() -> Vec<Case> {
    vec![
        case(
            "size-largest",
            "allow",
            &sized(16_384),
            "A token of 16,384 bytes (rule 22).",
        ),
        case(
            "size-larger",
            "token_too_large",
            &sized(16_385),
            "A token of 16,385 bytes, sound otherwise (rule 22).",
        ),
        case(
            "size-larger-noise",
            "token_too_large",
            &vec![0xff_u8; 16_386],
            "Size is judged before anything is read (rule 22).",
        ),
        case(
            "size-text-only",
            "token_too_large",
            &"*".repeat(21_849),
            "A text longer than any token's is not decoded (rule 22).",
        ),
    ]
}
