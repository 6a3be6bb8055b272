//! The fence itself, and a server behind it that this machine has.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::*;

const ROOT: &[u8] = include_bytes!("../../../../tests/contract/keys/tls-root.der");
/// Of the host `documents.test`.
const CERTIFICATE: &[u8] = include_bytes!("../../../../tests/contract/keys/tls-documents.test.der");
const KEY: &[u8] = include_bytes!("../../../../tests/contract/keys/tls-documents.test.key.der");
const DOCUMENT: &str = r#"{"client_id":"https://documents.test/client.json"}"#;

#[test]
fn special_addresses_are_not_public() {
    for public in [
        "1.1.1.1",
        "93.184.216.34",
        "2606:4700::1111",
        "100.63.0.1",
        "172.32.0.1",
    ] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
    for special in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:1.1.1.1",
        "64:ff9b::7f00:1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
    ] {
        assert!(!is_public(special.parse().unwrap()), "{special}");
    }
}

#[tokio::test]
async fn fetch_from_this_machine_is_refused_before_it_connects() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        // No name in there ever resolves (RFC 6761 section 6.4).
        "nothing.invalid",
    ] {
        let url = Url::parse(&format!("https://{host}:{port}/client.json")).unwrap();
        let refused = HttpDocuments::default().fetch(&url).await;
        assert_eq!(refused, Err(DocumentError::NoPublicAddress), "{host}");
    }
    assert!(listener.accept().is_err(), "nobody connected");
}

#[test]
fn json_types_are_told_from_others() {
    for (kind, json) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/oauth-client+json", true),
        ("text/html", false),
        ("text/json+json", false),
    ] {
        assert_eq!(is_json(kind), json, "{kind}");
    }
}
/// Documents of a host that is on this machine, by the word of the tests' own authority.
fn of_this_machine() -> HttpDocuments {
    HttpDocuments {
        look_up: |_, port| {
            Box::pin(async move { Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]) })
        },
        admits: |address| address.is_loopback(),
        authorities: Some(vec![reqwest::Certificate::from_der(ROOT).unwrap()]),
        ..HttpDocuments::default()
    }
}

/// Serves one connection with those bytes, and leaves it open until the other side is gone. The
/// URL of a document on it.
fn serves(answer: impl Into<Vec<u8>>) -> Url {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (connection, _) = listener.accept().unwrap();
        drop(speak(connection, &answer));
    });
    Url::parse(&format!("https://documents.test:{port}/client.json")).unwrap()
}

fn speak(connection: TcpStream, answer: &[u8]) -> io::Result<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key)
        .unwrap();
    let session = ServerConnection::new(Arc::new(config)).unwrap();
    let mut stream = StreamOwned::new(session, connection);
    let mut head = Vec::new();
    let mut part = [0; 1_024];
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut part)?;
        head.extend_from_slice(&part[..read]);
    }
    assert!(head.starts_with(b"GET /client.json HTTP/1.1\r\n"));
    stream.write_all(answer)?;
    stream.flush()?;
    while stream.read(&mut part)? > 0 {}
    Ok(())
}

fn answer(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}")
}

const JSON: &str = "200 OK\r\nContent-Type: application/json";

#[tokio::test]
async fn document_is_read_from_the_address_that_was_looked_at() {
    // No resolver knows the name, so whoever asked one again would not arrive.
    let url = serves(answer(JSON, DOCUMENT));
    let read = of_this_machine().fetch(&url).await;
    assert_eq!(read, Ok(DOCUMENT.as_bytes().to_vec()));
}

#[tokio::test]
async fn document_of_five_kibibytes_is_read_and_one_of_a_byte_more_is_not() {
    for (length, read) in [(5 * 1_024, true), (5 * 1_024 + 1, false)] {
        let body = " ".repeat(length);
        let counted = answer(JSON, &body);
        // The same without saying how much it will be.
        let untold = format!(
            "HTTP/1.1 {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        );
        for answer in [counted, untold] {
            let found = of_this_machine().fetch(&serves(answer)).await;
            let expected = match read {
                true => Ok(body.clone().into_bytes()),
                false => Err(DocumentError::NotADocument),
            };
            assert_eq!(found, expected, "{length}");
        }
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    for status in [301, 302, 303, 307, 308] {
        let to = format!("https://documents.test:{port}/client.json");
        let head =
            format!("{status} Elsewhere\r\nLocation: {to}\r\nContent-Type: application/json");
        let refused = of_this_machine()
            .fetch(&serves(answer(&head, DOCUMENT)))
            .await;
        let expected = DocumentError::Unreachable(format!("status {status}"));
        assert_eq!(refused, Err(expected));
    }
    assert!(elsewhere.accept().is_err(), "nobody came");
}

#[tokio::test]
async fn answer_that_is_no_json_document_is_refused() {
    for kind in ["\r\nContent-Type: text/html", ""] {
        let url = serves(answer(&format!("200 OK{kind}"), DOCUMENT));
        let refused = of_this_machine().fetch(&url).await;
        assert_eq!(refused, Err(DocumentError::NotADocument), "{kind}");
    }
    let url = serves(answer(
        "404 Not Found\r\nContent-Type: application/json",
        DOCUMENT,
    ));
    let refused = of_this_machine().fetch(&url).await;
    assert_eq!(
        refused,
        Err(DocumentError::Unreachable("status 404".to_owned()))
    );
}

fn is_unreachable(found: &Result<Vec<u8>, DocumentError>) -> bool {
    matches!(found, Err(DocumentError::Unreachable(_)))
}

#[tokio::test]
async fn host_that_stalls_is_given_up() {
    let impatient = HttpDocuments {
        timeout: Duration::from_millis(200),
        ..of_this_machine()
    };
    let whole = answer(JSON, DOCUMENT);
    for kept_back in [1, DOCUMENT.len(), whole.len()] {
        let sent = &whole.as_bytes()[..whole.len() - kept_back];
        let found = impatient.fetch(&serves(sent)).await;
        assert!(is_unreachable(&found), "{kept_back}: {found:?}");
    }
    let never: HttpDocuments = HttpDocuments {
        look_up: |_, _| Box::pin(std::future::pending()),
        ..impatient
    };
    let found = never.fetch(&serves(whole)).await;
    assert_eq!(found, Err(DocumentError::NoPublicAddress));
}

#[tokio::test]
async fn host_has_to_show_a_certificate_of_its_own_by_an_authority_that_counts() {
    let strangers = HttpDocuments {
        authorities: Some(Vec::new()),
        ..of_this_machine()
    };
    let found = strangers.fetch(&serves(answer(JSON, DOCUMENT))).await;
    assert!(is_unreachable(&found), "{found:?}");
    let mut url = serves(answer(JSON, DOCUMENT));
    url.set_host(Some("other.test")).unwrap();
    let found = of_this_machine().fetch(&url).await;
    assert!(is_unreachable(&found), "{found:?}");
}

#[tokio::test]
async fn one_address_that_is_not_public_spoils_all_of_a_host() {
    let both = HttpDocuments {
        look_up: |_, port| {
            let public = SocketAddr::from(([1, 1, 1, 1], port));
            let inner = SocketAddr::from(([127, 0, 0, 1], port));
            Box::pin(async move { Ok(vec![public, inner]) })
        },
        ..HttpDocuments::default()
    };
    let one = HttpDocuments {
        look_up: |_, port| {
            Box::pin(async move { Ok(vec![SocketAddr::from(([1, 1, 1, 1], port))]) })
        },
        ..HttpDocuments::default()
    };
    let url = Url::parse("https://documents.test/client.json").unwrap();
    let address = |found: Result<(String, SocketAddr), DocumentError>| found.map(|(_, it)| it);
    assert_eq!(
        address(both.public_address(&url).await),
        Err(DocumentError::NoPublicAddress)
    );
    let public = SocketAddr::from(([1, 1, 1, 1], 443));
    assert_eq!(address(one.public_address(&url).await), Ok(public));
}
