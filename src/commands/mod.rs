//! The commands, each in a module of its own: its options, what it does with
//! the libraries, and what it says.

pub(crate) mod accounts;
pub(crate) mod applications;
pub(crate) mod attenuate;
pub(crate) mod audit;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod clients;
pub(crate) mod gateway;
pub(crate) mod holder_key;
pub(crate) mod inspect;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod policy;
pub(crate) mod request;
pub(crate) mod revoke;
pub(crate) mod sessions;
pub(crate) mod tools;
pub(crate) mod up;

use crate::cli::Command;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Runs a command to its end.
///
/// # Errors
///
/// What stopped it; nothing about it was reported yet.
pub(crate) fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Attenuate(args) => attenuate::run(&args, output),
        Command::Audit(args) => audit::run(&args, output),
        Command::Check(args) => check::run(&args),
        Command::HolderKey(args) => holder_key::run(&args, output),
        Command::Policy(args) => policy::run(&args, output),
        Command::Up(args) => server(up::run(args, output)),
        Command::Issuer(args) => server(issuer::run(args, output)),
        Command::Gateway(args) => server(gateway::run(args, output)),
        Command::Request(args) => client(request::run(args, output)),
        Command::Call(args) => client(call::run(args, output)),
        Command::Tools(args) => client(tools::run(args, output)),
        Command::Inspect(args) => client(inspect::run(args, output)),
        Command::Sessions(args) => client(sessions::run(args, output)),
        Command::Revoke(args) => client(revoke::run(args, output)),
        Command::Accounts(args) => client(accounts::run(args, output)),
        Command::Applications(args) => client(applications::run(args, output)),
        Command::Clients(args) => client(clients::run(args, output)),
        Command::Keys(args) => client(keys::run(args, output)),
    }
}

fn server(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    run_on(tokio::runtime::Builder::new_multi_thread(), work)
}

fn client(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    run_on(tokio::runtime::Builder::new_current_thread(), work)
}

fn run_on(
    mut runtime: tokio::runtime::Builder,
    work: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    runtime
        .enable_all()
        .build()
        .map_err(|error| Failure::new("internal", format!("cannot start: {error}")))?
        .block_on(work)
}
