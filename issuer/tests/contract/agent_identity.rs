//! Agents that prove who they are: by a secret, by a key of their own, by SPIFFE.

use std::path::Path;

use bailiwick_issuer::SpiffeBundle;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use crate::{
    harness::{Browser, ORIGIN, Reply, START, World, details},
    oauth_client::{REDIRECT, register},
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub(crate) const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
pub(crate) const DOMAIN: &str = "prod.example";
pub(crate) const WORKLOAD: &str = "spiffe://prod.example/agent/report-writer";

/// A key that an agent signs with.
pub(crate) struct Key {
    pub(crate) id: &'static str,
    pub(crate) signer: Signer,
}

pub(crate) enum Signer {
    Ed25519(Box<SigningKey>),
    Library(Algorithm, Box<EncodingKey>),
}

impl Key {
    pub(crate) fn ed25519(seed: u8) -> Self {
        Self {
            id: "ed",
            signer: Signer::Ed25519(Box::new(SigningKey::from_bytes(&[seed; 32]))),
        }
    }

    pub(crate) fn p256() -> Self {
        let key = EncodingKey::from_ec_der(include_bytes!("keys/p256.der"));
        Self {
            id: "ec",
            signer: Signer::Library(Algorithm::ES256, Box::new(key)),
        }
    }

    fn rsa() -> Self {
        let key = EncodingKey::from_rsa_der(include_bytes!("keys/rsa2048.der"));
        Self {
            id: "rsa",
            signer: Signer::Library(Algorithm::RS256, Box::new(key)),
        }
    }

    /// The public key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.signer {
            Signer::Ed25519(key) => {
                let x = URL_SAFE_NO_PAD.encode(key.verifying_key().to_bytes());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
            Signer::Library(algorithm, key) => {
                json!(Jwk::from_encoding_key(key, *algorithm).unwrap())
            }
        };
        jwk["kid"] = json!(self.id);
        jwk
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        match &self.signer {
            Signer::Ed25519(key) => {
                let header = json!({"alg": "EdDSA", "kid": self.id});
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let message = format!("{}.{}", part(&header), part(claims));
                let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).to_bytes());
                format!("{message}.{signature}")
            }
            Signer::Library(algorithm, key) => {
                let mut header = Header::new(*algorithm);
                header.kid = Some(self.id.to_owned());
                jsonwebtoken::encode(&header, claims, key).unwrap()
            }
        }
    }
}

/// Registers a client as an operator does, and returns the answer.
async fn enrol(world: &World, client: &Value) -> Reply {
    let operator = world.bearer("operator.token");
    world
        .post_json("/v1/clients", &operator, &client.to_string())
        .await
}

pub(crate) async fn enrolled(world: &World, client: &Value) -> Value {
    let reply = enrol(world, client).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.json()
}

pub(crate) fn client_with(method: &str, name: &str, value: Value) -> Value {
    let mut client = json!({"application": "default", "name": "Report writer",
        "auth_method": method});
    client[name] = value;
    client
}

async fn ask(world: &World, fields: &[(&str, &str)]) -> Reply {
    let details = details().to_string();
    let mut all = vec![("authorization_details", details.as_str())];
    all.extend(fields);
    world.post_form("/oauth/device_authorization", &all).await
}

pub(crate) async fn ask_with(world: &World, kind: &str, assertion: &str) -> Reply {
    let fields = [
        ("client_assertion_type", kind),
        ("client_assertion", assertion),
    ];
    ask(world, &fields).await
}

fn claims(client_id: &str, id: &str) -> Value {
    json!({"iss": client_id, "sub": client_id, "aud": ORIGIN, "exp": START + 60, "iat": START,
        "jti": id})
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    if value.is_null() {
        claims.as_object_mut().unwrap().shift_remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

async fn page_of(browser: &mut Browser, reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.body);
    browser.open(&reply.json()).await.page
}

#[tokio::test]
async fn identity_that_is_proved_is_shown_and_recorded_and_one_that_is_claimed_is_called_so() {
    let (world, mut browser) = World::with_approver().await;
    let secret = json!({"application": "default", "name": "Report writer",
        "auth_method": "client_secret_post"});
    let client = enrolled(&world, &secret).await;
    let id = client["client_id"].as_str().unwrap();
    let secret = client["client_secret"].as_str().unwrap();
    let proved = ask(&world, &[("client_id", id), ("client_secret", secret)]).await;
    let page = page_of(&mut browser, &proved).await;
    assert!(
        page.contains(&format!("Proved: <bdi>{id} (client_secret_post)</bdi>")),
        "{page}"
    );
    assert!(page.contains("registered by an operator"));
    let record = std::fs::read_to_string(world.file("audit/issuer.jsonl")).unwrap();
    assert!(record.contains(&format!("\"proved\":\"{id}\"")), "{record}");

    let claimed = ask(&world, &[("client_id", "bailiwick-cli")]).await;
    let page = page_of(&mut browser, &claimed).await;
    assert!(page.contains("Only claimed"));

    for fields in [
        vec![("client_id", id)],
        vec![("client_id", id), ("client_secret", "wrong")],
    ] {
        let refused = ask(&world, &fields).await;
        assert_eq!(
            refused.oauth(),
            (401, "invalid_client".to_owned()),
            "{fields:?}"
        );
    }
}

#[tokio::test]
async fn agent_proves_itself_with_its_own_key_of_each_kind() {
    let (world, mut browser) = World::with_approver().await;
    for key in [Key::ed25519(1), Key::p256(), Key::rsa()] {
        let client = client_with("private_key_jwt", "jwks", json!({"keys": [key.jwk()]}));
        let client = enrolled(&world, &client).await;
        let id = client["client_id"].as_str().unwrap();
        assert!(client.get("client_secret").is_none());
        let proved = ask_with(&world, JWT_BEARER, &key.sign(&claims(id, key.id))).await;
        let page = page_of(&mut browser, &proved).await;
        assert!(
            page.contains(&format!("Proved: <bdi>{id} (private_key_jwt)</bdi>")),
            "{}",
            key.id
        );
    }
}

#[tokio::test]
async fn assertion_that_is_not_exactly_right_proves_nothing() {
    let world = World::new().await;
    let (key, other) = (Key::ed25519(1), Key::ed25519(2));
    let jwks = json!({"keys": [key.jwk()]});
    let client = enrolled(&world, &client_with("private_key_jwt", "jwks", jwks)).await;
    let id = client["client_id"].as_str().unwrap();
    let good = claims(id, "1");
    let unsigned = {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({"alg": "none"})), part(&good))
    };
    let hmac = {
        let public = key.jwk()["x"].as_str().unwrap().to_owned();
        let key = EncodingKey::from_base64_secret(&public.replace('-', "+").replace('_', "/"));
        key.map(|key| jsonwebtoken::encode(&Header::default(), &good, &key).unwrap())
    };
    let mut bad = vec![
        ("", "empty".to_owned()),
        ("forged", other.sign(&good)),
        ("unsigned", unsigned),
        ("cut", key.sign(&good).replace('.', "")),
        ("issuer", key.sign(&with(&good, "iss", json!("cli_other")))),
        ("no issuer", key.sign(&with(&good, "iss", Value::Null))),
        ("subject", key.sign(&with(&good, "sub", json!("cli_other")))),
        (
            "audience",
            key.sign(&with(&good, "aud", json!("https://other.example"))),
        ),
        (
            "two audiences",
            key.sign(&with(&good, "aud", json!([ORIGIN, "https://o.example"]))),
        ),
        ("expired", key.sign(&with(&good, "exp", json!(START)))),
        (
            "too long",
            key.sign(&with(&good, "exp", json!(START + 601))),
        ),
        ("no end", key.sign(&with(&good, "exp", Value::Null))),
        ("not yet", key.sign(&with(&good, "nbf", json!(START + 31)))),
        (
            "issued later",
            key.sign(&with(&good, "iat", json!(START + 31))),
        ),
        ("no id", key.sign(&with(&good, "jti", Value::Null))),
        (
            "too big",
            key.sign(&with(&good, "x", json!("x".repeat(8 * 1024)))),
        ),
    ];
    bad.extend(hmac.ok().map(|token| ("public key as a secret", token)));
    for (what, assertion) in bad {
        let refused = ask_with(&world, JWT_BEARER, &assertion).await;
        assert_eq!(
            refused.oauth(),
            (401, "invalid_client".to_owned()),
            "{what}"
        );
    }
    let assertion = key.sign(&good);
    let twice = [
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion.as_str()),
        ("client_secret", "x"),
    ];
    for fields in [&twice[..1], &twice[1..2], &twice[..]] {
        let refused = ask(&world, fields).await;
        assert_eq!(
            refused.oauth(),
            (400, "invalid_request".to_owned()),
            "{fields:?}"
        );
    }
    for latest in [
        with(&good, "exp", json!(START + 600)),
        with(
            &claims(id, "2"),
            "aud",
            json!([format!("{ORIGIN}/oauth/token")]),
        ),
        with(&claims(id, "3"), "nbf", json!(START + 30)),
    ] {
        let reply = ask_with(&world, JWT_BEARER, &key.sign(&latest)).await;
        assert_eq!(reply.status, 200, "{latest}: {}", reply.body);
    }
}

#[tokio::test]
async fn assertion_counts_once() {
    let mut world = World::new().await;
    let key = Key::ed25519(1);
    let jwks = json!({"keys": [key.jwk()]});
    let client = enrolled(&world, &client_with("private_key_jwt", "jwks", jwks)).await;
    let id = client["client_id"].as_str().unwrap();
    let assertion = key.sign(&claims(id, "1"));
    assert_eq!(ask_with(&world, JWT_BEARER, &assertion).await.status, 200);
    let again = ask_with(&world, JWT_BEARER, &assertion).await;
    assert_eq!(again.oauth(), (401, "invalid_client".to_owned()));
    world.restart().await;
    let again = ask_with(&world, JWT_BEARER, &assertion).await;
    assert_eq!(
        again.oauth(),
        (401, "invalid_client".to_owned()),
        "after a restart too"
    );
    let next = key.sign(&claims(id, "2"));
    assert_eq!(ask_with(&world, JWT_BEARER, &next).await.status, 200);
}

fn write_bundle(file: &Path, key: &Key) {
    let mut jwk = key.jwk();
    jwk["use"] = json!("jwt-svid");
    std::fs::write(file, json!({"keys": [jwk]}).to_string()).unwrap();
}

#[tokio::test]
async fn workload_proves_itself_with_its_svid_and_nobody_else_can() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bundle.json");
    let key = Key::p256();
    write_bundle(&file, &key);
    let (world, mut browser) =
        World::with_approver_and_spiffe(DOMAIN, SpiffeBundle::File(file.clone())).await;
    let spiffe = client_with("spiffe_jwt", "spiffe_id", json!(WORKLOAD));
    enrolled(&world, &spiffe).await;
    let good = json!({"sub": WORKLOAD, "aud": [ORIGIN], "exp": START + 300});
    for _ in 0..2 {
        let proved = ask_with(&world, JWT_SPIFFE, &key.sign(&good)).await;
        let page = page_of(&mut browser, &proved).await;
        assert!(
            page.contains(&format!("Proved: <bdi>{WORKLOAD} (spiffe_jwt)</bdi>")),
            "{page}"
        );
    }
    let stranger = "spiffe://prod.example/agent/stranger";
    for (what, svid) in [
        ("forged", Key::ed25519(1).sign(&good)),
        ("signed by another key under its id", {
            let rsa = Key {
                id: "ec",
                ..Key::rsa()
            };
            rsa.sign(&good)
        }),
        (
            "audience",
            key.sign(&with(&good, "aud", json!("https://other.example"))),
        ),
        ("no audience", key.sign(&with(&good, "aud", Value::Null))),
        ("expired", key.sign(&with(&good, "exp", json!(START)))),
        (
            "of no client",
            key.sign(&with(&good, "sub", json!(stranger))),
        ),
        (
            "of another domain",
            key.sign(&with(
                &good,
                "sub",
                json!("spiffe://evil.example/agent/report-writer"),
            )),
        ),
    ] {
        let refused = ask_with(&world, JWT_SPIFFE, &svid).await;
        assert_eq!(
            refused.oauth(),
            (401, "invalid_client".to_owned()),
            "{what}"
        );
    }
    let as_own_key = ask_with(&world, JWT_BEARER, &key.sign(&good)).await;
    assert_eq!(as_own_key.oauth(), (401, "invalid_client".to_owned()));
    let twice = enrol(&world, &spiffe).await;
    assert_eq!(twice.verdict(), (400, "malformed_json"));
}

#[tokio::test]
async fn bundle_that_cannot_be_read_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bundle.json");
    let (world, _) =
        World::with_approver_and_spiffe(DOMAIN, SpiffeBundle::File(file.clone())).await;
    let spiffe = client_with("spiffe_jwt", "spiffe_id", json!(WORKLOAD));
    enrolled(&world, &spiffe).await;
    let good = json!({"sub": WORKLOAD, "aud": [ORIGIN], "exp": START + 300});
    let refused = ask_with(&world, JWT_SPIFFE, &Key::p256().sign(&good)).await;
    assert_eq!(refused.oauth(), (503, "temporarily_unavailable".to_owned()));
}

#[tokio::test]
async fn identity_of_an_agent_gives_it_nothing_but_to_ask() {
    let (world, _) = World::with_approver().await;
    let key = Key::ed25519(1);
    let jwks = json!({"keys": [key.jwk()]});
    let client = enrolled(&world, &client_with("private_key_jwt", "jwks", jwks)).await;
    let id = client["client_id"].as_str().unwrap();
    let asked = ask_with(&world, JWT_BEARER, &key.sign(&claims(id, "1"))).await;
    let asked = asked.json();
    let device_code = asked["device_code"].as_str().unwrap();
    let mut fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device_code),
        ("client_assertion_type", JWT_BEARER),
    ];
    let poll = key.sign(&claims(id, "2"));
    fields.push(("client_assertion", &poll));
    let reply = world.post_form("/oauth/token", &fields).await;
    assert_eq!(reply.oauth(), (400, "authorization_pending".to_owned()));
    let other = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device_code),
        ("client_id", "bailiwick-cli"),
    ];
    let reply = world.post_form("/oauth/token", &other).await;
    assert_eq!(
        reply.oauth(),
        (400, "invalid_grant".to_owned()),
        "code of another client"
    );
    let credentials = [("grant_type", "client_credentials"), ("client_id", id)];
    let reply = world.post_form("/oauth/token", &credentials).await;
    assert_eq!(reply.oauth(), (400, "unsupported_grant_type".to_owned()));
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_not_registered() {
    let world = World::new().await;
    let good = Key::ed25519(1).jwk();
    let changed = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        json!({"keys": [jwk]})
    };
    let eleven = json!({"keys": vec![good.clone(); 11]});
    let short = URL_SAFE_NO_PAD.encode([0xff; 255]);
    for jwks in [
        json!([]),
        json!({"keys": []}),
        eleven,
        changed("d", json!("AA")),
        changed("crv", json!("X25519")),
        changed("use", json!("enc")),
        json!({"keys": [{"kty": "oct", "k": "AAAA"}]}),
        json!({"keys": [{"kty": "RSA", "n": short, "e": "AQAB"}]}),
    ] {
        let client = client_with("private_key_jwt", "jwks", jwks.clone());
        let refused = enrol(&world, &client).await;
        assert_eq!(refused.verdict(), (400, "malformed_json"), "{jwks}");
        let metadata = json!({"redirect_uris": [REDIRECT], "jwks": jwks,
            "token_endpoint_auth_method": "private_key_jwt"});
        let refused = register(&world, &metadata).await;
        assert_eq!(refused.oauth(), (400, "invalid_client_metadata".to_owned()));
    }
    let ten = json!({"redirect_uris": [REDIRECT], "jwks": {"keys": vec![good; 10]},
        "token_endpoint_auth_method": "private_key_jwt"});
    assert_eq!(register(&world, &ten).await.status, 201);
    for metadata in [
        json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt"}),
        json!({"redirect_uris": [REDIRECT], "jwks_uri": "https://app.example/keys",
            "token_endpoint_auth_method": "private_key_jwt"}),
        json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "spiffe_jwt"}),
    ] {
        let refused = register(&world, &metadata).await;
        assert_eq!(
            refused.oauth(),
            (400, "invalid_client_metadata".to_owned()),
            "{metadata}"
        );
    }
}

#[tokio::test]
async fn operator_registers_lists_and_removes_clients() {
    let (world, _) = World::with_approver().await;
    let operator = world.bearer("operator.token");
    let secret = json!({"application": "default", "name": "Report writer",
        "redirect_uris": [REDIRECT], "auth_method": "client_secret_basic"});
    let client = enrolled(&world, &secret).await;
    let id = client["client_id"].as_str().unwrap();
    let listed = world.get_as("/v1/clients", &operator).await;
    assert!(listed.body.contains(id) && listed.body.contains("bailiwick-cli"));
    assert!(
        !listed
            .body
            .contains(client["client_secret"].as_str().unwrap())
    );
    for (name, value) in [
        ("application", json!("nowhere")),
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("auth_method", json!("magic")),
        ("redirect_uris", json!(["javascript:x"])),
        ("redirect_uris", json!(vec![REDIRECT; 11])),
        ("jwks", json!({"keys": [Key::ed25519(1).jwk()]})),
        ("spiffe_id", json!(WORKLOAD)),
        ("other", json!(1)),
    ] {
        let mut wrong = secret.clone();
        wrong[name] = value;
        let refused = enrol(&world, &wrong).await;
        assert_eq!(refused.verdict(), (400, "malformed_json"), "{wrong}");
    }
    let nobody = world.get_as("/v1/clients", "Bearer x").await;
    assert_eq!(nobody.verdict(), (401, "bad_credentials"));
    let remove = async |id: &str| {
        let request = axum::http::Request::delete(format!("/v1/clients/{id}"))
            .header("authorization", &operator)
            .body(axum::body::Body::empty());
        world.send(request.unwrap()).await
    };
    assert_eq!(remove(id).await.status, 204);
    assert_eq!(remove(id).await.verdict(), (404, "client_not_found"));
    let secret = client["client_secret"].as_str().unwrap();
    let refused = ask(&world, &[("client_id", id), ("client_secret", secret)]).await;
    assert_eq!(refused.oauth(), (401, "invalid_client".to_owned()));
}
