//! The catalogue: every tool of this gateway, what it does to which resources, and the digest
//! that notices when its description changes.
//!
//! Owns the one map from a tool's name to its meaning. Access and resources come from here,
//! never from what a caller claims.

use std::{collections::BTreeMap, fmt::Write as _};

use bailiwick_datalog::{Access, Audience, ToolName};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    arguments::ArgumentError,
    call::{Operation, PreparedCall},
    files::{FileOperation, FileTool, RESOURCE_ROOT, describe},
};

/// What a provider says about one of its tools.
pub(crate) struct Description {
    /// A few words.
    pub(crate) title: &'static str,
    /// What the tool does, for the model that may call it.
    pub(crate) description: &'static str,
    /// How the arguments name resources, for people.
    pub(crate) resource_hint: &'static str,
    /// JSON Schema of the arguments.
    pub(crate) input_schema: Map<String, Value>,
    /// Hints for clients.
    pub(crate) annotations: Annotations,
}

/// Hints that MCP clients show; decisions rest on [`Access`] alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Annotations {
    /// May the call undo something that was there?
    pub(crate) destructive: bool,
    /// Does calling twice do no more than calling once?
    pub(crate) idempotent: bool,
}

/// One tool.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its name in tokens and requests.
    pub(crate) name: ToolName,
    /// What it does to its resources.
    pub(crate) access: Access,
    /// A few words.
    pub(crate) title: &'static str,
    /// What the tool does.
    pub(crate) description: &'static str,
    /// How its arguments name resources.
    pub(crate) resource_hint: &'static str,
    /// JSON Schema of its arguments.
    pub(crate) input_schema: Map<String, Value>,
    /// Hints for clients.
    pub(crate) annotations: Annotations,
    /// `sha256/` and the hex digest of everything above that a model reads.
    pub(crate) definition_digest: String,
    kind: ToolKind,
}

/// Which provider executes a tool.
#[derive(Clone, Copy, Debug)]
enum ToolKind {
    Files(FileTool),
}

impl Tool {
    /// Where the resources of its calls begin: a grant on these reaches all of them.
    fn resource_roots(&self) -> &'static [&'static str] {
        match self.kind {
            ToolKind::Files(_) => &[RESOURCE_ROOT],
        }
    }

    /// Reads the arguments of a call of this tool into what will be authorized and executed.
    ///
    /// # Errors
    /// [`ArgumentError`] when they don't fit the tool or name no resource.
    pub(crate) fn prepare(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<PreparedCall, ArgumentError> {
        let operation = match self.kind {
            ToolKind::Files(tool) => Operation::Files(FileOperation::parse(tool, arguments)?),
        };
        PreparedCall::new(self.name.clone(), self.access, operation, arguments)
    }
}

/// All tools, by name.
#[derive(Debug)]
pub(crate) struct Catalogue {
    tools: BTreeMap<ToolName, Tool>,
}

/// A tool definition that the catalogue cannot take.
#[derive(Debug, Error)]
#[error("tool `{name}` cannot be part of the catalogue: {reason}")]
pub struct CatalogueError {
    name: String,
    reason: String,
}

impl Catalogue {
    /// The built-in tools.
    ///
    /// # Errors
    /// [`CatalogueError`] when a definition breaks the rules for names or has no canonical form.
    pub(crate) fn built_in() -> Result<Self, CatalogueError> {
        let tools = FileTool::ALL
            .into_iter()
            .map(|tool| {
                let tool = define(tool)?;
                Ok((tool.name.clone(), tool))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { tools })
    }

    /// The tool of that exact name.
    pub(crate) fn find(&self, name: &str) -> Option<&Tool> {
        let name = ToolName::parse(name).ok()?;
        self.tools.get(&name)
    }

    /// Every tool, in byte order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tool> {
        self.tools.values()
    }

    /// What `GET /v1/catalogue` answers.
    pub(crate) fn document(&self, audience: &Audience) -> CatalogueDocument {
        let tools = self
            .iter()
            .map(|tool| CatalogueEntry {
                name: tool.name.clone(),
                title: tool.title,
                description: tool.description,
                access: tool.access,
                resource_hint: tool.resource_hint,
                resource_roots: tool.resource_roots(),
                definition_digest: tool.definition_digest.clone(),
            })
            .collect();
        CatalogueDocument {
            audience: audience.clone(),
            tools,
        }
    }
}

/// The public catalogue: what an issuer needs to show and bound a request.
#[derive(Debug, Serialize)]
pub(crate) struct CatalogueDocument {
    audience: Audience,
    tools: Vec<CatalogueEntry>,
}

#[derive(Debug, Serialize)]
struct CatalogueEntry {
    name: ToolName,
    title: &'static str,
    description: &'static str,
    access: Access,
    resource_hint: &'static str,
    resource_roots: &'static [&'static str],
    definition_digest: String,
}

fn define(kind: FileTool) -> Result<Tool, CatalogueError> {
    let refused = |reason: String| CatalogueError {
        name: kind.name().to_owned(),
        reason,
    };
    let words = describe(kind);
    let name = ToolName::parse(kind.name()).map_err(|error| refused(error.to_string()))?;
    let access = kind.access();
    let definition_digest =
        digest(&name, access, &words).map_err(|error| refused(error.to_string()))?;
    Ok(Tool {
        name,
        access,
        title: words.title,
        description: words.description,
        resource_hint: words.resource_hint,
        input_schema: words.input_schema,
        annotations: words.annotations,
        definition_digest,
        kind: ToolKind::Files(kind),
    })
}

fn digest(
    name: &ToolName,
    access: Access,
    words: &Description,
) -> Result<String, serde_json::Error> {
    let definition = json!({
        "name": name,
        "access": access,
        "title": words.title,
        "description": words.description,
        "input_schema": words.input_schema,
        "destructive": words.annotations.destructive,
        "idempotent": words.annotations.idempotent,
    });
    let canonical = serde_json_canonicalizer::to_vec(&definition)?;
    let mut text = "sha256/".to_owned();
    for byte in Sha256::digest(canonical) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_six_file_tools_have_their_access() {
        let catalogue = Catalogue::built_in().unwrap();
        let tools: Vec<_> = catalogue
            .iter()
            .map(|tool| (tool.name.to_string(), tool.access))
            .collect();
        let tools: Vec<_> = tools
            .iter()
            .map(|(name, access)| (name.as_str(), *access))
            .collect();
        assert_eq!(
            tools,
            [
                ("files.delete_file", Access::Destructive),
                ("files.list_directory", Access::Read),
                ("files.move_file", Access::Write),
                ("files.read_file", Access::Read),
                ("files.search", Access::Read),
                ("files.write_file", Access::Write),
            ]
        );
    }

    #[test]
    fn names_are_found_byte_for_byte() {
        let catalogue = Catalogue::built_in().unwrap();
        assert!(catalogue.find("files.read_file").is_some());
        for other in ["Files.read_file", "files.read_file ", "files.read", ""] {
            assert!(catalogue.find(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_changed_description_changes_the_digest() {
        let name = ToolName::parse("files.read_file").unwrap();
        let original = describe(FileTool::ReadFile);
        let changed = Description {
            description: "Sends the file away.",
            ..describe(FileTool::ReadFile)
        };
        let digest_of = |words: &Description| digest(&name, Access::Read, words).unwrap();
        assert_eq!(
            digest_of(&original),
            digest_of(&describe(FileTool::ReadFile))
        );
        assert_ne!(digest_of(&original), digest_of(&changed));
    }
}
