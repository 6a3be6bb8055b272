//! Executes permitted file operations and words their results.

use std::{fmt::Write as _, io, path::Path, sync::Arc};

use crate::call::{Operation, PermittedCall, ToolFailure};

use super::{
    error::FileError,
    listing::{EntryKind, Listing},
    operation::FileOperation,
    sandbox::{Sandbox, Written},
    search::Found,
};

/// The sandbox and the threads that touch it.
#[derive(Clone, Debug)]
pub(crate) struct FilesProvider {
    sandbox: Arc<Sandbox>,
}

impl FilesProvider {
    /// Opens the sandbox directory, which must exist.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self {
            sandbox: Arc::new(Sandbox::open(root)?),
        })
    }

    /// Does what the call says, off the async threads, and gives the text for the agent.
    ///
    /// Proves that the operation executed is the one the permit was given for: both come out of
    /// the same [`PermittedCall`], which only an authorization can make.
    ///
    /// # Errors
    /// [`ToolFailure`] when the sandbox refuses; nothing was changed then.
    pub(crate) async fn execute(&self, call: PermittedCall) -> Result<String, ToolFailure> {
        let sandbox = Arc::clone(&self.sandbox);
        let Operation::Files(operation) = call.into_operation();
        let done = tokio::task::spawn_blocking(move || perform(&sandbox, &operation)).await;
        match done {
            Ok(result) => result.map_err(|error| {
                if let FileError::Io { source, .. } = &error {
                    tracing::warn!(error = %source, "the file system refused an operation");
                }
                ToolFailure {
                    code: error.code(),
                    message: error.to_string(),
                }
            }),
            Err(error) => {
                tracing::error!(%error, "file operation ended without a result");
                Err(ToolFailure::internal())
            }
        }
    }
}

fn perform(sandbox: &Sandbox, operation: &FileOperation) -> Result<String, FileError> {
    match operation {
        FileOperation::List { path } => sandbox.list(path).map(|listing| listed(&listing)),
        FileOperation::Read { path } => sandbox.read(path),
        FileOperation::Search { path, query } => {
            sandbox.search(path, query).map(|result| found(&result))
        }
        FileOperation::Write { path, content } => {
            let bytes = content.len();
            sandbox.write(path, content).map(|written| match written {
                Written::Created => format!("created `{path}` with {bytes} bytes"),
                Written::Replaced => format!("replaced `{path}` with {bytes} bytes"),
            })
        }
        FileOperation::Move { from, to } => sandbox
            .rename(from, to)
            .map(|()| format!("moved `{from}` to `{to}`")),
        FileOperation::Delete { path } => {
            sandbox.delete(path).map(|()| format!("deleted `{path}`"))
        }
    }
}

fn listed(listing: &Listing) -> String {
    let mut text = String::new();
    for entry in &listing.entries {
        let name = &entry.name;
        // Writing to a string cannot fail.
        let _ = match entry.kind {
            EntryKind::Directory => writeln!(text, "{name}/"),
            EntryKind::File { size } => writeln!(text, "{name}\t{size} bytes"),
            EntryKind::Other => writeln!(text, "{name}\tneither file nor directory"),
        };
    }
    if listing.truncated {
        text.push_str("(there are more entries than can be listed)\n");
    }
    if listing.unaddressable > 0 {
        let count = listing.unaddressable;
        let _ = writeln!(
            text,
            "({count} entries have names that no tool can address)"
        );
    }
    if text.is_empty() {
        text.push_str("(empty directory)\n");
    }
    text
}

fn found(found: &Found) -> String {
    let mut text = String::new();
    for place in &found.matches {
        let path = &place.path;
        let _ = match &place.line {
            None => writeln!(text, "{path}"),
            Some((number, line)) => writeln!(text, "{path}:{number}: {line}"),
        };
    }
    if found.matches.is_empty() {
        text.push_str("(nothing found)\n");
    }
    if found.incomplete {
        text.push_str("(the search stopped at a limit; search a smaller directory)\n");
    }
    text
}
