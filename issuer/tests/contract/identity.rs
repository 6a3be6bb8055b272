//! Signing in with an identity provider that does as it is told, the wrong thing included.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bailiwick_issuer::{CatalogueSource, IdentityProvider, Issuer};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use url::Url;

use crate::{
    harness::{Browser, FakeGateway, PASSWORD, Reply, START, World, details},
    oauth_client::{Client, REDIRECT},
};

/// What the provider says, and how it was asked.
pub(crate) struct Lies {
    issuer: String,
    /// Claims that replace the true ones; `null` leaves one out.
    pub(crate) claims: Mutex<Value>,
    header: Mutex<Value>,
    key: Mutex<[u8; 32]>,
    refuses: Mutex<bool>,
    /// It promises to name itself in its answers.
    names_itself: Mutex<bool>,
    pub(crate) nonce: Mutex<String>,
    asked: Mutex<BTreeMap<String, String>>,
    /// A path whose requests it sends elsewhere: with which status, and to which origin.
    pub(crate) sends_away: Mutex<Option<(&'static str, u16, String)>>,
}

const TRUE_KEY: [u8; 32] = [7; 32];

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn metadata(State(lies): State<Arc<Lies>>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", lies.issuer);
    Json(json!({
        "issuer": lies.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        "authorization_response_iss_parameter_supported": *lies.names_itself.lock().unwrap(),
    }))
}

async fn keys() -> Json<Value> {
    let public = SigningKey::from_bytes(&TRUE_KEY).verifying_key();
    let x = encode(public.to_bytes());
    Json(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "k", "x": x}]}))
}

async fn token(
    State(lies): State<Arc<Lies>>,
    Form(asked): Form<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    *lies.asked.lock().unwrap() = asked;
    if *lies.refuses.lock().unwrap() {
        let refused = json!({"error": "invalid_grant"});
        return (StatusCode::BAD_REQUEST, Json(refused));
    }
    let mut claims = json!({
        "iss": lies.issuer,
        "sub": "subject-1",
        "aud": "bailiwick",
        "iat": START,
        "exp": START + 300,
        "nonce": *lies.nonce.lock().unwrap(),
        "preferred_username": "grace",
        "groups": ["approvers", "cooks"],
    });
    for (name, value) in lies.claims.lock().unwrap().as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let header = encode(lies.header.lock().unwrap().to_string());
    let signed = format!("{header}.{}", encode(claims.to_string()));
    let key = SigningKey::from_bytes(&lies.key.lock().unwrap());
    let id_token = format!(
        "{signed}.{}",
        encode(key.sign(signed.as_bytes()).to_bytes())
    );
    let reply = json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token});
    (StatusCode::OK, Json(reply))
}

async fn send_away(State(lies): State<Arc<Lies>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let away = lies.sends_away.lock().unwrap().clone();
    match away.filter(|(from, ..)| *from == path) {
        Some((_, status, to)) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(header::LOCATION, format!("{to}{path}"))]).into_response()
        }
        None => next.run(request).await,
    }
}

/// What the provider serves.
pub(crate) fn says(lies: &Arc<Lies>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/keys", get(keys))
        .route("/token", post(token).get(token_again))
        .with_state(Arc::clone(lies))
}

/// The same for what a redirect made of the request.
async fn token_again(lies: State<Arc<Lies>>) -> (StatusCode, Json<Value>) {
    token(lies, Form(BTreeMap::new())).await
}

/// An issuer that trusts a provider, and the provider.
pub(crate) async fn trusting() -> (World, Arc<Lies>) {
    trusting_in(World::new().await).await
}

/// The same with an issuer that is there already.
pub(crate) async fn trusting_in(mut world: World) -> (World, Arc<Lies>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let lies = Arc::new(Lies {
        issuer: issuer.clone(),
        claims: Mutex::new(json!({})),
        header: Mutex::new(json!({"alg": "EdDSA", "kid": "k"})),
        key: Mutex::new(TRUE_KEY),
        refuses: Mutex::new(false),
        names_itself: Mutex::new(false),
        nonce: Mutex::default(),
        asked: Mutex::default(),
        sends_away: Mutex::default(),
    });
    let provider = says(&lies).layer(from_fn_with_state(Arc::clone(&lies), send_away));
    tokio::spawn(async move { axum::serve(listener, provider).await });

    world.issuer.take().unwrap().close().await;
    let mut config = crate::harness::config(world.dir(), &world.clock, world.origin);
    let source: Arc<dyn CatalogueSource> = Arc::<FakeGateway>::clone(&world.gateway);
    config.catalogue = Some(source);
    let roles = [
        ("approvers".to_owned(), vec!["approver".to_owned()]),
        ("admins".to_owned(), vec!["admin".to_owned()]),
    ];
    config.identity_provider = Some(IdentityProvider {
        issuer: issuer.parse().unwrap(),
        client_id: "bailiwick".to_owned(),
        client_secret: Some("shh".to_owned()),
        groups_claim: "groups".to_owned(),
        roles: roles.into(),
    });
    let issuer = Issuer::open(config).await.unwrap();
    world.router = issuer.router();
    world.issuer = Some(issuer);
    (world, lies)
}

/// Goes to the provider; what the browser is sent there with.
pub(crate) async fn departs(browser: &mut Browser, lies: &Lies) -> Url {
    assert!(
        browser
            .get("/sign-in")
            .await
            .body
            .contains("id=\"identity\"")
    );
    let reply = browser.get("/sign-in/identity?next=%2Fsessions").await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let address: Url = reply.location().parse().unwrap();
    *lies.nonce.lock().unwrap() = parameter(&address, "nonce");
    address
}

pub(crate) fn parameter(address: &Url, name: &str) -> String {
    let mut pairs = address.query_pairs();
    pairs.find(|(n, _)| n == name).unwrap().1.into_owned()
}

pub(crate) async fn returns(browser: &mut Browser, state: &str, more: &str) -> Reply {
    let path = format!("/sign-in/identity/return?state={state}{more}");
    browser.get(&path).await
}

/// There and back.
pub(crate) async fn signs_in(world: &World, lies: &Lies) -> (Browser, Reply) {
    let mut browser = world.browser();
    let state = parameter(&departs(&mut browser, lies).await, "state");
    let reply = returns(&mut browser, &state, "&code=c").await;
    (browser, reply)
}

#[tokio::test]
async fn person_whom_the_provider_vouches_for_is_signed_in_with_their_groups_roles() {
    let (world, lies) = trusting().await;
    let mut browser = world.browser();
    let address = departs(&mut browser, &lies).await;
    assert_eq!(parameter(&address, "code_challenge_method"), "S256");
    assert_eq!(parameter(&address, "client_id"), "bailiwick");
    let reply = returns(&mut browser, &parameter(&address, "state"), "&code=c").await;
    assert_eq!(reply.location(), "/sessions", "{}", reply.body);
    assert!(
        browser
            .get("/me")
            .await
            .body
            .contains("id=\"roles\">approver<")
    );
    let asked = lies.asked.lock().unwrap().clone();
    assert_eq!(asked["code"], "c");
    assert!(asked["code_verifier"].len() >= 43, "{asked:?}");

    // Another group next time: another role, the same account.
    world.invited("olga", &["admin"]).await;
    *lies.claims.lock().unwrap() = json!({"groups": ["admins"], "preferred_username": "other"});
    let (mut browser, reply) = signs_in(&world, &lies).await;
    assert_eq!(reply.status, 303);
    let page = browser.get("/me").await.body;
    assert!(
        page.contains("id=\"roles\">admin<") && page.contains("grace"),
        "{page}"
    );
}

#[tokio::test]
async fn word_that_is_not_the_providers_or_not_for_us_is_not_believed() {
    let (world, lies) = trusting().await;
    for claims in [
        json!({"iss": "http://evil.example"}),
        json!({"aud": "another"}),
        json!({"aud": ["bailiwick", "another"]}),
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"exp": START}),
        json!({"exp": null}),
        json!({"sub": null}),
    ] {
        *lies.claims.lock().unwrap() = claims.clone();
        let (mut browser, reply) = signs_in(&world, &lies).await;
        assert_eq!(reply.verdict(), (403, "identity_refused"), "{claims}");
        assert_eq!(browser.get("/me").await.status, 303, "{claims}");
    }
    *lies.claims.lock().unwrap() = json!({});
    *lies.key.lock().unwrap() = [8; 32];
    assert_eq!(
        signs_in(&world, &lies).await.1.verdict(),
        (403, "identity_refused")
    );
    *lies.key.lock().unwrap() = TRUE_KEY;
    for alg in ["none", "HS256", "RS256"] {
        *lies.header.lock().unwrap() = json!({"alg": alg, "kid": "k"});
        let (_, reply) = signs_in(&world, &lies).await;
        assert_eq!(reply.verdict(), (403, "identity_refused"), "{alg}");
    }
    *lies.header.lock().unwrap() = json!({"alg": "EdDSA", "kid": "k"});
    *lies.refuses.lock().unwrap() = true;
    assert_eq!(
        signs_in(&world, &lies).await.1.verdict(),
        (403, "identity_refused")
    );
    *lies.refuses.lock().unwrap() = false;
    assert_eq!(signs_in(&world, &lies).await.1.status, 303);
    let refused = world
        .record()
        .iter()
        .filter(|(e, _)| e == "sign_in_refused")
        .count();
    assert_eq!(refused, 10, "thirteen in a minute, of which ten get a line");
}

#[tokio::test]
async fn answer_counts_once_and_only_in_the_browser_that_began() {
    let (world, lies) = trusting().await;
    let mut browser = world.browser();
    let state = parameter(&departs(&mut browser, &lies).await, "state");
    let mut victim = world.browser();
    victim.get("/sign-in").await;
    let planted = returns(&mut victim, &state, "&code=c").await;
    assert_eq!(planted.verdict(), (403, "sign_in_not_begun"));
    let mut bare = world.browser();
    let reply = returns(&mut bare, &state, "&code=c").await;
    assert_eq!(reply.verdict(), (403, "sign_in_not_begun"));
    for wrong in ["", "x"] {
        let reply = returns(&mut browser, wrong, "&code=c").await;
        assert_eq!(reply.verdict(), (403, "sign_in_not_begun"), "{wrong:?}");
    }
    let visitor = browser.cookies.clone();
    assert_eq!(returns(&mut browser, &state, "&code=c").await.status, 303);
    browser.cookies = visitor;
    let again = returns(&mut browser, &state, "&code=c").await;
    assert_eq!(again.verdict(), (403, "sign_in_not_begun"));
}

#[tokio::test]
async fn answer_of_another_provider_or_without_a_code_or_too_late_is_refused() {
    let (world, lies) = trusting().await;
    for (wait, more, verdict) in [
        (
            0,
            "&code=c&iss=http%3A%2F%2Fevil.example",
            (403, "identity_refused"),
        ),
        (0, "&error=access_denied", (403, "identity_refused")),
        (600, "&code=c", (403, "sign_in_not_begun")),
    ] {
        let mut browser = world.browser();
        let state = parameter(&departs(&mut browser, &lies).await, "state");
        world.advance(wait);
        let reply = returns(&mut browser, &state, more).await;
        assert_eq!(reply.verdict(), verdict, "{more}");
    }
    *lies.claims.lock().unwrap() = json!({"exp": START + 10_000});
    let mut browser = world.browser();
    let state = parameter(&departs(&mut browser, &lies).await, "state");
    world.advance(599);
    let named = format!("&code=c&iss={}", lies.issuer);
    assert_eq!(returns(&mut browser, &state, &named).await.status, 303);
}

#[tokio::test]
async fn person_without_a_role_a_name_or_an_enabled_account_is_not_admitted() {
    let (world, lies) = trusting().await;
    world.invited("bob", &["admin"]).await;
    for claims in [
        json!({"groups": ["cooks"]}),
        json!({"groups": null}),
        json!({"groups": "approvers"}),
        json!({"preferred_username": null}),
        json!({"preferred_username": "gra ce"}),
        json!({"preferred_username": "bob"}),
        json!({"preferred_username": null, "email": "g@example.com"}),
        json!({"preferred_username": null, "email": "g@example.com", "email_verified": false}),
    ] {
        *lies.claims.lock().unwrap() = claims.clone();
        let (mut browser, reply) = signs_in(&world, &lies).await;
        assert_eq!(reply.verdict(), (403, "not_admitted"), "{claims}");
        assert_eq!(browser.get("/me").await.status, 303);
    }
    let verified = json!({"preferred_username": null, "email": "g@example.com",
        "email_verified": true});
    *lies.claims.lock().unwrap() = verified;
    let (mut browser, reply) = signs_in(&world, &lies).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert!(browser.get("/me").await.body.contains("g@example.com"));
    let off = world
        .operate("/v1/accounts/g@example.com/disable", "")
        .await;
    assert_eq!(off.status, 200, "{}", off.body);
    assert_eq!(
        signs_in(&world, &lies).await.1.verdict(),
        (403, "not_admitted")
    );
    let password = world.browser().sign_in("g@example.com", PASSWORD).await;
    assert_eq!(password.status, 403, "there is no password");
}

#[tokio::test]
async fn sign_in_with_a_provider_gives_a_fresh_session_and_ends_the_one_before() {
    let (world, lies) = trusting().await;
    let (first, _) = signs_in(&world, &lies).await;
    let mut browser = first.clone();
    let departure = browser.get("/sign-in/identity").await.location();
    let departure: Url = departure.parse().unwrap();
    *lies.nonce.lock().unwrap() = parameter(&departure, "nonce");
    let state = parameter(&departure, "state");
    assert_eq!(returns(&mut browser, &state, "&code=c").await.status, 303);
    assert_ne!(
        browser.cookie("bailiwick_session"),
        first.cookie("bailiwick_session")
    );
    assert_eq!(first.clone().get("/me").await.status, 303);
    assert_eq!(browser.get("/me").await.status, 200);
}

#[tokio::test]
async fn issuer_without_a_provider_offers_none_and_one_that_is_away_says_so() {
    let world = World::new().await;
    let mut browser = world.browser();
    assert!(
        !browser
            .get("/sign-in")
            .await
            .body
            .contains("id=\"identity\"")
    );
    let reply = browser.get("/sign-in/identity").await;
    assert_eq!(reply.verdict(), (404, "no_identity_provider"));

    let (mut world, _lies) = trusting().await;
    world.issuer.take().unwrap().close().await;
    let mut config = crate::harness::config(world.dir(), &world.clock, crate::harness::ORIGIN);
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    config.identity_provider = Some(IdentityProvider {
        issuer: issuer.parse().unwrap(),
        client_id: "bailiwick".to_owned(),
        client_secret: None,
        groups_claim: "groups".to_owned(),
        roles: BTreeMap::new(),
    });
    let issuer = Issuer::open(config).await.unwrap();
    world.router = issuer.router();
    let reply = world.browser().get("/sign-in/identity").await;
    assert_eq!(reply.verdict(), (502, "identity_provider_unavailable"));
    issuer.close().await;
}

#[tokio::test]
async fn answer_without_a_name_is_refused_where_the_provider_promises_one() {
    let (world, lies) = trusting().await;
    for (promises, named, good) in [
        (false, false, true),
        (false, true, true),
        (true, true, true),
        (true, false, false),
    ] {
        *lies.names_itself.lock().unwrap() = promises;
        let mut browser = world.browser();
        let state = parameter(&departs(&mut browser, &lies).await, "state");
        let name = format!("&iss={}", lies.issuer);
        let more = format!("&code=c{}", if named { &name } else { "" });
        let reply = returns(&mut browser, &state, &more).await;
        if good {
            assert_eq!(reply.status, 303, "{promises} {named}: {}", reply.body);
        } else {
            assert_eq!(reply.verdict(), (403, "identity_refused"));
        }
    }
}

#[tokio::test]
async fn groups_do_not_take_the_role_admin_from_the_last_who_has_it() {
    let (world, lies) = trusting().await;
    *lies.claims.lock().unwrap() = json!({"groups": ["admins"]});
    assert_eq!(signs_in(&world, &lies).await.1.status, 303);
    *lies.claims.lock().unwrap() = json!({"groups": ["approvers"]});
    let (_, refused) = signs_in(&world, &lies).await;
    assert_eq!(refused.verdict(), (403, "not_admitted"));
    let (event, fields) = world.record().into_iter().rev().nth(1).unwrap();
    assert_eq!(event, "sign_in_refused");
    assert_eq!(fields["subject"], "subject-1");
    let operator = world.bearer("operator.token");
    let grace = world.get_as("/v1/accounts/grace", &operator).await.json();
    assert_eq!(grace["roles"], json!(["admin"]));
    world.invited("olga", &["admin"]).await;
    assert_eq!(signs_in(&world, &lies).await.1.status, 303);
}

#[tokio::test]
async fn person_approves_nothing_asked_for_under_the_name_their_provider_has_for_them() {
    let (world, lies) = trusting().await;
    let metadata = json!({"client_name": "Robot", "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post"});
    let client = Client::register_as(&world, &metadata).await;
    let wish = details().to_string();
    let fields = [
        ("client_id", client.id.as_str()),
        ("client_secret", client.secret.as_deref().unwrap()),
        ("authorization_details", wish.as_str()),
    ];
    for (subject, own) in [("subject-1", false), (client.known_as(), true)] {
        let name = if own { "robot" } else { "grace" };
        *lies.claims.lock().unwrap() = json!({"sub": subject, "preferred_username": name});
        let (mut browser, reply) = signs_in(&world, &lies).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        world.assign("default", name).await;
        let asked = world
            .post_form("/oauth/device_authorization", &fields)
            .await
            .json();
        let form = browser.open(&asked).await.with("decision", "approve");
        let reply = browser.submit(&form).await;
        if own {
            assert_eq!(reply.verdict(), (403, "self_approval"));
        } else {
            assert_eq!(reply.status, 303, "{}", reply.body);
        }
    }
}
