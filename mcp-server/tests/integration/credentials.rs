//! Which tokens are taken, and what is answered to the others.

use bailiwick_datalog::{Caveat, LaterBlock, Timestamp, ToolName, canonical_call_digest};
use bailiwick_verifier::holder::{HolderKey, ProofRequest};
use reqwest::header;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{Reply, START, TestGateway, TokenSpec, call, request};

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

#[tokio::test]
async fn a_token_bound_to_a_key_needs_a_proof_of_this_very_call() {
    const READ: &str = "files.read_file";
    let gateway = TestGateway::start().await;
    let key = HolderKey::from_secret(&[4; 32]);
    let spec = TokenSpec {
        holder: Some(key.thumbprint()),
        ..TokenSpec::reading(&gateway.audience())
    };
    let token = spec.mint();
    let arguments = json!({"path": "reports/q3.md"});
    let prove = |arguments: &serde_json::Value, url: &str, id: &str| {
        let tool = ToolName::parse(READ).unwrap();
        let digest = canonical_call_digest(&tool, arguments.as_object().unwrap()).unwrap();
        let request = ProofRequest {
            method: "POST",
            url,
            token_text: &token,
            call_digest: &digest,
            issued_at: START,
            id,
        };
        key.create_proof(&request).dpop
    };
    let send = |proofs: Vec<String>| {
        let request = gateway.post(&token, &call(READ, arguments.clone()));
        let request = proofs
            .into_iter()
            .fold(request, |r, proof| r.header("dpop", proof));
        Reply::to(request)
    };
    let url = gateway.audience();
    let good = prove(&arguments, &url, "1");

    let bare = send(vec![]).await;
    assert_eq!(bare.code(), (401, "holder_proof_missing".to_owned()));
    let refused = &gateway.audit()[0];
    assert_eq!(refused["event"], "token_refused");
    assert_eq!(refused["fields"]["key"]["id"], 1);
    let challenge = bare.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.starts_with("DPoP algs=\"EdDSA\", "),
        "{challenge}"
    );
    assert!(
        challenge.contains("error=\"invalid_dpop_proof\""),
        "{challenge}"
    );

    assert_eq!(
        send(vec![good.clone()]).await.tool_text(),
        "# Q3\nRevenue grew.\n"
    );
    assert_eq!(
        send(vec![good]).await.code(),
        (401, "holder_proof_replayed".to_owned())
    );
    for other in [
        prove(&json!({"path": "reports/q4.md"}), &url, "2"),
        prove(&arguments, "http://other.example/mcp", "3"),
        "not a proof".to_owned(),
    ] {
        assert_eq!(
            send(vec![other]).await.code(),
            (401, "holder_proof_invalid".to_owned())
        );
    }
    let twice = vec![prove(&arguments, &url, "4"), prove(&arguments, &url, "5")];
    assert_eq!(
        send(twice).await.code(),
        (400, "malformed_request".to_owned())
    );
}

#[tokio::test]
async fn client_that_is_still_sending_learns_why_it_was_refused() {
    let gateway = TestGateway::start().await;
    let port = gateway.url.port().unwrap();
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let body = request("tools/list").to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    // Twice on one connection, which is only kept for a request that was read to its end.
    for _ in 0..2 {
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.flush().await.unwrap();
        gateway.get("/healthz").await;
        connection.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.contains("\"code\":\"malformed_token\"}") {
            let mut part = [0; 4_096];
            let read = connection.read(&mut part).await.unwrap();
            assert!(read > 0, "closed after {answer:?}");
            answer.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
}
