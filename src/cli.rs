//! The command line: what can be typed, and how it reads.
//!
//! Owns the top of the grammar and the options that several commands share.
//! Each command keeps its own options beside what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::commands::{
    accounts, applications, attenuate, audit, call, check, clients, gateway, holder_key, inspect,
    issuer, keys, policy, request, revoke, sessions, tools, up,
};
use crate::exit::Failure;

/// Task-scoped capability tokens for AI agents
#[derive(Debug, Parser)]
#[command(
    name = "bailiwick",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    long_about = "Task-scoped capability tokens for AI agents.\n\n\
        A person approves one task in a browser, the agent gets a token for exactly that, and the \
        gateway checks the token offline on every tool call. When the session ends, access ends.",
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 refused by policy or by the approver, \
        4 sign-in or approval needed, 5 timed out waiting."
)]
pub(crate) struct Cli {
    /// Write one JSON object per line to stdout, for programs
    #[arg(long, global = true, help_heading = "General")]
    pub(crate) json: bool,

    /// What to log to stderr, such as `info` or `bailiwick=debug`
    #[arg(
        long,
        global = true,
        env = "BAILIWICK_LOG",
        value_name = "FILTER",
        help_heading = "General"
    )]
    pub(crate) log: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run issuer and gateway together on this machine, with nothing to configure
    Up(up::UpArgs),
    /// Run the issuer alone: approvals, sessions, revocation
    Issuer(issuer::IssuerArgs),
    /// Run the gateway alone: the tools, and the check of every call
    Gateway(gateway::GatewayArgs),
    /// Ask for tools; waits until a person has decided
    Request(request::RequestArgs),
    /// Call a tool with the token
    Call(call::CallArgs),
    /// List the tools and which of them the token may call
    Tools(tools::ToolsArgs),
    /// Narrow a token for a sub-agent, offline
    Attenuate(attenuate::AttenuateArgs),
    /// Show what a token allows, block by block
    Inspect(inspect::InspectArgs),
    /// Make or show the key that an agent binds its tokens to
    HolderKey(holder_key::HolderKeyArgs),
    /// List the sessions of an issuer
    Sessions(sessions::SessionsArgs),
    /// End a session, and every token made from it
    Revoke(revoke::RevokeArgs),
    /// Say who may sign in at an issuer, and as what
    Accounts(accounts::AccountsArgs),
    /// Say which applications agents may ask for, and within what limits
    Applications(applications::ApplicationsArgs),
    /// Say which programs may ask under a name that you answer for
    Clients(clients::ClientsArgs),
    /// Show the issuer's key set, verified
    Keys(keys::KeysArgs),
    /// Check the record of what happened
    Audit(audit::AuditArgs),
    /// Decide calls offline, one JSON case per line on stdin
    Check(check::CheckArgs),
    /// Check, test and explain an operator policy
    Policy(policy::PolicyArgs),
}

impl Command {
    /// What is logged unless something else is asked for.
    pub(crate) fn default_log(&self) -> &'static str {
        match self {
            Self::Up(_) | Self::Issuer(_) | Self::Gateway(_) => {
                "warn,bailiwick=info,bailiwick_issuer=info,bailiwick_mcp_server=info"
            }
            // The MCP library reports refusals as errors of its own; the commands say it better.
            _ => "warn,rmcp=off",
        }
    }
}

/// Where `bailiwick up` puts the gateway.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8401";
/// Where `bailiwick up` puts the issuer.
const DEFAULT_ISSUER: &str = "http://127.0.0.1:8400";

/// Where the token is kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct TokenFileArg {
    /// The file that holds the token
    #[arg(
        long,
        env = "BAILIWICK_TOKEN_FILE",
        value_name = "FILE",
        default_value = "./bailiwick-token"
    )]
    pub(crate) token_file: PathBuf,
}

/// Which gateway to talk to.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerArg {
    /// The address of the gateway
    #[arg(
        long,
        env = "BAILIWICK_SERVER",
        value_name = "URL",
        default_value = DEFAULT_SERVER,
        value_parser = server_url
    )]
    pub(crate) server: Url,
}

/// Which issuer to talk to.
#[derive(Clone, Debug, Args)]
pub(crate) struct IssuerArg {
    /// The address of the issuer
    #[arg(
        long,
        env = "BAILIWICK_ISSUER",
        value_name = "URL",
        default_value = DEFAULT_ISSUER,
        value_parser = http_url
    )]
    pub(crate) issuer: Url,
}

/// Which issuer to operate, and the token that allows it.
#[derive(Clone, Debug, Args)]
pub(crate) struct OperatorArgs {
    #[command(flatten)]
    pub(crate) issuer: IssuerArg,

    /// The data directory that holds `operator.token`
    #[arg(
        long,
        env = "BAILIWICK_DATA_DIR",
        value_name = "DIR",
        default_value = "./bailiwick-data"
    )]
    pub(crate) data_dir: PathBuf,

    /// The file of the operator token, when it is elsewhere
    #[arg(long, value_name = "FILE")]
    pub(crate) operator_token_file: Option<PathBuf>,
}

/// Reads an `http` or `https` address with a host and no credentials.
pub(crate) fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it has to start with http:// or https:// and name a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not hold a user name or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must not have a query or a fragment".to_owned());
    }
    Ok(url)
}

/// Reads the address of a gateway, which may be typed as that of its MCP
/// endpoint.
fn server_url(text: &str) -> Result<Url, String> {
    let text = text.trim_end_matches('/');
    http_url(text.strip_suffix("/mcp").unwrap_or(text))
}

/// Splits `NAME=REST` for options that take such pairs.
///
/// # Errors
///
/// `usage`, naming the option.
pub(crate) fn name_and_rest<'a>(
    option: &str,
    text: &'a str,
) -> Result<(&'a str, &'a str), Failure> {
    match text.split_once('=') {
        Some((name, rest)) if !name.is_empty() => Ok((name, rest)),
        _ => Err(Failure::usage(format!(
            "`{option} {text}` is not of the form NAME=VALUE"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_gateway_may_be_named_by_its_endpoint() {
        for text in [
            "http://h:1",
            "http://h:1/",
            "http://h:1/mcp",
            "http://h:1/mcp/",
        ] {
            assert_eq!(server_url(text).unwrap().as_str(), "http://h:1/", "{text}");
        }
        assert_eq!(server_url("http://h/base/mcp").unwrap().path(), "/base");
    }

    #[test]
    fn an_address_is_http_with_a_host_and_nothing_hidden_in_it() {
        for text in ["http://127.0.0.1:8400", "https://issuer.example/base/"] {
            assert!(http_url(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "127.0.0.1:8400",
            "ftp://h/",
            "http://u:p@h/",
            "http://h/?q",
            "http://h/#f",
            "file:///x",
        ] {
            assert!(http_url(text).is_err(), "{text}");
        }
    }
}
