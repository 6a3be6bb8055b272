//! Which tokens are taken, and what is answered to the others.

use bailiwick_datalog::{Caveat, LaterBlock, Timestamp};
use reqwest::header;

use crate::harness::{Reply, START, TestGateway, TokenSpec, request};

async fn code(gateway: &TestGateway, token: &str) -> (u16, String) {
    gateway.send(token, &request("tools/list")).await.code()
}

#[tokio::test]
async fn without_a_token_the_challenge_says_where_to_get_one() {
    let gateway = TestGateway::start().await;
    let reply = Reply::to(gateway.post_without_token(request("tools/list").to_string())).await;
    assert_eq!(reply.code(), (401, "malformed_token".to_owned()));
    assert_eq!(
        reply.headers[header::CONTENT_TYPE],
        "application/problem+json"
    );
    let metadata = gateway
        .url
        .join("/.well-known/oauth-protected-resource/mcp")
        .unwrap();
    assert_eq!(
        reply.headers[header::WWW_AUTHENTICATE],
        format!("Bearer resource_metadata=\"{metadata}\"")
    );
}

#[tokio::test]
async fn one_authorization_header_is_taken_and_two_are_refused() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    assert_eq!(
        gateway.send(&token, &request("tools/list")).await.status,
        200
    );
    let twice = gateway
        .post(&token, &request("tools/list"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    let reply = Reply::to(twice).await;
    assert_eq!(reply.code(), (400, "malformed_token".to_owned()));
    let challenge = reply.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.contains("error=\"invalid_request\""),
        "{challenge}"
    );
}

#[tokio::test]
async fn text_that_is_no_token_is_malformed() {
    let gateway = TestGateway::start().await;
    let good = gateway.reading_token();
    for bad in [
        "abc",
        "",
        "Bearer",
        &format!("{good}A"),
        &format!("{good}, Bearer {good}"),
    ] {
        assert_eq!(
            code(&gateway, bad).await,
            (401, "malformed_token".to_owned()),
            "{bad}"
        );
    }
    assert_eq!(
        code(&gateway, &"A".repeat(30_000)).await,
        (401, "token_too_large".to_owned())
    );
}

#[tokio::test]
async fn a_challenge_names_the_reason() {
    let gateway = TestGateway::start().await;
    let spec = TokenSpec {
        expires_at: Timestamp::from_unix(START.unix() + 1),
        ..TokenSpec::reading(&gateway.audience())
    };
    gateway.clock.advance(std::time::Duration::from_secs(1));
    let reply = gateway.send(&spec.mint(), &request("tools/list")).await;
    assert_eq!(reply.code(), (401, "expired".to_owned()));
    let challenge = reply.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.ends_with(", error=\"invalid_token\", error_description=\"expired\""),
        "{challenge}"
    );
}

#[tokio::test]
async fn tokens_that_differ_in_one_thing_are_refused_for_it() {
    let gateway = TestGateway::start().await;
    let good = || TokenSpec::reading(&gateway.audience());
    assert_eq!(
        gateway
            .send(&good().mint(), &request("tools/list"))
            .await
            .status,
        200
    );
    let other_key = biscuit_auth::KeyPair::from(
        &biscuit_auth::PrivateKey::from_bytes(&[9; 32], biscuit_auth::Algorithm::Ed25519).unwrap(),
    );
    let block = |caveats| {
        vec![LaterBlock {
            delegate: None,
            holder: None,
            caveats,
        }]
    };
    let cases = [
        (
            TokenSpec {
                audience: "http://127.0.0.1:1/mcp".into(),
                ..good()
            },
            "wrong_audience",
        ),
        (
            TokenSpec {
                key: other_key,
                ..good()
            },
            "bad_signature",
        ),
        (
            TokenSpec {
                key_id: 2,
                ..good()
            },
            "unknown_key",
        ),
        (
            TokenSpec {
                issued_at: Timestamp::from_unix(START.unix() + 31),
                ..good()
            },
            "not_yet_valid",
        ),
        (
            TokenSpec {
                max_depth: 0,
                blocks: block(vec![]),
                ..good()
            },
            "depth_exceeded",
        ),
        (
            TokenSpec {
                blocks: block(vec![Caveat::Expiry {
                    at: START,
                    inclusive: false,
                }]),
                ..good()
            },
            "expired",
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(
            code(&gateway, &spec.mint()).await,
            (401, expected.to_owned())
        );
    }
}

#[tokio::test]
async fn a_changed_bit_is_refused() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    // In the middle: inside the signed authority block.
    let position = token.len() / 2;
    let mut bytes = token.into_bytes();
    bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(bytes).unwrap();
    let (status, code) = code(&gateway, &changed).await;
    assert_eq!(status, 401);
    assert!(
        ["bad_signature", "malformed_token"].contains(&code.as_str()),
        "{code}"
    );
}
