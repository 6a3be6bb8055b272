//! Which endpoints a web page may call. Who may read the answers is [`super::cors`]'s.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{super::failure::Fault, cors::is_local, error::OAuthError};
use crate::config::Site;

/// Where the page that sends a request is from (W3C, Fetch Metadata Request Headers).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what a web page of another site had a browser send. Agents are programs: no page needs
/// the endpoint where they ask, and one that an approver happens to visit could fill the places of
/// waiting requests without ever reading an answer.
///
/// Every browser says so in `Origin` (Fetch standard, "append a request `Origin` header"), also
/// when the page's own name was pointed at this machine, and most in `Sec-Fetch-Site` as well.
/// Programs send neither.
///
/// # Errors
/// [`OAuthError`] with the code `wrong_origin`.
pub(super) fn refuse_web_page(site: &Site, headers: &HeaderMap) -> Result<(), OAuthError> {
    let only = |name: &HeaderName, good: &[&str]| {
        let mut values = headers.get_all(name).iter();
        values.all(|value| good.iter().any(|good| value.as_bytes() == good.as_bytes()))
    };
    if only(&header::ORIGIN, &[site.origin()]) && only(&FETCH_SITE, &["same-origin", "none"]) {
        return Ok(());
    }
    Err(wrong_origin())
}

/// Refuses what a page sent that does not come from this machine: to ask to be registered takes
/// nothing but the way to the issuer, and that a visitor's browser may have.
///
/// # Errors
/// [`OAuthError`] with the code `wrong_origin`.
pub(super) fn refuse_distant_page(site: &Site, headers: &HeaderMap) -> Result<(), OAuthError> {
    let own = |value: &HeaderValue| value.as_bytes() == site.origin().as_bytes();
    let mut origins = headers.get_all(header::ORIGIN).iter();
    if origins.all(|origin| own(origin) || is_local(origin)) {
        return Ok(());
    }
    Err(wrong_origin())
}

fn wrong_origin() -> OAuthError {
    OAuthError::new(
        StatusCode::FORBIDDEN,
        Fault::WrongOrigin.code(),
        "a web page of another site cannot ask for access",
    )
}
