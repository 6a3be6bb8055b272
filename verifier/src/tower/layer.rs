//! The layer: from a request to a permit, or to an answer in the service's place.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bailiwick_datalog::Call;
use http::{
    HeaderMap, HeaderName, Request, Response,
    header::{AUTHORIZATION, AsHeaderName},
    request::Parts,
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{ProtectedResource, ProtectedResourceError, refusal::Refusal};
use crate::{
    clock::Clock, denied::Denied, holder::HolderProof, permit::Permit, verifier::Verifier,
};

/// The header of a proof of possession (RFC 9449).
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Lets only requests through whose token allows them, each with its [`Permit`] in the extensions.
///
/// `describe` says which [`Call`] a request is: tool, access, resources and arguments, from method
/// and URI and what earlier layers put into the extensions. It sees no body; a service whose calls
/// depend on one decides with [`Verifier::authorize_header`] itself. It must read each request as
/// the service behind it will, and refuse what could be read in two ways
/// ([`Denied::unreadable_resource`]).
///
/// It compares a proof of possession with the audience's origin and the path that it sees: where a
/// router or proxy before it takes a prefix off (as axum's `nest` does for layers inside),
/// [`ProtectedResource::below`] has to name it, or honest proofs are refused as made for another
/// URL.
///
/// Token and proof do not reach the service: their headers are taken off.
pub struct RequireToken<D> {
    shared: Arc<Shared<D>>,
}

struct Shared<D> {
    verifier: Arc<Verifier>,
    clock: Arc<dyn Clock>,
    resource: ProtectedResource,
    describe: D,
}

impl<D> RequireToken<D>
where
    D: Fn(&Parts) -> Result<Call, Denied>,
{
    /// A layer that decides with `verifier`, at the time of `clock`, what `describe` makes of a
    /// request.
    ///
    /// # Errors
    /// [`ProtectedResourceError::OtherAudience`] unless `resource` is what the verifier guards.
    pub fn new(
        verifier: Arc<Verifier>,
        clock: Arc<dyn Clock>,
        resource: ProtectedResource,
        describe: D,
    ) -> Result<Self, ProtectedResourceError> {
        if verifier.audience() != resource.audience() {
            return Err(ProtectedResourceError::OtherAudience {
                verifier: verifier.audience().to_string(),
                resource: resource.audience().to_string(),
            });
        }
        let shared = Shared {
            verifier,
            clock,
            resource,
            describe,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl<D> Clone for RequireToken<D> {
    fn clone(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { shared }
    }
}

impl<S, D> Layer<S> for RequireToken<D> {
    type Service = RequireTokenService<S, D>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireTokenService {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// A service behind [`RequireToken`].
pub struct RequireTokenService<S, D> {
    inner: S,
    shared: Arc<Shared<D>>,
}

impl<S: Clone, D> Clone for RequireTokenService<S, D> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, D, B, R> Service<Request<B>> for RequireTokenService<S, D>
where
    S: Service<Request<B>, Response = Response<R>>,
    D: Fn(&Parts) -> Result<Call, Denied>,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match self.shared.admit(&mut parts) {
            Ok(permit) => {
                parts.extensions.insert(permit);
                ResponseFuture {
                    admitted: Some(self.inner.call(Request::from_parts(parts, body))),
                    refused: None,
                }
            }
            Err(refusal) => {
                let response = refusal.into_response(&self.shared.resource);
                ResponseFuture {
                    admitted: None,
                    refused: Some(response.map(R::from)),
                }
            }
        }
    }
}

impl<D> Shared<D>
where
    D: Fn(&Parts) -> Result<Call, Denied>,
{
    /// The token is verified before the request is described: a stranger learns nothing of what
    /// the service would make of it.
    fn admit(&self, parts: &mut Parts) -> Result<Permit, Refusal> {
        let now = self.clock.now();
        let doubled = |credentials| Refusal::Doubled { credentials };
        let header = once(&parts.headers, AUTHORIZATION).map_err(|_| doubled(true))?;
        let header = header.ok_or(Refusal::NoCredentials)?;
        let caller = self
            .verifier
            .verify_header(header, now)
            .map_err(Refusal::Token)?;
        let proof = once(&parts.headers, &DPOP).map_err(|_| doubled(false))?;
        let proof = proof.map(|proof| HolderProof {
            dpop: String::from_utf8_lossy(proof).into_owned(),
            method: parts.method.to_string(),
            url: self.resource.url_of(&parts.uri),
        });
        parts.headers.remove(AUTHORIZATION);
        parts.headers.remove(&DPOP);
        let refused = |denied, call| Refusal::Call {
            denied,
            caller: caller.clone(),
            call,
        };
        let call = (self.describe)(parts).map_err(|denied| refused(denied, None))?;
        self.verifier
            .authorize_verified(&caller, &call, proof.as_ref(), now)
            .map_err(|denied| refused(denied, Some(Box::new(call))))
    }
}

/// A header that is there twice.
struct Doubled;

/// The value of a header that may be there once.
fn once(headers: &HeaderMap, name: impl AsHeaderName) -> Result<Option<&[u8]>, Doubled> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        (_, Some(_)) => Err(Doubled),
    }
}

pin_project! {
    /// The service's answer, or the refusal in its place.
    pub struct ResponseFuture<F, R> {
        // The service at work, unless the request was refused.
        #[pin]
        admitted: Option<F>,
        // The refusal, until it is taken.
        refused: Option<Response<R>>,
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match (this.admitted.as_pin_mut(), this.refused.take()) {
            (Some(service), _) => service.poll(context),
            (None, Some(response)) => Poll::Ready(Ok(response)),
            // Polled again after its answer; the contract of futures leaves open what happens.
            (None, None) => Poll::Pending,
        }
    }
}
