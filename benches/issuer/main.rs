//! What approving costs, and whether a full store costs more than an empty one.
//!
//! A real issuer with its database on disk, driven in this process through its HTTP routes; no
//! socket and no password in between. Latencies are percentiles of single requests, because a mean
//! hides the ones that people wait for. Writes `issuer.json` beside criterion's estimates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::missing_docs_in_private_items,
    reason = "a bench fails by panicking"
)]

mod crowd;
mod world;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use bailiwick_benches::is_trial;
use serde_json::{Value, json};

use self::world::{Approver, World};

/// How much is measured: flows, flows at once, reads of a page, waiting requests, sessions.
struct Amount {
    flows: usize,
    at_once: usize,
    reads: usize,
    waiting: usize,
    sessions: usize,
}

const REAL: Amount = Amount {
    flows: 500,
    at_once: 8,
    reads: 300,
    waiting: 10_000,
    sessions: 100_000,
};

const TRIAL: Amount = Amount {
    flows: 3,
    at_once: 2,
    reads: 2,
    waiting: 120,
    sessions: 300,
};

fn main() {
    let amount = if is_trial() { TRIAL } else { REAL };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let figures = runtime.block_on(async {
        json!({
            "one_after_the_other": told("one_after_the_other", one_after_the_other(&amount)).await,
            "at_once": told("at_once", at_once(&amount)).await,
            "waiting": told("waiting", waiting(&amount)).await,
            "sessions": told("sessions", sessions(&amount)).await,
        })
    });
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    let folder = target.join("criterion");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("issuer.json"), figures.to_string()).unwrap();
    println!("{figures:#}");
}

/// Says on standard error what is being measured, and how long that took: the whole takes minutes.
async fn told(name: &str, measured: impl Future<Output = Value>) -> Value {
    let started = Instant::now();
    eprint!("{name} … ");
    let figures = measured.await;
    eprintln!("{:.0?}", started.elapsed());
    figures
}

/// Times of one step.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    async fn of<T>(&mut self, step: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let answer = step.await;
        self.0.push(started.elapsed());
        answer
    }

    /// Microseconds that so many of a hundred take at most.
    fn percentile(&self, percent: usize) -> f64 {
        let mut times = self.0.clone();
        times.sort_unstable();
        let last = times.len() - 1;
        times[last.min(times.len() * percent / 100)].as_secs_f64() * 1e6
    }

    fn in_json(&self) -> Value {
        json!({"p50_us": self.percentile(50), "p99_us": self.percentile(99), "count": self.0.len()})
    }
}

/// Asking, the page, approving and minting, each alone, and all of it as flows a second.
async fn one_after_the_other(amount: &Amount) -> Value {
    let (world, mut ada) = World::with_approver().await;
    let [mut asking, mut opening, mut approving, mut minting] =
        std::array::from_fn(|_| Times::default());
    let started = Instant::now();
    for _ in 0..amount.flows {
        let asked = asking.of(world.ask("bailiwick-cli")).await;
        let form = opening.of(ada.open(&asked)).await;
        approving.of(ada.approve(&form)).await;
        minting.of(world.mint(&asked)).await;
    }
    let rate = amount.flows as f64 / started.elapsed().as_secs_f64();
    json!({
        "flows_a_second": rate,
        "ask": asking.in_json(),
        "page": opening.in_json(),
        "approve": approving.in_json(),
        "mint": minting.in_json(),
    })
}

/// As many flows, several at a time.
async fn at_once(amount: &Amount) -> Value {
    let (world, ada) = World::with_approver().await;
    let started = Instant::now();
    let each = amount.flows / amount.at_once;
    let tasks: Vec<_> = (0..amount.at_once)
        .map(|_| tokio::spawn(flows(world.clone(), ada.clone(), each)))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let done = each * amount.at_once;
    json!({"flows_a_second": done as f64 / started.elapsed().as_secs_f64(), "at_once": amount.at_once})
}

async fn flows(world: World, mut ada: Approver, count: usize) {
    for _ in 0..count {
        let asked = world.ask("bailiwick-cli").await;
        let form = ada.open(&asked).await;
        ada.approve(&form).await;
        world.mint(&asked).await;
    }
}

/// Pages and answers with nothing waiting, then with very much.
async fn waiting(amount: &Amount) -> Value {
    let (world, mut ada) = World::with_approver().await;
    let empty = waiting_reads(&world, &mut ada, amount.reads).await;
    crowd::wait(&world, amount.waiting).await;
    let full = waiting_reads(&world, &mut ada, amount.reads).await;
    json!({"empty": empty, "full": full, "waiting": amount.waiting})
}

async fn waiting_reads(world: &World, ada: &mut Approver, reads: usize) -> Value {
    let [mut list, mut asking, mut opening, mut polling] =
        std::array::from_fn(|_| Times::default());
    for _ in 0..reads {
        list.of(ada.read("/approvals")).await;
        let asked = asking.of(world.ask("bailiwick-cli")).await;
        let form = opening.of(ada.open(&asked)).await;
        ada.approve(&form).await;
        polling.of(world.mint(&asked)).await;
    }
    json!({
        "list": list.in_json(),
        "ask": asking.in_json(),
        "page": opening.in_json(),
        "mint": polling.in_json(),
    })
}

/// The lists of sessions with one session, then with very many.
async fn sessions(amount: &Amount) -> Value {
    let (world, mut ada) = World::with_approver().await;
    flows(world.clone(), ada.clone(), 1).await;
    let few = session_reads(&world, &mut ada, amount.reads).await;
    crowd::approve(&world, amount.sessions).await;
    let many = session_reads(&world, &mut ada, amount.reads).await;
    json!({"one": few, "many": many, "sessions": amount.sessions})
}

async fn session_reads(world: &World, ada: &mut Approver, reads: usize) -> Value {
    let [mut page, mut ended, mut api, mut deep] = std::array::from_fn(|_| Times::default());
    let mut next = "/v1/sessions".to_owned();
    for _ in 0..reads {
        page.of(ada.read("/sessions")).await;
        ended.of(ada.read("/sessions?state=over")).await;
        api.of(world.operator("/v1/sessions")).await;
        let answer = deep.of(world.operator(&next)).await;
        next = match answer["next"].as_str() {
            Some(cursor) => format!("/v1/sessions?after={cursor}"),
            None => "/v1/sessions".to_owned(),
        };
    }
    json!({
        "page": page.in_json(),
        "ended": ended.in_json(),
        "api": api.in_json(),
        "page_after_page": deep.in_json(),
    })
}
