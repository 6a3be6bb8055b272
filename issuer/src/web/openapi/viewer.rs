//! The page that shows the description: made from it once, without a script.

use std::sync::LazyLock;

use askama::Template;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::{
    super::{
        failure::{Failure, Fault, PageFailure},
        pages,
    },
    DOCUMENT,
};

/// `GET /api`
pub(in crate::web) async fn page() -> Result<Response, PageFailure> {
    static PAGE: LazyLock<Option<String>> = LazyLock::new(|| ApiPage::of(&DOCUMENT).render().ok());
    match &*PAGE {
        Some(text) => Ok(pages::html(text.clone()).into_response()),
        None => Err(Failure::new(Fault::Internal, "The page could not be shown.").into()),
    }
}

#[derive(Template)]
#[template(path = "api.html")]
struct ApiPage {
    title: String,
    description: String,
    sections: Vec<Section>,
    schemas: Vec<SchemaView>,
}

/// The operations of one tag.
struct Section {
    name: String,
    description: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    /// Whose token it takes; empty where it takes none.
    callers: Vec<String>,
    parameters: Vec<Member>,
    /// The schema of the body, if it has one.
    body: Option<Shape>,
    responses: Vec<Answer>,
}

struct Answer {
    status: String,
    description: String,
    body: Option<Shape>,
}

struct SchemaView {
    name: String,
    description: String,
    words: Vec<String>,
    members: Vec<Member>,
}

struct Member {
    name: String,
    shape: Shape,
    required: bool,
    description: String,
}

/// A type in a word, with the schema that it is or is made of.
#[derive(Default)]
struct Shape {
    word: String,
    schema: Option<String>,
}

impl ApiPage {
    fn of(document: &Value) -> Self {
        let tags = document.pointer("/tags").and_then(Value::as_array);
        let sections = tags.into_iter().flatten().map(|tag| {
            let name = text(tag, "name");
            Section {
                operations: operations(document, &name),
                description: text(tag, "description"),
                name,
            }
        });
        let schemas = object(document, "/components/schemas");
        Self {
            title: text(document.pointer("/info").unwrap_or(&Value::Null), "title"),
            description: text(
                document.pointer("/info").unwrap_or(&Value::Null),
                "description",
            ),
            sections: sections.collect(),
            schemas: schemas
                .into_iter()
                .flatten()
                .map(|(name, schema)| SchemaView::of(name, schema))
                .collect(),
        }
    }
}

impl SchemaView {
    fn of(name: &str, schema: &Value) -> Self {
        let parts = schema.get("allOf").and_then(Value::as_array);
        let parts: Vec<&Value> = match parts {
            Some(parts) => parts.iter().collect(),
            None => vec![schema],
        };
        let words = schema.get("enum").and_then(Value::as_array);
        let mut words: Vec<String> = words
            .into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect();
        let choices = schema.get("oneOf").and_then(Value::as_array);
        let choices = choices.into_iter().flatten().map(Shape::of);
        words.extend(choices.filter_map(|shape| shape.schema));
        Self {
            name: name.to_owned(),
            description: text(schema, "description"),
            words,
            members: parts.into_iter().flat_map(members).collect(),
        }
    }
}

fn operations(document: &Value, tag: &str) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in object(document, "/paths").into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let tags = operation.get("tags").and_then(Value::as_array);
            if tags.is_some_and(|tags| tags.iter().any(|own| own == tag)) {
                found.push(Operation::of(path, method, operation));
            }
        }
    }
    found
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value) -> Self {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let parameters = parameters.into_iter().flatten().map(|parameter| Member {
            name: text(parameter, "name"),
            shape: Shape::of(parameter.get("schema").unwrap_or(&Value::Null)),
            required: parameter.get("required") == Some(&Value::Bool(true)),
            description: text(parameter, "description"),
        });
        let security = operation.get("security").and_then(Value::as_array);
        let callers = security.into_iter().flatten().filter_map(Value::as_object);
        let responses = operation.get("responses").and_then(Value::as_object);
        let responses = responses
            .into_iter()
            .flatten()
            .map(|(status, response)| Answer {
                status: status.clone(),
                description: text(response, "description"),
                body: content(response),
            });
        Self {
            id: text(operation, "operationId"),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(operation, "summary"),
            description: text(operation, "description"),
            callers: callers.flat_map(Map::keys).cloned().collect(),
            parameters: parameters.collect(),
            body: operation.get("requestBody").and_then(content),
            responses: responses.collect(),
        }
    }
}

impl Shape {
    fn of(schema: &Value) -> Self {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or_default().to_owned();
            return Self {
                word: name.clone(),
                schema: Some(name),
            };
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            let shapes: Vec<Self> = choices.iter().map(Self::of).collect();
            let words: Vec<&str> = shapes.iter().map(|shape| shape.word.as_str()).collect();
            return Self {
                word: words.join(" or "),
                schema: shapes.into_iter().find_map(|shape| shape.schema),
            };
        }
        let word = match schema.get("type") {
            Some(Value::String(word)) => word.clone(),
            Some(Value::Array(words)) => {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                words.join(" or ")
            }
            _ => "anything".to_owned(),
        };
        match schema.get("items") {
            Some(items) => {
                let item = Self::of(items);
                Self {
                    word: format!("{word} of {}", item.word),
                    schema: item.schema,
                }
            }
            None => Self { word, schema: None },
        }
    }
}

fn members(schema: &Value) -> Vec<Member> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let shape = Shape::of(schema);
        let name = name.rsplit('/').next().unwrap_or_default();
        return vec![Member {
            name: "…".to_owned(),
            shape,
            required: true,
            description: format!("Every member of {name}"),
        }];
    }
    let members = schema.get("properties").and_then(Value::as_object);
    let members = members.into_iter().flatten().map(|(name, schema)| Member {
        name: name.clone(),
        shape: Shape::of(schema),
        required: is_required(name),
        description: text(schema, "description"),
    });
    members.collect()
}

/// The schema of the first kind of content.
fn content(holder: &Value) -> Option<Shape> {
    let content = holder.get("content").and_then(Value::as_object)?;
    let (kind, media) = content.iter().next()?;
    let schema = media.get("schema").unwrap_or(&Value::Null);
    let mut shape = Shape::of(schema);
    if shape.schema.is_none() {
        shape.word = format!("{} ({kind})", shape.word);
    }
    Some(shape)
}

fn object<'a>(document: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    document.pointer(pointer).and_then(Value::as_object)
}

fn text(holder: &Value, name: &str) -> String {
    let text = holder.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
