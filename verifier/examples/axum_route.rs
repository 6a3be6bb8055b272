//! An ordinary axum route that takes only calls which a Bailiwick token allows.
//!
//! ```sh
//! cargo run -p bailiwick-verifier --features tower --example axum_route -- ed25519/HEX
//! ```

use std::{error::Error, net::Ipv4Addr, sync::Arc};

use axum::{Extension, Router, routing::get};
use bailiwick_datalog::{Access, Audience, Call, ResourcePath, ToolName};
use bailiwick_verifier::{
    Clock, Denied, KeySet, MemoryRevocations, Permit, Verifier, VerifierConfig,
    signed::PublicKeyHex,
    tower::{ProtectedResource, RequireToken},
};

/// `GET /reports/…` is the call `reports.read` on the resource `reports/…`.
pub(crate) fn app(mint_key: PublicKeyHex, clock: Arc<dyn Clock>) -> Result<Router, Box<dyn Error>> {
    let audience = Audience::parse("http://127.0.0.1:3000/reports")?;
    let resource = ProtectedResource::new(audience.clone(), ["http://127.0.0.1:8400"])?;
    let verifier = Arc::new(Verifier::new(VerifierConfig {
        audience,
        keys: Arc::new(KeySet::from_entries([(1, mint_key)])?),
        // A service that runs for long keeps this fresh: see `SledRevocations`.
        revocations: Arc::new(MemoryRevocations::fixed([])),
    })?);
    let tool = ToolName::parse("reports.read")?;
    let layer = RequireToken::new(verifier, clock, resource.clone(), move |request| {
        let path = request.uri.path().trim_start_matches('/');
        let report = ResourcePath::parse(path);
        let report =
            report.map_err(|error| Denied::unreadable_resource(&tool, path, &error.to_string()))?;
        let arguments = serde_json::Map::new();
        Ok(Call::new(
            tool.clone(),
            Access::Read,
            vec![report],
            &arguments,
        ))
    })?;
    Ok(Router::new()
        .route("/reports/{*report}", get(report))
        .route_layer(layer)
        .route_service(resource.metadata_path(), resource.metadata_service()))
}

/// Serves what was authorized: the permit's own resource, not the request's.
async fn report(Extension(permit): Extension<Permit>) -> String {
    let read: Vec<_> = permit
        .call()
        .resources
        .iter()
        .map(ToString::to_string)
        .collect();
    format!("{} for {}\n", read.join(", "), permit.agent())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let usage = "the mint key is the only argument: ed25519/HEX, as `bailiwick keys` shows it";
    let mint_key = std::env::args().nth(1).ok_or(usage)?.parse()?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 3000)).await?;
    Ok(axum::serve(listener, app(mint_key, system_clock())?).await?)
}

/// The verifier reads no clock: its host tells it the time.
#[expect(
    clippy::disallowed_methods,
    reason = "a host is where the clock is read"
)]
fn system_clock() -> Arc<dyn Clock> {
    use std::time::{Instant, SystemTime, UNIX_EPOCH};
    let started = Instant::now();
    Arc::new(move || bailiwick_verifier::Now {
        utc: bailiwick_datalog::Timestamp::from_unix(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        ),
        monotonic: started.elapsed(),
    })
}
