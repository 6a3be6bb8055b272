//! Reads a page's forms as a browser would, so that a test can submit one as
//! it is or edited by hand.

/// One form of a page, with the fields that submitting it would send.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// Every form of a page.
    pub(crate) fn all(html: &str) -> Vec<Self> {
        html.split("<form").skip(1).map(Self::read).collect()
    }

    /// The one form whose action contains `part`.
    pub(crate) fn of(html: &str, part: &str) -> Self {
        let mut matching = Self::all(html)
            .into_iter()
            .filter(|form| form.action.contains(part));
        matching
            .next()
            .unwrap_or_else(|| panic!("no form for `{part}` in:\n{html}"))
    }

    /// The first value of a field.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// The names of all fields whose name starts with `prefix`.
    pub(crate) fn names(&self, prefix: &str) -> Vec<&str> {
        let names = self.fields.iter().map(|(name, _)| name.as_str());
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    /// Replaces every value of a field, or adds the field.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(other, _)| other != name);
        self.add(name, value)
    }

    /// Adds a field, beside others of the same name.
    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Unticks a box: removes the field with just this value.
    pub(crate) fn untick(mut self, name: &str, value: &str) -> Self {
        let before = self.fields.len();
        self.fields
            .retain(|(other, held)| !(other == name && held == value));
        assert!(
            self.fields.len() < before,
            "`{name}={value}` is ticked: {:?}",
            self.fields
        );
        self
    }

    /// Removes every field of a name.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(other, _)| other != name);
        self
    }

    /// The fields, ready to be sent.
    pub(crate) fn fields(&self) -> Vec<(&str, &str)> {
        let pairs = self.fields.iter();
        pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    /// Reads from just after `<form`.
    fn read(rest: &str) -> Self {
        let (head, body) = rest.split_once('>').expect("a form tag ends");
        let body = body.split("</form>").next().unwrap_or_default();
        let mut fields = Vec::new();
        for tag in body.split('<').skip(1) {
            if let Some(attributes) = tag.strip_prefix("input") {
                fields.extend(input(attributes));
            } else if let Some(attributes) = tag.strip_prefix("textarea") {
                let (attributes, text) = attributes.split_once('>').unwrap_or_default();
                fields.extend(attribute(attributes, "name").map(|name| (name, unescaped(text))));
            }
        }
        Self {
            action: attribute(head, "action").unwrap_or_default(),
            fields,
        }
    }
}

fn input(attributes: &str) -> Option<(String, String)> {
    let attributes = attributes.split('>').next().unwrap_or_default();
    let kind = attribute(attributes, "type").unwrap_or_else(|| "text".to_owned());
    let sent = match kind.as_str() {
        "checkbox" | "radio" => attributes
            .split_whitespace()
            .any(|word| word.trim_end_matches('/') == "checked" || word.starts_with("checked=")),
        "submit" | "button" | "reset" => false,
        _ => true,
    };
    let name = attribute(attributes, "name")?;
    let value = attribute(attributes, "value");
    let value = value.unwrap_or_else(|| if kind == "checkbox" { "on" } else { "" }.to_owned());
    sent.then_some((name, value))
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let start = format!("{name}=\"");
    let mut rest = attributes;
    loop {
        let at = rest.find(&start)?;
        let after = &rest[at + start.len()..];
        // `name` is not the end of `data-name`.
        if rest[..at].ends_with(char::is_whitespace) {
            return after.split('"').next().map(unescaped);
        }
        rest = after;
    }
}

fn unescaped(text: &str) -> String {
    // `&amp;` last, so that nothing is unescaped twice.
    [
        ("&lt;", "<"),
        ("&#60;", "<"),
        ("&gt;", ">"),
        ("&#62;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn form_holds_what_a_browser_would_send() {
        let page = r#"<form method="post" action="/x">
            <input type="hidden" name="csrf" value="a&amp;b">
            <input type="checkbox" name="tool" value="one" checked>
            <input type="checkbox" name="tool" value="two">
            <input data-name="no" name="for" value="10m">
            <textarea name="reason">why</textarea>
            <button name="decision" value="approve">Approve</button></form>"#;
        let form = Form::of(page, "/x");
        let sent = [
            ("csrf", "a&b"),
            ("tool", "one"),
            ("for", "10m"),
            ("reason", "why"),
        ];
        assert_eq!(form.fields(), sent);
        assert_eq!(
            form.untick("tool", "one").set("for", "5m").value("for"),
            Some("5m")
        );
    }
}
