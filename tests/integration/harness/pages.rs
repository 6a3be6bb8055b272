//! The issuer's pages, as the person in front of a browser uses them.
//!
//! Each step finds what it needs by the name of a field or the words on a
//! button, so that a page can be rearranged without touching a test.

use super::agent::Asked;
use super::browser::Browser;
use super::service::Place;
use super::visitor::{PASSWORD, USER};

/// An approver at a browser.
pub(crate) struct Approver {
    browser: Browser,
    issuer: String,
}

/// The page on which one request is decided.
pub(crate) struct ApprovalPage<'a>(&'a Browser);

impl Approver {
    /// Opens the one-time link and chooses a user name and a password.
    pub(crate) async fn signs_up(servers: &Place) -> Self {
        let browser = Browser::open().await;
        browser
            .goto(servers.sign_in.as_deref().expect("a sign-in link"))
            .await;
        browser.fill("input[name=user_name]", USER).await;
        browser.fill("input[name=password]", PASSWORD).await;
        browser.fill("input[name=password_again]", PASSWORD).await;
        browser.click("main form button[type=submit]").await;
        browser.arrives_at("/approvals").await;
        Self {
            browser,
            issuer: servers.issuer.clone(),
        }
    }

    /// Opens the address that the agent was told to show.
    pub(crate) async fn opens(&self, asked: &Asked) -> ApprovalPage<'_> {
        self.browser.goto(&asked.approval_url).await;
        self.browser.find("input[name=duration]").await;
        ApprovalPage(&self.browser)
    }

    /// Follows a client to the page on which its request is decided.
    pub(crate) async fn is_sent_to(&self, address: &str) -> ApprovalPage<'_> {
        self.browser.goto(address).await;
        self.browser.find("input[name=duration]").await;
        ApprovalPage(&self.browser)
    }

    /// Goes from the list of requests to the page of one, by its code.
    pub(crate) async fn types_code(&self, asked: &Asked) -> ApprovalPage<'_> {
        self.browser.goto(&format!("{}/approve", self.issuer)).await;
        // As people type: without the dash, in small letters.
        let typed = asked.user_code.replace('-', "").to_lowercase();
        self.browser.fill("input[name=user_code]", &typed).await;
        self.browser.click("main form button[type=submit]").await;
        self.browser.find("input[name=duration]").await;
        ApprovalPage(&self.browser)
    }

    /// Signs out, and in again with the password.
    pub(crate) async fn signs_in_again(&self) {
        self.browser.click("form[action='/sign-out'] button").await;
        self.browser.arrives_at("/sign-in").await;
        self.browser.fill("input[name=user_name]", USER).await;
        self.browser.fill("input[name=password]", PASSWORD).await;
        self.browser.click("main form button[type=submit]").await;
        self.browser.arrives_at("/approvals").await;
    }

    /// Opens the page of a session and waits until it says all of `words`.
    pub(crate) async fn sees_in_session(&self, session: &str, words: &[&str]) {
        let address = format!("{}/sessions/{session}", self.issuer);
        self.browser.reloads_until(&address, words).await;
    }

    /// Ends a session from its page.
    pub(crate) async fn revokes(&self, session: &str) {
        self.browser
            .goto(&format!("{}/sessions/{session}", self.issuer))
            .await;
        self.browser
            .click(&format!("form[action='/sessions/{session}/revoke'] button"))
            .await;
        self.browser.reads("evoked").await;
    }

    /// The browser itself, for what no step here does.
    pub(crate) fn browser(&self) -> &Browser {
        &self.browser
    }

    /// What the browser objected to: blocked styles, failed requests.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.browser.complaints()
    }
}

impl ApprovalPage<'_> {
    pub(crate) async fn shows(&self, words: &str) {
        self.0.reads(words).await;
    }

    /// Unticks a tool.
    pub(crate) async fn removes_tool(&self, tool: &str) {
        let tick = format!("input[name=tool][value='{tool}']");
        self.0.click(&tick).await;
        assert!(
            !self.0.find(&tick).await.is_selected().await.unwrap(),
            "`{tool}` is unticked"
        );
    }

    /// Deepens the path of a tool's first resource.
    pub(crate) async fn narrows(&self, tool: &str, from: &str, to: &str) {
        let field = format!("input[name='path.{tool}#0']");
        let shown = self.0.find(&field).await.prop("value").await.unwrap();
        assert_eq!(shown.as_deref(), Some(from), "what `{tool}` was asked for");
        self.0.fill(&field, to).await;
    }

    pub(crate) async fn shortens_to(&self, time: &str) {
        self.0.fill("input[name=duration]", time).await;
    }

    /// Denies, with a reason for the agent.
    pub(crate) async fn denies(self, reason: &str) {
        self.0.fill("#reason", reason).await;
        self.0.click("#deny").await;
        self.0.find("#denied").await;
    }

    /// Tries to approve, and reads why that is not possible.
    pub(crate) async fn fails_to_approve(&self, code: &str) {
        self.0.click("#approve").await;
        self.0.reads(code).await;
    }

    /// Ticks a tool that was only offered.
    pub(crate) async fn picks(&self, tool: &str) {
        let tick = format!("input[name=tool][value='{tool}']");
        assert!(
            !self.0.find(&tick).await.is_selected().await.unwrap(),
            "`{tool}` is not ticked for the person"
        );
        self.0.click(&tick).await;
    }

    /// Approves, and is sent back to the client, whose page says `words`.
    pub(crate) async fn approves_and_returns(self, words: &str) {
        self.0.click("#approve").await;
        self.0.reads(words).await;
    }

    pub(crate) async fn approves(self) {
        self.0.click("#approve").await;
        self.0.find("#approved").await;
    }
}
