//! Counted bounds and the text form: rules 22 and 23.

use bailiwick_datalog::{Access, Authority, Caveat, LaterBlock};
use bailiwick_verifier::UnverifiedToken;
use biscuit_auth::Biscuit;

use crate::support::{
    NOW, append, append_text, at, authority, call, code, decide, grant, mint, verdict, verifier,
};

#[test]
fn seventeen_blocks_are_the_most() {
    let blocks = |count: usize| {
        let first = mint(&authority());
        (1..count).fold(first, |token, _| append(&token, &LaterBlock::default()))
    };
    assert_eq!(verdict(&blocks(17)), "allow");
    assert_eq!(verdict(&blocks(18)), "limit_exceeded");
}

#[test]
fn thirty_two_checks_are_the_most_in_a_block() {
    let checks = |count: usize| {
        let source = "check if access(\"read\");".repeat(count);
        append_text(&mint(&authority()), &source)
    };
    assert_eq!(verdict(&checks(32)), "allow");
    assert_eq!(verdict(&checks(33)), "limit_exceeded");
}

#[test]
fn thirty_two_checks_are_the_most_in_the_authority_block() {
    let limits = |count: usize| {
        let checks = (0..count)
            .map(|n| {
                format!(
                    "check if tool($t), ![\"t{n}\"].contains($t) or args($a), $a.get(\"n\") == 1;"
                )
            })
            .collect::<String>();
        let builder = authority().to_builder().unwrap().code(checks).unwrap();
        let token = builder
            .root_key_id(crate::support::ROOT_KEY_ID)
            .build(&crate::support::root())
            .unwrap();
        verdict(&token)
    };
    // Two of them are the fixed ones.
    assert_eq!(limits(30), "allow");
    assert_eq!(limits(31), "limit_exceeded");
}

#[test]
fn two_hundred_and_fifty_six_grants_are_the_most() {
    let grants = |count: usize| {
        let source: String = (1..count)
            .map(|n| format!("grant(\"{n}\", \"t\", \"read\", [\"{n}\"]);"))
            .collect();
        let builder = authority().to_builder().unwrap().code(source).unwrap();
        builder
            .root_key_id(crate::support::ROOT_KEY_ID)
            .build(&crate::support::root())
            .unwrap()
    };
    assert_eq!(verdict(&grants(256)), "allow");
    assert_eq!(verdict(&grants(257)), "limit_exceeded");
    // Our own builder refuses to write what no verifier accepts.
    let too_many = Authority {
        grants: (0..257)
            .map(|n| grant(&n.to_string(), "t", Access::Read, "files"))
            .collect(),
        ..authority()
    };
    assert!(too_many.to_builder().is_err());
}

#[test]
fn four_kibibytes_of_task_are_the_most() {
    let task = |bytes: usize| {
        let text = "é".repeat(bytes / 2) + &"e".repeat(bytes % 2);
        let source = authority()
            .to_builder()
            .unwrap()
            .dump_code()
            .replace("sum up the reports", &text);
        biscuit_auth::builder::BiscuitBuilder::new()
            .code(source)
            .unwrap()
            .root_key_id(crate::support::ROOT_KEY_ID)
            .build(&crate::support::root())
            .unwrap()
    };
    assert_eq!(verdict(&task(4_096)), "allow");
    assert_eq!(verdict(&task(4_097)), "limit_exceeded");
}

/// A token of exactly `bytes` bytes, filled up with a condition that always holds.
fn sized(bytes: usize) -> Biscuit {
    let tools = |fill: usize| {
        let caveat = Caveat::Tools(vec!["files.read_file".to_owned(), "x".repeat(fill)]);
        let block = LaterBlock {
            caveats: vec![caveat],
            ..LaterBlock::default()
        };
        append(&mint(&authority()), &block)
    };
    let overhead = tools(bytes - 1_000).to_vec().unwrap().len() - (bytes - 1_000);
    let token = tools(bytes - overhead);
    assert_eq!(token.to_vec().unwrap().len(), bytes);
    token
}

#[test]
fn sixteen_kibibytes_of_token_are_the_most() {
    assert_eq!(verdict(&sized(16_384)), "allow");
    assert_eq!(verdict(&sized(16_385)), "token_too_large");
    // Whatever the form it is presented in.
    for (bytes, expected) in [(16_384, "allow"), (16_385, "token_too_large")] {
        let text = sized(bytes).to_base64().unwrap();
        for text in [text.trim_end_matches('=').to_owned(), text] {
            let decision = UnverifiedToken::from_text(&text)
                .and_then(|token| verifier().authorize(&token, &call(), at(NOW)));
            assert_eq!(code(&decision), expected, "{bytes} bytes");
        }
    }
}

#[test]
fn bytes_beyond_the_bound_are_not_looked_at() {
    for bytes in [16_385, 1_000_000] {
        assert_eq!(code(&decide(&vec![0xff; bytes])), "token_too_large");
        assert_eq!(text_code(&"*".repeat(bytes * 4 / 3 + 4)), "token_too_large");
    }
}

fn header_code(value: &[u8]) -> &'static str {
    let decision = UnverifiedToken::from_authorization_header(value)
        .and_then(|token| verifier().authorize(&token, &call(), at(NOW)));
    code(&decision)
}

fn text_code(text: &str) -> &'static str {
    header_code(format!("Bearer {text}").as_bytes())
}

/// A token whose padded text ends with one `=`.
fn padded() -> String {
    let mut texts = (0..3).map(|n| {
        let block = LaterBlock {
            delegate: Some("x".repeat(n + 1).parse().unwrap()),
            ..LaterBlock::default()
        };
        append(&mint(&authority()), &block).to_base64().unwrap()
    });
    texts
        .find(|text| text.ends_with('=') && !text.ends_with("=="))
        .unwrap()
}

#[test]
fn text_is_base64url_with_or_without_padding() {
    let text = padded();
    let bare = text.trim_end_matches('=');
    assert_eq!(text_code(&text), "allow");
    assert_eq!(text_code(bare), "allow");
    for bad in [
        format!("{bare}=="),
        format!("{text}="),
        format!("={bare}"),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}\n"),
        format!("{text}."),
        format!("biscuit:{text}"),
        String::new(),
        "=".to_owned(),
    ] {
        assert_eq!(text_code(&bad), "malformed_token", "{bad:?}");
    }
}

#[test]
fn other_alphabets_and_stray_bits_are_refused() {
    let text = padded();
    let bare = text.trim_end_matches('=');
    // The last character of two bytes' text carries two bits that mean nothing.
    let (head, last) = bare.split_at(bare.len() - 1);
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = ALPHABET.find(last).unwrap();
    assert_eq!(value % 4, 0);
    for stray in 1..4 {
        let other = char::from(ALPHABET.as_bytes()[value + stray]);
        assert_eq!(text_code(&format!("{head}{other}")), "malformed_token");
        assert_eq!(text_code(&format!("{head}{other}=")), "malformed_token");
    }
    let (Some(at), true) = (text.find(['-', '_']), text.is_ascii()) else {
        panic!("a text of this length holds every character of the alphabet");
    };
    let mut other = text.into_bytes();
    other[at] = if other[at] == b'-' { b'+' } else { b'/' };
    assert_eq!(
        text_code(&String::from_utf8(other).unwrap()),
        "malformed_token"
    );
}

#[test]
fn the_header_holds_one_scheme_and_one_token() {
    let text = padded();
    for (value, expected) in [
        (format!("Bearer {text}"), "allow"),
        (format!("DPoP {text}"), "allow"),
        (format!("bearer {text}"), "allow"),
        (text.clone(), "malformed_token"),
        (format!("Basic {text}"), "malformed_token"),
        (format!("Bearer\t{text}"), "malformed_token"),
        (format!("Bearer  {text}"), "malformed_token"),
        (format!(" Bearer {text}"), "malformed_token"),
        (format!("Bearer {text} {text}"), "malformed_token"),
        (format!("Bearer {text}, Bearer {text}"), "malformed_token"),
        (format!("Bearer {text},"), "malformed_token"),
        ("Bearer".to_owned(), "malformed_token"),
        ("Bearer ".to_owned(), "malformed_token"),
        (String::new(), "malformed_token"),
    ] {
        assert_eq!(header_code(value.as_bytes()), expected, "{value:?}");
    }
    assert_eq!(header_code(b"Bearer \xff\xfe"), "malformed_token");
}
