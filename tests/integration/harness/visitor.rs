//! A person at the issuer's pages without a browser: follows links, keeps the
//! cookie, submits forms as they are or edited by hand.
//!
//! For the many small questions a browser would be slow to ask; that a browser
//! can do all of it is the end-to-end test's to show.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::agent::Asked;
use super::form::Form;
use super::http::{Request, Response};
use super::service::Place;

/// The password of every approver in the tests.
pub(crate) const PASSWORD: &str = "correct horse battery staple 9";
pub(crate) const USER: &str = "ada";

/// A visitor of one issuer.
pub(crate) struct Visitor {
    base: String,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl Visitor {
    pub(crate) fn stranger(servers: &Place) -> Self {
        Self {
            base: servers.issuer.clone(),
            cookies: RefCell::default(),
        }
    }

    /// The first approver: opens the one-time link and chooses a password.
    pub(crate) fn signs_up(servers: &Place) -> Self {
        let visitor = Self::stranger(servers);
        let link = servers.sign_in.as_deref().expect("a sign-in link");
        let page = visitor.get(link).expect_status(200).text();
        let form = Form::of(&page, "/setup/")
            .set("user_name", USER)
            .set("password", PASSWORD)
            .set("password_again", PASSWORD);
        let answer = visitor.submit(&form);
        assert!(
            (300..400).contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.text()
        );
        visitor
    }

    /// Opens a page, given as a path or as an address of this issuer.
    pub(crate) fn get(&self, address: &str) -> Response {
        let path = address.strip_prefix(&self.base).unwrap_or(address);
        self.send(Request::get(&self.base, path))
    }

    /// Submits a form.
    pub(crate) fn submit(&self, form: &Form) -> Response {
        let path = form.action.strip_prefix(&self.base).unwrap_or(&form.action);
        let request = Request::post(&self.base, path).header("Origin", &self.base);
        self.send(request.form(&form.fields()))
    }

    /// Signs in from a fresh form.
    pub(crate) fn submit_sign_in(&self, user: &str, password: &str) -> Response {
        let page = self.get("/sign-in").expect_status(200).text();
        let form = Form::of(&page, "/sign-in");
        self.submit(&form.set("user_name", user).set("password", password))
    }

    /// The page on which a request is decided.
    pub(crate) fn opens(&self, asked: &Asked) -> Response {
        let response = self.get(&asked.approval_url);
        self.follow(response).expect_status(200)
    }

    /// The form of that page that approves what was asked, unchanged.
    pub(crate) fn approval_form(&self, asked: &Asked) -> Form {
        let page = self.opens(asked).text();
        let mut forms = Form::all(&page).into_iter();
        let form = forms.find(|form| !form.names("request_digest").is_empty());
        form.unwrap_or_else(|| panic!("no form to decide with in:\n{page}"))
            .set("decision", "approve")
    }

    /// Approves a request as it is.
    pub(crate) fn approves(&self, asked: &Asked) {
        let answer = self.submit(&self.approval_form(asked));
        assert!(
            (300..400).contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.text()
        );
    }

    /// Sends a request with the visitor's cookies and keeps those of the answer.
    pub(crate) fn send(&self, request: Request) -> Response {
        let response = self.with_cookies(request).send();
        for cookie in response.all("set-cookie") {
            let pair = cookie.split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies
                .borrow_mut()
                .insert(name.to_owned(), value.to_owned());
        }
        response
    }

    /// The values of all cookies this visitor was given and still has.
    pub(crate) fn cookie_values(&self) -> Vec<String> {
        let cookies = self.cookies.borrow();
        cookies
            .values()
            .filter(|value| !value.is_empty())
            .cloned()
            .collect()
    }

    /// A request as this visitor's browser would send it.
    pub(crate) fn with_cookies(&self, request: Request) -> Request {
        let cookies = self.cookies.borrow();
        if cookies.is_empty() {
            return request;
        }
        let pairs: Vec<_> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        request.header("Cookie", &pairs.join("; "))
    }

    /// Follows redirections to the page where they end.
    pub(crate) fn follow(&self, response: Response) -> Response {
        let mut response = response;
        for _ in 0..5 {
            let Some(location) = response.header("location").map(str::to_owned) else {
                return response;
            };
            response = self.get(&location);
        }
        panic!("redirected without end")
    }
}
