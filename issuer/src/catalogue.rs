//! Which tools exist, as the gateway says.
//!
//! The issuer never invents a tool: a request may name only what the catalogue lists, with
//! the access level the catalogue gives it. The list is pulled from the gateway, kept for a
//! short while, and pulled again when a request names a tool that is not in it.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use bailiwick_datalog::{Access, Audience, ResourcePath, ToolName, strict_json};
use bailiwick_verifier::Clock;
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Mutex;
use url::Url;

use crate::text::visible_line;

/// How long a fetched catalogue answers without asking again.
const FRESH_FOR: Duration = Duration::from_secs(30);
/// Least time between two fetches, whatever requests name.
const REFETCH_AFTER: Duration = Duration::from_secs(1);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Far above a catalogue of a thousand well-described tools.
const MAX_CATALOGUE_BYTES: usize = 1024 * 1024;
/// Longest description shown and digested, in characters.
const MAX_DESCRIPTION_CHARS: usize = 400;

/// The future of [`CatalogueSource::fetch`].
pub type CatalogueFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<u8>, CatalogueError>> + Send + 'a>>;

/// Where the catalogue document comes from.
pub trait CatalogueSource: Send + Sync {
    /// Fetches the JSON document that `GET /v1/catalogue` of a gateway answers with.
    fn fetch(&self) -> CatalogueFuture<'_>;
}

/// Why there is no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The gateway did not answer with a catalogue.
    #[error("the gateway's tool catalogue cannot be fetched: {0}")]
    Unreachable(String),
    /// The answer is not a catalogue.
    #[error("the gateway's tool catalogue is malformed: {0}")]
    Malformed(String),
    /// The catalogue is of another server than the tokens will be for.
    #[error("the gateway serves `{found}`, but this issuer mints tokens for `{expected}`")]
    WrongAudience {
        /// The configured audience.
        expected: String,
        /// The audience in the catalogue.
        found: String,
    },
}

/// One tool as the gateway describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CatalogueTool {
    pub(crate) name: ToolName,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) access: Access,
    /// Where the resources of its calls begin; empty when the gateway does not say.
    pub(crate) roots: Vec<ResourcePath>,
    pub(crate) definition_digest: String,
}

/// The tools known at one moment.
#[derive(Debug, Default)]
pub(crate) struct CatalogueSnapshot(BTreeMap<ToolName, CatalogueTool>);

impl CatalogueSnapshot {
    /// The tool of that name.
    pub(crate) fn tool(&self, name: &ToolName) -> Option<&CatalogueTool> {
        self.0.get(name)
    }

    /// Every tool, by name.
    pub(crate) fn tools(&self) -> impl Iterator<Item = &CatalogueTool> {
        self.0.values()
    }

    /// Reads a catalogue document.
    ///
    /// # Errors
    /// [`CatalogueError`] when it is malformed, names a tool twice, or is another server's.
    pub(crate) fn parse(document: &[u8], audience: &Audience) -> Result<Self, CatalogueError> {
        let malformed = |why: String| CatalogueError::Malformed(why);
        let value = strict_json::parse(document).map_err(|e| malformed(e.to_string()))?;
        let wire: Wire = serde_json::from_value(value).map_err(|e| malformed(e.to_string()))?;
        if wire.audience != audience.as_str() {
            return Err(CatalogueError::WrongAudience {
                expected: audience.as_str().to_owned(),
                found: visible_line(&wire.audience),
            });
        }
        let mut tools = BTreeMap::new();
        for tool in wire.tools {
            let name = tool.name.clone();
            if tools
                .insert(name.clone(), CatalogueTool::from(tool))
                .is_some()
            {
                return Err(malformed(format!("tool `{name}` is listed twice")));
            }
        }
        Ok(Self(tools))
    }
}

#[derive(Deserialize)]
struct Wire {
    audience: String,
    tools: Vec<WireTool>,
}

#[derive(Deserialize)]
struct WireTool {
    name: ToolName,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    description: Option<String>,
    access: Access,
    #[serde(default)]
    resource_roots: Vec<ResourcePath>,
    definition_digest: String,
}

impl From<WireTool> for CatalogueTool {
    fn from(wire: WireTool) -> Self {
        let title = wire
            .title
            .map(|t| visible_line(&t))
            .filter(|t| !t.is_empty());
        let description = visible_line(&wire.description.unwrap_or_default());
        Self {
            title: title.unwrap_or_else(|| wire.name.to_string()),
            description: description.chars().take(MAX_DESCRIPTION_CHARS).collect(),
            access: wire.access,
            roots: wire.resource_roots,
            definition_digest: visible_line(&wire.definition_digest),
            name: wire.name,
        }
    }
}

/// The catalogue as the issuer uses it: pulled when needed, kept for half a minute.
pub(crate) struct Catalogue {
    source: Arc<dyn CatalogueSource>,
    audience: Audience,
    clock: Arc<dyn Clock>,
    // Held across the fetch, so that a burst of requests makes one.
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    snapshot: Arc<CatalogueSnapshot>,
    at: Duration,
}

impl Catalogue {
    pub(crate) fn new(
        source: Arc<dyn CatalogueSource>,
        audience: Audience,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            source,
            audience,
            clock,
            cached: Mutex::new(None),
        }
    }

    /// A catalogue that was fetched lately, and just now if it did not list all of `wanted`.
    ///
    /// # Errors
    /// [`CatalogueError`] when a fetch was needed and failed. An old list is not used
    /// instead: tools may have changed.
    pub(crate) async fn listing(
        &self,
        wanted: &[ToolName],
    ) -> Result<Arc<CatalogueSnapshot>, CatalogueError> {
        let mut cached = self.cached.lock().await;
        let now = self.clock.now().monotonic;
        if let Some(Cached { snapshot, at }) = cached.as_ref() {
            let age = now.saturating_sub(*at);
            let complete = wanted.iter().all(|name| snapshot.tool(name).is_some());
            if age < REFETCH_AFTER || (complete && age < FRESH_FOR) {
                return Ok(Arc::clone(snapshot));
            }
        }
        let document = self.source.fetch().await?;
        let snapshot = Arc::new(CatalogueSnapshot::parse(&document, &self.audience)?);
        *cached = Some(Cached {
            snapshot: Arc::clone(&snapshot),
            at: now,
        });
        Ok(snapshot)
    }
}

/// The catalogue of a gateway, over HTTP.
pub(crate) struct HttpCatalogue {
    client: reqwest::Client,
    url: Url,
}

impl HttpCatalogue {
    /// Prepares to fetch from `gateway`; nothing is sent yet.
    ///
    /// # Errors
    /// [`CatalogueError::Unreachable`] when the client cannot be set up.
    pub(crate) fn new(gateway: &Url) -> Result<Self, CatalogueError> {
        // Does nothing where the host has installed a provider already; without one the
        // client could not be built.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|e| CatalogueError::Unreachable(e.to_string()))?;
        let url = gateway
            .join("/v1/catalogue")
            .map_err(|e| CatalogueError::Unreachable(e.to_string()))?;
        Ok(Self { client, url })
    }

    async fn fetch_bounded(&self) -> Result<Vec<u8>, CatalogueError> {
        let unreachable =
            |e: reqwest::Error| CatalogueError::Unreachable(e.without_url().to_string());
        let request = self.client.get(self.url.clone());
        let mut response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            let why = format!("status {}", response.status().as_u16());
            return Err(CatalogueError::Unreachable(why));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_CATALOGUE_BYTES {
                return Err(CatalogueError::Malformed("larger than 1 MiB".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl CatalogueSource for HttpCatalogue {
    fn fetch(&self) -> CatalogueFuture<'_> {
        Box::pin(self.fetch_bounded())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(document: &Value) -> Result<CatalogueSnapshot, CatalogueError> {
        let audience = Audience::parse("http://127.0.0.1:1/mcp").unwrap();
        CatalogueSnapshot::parse(document.to_string().as_bytes(), &audience)
    }

    fn tool(name: &str) -> Value {
        json!({"name": name, "title": "Read", "description": "d", "access": "read",
            "resource_hint": "files/…", "definition_digest": "00"})
    }

    #[test]
    fn listed_tool_is_found_and_another_is_not() {
        let listing =
            parse(&json!({"audience": "http://127.0.0.1:1/mcp", "tools": [tool("a.read")]}))
                .unwrap();
        let name = |text| ToolName::parse(text).unwrap();
        assert_eq!(listing.tool(&name("a.read")).unwrap().access, Access::Read);
        assert!(listing.tool(&name("a.write")).is_none());
    }

    #[test]
    fn catalogue_of_another_server_is_refused() {
        assert_eq!(
            parse(&json!({"audience": "http://other/mcp", "tools": []})).unwrap_err(),
            CatalogueError::WrongAudience {
                expected: "http://127.0.0.1:1/mcp".to_owned(),
                found: "http://other/mcp".to_owned()
            }
        );
    }

    #[test]
    fn tool_listed_twice_is_refused() {
        let document =
            json!({"audience": "http://127.0.0.1:1/mcp", "tools": [tool("a"), tool("a")]});
        assert!(matches!(
            parse(&document),
            Err(CatalogueError::Malformed(_))
        ));
    }

    #[test]
    fn hostile_description_is_made_visible_and_cut() {
        let mut hostile = tool("a");
        hostile["description"] = json!(format!("\u{202e}{}", "x".repeat(1_000)));
        let listing =
            parse(&json!({"audience": "http://127.0.0.1:1/mcp", "tools": [hostile]})).unwrap();
        let shown = &listing
            .tool(&ToolName::parse("a").unwrap())
            .unwrap()
            .description;
        assert!(shown.starts_with("⟨U+202E⟩x"));
        assert_eq!(shown.chars().count(), MAX_DESCRIPTION_CHARS);
    }
}
