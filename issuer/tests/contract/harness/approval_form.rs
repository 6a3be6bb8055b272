//! The form on which a request is decided, as a browser reads and sends it.

use super::Reply;

/// The fields of an approval page as a browser would send them.
#[derive(Clone)]
pub(crate) struct ApprovalForm {
    pub(crate) path: String,
    pub(crate) page: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl ApprovalForm {
    pub(crate) fn read(path: String, page: Reply) -> Self {
        let (_, form) = page.body.split_once("id=\"decision\"").unwrap();
        let fields = form
            .split("<input ")
            .skip(1)
            .filter_map(|tag| {
                let tag = tag.split_once('>')?.0;
                let sent = !tag.contains("type=\"checkbox\"") || tag.contains(" checked");
                let name = unescape(attribute(tag, "name")?);
                sent.then(|| (name, unescape(attribute(tag, "value").unwrap_or_default())))
            })
            .collect();
        Self {
            path,
            page: page.body,
            fields,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the value of a field that is there once.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        let field = self.fields.iter_mut().find(|(n, _)| n == name);
        field.unwrap_or_else(|| panic!("no field {name}")).1 = value.to_owned();
        self
    }

    pub(crate) fn without(mut self, name: &str, value: &str) -> Self {
        let before = self.fields.len();
        self.fields.retain(|(n, v)| !(n == name && v == value));
        assert_eq!(self.fields.len(), before - 1, "{name}={value}");
        self
    }
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0)
}

fn unescape(text: &str) -> String {
    text.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}
