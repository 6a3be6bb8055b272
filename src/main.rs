//! `bailiwick`: the one program.
//!
//! Reads the command line, starts what every command needs, runs one command
//! and ends with its exit code. The commands hold wiring only; what they wire
//! lives in the library crates.

mod catalogue;
mod check;
mod cli;
mod clock;
mod commands;
mod credential;
mod datadir;
mod denial;
mod device_flow;
mod duration;
mod exit;
mod files;
#[cfg(test)]
mod fixture;
mod holder_key;
mod hosting;
mod http;
mod invocation;
mod lines;
mod mcp_client;
mod operator;
mod output;
mod policy;
mod samples;
mod serve;
mod settings;
mod telemetry;
mod token_file;
mod trust;
mod waiting;
mod wish;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::output::{OUTPUT_CLOSED, Output};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(cli).into(),
        Err(refusal) => refuse(&refusal).into(),
    }
}

fn run(cli: Cli) -> Exit {
    let output = Output::new(cli.json);
    let filter = cli.log.as_deref().unwrap_or(cli.command.default_log());
    http::install_crypto_provider();
    let ended = telemetry::start(filter).and_then(|()| commands::run(cli.command, output));
    ended.unwrap_or_else(|failure| {
        // Whoever closed the pipe, such as `head`, knows.
        if failure.code() != OUTPUT_CLOSED {
            output.failure(&failure);
        }
        failure.exit()
    })
}

/// Help and version are not refusals; anything else is one of usage, which a
/// program that asked for JSON hears of in JSON too.
fn refuse(refusal: &clap::Error) -> Exit {
    // Where nobody reads, the exit code still tells.
    let _ = refusal.print();
    if !refusal.use_stderr() {
        return Exit::Done;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let text = refusal.render().to_string();
        Output::new(true).failure(&Failure::usage(first_paragraph(&text)));
    }
    Exit::Usage
}

/// What is wrong, without the usage that follows it.
fn first_paragraph(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines = text
        .lines()
        .take_while(|line| !line.is_empty())
        .map(str::trim);
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_one_line_for_programs() {
        let text = "error: these were not provided:\n  --task <TEXT>\n  --for <SPAN>\n\nUsage: x\n";
        assert_eq!(
            first_paragraph(text),
            "these were not provided: --task <TEXT> --for <SPAN>"
        );
    }
}
