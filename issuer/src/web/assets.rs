//! The stylesheet, the scripts and the icon, served from the binary.

use axum::{http::header, response::IntoResponse};

const STYLESHEET: &str = include_str!("../../assets/bailiwick.css");
const ICON: &str = include_str!("../../assets/icon.svg");
const PASSKEYS_SCRIPT: &str = include_str!("../../assets/passkeys.js");
const WAITING_SCRIPT: &str = include_str!("../../assets/waiting.js");
const CACHE: &str = "public, max-age=300";

/// The one stylesheet.
pub(crate) async fn stylesheet() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE),
    ];
    (headers, STYLESHEET)
}

/// The browser's part of what passkeys do.
pub(crate) async fn passkeys_script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE),
    ];
    (headers, PASSKEYS_SCRIPT)
}

/// What keeps the open list of waiting requests up to date.
pub(crate) async fn waiting_script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE),
    ];
    (headers, WAITING_SCRIPT)
}

/// The icon of the browser tab.
pub(crate) async fn icon() -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, "image/svg+xml"),
            (header::CACHE_CONTROL, CACHE),
        ],
        ICON,
    )
}
