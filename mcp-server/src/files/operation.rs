//! The six file tools as one typed value: what a call asks for, and what has to be granted.
//!
//! [`FileOperation::parse`] is the only way from JSON arguments to an operation. The resources
//! to authorize come from the operation, never from the JSON again, and the provider executes
//! the operation, so both speak of the same thing.

use bailiwick_datalog::{Access, ResourceError, ResourcePath};
use serde_json::{Map, Value};

use crate::arguments::{ArgumentError, ArgumentReader};

use super::{
    path::{DirPath, FilePath},
    search::MAX_QUERY_CHARS,
};

/// Which of the file tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileTool {
    /// `files.list_directory`
    ListDirectory,
    /// `files.read_file`
    ReadFile,
    /// `files.search`
    Search,
    /// `files.write_file`
    WriteFile,
    /// `files.move_file`
    MoveFile,
    /// `files.delete_file`
    DeleteFile,
}

impl FileTool {
    /// Every file tool, in the order they are listed.
    pub(crate) const ALL: [Self; 6] = [
        Self::ListDirectory,
        Self::ReadFile,
        Self::Search,
        Self::WriteFile,
        Self::MoveFile,
        Self::DeleteFile,
    ];

    /// The name in tokens and requests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ListDirectory => "files.list_directory",
            Self::ReadFile => "files.read_file",
            Self::Search => "files.search",
            Self::WriteFile => "files.write_file",
            Self::MoveFile => "files.move_file",
            Self::DeleteFile => "files.delete_file",
        }
    }

    /// What the tool does to its resources.
    pub(crate) fn access(self) -> Access {
        match self {
            Self::ListDirectory | Self::ReadFile | Self::Search => Access::Read,
            Self::WriteFile | Self::MoveFile => Access::Write,
            Self::DeleteFile => Access::Destructive,
        }
    }
}

/// One call of a file tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileOperation {
    /// Names and sizes in a directory.
    List {
        /// The directory.
        path: DirPath,
    },
    /// The text of a file.
    Read {
        /// The file.
        path: FilePath,
    },
    /// Names and lines that contain a text.
    Search {
        /// Where to look.
        path: DirPath,
        /// What to look for.
        query: String,
    },
    /// Put a text in place.
    Write {
        /// The file.
        path: FilePath,
        /// Its new text.
        content: String,
    },
    /// Give a file another name.
    Move {
        /// The name it has.
        from: FilePath,
        /// The name it shall have, which must be free.
        to: FilePath,
    },
    /// Remove a file.
    Delete {
        /// The file.
        path: FilePath,
    },
}

impl FileOperation {
    /// Reads the arguments of `tool`.
    ///
    /// # Errors
    /// [`ArgumentError`] for a missing, unknown or ill-typed argument, and for a path that could
    /// be read in two ways.
    pub(crate) fn parse(
        tool: FileTool,
        arguments: &Map<String, Value>,
    ) -> Result<Self, ArgumentError> {
        let mut reader = ArgumentReader::new(arguments);
        let operation = match tool {
            FileTool::ListDirectory => Self::List {
                path: dir_path(&mut reader)?,
            },
            FileTool::ReadFile => Self::Read {
                path: file_path(&mut reader, "path")?,
            },
            FileTool::Search => Self::Search {
                path: dir_path(&mut reader)?,
                query: query(&mut reader)?,
            },
            FileTool::WriteFile => Self::Write {
                path: file_path(&mut reader, "path")?,
                content: reader.required_text("content")?.to_owned(),
            },
            FileTool::MoveFile => Self::Move {
                from: file_path(&mut reader, "from")?,
                to: file_path(&mut reader, "to")?,
            },
            FileTool::DeleteFile => Self::Delete {
                path: file_path(&mut reader, "path")?,
            },
        };
        reader.finish()?;
        Ok(operation)
    }

    /// Everything the operation touches.
    ///
    /// # Errors
    /// [`ArgumentError`] when a path is too long to be a resource.
    pub(crate) fn resources(&self) -> Result<Vec<ResourcePath>, ArgumentError> {
        let named = |name, resource: Result<ResourcePath, ResourceError>| {
            resource.map_err(|reason| ArgumentError::Path { name, reason })
        };
        match self {
            Self::List { path } | Self::Search { path, .. } => {
                Ok(vec![named("path", path.resource())?])
            }
            Self::Read { path } | Self::Write { path, .. } | Self::Delete { path } => {
                Ok(vec![named("path", path.resource())?])
            }
            Self::Move { from, to } => Ok(vec![
                named("from", from.resource())?,
                named("to", to.resource())?,
            ]),
        }
    }

    /// The arguments that are paths, as constraints on arguments see them: below the root, as
    /// the caller wrote them. The root itself has no segments and therefore no entry.
    pub(crate) fn path_arguments(&self) -> Vec<(&'static str, ResourcePath)> {
        match self {
            Self::List { path } | Self::Search { path, .. } => path
                .relative()
                .map(|path| ("path", path.clone()))
                .into_iter()
                .collect(),
            Self::Read { path } | Self::Write { path, .. } | Self::Delete { path } => {
                vec![("path", path.relative().clone())]
            }
            Self::Move { from, to } => {
                vec![
                    ("from", from.relative().clone()),
                    ("to", to.relative().clone()),
                ]
            }
        }
    }
}

fn file_path(
    reader: &mut ArgumentReader<'_>,
    name: &'static str,
) -> Result<FilePath, ArgumentError> {
    FilePath::parse(reader.required_text(name)?)
        .map_err(|reason| ArgumentError::Path { name, reason })
}

fn dir_path(reader: &mut ArgumentReader<'_>) -> Result<DirPath, ArgumentError> {
    DirPath::parse(reader.optional_text("path")?).map_err(|reason| ArgumentError::Path {
        name: "path",
        reason,
    })
}

fn query(reader: &mut ArgumentReader<'_>) -> Result<String, ArgumentError> {
    let query = reader.required_text("query")?;
    match query.chars().count() {
        0 => Err(ArgumentError::Empty { name: "query" }),
        length if length > MAX_QUERY_CHARS => Err(ArgumentError::TooLong {
            name: "query",
            length,
            limit: MAX_QUERY_CHARS,
        }),
        _ => Ok(query.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(tool: FileTool, arguments: Value) -> Result<FileOperation, ArgumentError> {
        FileOperation::parse(tool, arguments.as_object().unwrap())
    }

    #[test]
    fn a_move_touches_both_sides() {
        let operation = parse(
            FileTool::MoveFile,
            json!({"from": "a/x.md", "to": "b/y.md"}),
        )
        .unwrap();
        let resources: Vec<_> = operation
            .resources()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(resources, ["files/a/x.md", "files/b/y.md"]);
        assert_eq!(operation.path_arguments().len(), 2);
    }

    #[test]
    fn unknown_missing_and_ill_typed_arguments_are_refused() {
        assert!(parse(FileTool::ReadFile, json!({"path": "a"})).is_ok());
        assert!(matches!(
            parse(FileTool::ReadFile, json!({"path": "a", "Path": "b"})),
            Err(ArgumentError::Unknown { .. })
        ));
        assert!(matches!(
            parse(FileTool::ReadFile, json!({})),
            Err(ArgumentError::Missing { name: "path" })
        ));
        for wrong in [
            json!({"path": null}),
            json!({"path": 1}),
            json!({"path": ["a"]}),
        ] {
            assert!(matches!(
                parse(FileTool::ReadFile, wrong.clone()),
                Err(ArgumentError::NotText { name: "path" })
            ));
            assert!(parse(FileTool::ListDirectory, wrong).is_err());
        }
    }

    #[test]
    fn a_path_with_a_second_reading_names_its_argument() {
        assert!(matches!(
            parse(FileTool::MoveFile, json!({"from": "a", "to": "../b"})),
            Err(ArgumentError::Path { name: "to", .. })
        ));
    }

    #[test]
    fn a_query_has_1_to_200_characters() {
        let search = |query: String| parse(FileTool::Search, json!({"query": query}));
        assert!(search("ü".repeat(200)).is_ok());
        assert!(matches!(
            search("ü".repeat(201)),
            Err(ArgumentError::TooLong { .. })
        ));
        assert!(matches!(
            search(String::new()),
            Err(ArgumentError::Empty { .. })
        ));
    }
}
