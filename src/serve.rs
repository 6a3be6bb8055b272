//! Listening sockets and the loop that serves a router on one.
//!
//! Owns what every server of ours has in common: a bound on connections, a
//! deadline for headers, `TCP_NODELAY`, and a graceful end with a deadline.
//! Routes, bodies and their limits belong to the routers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::exit::Failure;

/// Connections served at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 1_024;
/// How long a client may take to send the head of a request.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// How long requests in progress may go on after the end was asked for.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// The pause after a failed accept, so that a lack of file descriptors does
/// not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket that is bound and not yet served.
#[derive(Debug)]
pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// `address_in_use`, or `address_unusable` for any other reason; both
    /// name the address and what was to listen there.
    pub(crate) async fn bind(role: &str, address: SocketAddr) -> Result<Self, Failure> {
        let bound = match TcpListener::bind(address).await {
            Ok(tcp) => tcp.local_addr().map(|address| Self { tcp, address }),
            Err(error) => Err(error),
        };
        bound.map_err(|error| cannot_listen(role, address, &error))
    }

    /// The address that was bound, with the port the system chose.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves until `stop`, then lets the requests in progress finish, but not
/// longer than five seconds.
pub(crate) async fn serve(listener: Listener, router: Router, stop: CancellationToken) {
    serve_within(listener, router, stop, HEADER_DEADLINE).await;
}

async fn serve_within(listener: Listener, router: Router, stop: CancellationToken, head: Duration) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    while let Some((stream, peer, place)) = next(&listener.tcp, &places, &stop).await {
        while connections.try_join_next().is_some() {}
        connections.spawn(converse(
            stream,
            peer,
            place,
            router.clone(),
            graceful.watcher(),
            head,
        ));
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_DEADLINE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            open = connections.len(),
            "closing connections that did not finish in time"
        );
    }
    connections.shutdown().await;
}

/// The signals that ask a process to end, listened for since this was made.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

/// Starts to listen for SIGINT and SIGTERM.
///
/// # Errors
///
/// `internal` when the system refuses to tell us about signals.
pub(crate) fn stop_signals() -> Result<StopSignals, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| {
        signal(kind).map_err(|error| {
            Failure::new("internal", format!("cannot listen for signals: {error}"))
        })
    };
    Ok(StopSignals {
        interrupt: listen(SignalKind::interrupt())?,
        terminate: listen(SignalKind::terminate())?,
    })
}

impl StopSignals {
    /// Resolves when one of them was received.
    pub(crate) async fn received(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn cannot_listen(role: &str, address: SocketAddr, error: &io::Error) -> Failure {
    let failure = |code: &'static str, reason: &str| {
        Failure::new(
            code,
            format!("the {role} cannot listen on {address}: {reason}"),
        )
    };
    if error.kind() == io::ErrorKind::AddrInUse {
        failure("address_in_use", "something else already does")
            .hint("stop that one first, or choose another address; port 0 takes any free one")
    } else {
        failure("address_unusable", &error.to_string())
    }
}

async fn next(
    tcp: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            match tcp.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, place)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        accepted = accepted => accepted,
    }
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    router: Router,
    watcher: Watcher,
    head: Duration,
) {
    // Small answers should not wait for the next one; without it they only do.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    // HTTP/1.1 alone: telling the versions apart would wait for the first bytes without a
    // deadline, and an idle HTTP/2 connection has none either.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error = %error, "a connection ended early");
    }
    drop(place);
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn bound() -> Listener {
        Listener::bind("server", SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let first = bound().await;
        let refused = Listener::bind("gateway", first.address())
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "address_in_use");
        assert!(refused.message().contains(&first.address().to_string()));
        assert!(refused.message().contains("gateway"));
    }

    #[tokio::test]
    async fn a_connection_on_which_no_head_comes_is_closed() {
        let listener = bound().await;
        let address = listener.address();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", axum::routing::get(|| async { "answered" }));
        let head = Duration::from_millis(20);
        let served = tokio::spawn(serve_within(listener, router, stop.clone(), head));
        for sent in [
            "",
            "GET / HT",
            "PRI * HT",
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        ] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(sent.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let closed = client.read_to_end(&mut answer);
            let closed = tokio::time::timeout(Duration::from_secs(10), closed).await;
            assert!(closed.is_ok(), "still open after {sent:?}");
        }
        stop.cancel();
        served.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_in_progress_is_answered_after_the_end_was_asked_for() {
        let listener = bound().await;
        let address = listener.address();
        let stop = CancellationToken::new();
        let asked = stop.clone();
        let router = Router::new().route(
            "/",
            axum::routing::get(move || async move {
                asked.cancel();
                tokio::task::yield_now().await;
                "answered"
            }),
        );
        let served = tokio::spawn(serve(listener, router, stop));
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("answered"), "{answer}");
        served.await.unwrap();
    }
}
