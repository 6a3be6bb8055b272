//! The issuer's operator API, from the outside.

use std::io;
use std::path::PathBuf;

use reqwest::header::AUTHORIZATION;
use reqwest::{Client, RequestBuilder};

use crate::cli::OperatorArgs;
use crate::datadir;
use crate::exit::{Exit, Failure};
use crate::{files, http};

/// More than the text of any operator token.
const MAX_TOKEN_BYTES: u64 = 1_024;

/// An issuer, and the right to operate it.
pub(crate) struct Operator {
    args: OperatorArgs,
    client: Client,
    authorization: reqwest::header::HeaderValue,
}

impl Operator {
    /// Reads the operator token.
    ///
    /// # Errors
    ///
    /// `no_operator_token` with exit code 4.
    pub(crate) fn new(args: OperatorArgs) -> Result<Self, Failure> {
        let path = token_path(&args);
        let token = files::read_text(&path, MAX_TOKEN_BYTES).map_err(|error| {
            let reason = match error.kind() {
                io::ErrorKind::NotFound => "it does not exist".to_owned(),
                _ => error.to_string(),
            };
            Failure::new(
                "no_operator_token",
                format!("cannot read the operator token `{}`: {reason}", path.display()),
            )
            .hint("name the issuer's data directory with `--data-dir`, or the file with `--operator-token-file`")
            .ending(Exit::ApprovalNeeded)
        })?;
        Ok(Self {
            client: http::client_for(&args.issuer.issuer)?,
            authorization: http::bearer(token.trim())?,
            args,
        })
    }

    /// A GET of `path`, with the token.
    ///
    /// # Errors
    ///
    /// As [`http::endpoint`].
    pub(crate) fn get(&self, path: &str) -> Result<RequestBuilder, Failure> {
        let url = http::endpoint(&self.args.issuer.issuer, path)?;
        Ok(self
            .client
            .get(url)
            .header(AUTHORIZATION, self.authorization.clone()))
    }

    /// The same with these parameters in the query.
    pub(crate) fn get_with(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, Failure> {
        let mut url = http::endpoint(&self.args.issuer.issuer, path)?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(self
            .client
            .get(url)
            .header(AUTHORIZATION, self.authorization.clone()))
    }

    /// A GET of what is called `names` below `path`, with the token. Each name
    /// is one segment whatever it holds.
    ///
    /// # Errors
    ///
    /// As [`http::endpoint`].
    pub(crate) fn get_below(&self, path: &str, names: &[&str]) -> Result<RequestBuilder, Failure> {
        let mut url = http::endpoint(&self.args.issuer.issuer, path)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(names);
        }
        Ok(self
            .client
            .get(url)
            .header(AUTHORIZATION, self.authorization.clone()))
    }

    /// A POST to what is called `names` below `path`, with the token. Each name is one segment
    /// whatever it holds.
    ///
    /// # Errors
    ///
    /// As [`http::endpoint`].
    pub(crate) fn post_below(&self, path: &str, names: &[&str]) -> Result<RequestBuilder, Failure> {
        let mut url = http::endpoint(&self.args.issuer.issuer, path)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(names);
        }
        Ok(self
            .client
            .post(url)
            .header(AUTHORIZATION, self.authorization.clone()))
    }

    /// A DELETE of what is called `names` below `path`, with the token. Each name is one segment
    /// whatever it holds.
    ///
    /// # Errors
    ///
    /// As [`http::endpoint`].
    pub(crate) fn delete_below(
        &self,
        path: &str,
        names: &[&str],
    ) -> Result<RequestBuilder, Failure> {
        let mut url = http::endpoint(&self.args.issuer.issuer, path)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(names);
        }
        Ok(self
            .client
            .delete(url)
            .header(AUTHORIZATION, self.authorization.clone()))
    }

    /// A POST to `path`, with the token.
    ///
    /// # Errors
    ///
    /// As [`http::endpoint`].
    pub(crate) fn post(&self, path: &str) -> Result<RequestBuilder, Failure> {
        let url = http::endpoint(&self.args.issuer.issuer, path)?;
        Ok(self
            .client
            .post(url)
            .header(AUTHORIZATION, self.authorization.clone()))
    }
}

fn token_path(args: &OperatorArgs) -> PathBuf {
    match &args.operator_token_file {
        Some(path) => path.clone(),
        None => args.data_dir.join(datadir::OPERATOR_TOKEN),
    }
}
