//! The identity provider: what it says of a person, believed for its signature.
//!
//! Authorization code with PKCE, nonce and state. The `openidconnect` library checks what comes
//! back: signature, issuer, audience, expiry and nonce. Whom it makes of it is
//! [`super::identity`]'s.

use std::{collections::BTreeMap, fmt, pin::Pin, time::Duration};

use bailiwick_datalog::Timestamp;
use openidconnect::{
    AdditionalClaims, AdditionalProviderMetadata, AsyncHttpClient, AuthorizationCode, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdTokenFields, IssuerUrl, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, ProviderMetadata, RedirectUrl, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType,
        CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreGrantType,
        CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
        CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreSubjectIdentifierType, CoreTokenIntrospectionResponse,
        CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use url::Url;

use crate::secret::Secret;

const DEADLINE: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// How an issuer signs people in with an identity provider.
#[derive(Clone)]
pub struct IdentityProvider {
    /// Its issuer identifier; what it publishes below is believed.
    pub issuer: Url,
    /// Who the issuer is to it.
    pub client_id: String,
    /// How the issuer proves it.
    pub client_secret: Option<String>,
    /// The claim that names a person's groups.
    pub groups_claim: String,
    /// The roles of each group's members: `admin`, `approver`, `auditor`.
    pub roles: BTreeMap<String, Vec<String>>,
}

impl fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityProvider")
            .field("issuer", &self.issuer.as_str())
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Why the provider did not say who somebody is.
#[derive(Debug, Error)]
pub(crate) enum ProviderError {
    /// It is out of reach, or publishes nothing usable.
    #[error("the identity provider cannot be used: {0}")]
    Unusable(String),
    /// It does not take the code.
    #[error("the identity provider does not take the code: {0}")]
    Code(String),
    /// What it says cannot be believed.
    #[error("what the identity provider says cannot be believed: {0}")]
    NotBelieved(String),
}

/// What a browser is sent away with, and what is kept of it.
pub(crate) struct Departure {
    pub(crate) address: Url,
    /// The provider says that its answers name it (RFC 9207 section 3).
    pub(crate) answers_name_it: bool,
    pub(crate) nonce: Nonce,
    pub(crate) verifier: PkceCodeVerifier,
}

/// What the provider vouches for.
#[derive(Clone, Debug)]
pub(crate) struct Vouched {
    pub(crate) subject: String,
    /// `preferred_username`, or an e-mail address that the provider has verified.
    pub(crate) name: Option<String>,
    pub(crate) groups: Vec<String>,
    /// When they signed in there, if it says so.
    pub(crate) authenticated_at: Option<Timestamp>,
}

/// What a provider says of itself beyond OpenID Connect Discovery (RFC 9207 section 3).
#[derive(Clone, Debug, Deserialize, Serialize)]
struct MoreMetadata {
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    answers_name_it: bool,
}

impl AdditionalProviderMetadata for MoreMetadata {}

type Metadata = ProviderMetadata<
    MoreMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// The claims beyond the standard ones.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Claims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Claims {}

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Client = openidconnect::Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The one provider of an issuer, and the way to it.
pub(crate) struct Provider {
    config: IdentityProvider,
    redirect: RedirectUrl,
    http: Http,
}

impl Provider {
    /// Prepares the way; nothing is sent yet.
    ///
    /// # Errors
    /// [`ProviderError::Unusable`].
    pub(crate) fn new(config: IdentityProvider, redirect: String) -> Result<Self, ProviderError> {
        let unusable = |why: String| ProviderError::Unusable(why);
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| unusable(e.to_string()))?;
        Ok(Self {
            redirect: RedirectUrl::new(redirect).map_err(|e| unusable(e.to_string()))?,
            config,
            http: Http(client),
        })
    }

    pub(crate) fn config(&self) -> &IdentityProvider {
        &self.config
    }

    /// Where a browser goes to sign in: `anew` even where the provider knows it (OpenID Connect Core
    /// section 3.1.2.1).
    ///
    /// # Errors
    /// [`ProviderError::Unusable`].
    pub(crate) async fn departure(
        &self,
        state: &Secret,
        nonce: Secret,
        verifier: Secret,
        anew: bool,
    ) -> Result<Departure, ProviderError> {
        let (client, answers_name_it) = self.client().await?;
        let verifier = PkceCodeVerifier::new(verifier.expose().to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let (state, kept) = (state.expose().to_owned(), nonce.expose().to_owned());
        let nonce = kept.clone();
        let request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scope(Scope::new("profile".to_owned()))
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(challenge);
        let request = if anew {
            let asking = request.add_prompt(CoreAuthPrompt::Login);
            asking.set_max_age(Duration::ZERO)
        } else {
            request
        };
        let (address, _, _) = request.url();
        Ok(Departure {
            address,
            answers_name_it,
            nonce: Nonce::new(kept),
            verifier,
        })
    }

    /// What the provider vouches for, once its word was checked.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub(crate) async fn vouched(
        &self,
        code: String,
        nonce: &Nonce,
        verifier: PkceCodeVerifier,
        now: Timestamp,
    ) -> Result<Vouched, ProviderError> {
        let (client, _) = self.client().await?;
        let request = client.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(|e| ProviderError::Unusable(e.to_string()))?;
        let tokens = request
            .set_pkce_verifier(verifier)
            .request_async(&self.http);
        let tokens = tokens
            .await
            .map_err(|e| ProviderError::Code(e.to_string()))?;
        let not_believed = |why: String| ProviderError::NotBelieved(why);
        let id_token = tokens.id_token();
        let id_token = id_token.ok_or_else(|| not_believed("there is no ID token".to_owned()))?;
        let time = i64::try_from(now.unix()).ok();
        let time = time.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
        let time = time.ok_or_else(|| not_believed("the time overflows".to_owned()))?;
        // Signatures by a key of the provider's alone; never by the shared secret.
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs([
                CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
                CoreJwsSigningAlgorithm::EcdsaP256Sha256,
                CoreJwsSigningAlgorithm::EdDsa,
            ])
            .set_time_fn(move || time);
        let claims = id_token.claims(&verifier, nonce);
        let claims = claims.map_err(|e| not_believed(e.to_string()))?;
        let email = claims
            .email()
            .filter(|_| claims.email_verified() == Some(true));
        let name = claims
            .preferred_username()
            .map(|name| name.as_str().to_owned());
        let groups = claims
            .additional_claims()
            .all
            .get(&self.config.groups_claim);
        let groups = groups.and_then(Value::as_array).into_iter().flatten();
        let authenticated_at = claims.auth_time().map(|time| time.timestamp());
        let authenticated_at = authenticated_at.and_then(|time| u64::try_from(time).ok());
        Ok(Vouched {
            subject: claims.subject().as_str().to_owned(),
            name: name.or_else(|| email.map(|email| email.as_str().to_owned())),
            groups: groups
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            authenticated_at: authenticated_at.map(Timestamp::from_unix),
        })
    }

    /// The provider as it describes itself now, whose keys may have changed, and whether its
    /// answers name it.
    async fn client(&self) -> Result<(Client, bool), ProviderError> {
        let unusable = |why: String| ProviderError::Unusable(why);
        let issuer = self.config.issuer.as_str();
        // Issuer identifiers are compared byte for byte, and most have no closing slash.
        let issuer = issuer.strip_suffix('/').unwrap_or(issuer).to_owned();
        let issuer = IssuerUrl::new(issuer).map_err(|e| unusable(e.to_string()))?;
        let metadata = Metadata::discover_async(issuer, &self.http).await;
        let metadata = metadata.map_err(|e| unusable(e.to_string()))?;
        let id = ClientId::new(self.config.client_id.clone());
        let secret = self.config.client_secret.clone().map(ClientSecret::new);
        let answers_name_it = metadata.additional_metadata().answers_name_it;
        let client = Client::from_provider_metadata(metadata, id, secret);
        Ok((
            client.set_redirect_uri(self.redirect.clone()),
            answers_name_it,
        ))
    }
}

/// Our HTTP client as the one of the `openidconnect` crate. No redirect is followed: each request
/// carries a credential or asks for keys.
struct Http(reqwest::Client);

/// Why a request to the provider failed.
#[derive(Debug, Error)]
enum HttpError {
    #[error("it does not answer: {0}")]
    Request(#[from] reqwest::Error),
    #[error("its answer is larger than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let request = self.0.request(head.method, head.uri.to_string());
            let mut answer = request.headers(head.headers).body(body).send().await?;
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                    return Err(HttpError::TooLarge);
                }
                bytes.extend_from_slice(&chunk);
            }
            let mut response = HttpResponse::new(bytes);
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            Ok(response)
        })
    }
}
