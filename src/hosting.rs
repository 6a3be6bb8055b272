//! What the commands that run servers have in common: public addresses, the
//! wait until everything answers, and the orderly end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::Stopwatch;
use crate::exit::Failure;
use crate::http;
use crate::serve::{self, Listener};

/// How long the servers may take until they answer.
const READY_DEADLINE: Duration = Duration::from_secs(15);
/// How often they are asked.
const READY_INTERVAL: Duration = Duration::from_millis(25);

/// The servers of this process.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    stop: CancellationToken,
    running: JoinSet<()>,
    background: Vec<JoinHandle<()>>,
}

impl Servers {
    /// No servers yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Starts to serve `router`.
    pub(crate) fn start(&mut self, listener: Listener, router: Router) {
        self.running
            .spawn(serve::serve(listener, router, self.stop.clone()));
    }

    /// The token that is cancelled when the servers are to end.
    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Has `task` awaited when the servers end. It has to end with the stop
    /// token.
    pub(crate) fn background(&mut self, task: JoinHandle<()>) {
        self.background.push(task);
    }

    /// Runs until the process is asked to end, then lets requests finish.
    /// `ready` runs beside the servers, once, and its failure ends them.
    ///
    /// # Errors
    ///
    /// That of `ready`, or `internal` when a server ended by itself.
    pub(crate) async fn run_once(
        mut self,
        ready: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let outcome = tokio::select! {
            outcome = async {
                // Listening for signals first: one sent on `ready` is not lost.
                let asked = serve::stop_signals()?;
                tokio::select! {
                    failed = async { ready.await?; std::future::pending().await } => failed,
                    () = asked.received() => Ok(()),
                }
            } => outcome,
            _ = self.running.join_next() => {
                Err(Failure::new("internal", "a server ended unexpectedly; its log says why"))
            }
        };
        tracing::info!("ending");
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
        for task in self.background {
            // A task that panicked has logged it.
            let _ = task.await;
        }
        outcome
    }
}

/// The address under which a server on `address` is reached from this machine.
///
/// # Errors
///
/// `usage` for an address that means every interface: what others have to
/// type cannot be guessed from it, and it goes into tokens.
pub(crate) fn local_url(role: &str, address: SocketAddr) -> Result<Url, Failure> {
    if address.ip().is_unspecified() {
        return Err(Failure::usage(format!(
            "the {role} cannot be reached at {address}; listen on one address, such as 127.0.0.1"
        )));
    }
    Url::parse(&format!("http://{address}"))
        .map_err(|error| Failure::new("internal", format!("no address for {address}: {error}")))
}

/// An address at which this process reaches its own server, whatever it is
/// called from outside.
///
/// # Errors
///
/// `internal` for an address that no URL can hold.
pub(crate) fn reachable_url(address: SocketAddr) -> Result<Url, Failure> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    local_url("server", SocketAddr::new(ip, address.port()))
}

/// An address as it is shown and typed: without the slash that stands for an
/// empty path.
pub(crate) fn shown(url: &Url) -> &str {
    let text = url.as_str();
    text.strip_suffix('/').unwrap_or(text)
}

/// Waits until the server at `base` says it is ready.
///
/// # Errors
///
/// `not_ready` past the deadline, with the last answer.
pub(crate) async fn ready(role: &str, base: &Url) -> Result<(), Failure> {
    answers(role, base, "readyz").await
}

/// Waits until the server at `base` answers at all.
///
/// # Errors
///
/// `not_ready` past the deadline, with the last answer.
pub(crate) async fn alive(role: &str, base: &Url) -> Result<(), Failure> {
    answers(role, base, "healthz").await
}

async fn answers(role: &str, base: &Url, path: &str) -> Result<(), Failure> {
    let client = http::client_for(base)?;
    let url = http::endpoint(base, path)?;
    let waiting = Stopwatch::start();
    loop {
        let answer = http::send(client.get(url.clone())).await;
        if answer
            .as_ref()
            .is_ok_and(|answer| answer.status.is_success())
        {
            return Ok(());
        }
        if waiting.elapsed() > READY_DEADLINE {
            let last = match answer {
                Ok(answer) => answer.refusal(),
                Err(failure) => failure,
            };
            return Err(Failure::new(
                "not_ready",
                format!("the {role} did not become ready: {}", last.message()),
            ));
        }
        tokio::time::sleep(READY_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use crate::exit::Exit;

    use super::*;

    #[test]
    fn a_server_on_every_interface_has_no_address_to_go_by() {
        let refused = local_url("issuer", SocketAddr::from(([0, 0, 0, 0], 8400))).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        let url = local_url("issuer", SocketAddr::from(([127, 0, 0, 1], 8400))).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8400/");
    }
}
