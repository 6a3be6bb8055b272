//! The gateway's catalogue as the commands need it: which tools there are and
//! what access each needs.

use bailiwick_datalog::{Access, Audience, ToolName};
use serde::Deserialize;
use url::Url;

use crate::cli::http_url;
use crate::exit::Failure;
use crate::http;

/// What a gateway offers.
#[derive(Debug, Deserialize)]
pub(crate) struct Catalogue {
    /// The audience that its tokens carry.
    pub(crate) audience: Audience,
    tools: Vec<CatalogueTool>,
}

/// One tool of a catalogue.
#[derive(Debug, Deserialize)]
pub(crate) struct CatalogueTool {
    /// Its name.
    pub(crate) name: ToolName,
    /// What it does to a resource.
    pub(crate) access: Access,
}

impl Catalogue {
    /// Fetches the catalogue of the gateway at `server`.
    ///
    /// # Errors
    ///
    /// As [`http::json`].
    pub(crate) async fn fetch(server: &Url) -> Result<Self, Failure> {
        let url = http::endpoint(server, "v1/catalogue")?;
        http::json(http::client_for(server)?.get(url)).await
    }

    /// The tool of that name.
    ///
    /// # Errors
    ///
    /// `unknown_tool`, with the closest names there are as a hint.
    pub(crate) fn tool(&self, name: &ToolName) -> Result<&CatalogueTool, Failure> {
        self.tools
            .iter()
            .find(|tool| tool.name == *name)
            .ok_or_else(|| {
                let known: Vec<&str> = self.tools.iter().map(|tool| tool.name.as_str()).collect();
                Failure::new("unknown_tool", format!("the gateway has no tool `{name}`"))
                    .hint(format!("it has {}", known.join(", ")))
            })
    }
}

/// Asks the gateway at `server` which issuer mints tokens for `audience`
/// (RFC 9728).
///
/// # Errors
///
/// As [`http::json`]; `unexpected_answer` when it speaks for another resource,
/// or names no issuer.
pub(crate) async fn issuer_of(server: &Url, audience: &Audience) -> Result<Url, Failure> {
    let url = http::endpoint(server, ".well-known/oauth-protected-resource")?;
    let metadata: ResourceMetadata = http::json(http::client_for(server)?.get(url)).await?;
    let issuer = metadata.authorization_servers.first();
    match (metadata.resource == audience.as_str(), issuer) {
        (true, Some(issuer)) => http_url(issuer).map_err(|reason| {
            Failure::new(
                "unexpected_answer",
                format!("the gateway names no usable issuer: {reason}"),
            )
        }),
        _ => Err(Failure::new(
            "unexpected_answer",
            "the gateway does not say who issues its tokens",
        )
        .hint("name the issuer with `--issuer`")),
    }
}

/// What of RFC 9728 is needed here.
#[derive(Deserialize)]
struct ResourceMetadata {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use crate::exit::Exit;

    use super::*;

    #[test]
    fn an_unknown_tool_is_answered_with_the_known_ones() {
        let catalogue: Catalogue = serde_json::from_str(
            r#"{"audience":"http://h/mcp","tools":[{"name":"files.read_file","access":"read","title":"Read"}]}"#,
        )
        .unwrap();
        let name = ToolName::parse("files.read_file").unwrap();
        assert_eq!(catalogue.tool(&name).unwrap().access, Access::Read);
        let unknown = catalogue
            .tool(&ToolName::parse("files.read").unwrap())
            .unwrap_err();
        assert_eq!(
            (unknown.code(), unknown.exit()),
            ("unknown_tool", Exit::Failed)
        );
        assert!(unknown.advice().unwrap().contains("files.read_file"));
    }
}
