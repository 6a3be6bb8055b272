//! The people and applications around an issuer, and the operator who makes them.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Browser, PASSWORD, Reply, World};

impl World {
    /// Adds an account with these roles and signs its owner in, by the one-time link.
    pub(crate) async fn person(&self, name: &str, roles: &[&str]) -> Browser {
        let path = self.invited(name, roles).await;
        let mut browser = self.browser();
        let reply = browser.accept(&path, PASSWORD).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        browser
    }

    /// Adds an account and returns the path of its one-time link.
    pub(crate) async fn invited(&self, name: &str, roles: &[&str]) -> String {
        let body = json!({"user_name": name, "roles": roles}).to_string();
        let reply = self.operate("/v1/accounts", &body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        let link = reply.json()["set_up_link"].as_str().unwrap().to_owned();
        super::path_of(&link)
    }

    /// Adds an approver of these applications and signs them in.
    pub(crate) async fn approver(&self, name: &str, applications: &[&str]) -> Browser {
        let browser = self.person(name, &["approver"]).await;
        for application in applications {
            self.assign(application, name).await;
        }
        browser
    }

    /// Lets an approver decide for an application.
    pub(crate) async fn assign(&self, application: &str, name: &str) {
        let body = json!({"add_approvers": [name]}).to_string();
        let path = format!("/v1/applications/{application}");
        let reply = self.operate(&path, &body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    }

    /// Adds an application.
    pub(crate) async fn application(&self, id: &str, more: &Value) {
        let mut body = json!({"application": id, "name": format!("The {id}")});
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        let reply = self.operate("/v1/applications", &body.to_string()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    }

    /// Limits what an approver may grant.
    pub(crate) async fn limit(&self, name: &str, ceiling: &Value) {
        let path = format!("/v1/accounts/{name}/ceiling");
        let reply = self.operate(&path, &ceiling.to_string()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    }

    /// Posts JSON as the operator.
    pub(crate) async fn operate(&self, path: &str, body: &str) -> Reply {
        let operator = self.bearer("operator.token");
        self.post_json(path, &operator, body).await
    }

    /// The events recorded so far, with their fields.
    pub(crate) fn record(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(self.file("audit/issuer.jsonl")).unwrap();
        let entries = text.lines().map(|line| {
            let entry = bailiwick_verifier::audit::Entry::parse(line).unwrap();
            (entry.event, entry.fields)
        });
        entries.collect()
    }
}

impl Browser {
    /// Opens a one-time link and chooses a password.
    pub(crate) async fn accept(&mut self, path: &str, password: &str) -> Reply {
        let page = self.get(path).await;
        if page.status != StatusCode::OK {
            return page;
        }
        let csrf = page.hidden("csrf");
        let fields = [
            ("csrf", csrf.as_str()),
            ("password", password),
            ("password_again", password),
        ];
        self.post(path, &fields).await
    }

    /// Signs in from a fresh form.
    pub(crate) async fn sign_in(&mut self, user_name: &str, password: &str) -> Reply {
        let csrf = self.get("/sign-in").await.hidden("csrf");
        let fields = [
            ("csrf", csrf.as_str()),
            ("user_name", user_name),
            ("password", password),
        ];
        self.post("/sign-in", &fields).await
    }

    /// The token that this browser's forms carry.
    pub(crate) async fn csrf(&mut self) -> String {
        self.get("/me").await.hidden("csrf")
    }

    /// Sends a form with that token.
    pub(crate) async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let csrf = self.csrf().await;
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        self.post(path, &all).await
    }
}
