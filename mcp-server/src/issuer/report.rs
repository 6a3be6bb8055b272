//! Telling the issuer what sessions did, so that its pages can show it.
//!
//! Best effort and bounded: decisions are on the gateway's own audit record already, so a report
//! that cannot be delivered costs a page its detail and nothing else. Calls never wait for it.

use std::{
    collections::VecDeque,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bailiwick_datalog::{Access, ResourcePath, Timestamp};
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Reports that may wait.
const QUEUE: usize = 4_096;

/// Most reports in one request.
const MAX_BATCH: usize = 100;

/// How long a report may wait for others to go with.
const EVERY: Duration = Duration::from_millis(500);

/// Longest wait after a failure.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// One decision on one call of a tool.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallReport {
    /// Hash of the decision's line on the audit record: a report sent twice counts once.
    pub(crate) id: String,
    /// The session.
    pub(crate) session: String,
    /// The agent it was approved for.
    pub(crate) agent: String,
    /// The sub-agents the token passed through.
    pub(crate) delegates: Vec<String>,
    /// The tool.
    pub(crate) tool: String,
    /// What the tool does; unknown when the tool is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<Access>,
    /// What the call touches.
    pub(crate) resources: Vec<ResourcePath>,
    /// Allow or deny.
    pub(crate) decision: Decision,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    /// When it was decided.
    pub(crate) at: Timestamp,
}

/// The two decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    /// The call went on.
    Allow,
    /// It did not.
    Deny,
}

/// Where reports are dropped off.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    queue: Option<mpsc::Sender<CallReport>>,
    lost: Arc<AtomicU64>,
}

impl Reporter {
    /// Drops a report off without waiting; a full queue loses it, and the loss is counted.
    pub(crate) fn offer(&self, report: CallReport) {
        let Some(queue) = &self.queue else { return };
        if queue.try_send(report).is_err() && self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("the issuer takes reports too slowly; some are lost to its pages");
        }
    }
}

/// Carries reports to the issuer.
pub(crate) struct Courier {
    client: Client,
    url: Url,
    token: String,
    reports: mpsc::Receiver<CallReport>,
    waiting: VecDeque<CallReport>,
}

/// A reporter and the courier that empties its queue; without a token, a reporter that keeps
/// nothing.
pub(crate) fn channel(
    client: Client,
    url: Url,
    token: Option<String>,
) -> (Reporter, Option<Courier>) {
    let lost = Arc::new(AtomicU64::new(0));
    let Some(token) = token else {
        return (Reporter { queue: None, lost }, None);
    };
    let (queue, reports) = mpsc::channel(QUEUE);
    let courier = Courier {
        client,
        url,
        token,
        reports,
        waiting: VecDeque::new(),
    };
    (
        Reporter {
            queue: Some(queue),
            lost,
        },
        Some(courier),
    )
}

#[derive(Serialize)]
struct Batch<'a> {
    calls: Vec<&'a CallReport>,
}

impl Courier {
    /// Runs until cancelled, then delivers once more what is waiting.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut pause = EVERY;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            pause = match self.deliver().await {
                Ok(()) => EVERY,
                Err(error) => {
                    tracing::debug!(%error, "reports could not be delivered to the issuer");
                    pause.saturating_mul(2).min(MAX_PAUSE)
                }
            };
        }
        let _ = self.deliver().await;
    }

    /// Sends everything that is waiting, batch by batch, until one fails. What the issuer does not
    /// take is sent again in smaller batches, so that one report, which may hold whatever an agent
    /// put into a path, costs no other its place.
    async fn deliver(&mut self) -> Result<(), reqwest::Error> {
        let mut most = MAX_BATCH;
        loop {
            while self.waiting.len() < MAX_BATCH {
                match self.reports.try_recv() {
                    Ok(report) => self.waiting.push_back(report),
                    Err(_) => break,
                }
            }
            if self.waiting.is_empty() {
                return Ok(());
            }
            let count = most.min(self.waiting.len());
            let taken = self.send(count).await?;
            if !taken && count > 1 {
                most = count / 2;
                continue;
            }
            if !taken {
                tracing::warn!("the issuer does not take a report");
            }
            self.waiting.drain(..count);
        }
    }

    /// Sends the first `count` reports; false when the issuer refuses them as they are. Any other
    /// failure may pass, and keeps them waiting.
    async fn send(&self, count: usize) -> Result<bool, reqwest::Error> {
        let calls: Vec<_> = self.waiting.iter().take(count).collect();
        let response = self
            .client
            .post(self.url.clone())
            .bearer_auth(&self.token)
            .json(&Batch { calls })
            .send()
            .await?;
        match response.status() {
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Ok(false),
            _ => response.error_for_status().map(|_| true),
        }
    }
}
