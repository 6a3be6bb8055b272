//! An answer, read whole.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

/// Status, headers and body of an answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// Sends a request and reads its answer.
    pub(crate) async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Status and code of a problem document or JSON-RPC error.
    pub(crate) fn code(&self) -> (u16, String) {
        let body = self.json();
        let code = body
            .get("code")
            .or_else(|| body.pointer("/error/data/code"));
        let code = code
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no code: {self:?}"));
        (self.status.as_u16(), code.to_owned())
    }

    /// The tool result in a JSON-RPC answer.
    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        let body = self.json();
        body.get("result")
            .unwrap_or_else(|| panic!("no result: {self:?}"))
            .clone()
    }

    /// The text of a tool result that is no error.
    pub(crate) fn tool_text(&self) -> String {
        let result = self.result();
        assert_eq!(result["isError"], false, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// The denial in a tool result that is an error.
    pub(crate) fn denial(&self) -> Value {
        self.explained("bailiwick/denial")
    }

    /// The code of a denial.
    pub(crate) fn denial_code(&self) -> String {
        self.denial()["code"].as_str().unwrap().to_owned()
    }

    /// The code of another failure of a tool.
    pub(crate) fn tool_error_code(&self) -> String {
        self.explained("bailiwick/error")["code"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn explained(&self, key: &str) -> Value {
        let result = self.result();
        assert_eq!(result["isError"], true, "{result}");
        assert!(result.get("structuredContent").is_none(), "{result}");
        let explanation = &result["_meta"][key];
        assert!(explanation.is_object(), "no {key}: {result}");
        explanation.clone()
    }
}
