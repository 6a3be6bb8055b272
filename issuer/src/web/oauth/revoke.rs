//! The revocation endpoint (RFC 7009): whoever holds a token may end it.

use axum::{
    extract::{Request, State},
    http::StatusCode,
};

use super::{
    super::{App, fields::Fields, to_the_end},
    caller::presented_if_any,
    error::OAuthError,
};
use crate::oauth::{client::Lookup, live_token::GivenBack};

/// `POST /oauth/revoke`. A client that says who it is has to be right; one that does not needs
/// nothing but the token: a sub-agent may hold one without being a client, and to end it takes
/// nothing from anybody else. What is no live token is as good as ended (RFC 7009 section 2.2).
pub(crate) async fn revoke(
    State(core): State<App>,
    request: Request,
) -> Result<StatusCode, OAuthError> {
    let headers = request.headers().clone();
    let mut fields = Fields::read(request).await?;
    let presented = presented_if_any(&headers, &mut fields)?;
    let token = fields.required("token")?;
    let given_back = to_the_end(async move {
        if let Some(presented) = presented {
            core.authenticate(&presented, Lookup::Finishing).await?;
        }
        core.give_back(&token).await.map_err(OAuthError::from)
    });
    match given_back.await? {
        GivenBack::Done => Ok(StatusCode::OK),
        GivenBack::TooMany => Err(OAuthError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "temporarily_unavailable",
            "too many tokens of this session were given back; end the session itself",
        )),
    }
}
