//! Text → resources and URLs, JSON → arguments.

use bailiwick_datalog::{
    Arguments, ResourcePath, ToolName, UrlArgument, canonical_call_digest, strict_json,
};
use serde_json::Value;

/// A canonical resource is its own text; strict JSON is what everybody reads; the digest of a call
/// depends on its value alone.
pub(crate) fn run(data: &[u8]) -> bool {
    let mut accepted = false;
    if let Ok(text) = std::str::from_utf8(data) {
        accepted |= resource(text) | url(text);
    }
    if let Ok(value) = strict_json::parse(data) {
        arguments(data, &value);
        accepted = true;
    }
    accepted
}

fn resource(text: &str) -> bool {
    let Ok(path) = ResourcePath::parse(text) else {
        return false;
    };
    assert_eq!(path.to_string(), text);
    assert_eq!(ResourcePath::parse(&path.to_string()), Ok(path.clone()));
    let segments = path.segments().iter().map(String::as_str);
    assert_eq!(ResourcePath::from_segments(segments), Ok(path.clone()));
    assert!(path.is_under(&path));
    if let Some((parent, _)) = text.rsplit_once('/') {
        let parent = ResourcePath::parse(parent).unwrap();
        assert!(path.is_under(&parent) && !parent.is_under(&path));
    }
    assert!(!text.contains("..") || !path.segments().iter().any(|s| s == ".."));
    true
}

fn url(text: &str) -> bool {
    let Some(url) = UrlArgument::parse(text) else {
        return false;
    };
    let again = format!("{}://{}:{}{}", url.scheme, url.host, url.port, url.path);
    let again = url::Url::parse(&again).unwrap();
    assert_eq!(again.host_str(), Some(url.host.as_str()));
    assert_eq!(again.path(), url.path);
    assert!(text.starts_with(&url.scheme) && text.contains(&url.host));
    assert!(again.username().is_empty() && again.password().is_none());
    true
}

fn arguments(data: &[u8], value: &Value) {
    assert_eq!(serde_json::from_slice::<Value>(data).unwrap(), *value);
    let Some(object) = value.as_object() else {
        return;
    };
    let arguments = Arguments::from_json(object);
    assert_eq!(arguments.len(), object.len());
    assert!(object.keys().all(|name| arguments.get(name).is_some()));
    let tool = ToolName::parse("files.read_file").unwrap();
    let digest = canonical_call_digest(&tool, object);
    let again = strict_json::parse(value.to_string().as_bytes()).unwrap();
    assert_eq!(
        canonical_call_digest(&tool, again.as_object().unwrap()),
        digest
    );
    let mut reversed: Vec<_> = object.clone().into_iter().collect();
    reversed.reverse();
    let reversed = reversed.into_iter().collect();
    assert_eq!(canonical_call_digest(&tool, &reversed), digest);
}
