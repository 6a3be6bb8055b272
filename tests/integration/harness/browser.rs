//! A real headless Chromium, driven through ChromeDriver.

use std::process::Command;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::Request;
use super::process::Running;

/// How long a page may take to show what a test waits for.
const PAGE_PATIENCE: Duration = Duration::from_secs(10);

/// One browser window with a profile of its own.
pub(crate) struct Browser {
    client: Client,
    session: String,
    driver_url: String,
    // Dropped in this order: the driver is ended before its profile goes.
    _driver: Running,
    _profile: TempDir,
}

impl Browser {
    /// Starts ChromeDriver on a free port and opens an empty window.
    pub(crate) async fn open() -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let mut driver = Running::start("chromedriver", command);
        let port = driver.line("its port", |line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let driver_url = format!("http://127.0.0.1:{port}");
        let profile = tempfile::tempdir().unwrap();
        let options = json!({
            "goog:chromeOptions": {
                "args": [
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--disable-dev-shm-usage",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--window-size=1200,1000",
                    format!("--user-data-dir={}", profile.path().display()),
                ],
            },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(options.as_object().unwrap().clone())
            .connect(&driver_url)
            .await
            .unwrap_or_else(|error| panic!("opening Chromium: {error}"));
        let session = client.session_id().await.unwrap().unwrap();
        Self {
            client,
            session,
            driver_url,
            _driver: driver,
            _profile: profile,
        }
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.client
            .goto(url)
            .await
            .unwrap_or_else(|error| panic!("opening {url}: {error}"));
    }

    pub(crate) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// The path of the page that is open.
    pub(crate) async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    /// Waits until a page at `path` is open.
    pub(crate) async fn arrives_at(&self, path: &str) {
        let started = Instant::now();
        while self.path().await != path {
            assert!(
                started.elapsed() < PAGE_PATIENCE,
                "{} instead of {path}:\n{}",
                self.url().await,
                self.text().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a person reads on the page.
    pub(crate) async fn text(&self) -> String {
        let body = self.find("body").await;
        body.text().await.unwrap_or_default()
    }

    pub(crate) async fn html(&self) -> String {
        self.client.source().await.unwrap()
    }

    /// The first element for a CSS selector, once there is one.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let found = self
            .client
            .wait()
            .at_most(PAGE_PATIENCE)
            .for_element(Locator::Css(css))
            .await;
        match found {
            Ok(element) => element,
            Err(error) => {
                let (url, text) = (self.url().await, self.html().await);
                panic!("no `{css}` on {url}: {error}\n{text}");
            }
        }
    }

    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        element
            .click()
            .await
            .unwrap_or_else(|error| panic!("clicking `{css}`: {error}"));
    }

    /// Replaces what a field holds.
    pub(crate) async fn fill(&self, css: &str, value: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    /// Waits until the page says `words`, as a person would look for them.
    pub(crate) async fn reads(&self, words: &str) -> String {
        let started = Instant::now();
        loop {
            let text = self.text().await;
            if text.contains(words) {
                return text;
            }
            assert!(
                started.elapsed() < PAGE_PATIENCE,
                "`{words}` is not on {}:\n{text}",
                self.url().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Opens `url` again and again until it says all of `words`.
    pub(crate) async fn reloads_until(&self, url: &str, words: &[&str]) {
        let started = Instant::now();
        loop {
            self.goto(url).await;
            let text = self.text().await;
            let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
            if missing.is_empty() {
                return;
            }
            assert!(
                started.elapsed() < PAGE_PATIENCE,
                "{missing:?} not on {url}:\n{text}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Runs a script in the page, as its own scripts would be if it had any, and returns what it
    /// returns. The page's policy does not apply to it.
    pub(crate) async fn evaluate(&self, script: &str) -> Value {
        self.client
            .execute(script, Vec::new())
            .await
            .unwrap_or_else(|error| panic!("running a script: {error}"))
    }

    /// As [`Self::evaluate`], and waits until the script calls its last argument.
    pub(crate) async fn evaluate_async(&self, script: &str) -> Value {
        self.client
            .execute_async(script, Vec::new())
            .await
            .unwrap_or_else(|error| panic!("running a script: {error}"))
    }

    /// Presses one key, as `fantoccini::key` names it, wherever the focus is.
    pub(crate) async fn presses(&self, key: char) {
        let focused = self.client.active_element().await.unwrap();
        focused.send_keys(&key.to_string()).await.unwrap();
    }

    /// Becomes another screen: its width and height in CSS pixels, and whether the person wants
    /// dark pages. It does not zoom out as phones do, which would hide what is too wide.
    pub(crate) async fn becomes(&self, (width, height): (u32, u32), dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        self.command(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
        self.command(
            "Emulation.setEmulatedMedia",
            &json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
    }

    /// A command of the browser's own protocol.
    fn command(&self, name: &str, parameters: &Value) {
        let target = format!("/session/{}/goog/cdp/execute", self.session);
        let body = json!({"cmd": name, "params": parameters});
        Request::post(&self.driver_url, &target)
            .json(&body)
            .send()
            .expect_status(200);
    }

    /// Sends a command of the WebDriver protocol that the client has no word for.
    pub(crate) fn web_driver(&self, method: &'static str, path: &str, body: &Value) -> Value {
        let target = format!("/session/{}{path}", self.session);
        let asked = Request::new(method, &self.driver_url, &target).json(body);
        asked.send().expect_status(200).json()["value"].clone()
    }

    /// What the browser wrote to its console since last asked, above `INFO`:
    /// blocked scripts, refused styles, failed requests.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let target = format!("/session/{}/se/log", self.session);
        let asked = Request::post(&self.driver_url, &target).json(&json!({ "type": "browser" }));
        let entries = asked.send().expect_status(200).json();
        let entries = entries["value"].as_array().unwrap().iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session; killing the driver alone leaves it.
        let target = format!("/session/{}", self.session);
        drop(Request::new("DELETE", &self.driver_url, &target).try_send());
    }
}
