//! Signing in with a real identity provider, in a real browser.

use serde_json::json;

use crate::harness::browser::Browser;
use crate::harness::node;
use crate::harness::process::Running;
use crate::harness::service::{Bailiwick, Folder};
use crate::harness::visitor::Visitor;

/// Signs in at the provider's own pages, from ours, and agrees to what they ask.
async fn signs_in(issuer: &str, login: &str) -> Browser {
    let browser = Browser::open().await;
    browser.goto(&format!("{issuer}/sign-in?next=%2Fme")).await;
    browser.click("#identity").await;
    says_who(&browser, login).await;
    agrees(&browser).await;
    browser
}

/// At the provider.
async fn says_who(browser: &Browser, login: &str) {
    browser.fill("input[name=login]", login).await;
    browser.fill("input[name=password]", "any").await;
    browser.click("button[type=submit]").await;
}

async fn agrees(browser: &Browser) {
    browser.reads("Authorize").await;
    browser.click("button[type=submit]").await;
}

/// Bailiwick at a host name, which trusts a real provider for these groups.
fn trusting() -> (Running, Bailiwick) {
    let mut provider = node::start("identity_provider.mjs");
    let issuer = provider.line("its address", |line| {
        let said: serde_json::Value = serde_json::from_str(line).ok()?;
        said["issuer"].as_str().map(str::to_owned)
    });
    let folder = Folder::new();
    let config = format!(
        "[issuer.oidc]\nissuer = \"{issuer}\"\nclient_id = \"bailiwick\"\n\
         client_secret_file = \"oidc.secret\"\n\n\
         [issuer.oidc.roles]\napprovers = [\"approver\"]\nauditors = [\"auditor\"]\n"
    );
    std::fs::write(folder.join("bailiwick.toml"), config).unwrap();
    std::fs::write(folder.join("oidc.secret"), "a secret of the tests\n").unwrap();
    let file = folder.arg("bailiwick.toml");
    let servers = Bailiwick::up_with(folder, |command| {
        command.args(["--config", &file, "--issuer-host", "localhost"]);
    });
    Visitor::signs_up(&servers);
    (provider, servers)
}

#[tokio::test(flavor = "multi_thread")]
async fn person_signs_in_with_the_provider_and_has_the_roles_of_their_groups() {
    let (_provider, servers) = trusting();
    let grace = signs_in(&servers.issuer, "grace").await;
    grace.arrives_at("/me").await;
    grace.reads("grace").await;
    let shown = servers.run(&["accounts", "show", "grace"]).expect_code(0);
    assert_eq!(shown.json()["roles"], json!(["approver"]));
    grace.click("form[action='/sign-out'] button").await;
    grace.arrives_at("/sign-in").await;

    // In no group with a role, or under a name that is somebody else's: not admitted.
    for stranger in ["mallory", "ada"] {
        let browser = signs_in(&servers.issuer, stranger).await;
        browser.reads("not_admitted").await;
        browser.goto(&format!("{}/me", servers.issuer)).await;
        browser.arrives_at("/sign-in").await;
    }
    let unknown = servers.run(&["accounts", "show", "mallory"]).expect_code(1);
    assert_eq!(unknown.json()["code"], "account_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn provider_that_knows_a_person_has_them_sign_in_again_where_that_has_to_be_fresh() {
    let (_provider, servers) = trusting();
    let grace = signs_in(&servers.issuer, "grace").await;
    grace.arrives_at("/me").await;
    let allowed = servers.run(&["accounts", "passkeys", "allow", "grace"]);
    assert_eq!(allowed.expect_code(0).json()["event"], "passkey_allowed");
    grace.goto(&format!("{}/me", servers.issuer)).await;
    grace.reads("a sign-in of the last ten minutes").await;

    // An ordinary sign-in once more: the provider knows her and asks for no password.
    grace.click("form[action='/sign-out'] button").await;
    grace.arrives_at("/sign-in").await;
    grace
        .goto(&format!("{}/sign-in?next=%2Fme", servers.issuer))
        .await;
    grace.click("#identity").await;
    agrees(&grace).await;
    grace.arrives_at("/me").await;
    grace.click("#sign-in-again").await;
    grace.reads("Sign in again").await;
    grace.click("#identity").await;
    says_who(&grace, "grace").await;
    agrees(&grace).await;
    grace.arrives_at("/me").await;
    grace.find("#passkey-add").await;
}
