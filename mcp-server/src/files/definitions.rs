//! How the file tools describe themselves to clients and approvers.

use serde_json::{Map, Value, json};

use crate::catalogue::{Annotations, Description};

use super::{operation::FileTool, sandbox::MAX_FILE_BYTES, search::MAX_QUERY_CHARS};

/// The words, schema and hints of one file tool.
pub(crate) fn describe(tool: FileTool) -> Description {
    match tool {
        FileTool::ListDirectory => Description {
            title: "List a directory",
            description: "Lists the names in a directory of the sandbox, directories with a \
                          trailing `/`, files with their size in bytes. Leave `path` out for the \
                          top directory.",
            resource_hint: "`files/` and the argument `path`; `files` without it",
            input_schema: schema(json!({ "path": directory("The directory to list") }), &[]),
            annotations: Annotations {
                destructive: false,
                idempotent: true,
            },
        },
        FileTool::ReadFile => Description {
            title: "Read a file",
            description: "Gives the text of one file of the sandbox. Files that are not UTF-8 \
                          text, or larger than 1 MiB, are refused.",
            resource_hint: "`files/` and the argument `path`",
            input_schema: schema(json!({ "path": file("The file to read") }), &["path"]),
            annotations: Annotations {
                destructive: false,
                idempotent: true,
            },
        },
        FileTool::Search => Description {
            title: "Search files",
            description: "Finds a text in the names and lines of the files under a directory of \
                          the sandbox, upper and lower case alike. Gives at most 100 places as \
                          `path:line: text`. Leave `path` out to search everything.",
            resource_hint: "`files/` and the argument `path`; `files` without it",
            input_schema: schema(
                json!({
                    "path": directory("The directory or file to search"),
                    "query": {
                        "type": "string",
                        "description": "The text to look for",
                        "minLength": 1,
                        "maxLength": MAX_QUERY_CHARS,
                    },
                }),
                &["query"],
            ),
            annotations: Annotations {
                destructive: false,
                idempotent: true,
            },
        },
        FileTool::WriteFile => Description {
            title: "Write a file",
            description: "Puts a text into a file of the sandbox, whole or not at all. A file \
                          that is already there is replaced; missing directories are made.",
            resource_hint: "`files/` and the argument `path`",
            input_schema: schema(
                json!({
                    "path": file("The file to write"),
                    "content": {
                        "type": "string",
                        "description": "The new text of the file, at most 1 MiB",
                        "maxLength": MAX_FILE_BYTES,
                    },
                }),
                &["path", "content"],
            ),
            annotations: Annotations {
                destructive: true,
                idempotent: true,
            },
        },
        FileTool::MoveFile => Description {
            title: "Move a file",
            description: "Gives a file of the sandbox another name or directory. Never \
                          overwrites: the new name must be free.",
            resource_hint: "two resources, both needed: `files/` and the argument `from`, \
                            `files/` and the argument `to`",
            input_schema: schema(
                json!({
                    "from": file("The file to move"),
                    "to": file("Its new path, which must be free"),
                }),
                &["from", "to"],
            ),
            annotations: Annotations {
                destructive: false,
                idempotent: false,
            },
        },
        FileTool::DeleteFile => Description {
            title: "Delete a file",
            description: "Removes one file of the sandbox for good. Directories are refused.",
            resource_hint: "`files/` and the argument `path`",
            input_schema: schema(json!({ "path": file("The file to delete") }), &["path"]),
            annotations: Annotations {
                destructive: true,
                idempotent: true,
            },
        },
    }
}

fn file(description: &str) -> Value {
    json!({
        "type": "string",
        "description": format!(
            "{description}: a path below the sandbox such as `reports/q3.md`, without a leading \
             `/` and without `.` or `..` segments"
        ),
        "minLength": 1,
    })
}

fn directory(description: &str) -> Value {
    json!({
        "type": "string",
        "description": format!(
            "{description}: a path below the sandbox such as `reports`, without a leading or \
             trailing `/` and without `.` or `..` segments"
        ),
    })
}

fn schema(properties: Value, required: &[&str]) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties);
    schema.insert("required".to_owned(), json!(required));
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}
