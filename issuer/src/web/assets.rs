//! The stylesheet and the icon, served from the binary.

use axum::{http::header, response::IntoResponse};

const STYLESHEET: &str = include_str!("../../assets/bailiwick.css");
const ICON: &str = include_str!("../../assets/icon.svg");
const CACHE: &str = "public, max-age=300";

/// The one stylesheet.
pub(crate) async fn stylesheet() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE),
    ];
    (headers, STYLESHEET)
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
