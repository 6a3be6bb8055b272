//! What a protected service says of itself: its metadata (RFC 9728) and its challenges.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use bailiwick_datalog::Audience;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde_json::{Value, json};
use thiserror::Error;
use tower_service::Service;

use super::refusal::problem;
use crate::denied::{Denied, Disposition};

/// Where the metadata of a resource lies on its host, before the resource's own path (RFC 9728
/// section 3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A service that takes Bailiwick's tokens, and who mints them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    audience: Audience,
    authorization_servers: Vec<String>,
    name: Option<String>,
    origin: String,
    metadata_path: String,
    /// What was taken off the front of each path before the layer sees it.
    stripped: String,
}

/// Why an audience cannot be that of an HTTP service, or an authorization server not be named.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtectedResourceError {
    /// The audience is no URL with a host, has a query, or a character that headers cannot carry.
    #[error("`{0}` is not the http or https URL of a service")]
    Audience(String),
    /// No authorization server is named, so a client could not get a token anywhere.
    #[error("no authorization server is named")]
    NoAuthorizationServer,
    /// The verifier guards another audience, so every token that clients are told to ask for would
    /// be refused.
    #[error("the verifier guards `{verifier}`, not `{resource}`")]
    OtherAudience {
        /// The verifier's audience.
        verifier: String,
        /// The resource's.
        resource: String,
    },
    /// A prefix that is to stand before each path does not begin with `/`, or ends with it.
    #[error("`{0}` is not a prefix of paths, such as `/api`")]
    Prefix(String),
    /// An authorization server is not named by an http or https URL.
    #[error("`{0}` is not the http or https URL of an authorization server")]
    AuthorizationServer(String),
}

impl ProtectedResource {
    /// The service that is the `audience` of tokens from these issuers, each an URL as in the
    /// issuer's own metadata (RFC 8414).
    ///
    /// # Errors
    /// [`ProtectedResourceError`].
    pub fn new<S: Into<String>>(
        audience: Audience,
        authorization_servers: impl IntoIterator<Item = S>,
    ) -> Result<Self, ProtectedResourceError> {
        let (origin, path) = split(audience.as_str())
            .ok_or_else(|| ProtectedResourceError::Audience(audience.to_string()))?;
        let servers: Vec<String> = authorization_servers.into_iter().map(Into::into).collect();
        if servers.is_empty() {
            return Err(ProtectedResourceError::NoAuthorizationServer);
        }
        if let Some(bad) = servers.iter().find(|server| split(server).is_none()) {
            return Err(ProtectedResourceError::AuthorizationServer(bad.clone()));
        }
        // The slash that stands for an empty path is not repeated after the well-known one.
        let path = if path == "/" { "" } else { path.as_str() };
        Ok(Self {
            metadata_path: format!("{WELL_KNOWN}{path}"),
            origin,
            audience,
            authorization_servers: servers,
            name: None,
            stripped: String::new(),
        })
    }

    /// Gives the service a name that clients may show.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        let name = Some(name.into());
        Self { name, ..self }
    }

    /// Says that a router or proxy takes this prefix off every path before the layer sees it, as
    /// axum's `nest` does: proofs of possession are made for the path with it.
    ///
    /// # Errors
    /// [`ProtectedResourceError::Prefix`] unless it begins with `/` and goes on after it.
    pub fn below(self, prefix: &str) -> Result<Self, ProtectedResourceError> {
        let readable = prefix.starts_with('/')
            && !prefix.ends_with('/')
            && split(&format!("{}{prefix}", self.origin)).is_some_and(|(_, path)| path == prefix);
        match readable {
            true => Ok(Self {
                stripped: prefix.to_owned(),
                ..self
            }),
            false => Err(ProtectedResourceError::Prefix(prefix.to_owned())),
        }
    }

    /// The audience that tokens must have.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// The path under which the host serves [`ProtectedResource::metadata_service`].
    #[must_use]
    pub fn metadata_path(&self) -> &str {
        &self.metadata_path
    }

    /// The absolute URL of the metadata, as challenges name it.
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}{}", self.origin, self.metadata_path)
    }

    /// The metadata document (RFC 9728 section 2).
    #[must_use]
    pub fn metadata(&self) -> Value {
        let mut document = json!({
            "resource": self.audience,
            "authorization_servers": self.authorization_servers,
            "bearer_methods_supported": ["header"],
            "authorization_details_types_supported": ["mcp_tools"],
            "dpop_signing_alg_values_supported": ["EdDSA"],
        });
        if let (Some(members), Some(name)) = (document.as_object_mut(), &self.name) {
            members.insert("resource_name".to_owned(), Value::from(name.as_str()));
        }
        document
    }

    /// A service that answers with the metadata document.
    #[must_use]
    pub fn metadata_service(&self) -> Metadata {
        Metadata {
            document: Arc::from(self.metadata().to_string()),
        }
    }

    /// The challenge for a request without credentials.
    #[must_use]
    pub fn challenge(&self) -> HeaderValue {
        self.challenge_with("Bearer", None)
    }

    /// The challenge for a refused request: which error, with the stable code as its description
    /// (RFC 6750 section 3.1, RFC 9449 section 7.1).
    #[must_use]
    pub fn challenge_for(&self, denied: &Denied, disposition: Disposition) -> HeaderValue {
        let (scheme, error) = match (disposition, denied) {
            (
                _,
                Denied::HolderProofMissing
                | Denied::HolderProofInvalid { .. }
                | Denied::HolderProofReplayed,
            ) => ("DPoP algs=\"EdDSA\",", "invalid_dpop_proof"),
            (Disposition::Right, _) => ("Bearer", "insufficient_scope"),
            (Disposition::Token | Disposition::Unavailable, _) => ("Bearer", "invalid_token"),
        };
        self.challenge_with(scheme, Some((error, denied.code())))
    }

    /// The challenge for credentials that were given twice (RFC 6750 section 3.1).
    #[must_use]
    pub fn challenge_for_doubled_credentials(&self) -> HeaderValue {
        let error = ("invalid_request", "more than one Authorization header");
        self.challenge_with("Bearer", Some(error))
    }

    fn challenge_with(&self, scheme: &str, error: Option<(&str, &str)>) -> HeaderValue {
        let mut text = format!("{scheme} resource_metadata=\"{}\"", self.metadata_url());
        if let Some((error, description)) = error {
            text.push_str(&format!(
                ", error=\"{error}\", error_description=\"{description}\""
            ));
        }
        // INVARIANT: made of a URL that `http` parsed and words of this crate.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    /// The URL of a request to the service as the service knows itself, for proofs of possession:
    /// whatever `Host` says has no part in it.
    pub(super) fn url_of(&self, request: &Uri) -> String {
        format!("{}{}{}", self.origin, self.stripped, request.path())
    }
}

/// The origin and the path of an http or https URL without query and quotes.
fn split(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri
        .scheme_str()
        .filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority().filter(|authority| {
        let text = authority.as_str();
        !authority.host().is_empty() && !text.contains(['@', '"'])
    })?;
    if uri.query().is_some() || url.contains(['#', '"']) {
        return None;
    }
    Some((format!("{scheme}://{authority}"), uri.path().to_owned()))
}

/// Answers every GET with the metadata of a [`ProtectedResource`].
#[derive(Clone, Debug)]
pub struct Metadata {
    document: Arc<str>,
}

impl<B> Service<Request<B>> for Metadata {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "the metadata can only be read",
                None,
            );
            let headers = refused.headers_mut();
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return ready(Ok(refused));
        }
        let mut response = Response::new(self.document.as_ref().to_owned());
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(audience: &str) -> Result<ProtectedResource, ProtectedResourceError> {
        ProtectedResource::new(
            Audience::parse(audience).unwrap(),
            ["https://issuer.example"],
        )
    }

    #[test]
    fn the_metadata_lies_between_host_and_path() {
        for (audience, path) in [
            (
                "https://api.example/reports",
                "/.well-known/oauth-protected-resource/reports",
            ),
            (
                "https://api.example/",
                "/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.example",
                "/.well-known/oauth-protected-resource",
            ),
            (
                "http://127.0.0.1:8401/mcp",
                "/.well-known/oauth-protected-resource/mcp",
            ),
        ] {
            let resource = resource(audience).unwrap();
            assert_eq!(resource.metadata_path(), path, "{audience}");
            assert!(resource.metadata_url().ends_with(path), "{audience}");
        }
    }

    #[test]
    fn the_document_names_the_resource_as_tokens_do_and_its_issuers() {
        let document = resource("https://api.example/reports")
            .unwrap()
            .named("Reports")
            .metadata();
        assert_eq!(document["resource"], "https://api.example/reports");
        assert_eq!(
            document["authorization_servers"],
            json!(["https://issuer.example"])
        );
        assert_eq!(document["resource_name"], "Reports");
    }

    #[test]
    fn a_prefix_begins_with_a_slash_and_does_not_end_with_one() {
        let below = |prefix| resource("https://api.example/x").unwrap().below(prefix);
        let url = |prefix| below(prefix).unwrap().url_of(&Uri::from_static("/a?q"));
        assert_eq!(url("/v1/api"), "https://api.example/v1/api/a");
        for bad in ["", "/", "v1", "/v1/", "/v1?q", "/v1#f", "/v 1"] {
            let refused = Err(ProtectedResourceError::Prefix(bad.to_owned()));
            assert_eq!(below(bad), refused, "{bad}");
        }
    }

    #[test]
    fn a_service_has_an_address_without_query_and_an_issuer() {
        let audience = || Audience::parse("https://api.example/x").unwrap();
        assert!(matches!(
            resource("https://api.example/x?y"),
            Err(ProtectedResourceError::Audience(_))
        ));
        assert_eq!(
            ProtectedResource::new(audience(), [""; 0]),
            Err(ProtectedResourceError::NoAuthorizationServer)
        );
        for bad in ["", "issuer", "ftp://i/", "https://i/?a", "https://u@i/"] {
            assert!(
                matches!(
                    ProtectedResource::new(audience(), [bad]),
                    Err(ProtectedResourceError::AuthorizationServer(_))
                ),
                "{bad}"
            );
        }
    }
}
