//! What a request says about its sender: a client id alone, or with a proof.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded;

use super::{super::fields::Fields, error::OAuthError};
use crate::{
    oauth::{assertion::AssertionKind, authenticate::Presented, client::AuthMethod},
    secret::Secret,
};

/// Reads it from header and form. Two ways at once are refused (RFC 6749 section 2.3).
///
/// # Errors
/// [`OAuthError`] `invalid_request`.
pub(super) fn presented(headers: &HeaderMap, fields: &mut Fields) -> Result<Presented, OAuthError> {
    let in_form = fields.optional("client_id")?;
    if let Some(assertion) = assertion(headers, fields, in_form.clone())? {
        return Ok(assertion);
    }
    let secret = fields.optional("client_secret")?;
    match (basic(headers)?, in_form, secret) {
        (None, None, _) => Err(wrong("`client_id` is missing")),
        (None, Some(client_id), None) => Ok(Presented::Name { client_id }),
        (None, Some(client_id), Some(secret)) => Ok(Presented::Secret {
            client_id,
            method: AuthMethod::SecretPost,
            secret: Secret::received(&secret),
        }),
        (Some(_), _, Some(_)) => Err(wrong("the client authenticates in two ways")),
        (Some((client_id, _)), Some(named), None) if named != client_id => {
            Err(wrong("`client_id` is not the client that authenticates"))
        }
        (Some((client_id, secret)), _, None) => Ok(Presented::Secret {
            client_id,
            method: AuthMethod::SecretBasic,
            secret,
        }),
    }
}

/// The same where a client need not say who it is.
///
/// # Errors
/// [`OAuthError`] `invalid_request`.
pub(super) fn presented_if_any(
    headers: &HeaderMap,
    fields: &mut Fields,
) -> Result<Option<Presented>, OAuthError> {
    let said = headers.contains_key(header::AUTHORIZATION)
        || ["client_id", "client_secret", "client_assertion"]
            .iter()
            .any(|name| fields.has(name));
    said.then(|| presented(headers, fields)).transpose()
}

/// A signed proof (RFC 7521 section 4.2).
fn assertion(
    headers: &HeaderMap,
    fields: &mut Fields,
    client_id: Option<String>,
) -> Result<Option<Presented>, OAuthError> {
    let kind = fields.optional("client_assertion_type")?;
    let assertion = fields.optional("client_assertion")?;
    let (kind, assertion) = match (kind, assertion) {
        (None, None) => return Ok(None),
        (Some(kind), Some(assertion)) => (kind, assertion),
        _ => return Err(wrong("`client_assertion` and its type come together")),
    };
    if headers.contains_key(header::AUTHORIZATION) || fields.has("client_secret") {
        return Err(wrong("the client authenticates in two ways"));
    }
    let kind = AssertionKind::parse(&kind)
        .ok_or_else(|| wrong("`client_assertion_type` is not one of a JWT or a JWT-SVID"))?;
    Ok(Some(Presented::Assertion {
        client_id,
        kind,
        assertion: Secret::received(&assertion),
    }))
}

/// The one `Authorization: Basic` header, if there is one: both parts are form-encoded (RFC 6749
/// section 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, Secret)>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let pair = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Basic"))
        .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match (
        pair.as_deref().and_then(|pair| pair.split_once(':')),
        values.next(),
    ) {
        (Some((client_id, secret)), None) => {
            let secret = decoded(secret);
            Ok(Some((decoded(client_id), Secret::received(&secret))))
        }
        _ => Err(wrong(
            "send one `Authorization` header with `Basic`, a client id and its secret, or none",
        )),
    }
}

fn decoded(text: &str) -> String {
    // A lone text parses as one name without a value.
    form_urlencoded::parse(text.replace('&', "%26").replace('=', "%3D").as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect()
}

fn wrong(why: &str) -> OAuthError {
    OAuthError::bad_request("invalid_request", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_parts_are_decoded() {
        for (encoded, plain) in [
            ("abc", "abc"),
            ("a%3Ab%26c", "a:b&c"),
            ("a=b&c", "a=b&c"),
            ("https%3A%2F%2Fx.example%2Fc", "https://x.example/c"),
            ("", ""),
        ] {
            assert_eq!(decoded(encoded), plain);
        }
    }
}
