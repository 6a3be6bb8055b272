//! Passkeys in a real browser, with its virtual authenticator (W3C Web Authentication, section 11).

use serde_json::{Value, json};

use crate::harness::agent::Wish;
use crate::harness::browser::Browser;
use crate::harness::service::{Bailiwick, Folder};
use crate::harness::visitor::{PASSWORD, USER};

const WISH: Wish<'_> = Wish {
    tools: &["files.write_file"],
    resources: &["files/out"],
    task: "Write it down",
    time: "10m",
};

/// A browser with an authenticator that knows its user.
struct Person {
    browser: Browser,
    authenticator: String,
}

impl Person {
    async fn signs_up(servers: &Bailiwick) -> Self {
        let browser = Browser::open().await;
        let authenticator = plugged_in(&browser);
        browser.goto(servers.sign_in.as_deref().unwrap()).await;
        browser.fill("input[name=user_name]", USER).await;
        browser.fill("input[name=password]", PASSWORD).await;
        browser.fill("input[name=password_again]", PASSWORD).await;
        browser.click("main form button[type=submit]").await;
        browser.arrives_at("/approvals").await;
        Self {
            browser,
            authenticator,
        }
    }

    /// Signs in with the password, in a browser that has nothing of the one before.
    async fn signs_in_elsewhere(servers: &Bailiwick) -> Self {
        let browser = Browser::open().await;
        let authenticator = plugged_in(&browser);
        browser.goto(&format!("{}/sign-in", servers.issuer)).await;
        browser.fill("input[name=user_name]", USER).await;
        browser.fill("input[name=password]", PASSWORD).await;
        browser.click("main form button[type=submit]").await;
        browser.arrives_at("/approvals").await;
        Self {
            browser,
            authenticator,
        }
    }

    fn tells(&self, method: &'static str, path: &str, body: &Value) -> Value {
        let path = format!("/webauthn/authenticator/{}{path}", self.authenticator);
        self.browser.web_driver(method, &path, body)
    }

    /// Registers a passkey on the account's page.
    async fn adds(&self, servers: &Bailiwick, name: &str) {
        self.browser.goto(&format!("{}/me", servers.issuer)).await;
        self.browser.fill("#passkey-name", name).await;
        self.browser.click("#passkey-add button").await;
        self.browser.reads(&format!("{name} added")).await;
    }

    async fn signs_out(&self) {
        self.browser.click("form[action='/sign-out'] button").await;
        self.browser.arrives_at("/sign-in").await;
    }

    async fn signs_in(&self) {
        self.browser.click("#passkey-sign-in button").await;
    }
}

/// An authenticator that a browser finds, by its id.
fn plugged_in(browser: &Browser) -> String {
    let wanted = json!({"protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
        "hasUserVerification": true, "isUserVerified": true, "isUserConsenting": true});
    let id = browser.web_driver("POST", "/webauthn/authenticator", &wanted);
    id.as_str().unwrap().to_owned()
}

fn up() -> Bailiwick {
    let servers = Bailiwick::up_with(Folder::new(), |command| {
        command.args(["--issuer-host", "localhost"]);
    });
    assert!(
        servers.issuer.starts_with("http://localhost:"),
        "{}",
        servers.issuer
    );
    servers
}

#[tokio::test(flavor = "multi_thread")]
async fn person_registers_a_passkey_signs_in_with_it_and_confirms_an_approval() {
    let servers = up();
    let ada = Person::signs_up(&servers).await;
    ada.adds(&servers, "Laptop").await;
    ada.signs_out().await;
    ada.signs_in().await;
    ada.browser.arrives_at("/approvals").await;

    let rule = "passkey access=write";
    let set = servers.run(&["applications", "set", "default", "--rule", rule]);
    assert_eq!(set.expect_code(0).json()["rules"], json!([rule]));
    let asked = servers.request(&WISH, &[]);
    ada.browser.goto(&asked.approval_url).await;
    ada.browser
        .reads("Your passkey has to confirm this approval")
        .await;

    // Without a touch nothing is sent.
    ada.tells("POST", "/uv", &json!({"isUserVerified": false}));
    ada.browser.click("#approve").await;
    ada.browser.reads("The passkey did not answer").await;
    ada.tells("POST", "/uv", &json!({"isUserVerified": true}));
    ada.browser.click("#approve").await;
    ada.browser.find("#approved").await;
    let granted = asked.granted();
    assert!(granted.details.to_string().contains("files.write_file"));
    assert_eq!(ada.browser.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_of_a_passkey_and_a_removed_one_are_refused() {
    let servers = up();
    let ada = Person::signs_up(&servers).await;
    ada.adds(&servers, "Laptop").await;
    let copied = ada.tells("GET", "/credentials", &json!({}))[0].clone();
    ada.signs_out().await;
    for _ in 0..2 {
        ada.signs_in().await;
        ada.browser.arrives_at("/approvals").await;
        ada.signs_out().await;
    }
    // The copy counts from where it was made.
    let id = copied["credentialId"].as_str().unwrap().to_owned();
    ada.tells("DELETE", &format!("/credentials/{id}"), &json!({}));
    ada.tells("POST", "/credential", &copied);
    ada.signs_in().await;
    ada.browser.reads("went backwards").await;

    // Not what was copied but the passkey itself, which has counted on; then it is removed.
    let mut whole = copied.clone();
    whole["signCount"] = json!(100);
    ada.tells("DELETE", &format!("/credentials/{id}"), &json!({}));
    ada.tells("POST", "/credential", &whole);
    ada.browser
        .goto(&format!("{}/sign-in", servers.issuer))
        .await;
    ada.signs_in().await;
    ada.browser.arrives_at("/approvals").await;
    ada.browser.goto(&format!("{}/me", servers.issuer)).await;
    ada.browser
        .click("button[aria-label='Remove the passkey Laptop']")
        .await;
    ada.browser.arrives_at("/me").await;
    ada.signs_out().await;
    ada.signs_in().await;
    ada.browser.reads("passkey_refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn further_passkey_is_confirmed_by_one_that_is_there_before_it_is_made() {
    let servers = up();
    let ada = Person::signs_up(&servers).await;
    ada.adds(&servers, "Laptop").await;
    ada.browser.reads("You will be asked twice").await;
    // Once the laptop has answered, the new one is to be made: by another authenticator.
    ada.browser
        .evaluate(
            "const create = navigator.credentials.create.bind(navigator.credentials);
             navigator.credentials.create = (wish) =>
                 new Promise((go) => { window.goOn = () => go(create(wish)); });",
        )
        .await;
    ada.browser.fill("#passkey-name", "Key").await;
    ada.browser.click("#passkey-add button").await;
    let confirmed = "const done = arguments[arguments.length - 1];
        const look = () => window.goOn ? done(true) : setTimeout(look, 20); look();";
    assert_eq!(ada.browser.evaluate_async(confirmed).await, json!(true));
    ada.tells("DELETE", "", &json!({}));
    plugged_in(&ada.browser);
    ada.browser.evaluate("window.goOn();").await;
    ada.browser.reads("Key added").await;
    assert_eq!(ada.browser.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_passkey_is_replaced_by_the_operators_word_and_not_by_the_password_alone() {
    let servers = up();
    let ada = Person::signs_up(&servers).await;
    ada.adds(&servers, "Laptop").await;
    let passkeys = |action: &[&str]| {
        let all = [&["accounts", "passkeys"], action].concat();
        servers.run(&all)
    };
    let refused = passkeys(&["allow", USER]).expect_code(1).json();
    assert_eq!(refused["code"], "passkey_exists");
    let listed = passkeys(&["list", USER]).expect_code(0).json();
    assert_eq!(
        (&listed["event"], &listed["name"]),
        (&json!("passkey"), &json!("Laptop"))
    );
    let id = listed["passkey"].as_str().unwrap();
    let removed = passkeys(&["remove", USER, id]).expect_code(0).json();
    assert_eq!(removed["event"], "passkey_removed");
    assert!(passkeys(&["list", USER]).expect_code(0).stdout.is_empty());

    let me = format!("{}/me", servers.issuer);
    let ada = Person::signs_in_elsewhere(&servers).await;
    ada.browser.goto(&me).await;
    ada.browser.reads("ask an admin").await;
    let allowed = passkeys(&["allow", USER]).expect_code(0).json();
    assert_eq!(allowed["event"], "passkey_allowed");
    ada.adds(&servers, "Phone").await;
    ada.signs_out().await;
    ada.signs_in().await;
    ada.browser.arrives_at("/approvals").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_list_shows_a_new_request_by_itself() {
    let servers = up();
    let ada = Person::signs_up(&servers).await;
    ada.browser.reads("Nothing is waiting").await;
    let asked = servers.request(&WISH, &[]);
    ada.browser.reads("Write it down").await;
    ada.browser.goto(&asked.approval_url).await;
    ada.browser.click("#deny").await;
    ada.browser
        .goto(&format!("{}/approvals", servers.issuer))
        .await;
    ada.browser.reads("Nothing is waiting").await;
    assert_eq!(ada.browser.complaints(), Vec::<String>::new());
}
