//! Refused requests on the record, and no more of them than a record can take.
//!
//! A line for each would let strangers fill the disk. So of each kind, which is a route and a code,
//! a few a minute get a line, and of all kinds together somewhat more; the rest are counted, and
//! the first line after that minute says how many there were. Strangers take no lines from people
//! who are signed in. What is lost when the process ends
//! before that line are counts, never a decision. What a refusal is, the edge says.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

use crate::core::Core;

/// How long counts go on.
const WINDOW: Duration = Duration::from_secs(60);
/// Most lines of one kind in that time.
const MAX_LINES_OF_A_KIND: u32 = 10;
/// Most lines of all kinds in that time.
const MAX_LINES: u32 = 60;
/// Most kinds that are told apart. Routes and codes are ours, so there are not many.
const MAX_KINDS: usize = 256;

/// A refused request.
pub(crate) struct Refused {
    /// The pattern of its path.
    pub(crate) route: String,
    /// The code of the answer.
    pub(crate) code: &'static str,
    /// The id that log lines and the answer carry.
    pub(crate) request_id: String,
    /// Whose browser it came from.
    pub(crate) by: Option<String>,
}

/// How many were refused lately, of strangers and of people.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) of_strangers: Lately,
    pub(crate) of_people: Lately,
}

/// How many were refused lately.
#[derive(Debug, Default)]
pub(crate) struct Lately(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// On the monotonic clock.
    began: Duration,
    lines: u32,
    kinds: BTreeMap<(String, &'static str), Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    lines: u32,
    without_line: u64,
}

impl Lately {
    /// Counts a refusal. `Some` where it gets a line: with the counts of those before it that got
    /// none.
    pub(crate) fn count(
        &self,
        route: &str,
        code: &'static str,
        now: Duration,
    ) -> Option<Vec<Value>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missed = Vec::new();
        if now >= counts.began.saturating_add(WINDOW) {
            let before = std::mem::take(&mut *counts);
            let silent = before.kinds.into_iter();
            let silent = silent.filter(|(_, kind)| kind.without_line > 0);
            missed = silent
                .map(|((route, code), kind)| {
                    json!({"route": route, "code": code, "count": kind.without_line})
                })
                .collect();
            counts.began = now;
        }
        let mut key = (route.to_owned(), code);
        if counts.kinds.len() >= MAX_KINDS && !counts.kinds.contains_key(&key) {
            key = (String::new(), "other");
        }
        let room = counts.lines < MAX_LINES;
        let kind = counts.kinds.entry(key).or_default();
        if !(room && kind.lines < MAX_LINES_OF_A_KIND) {
            kind.without_line = kind.without_line.saturating_add(1);
            return None;
        }
        kind.lines = kind.lines.saturating_add(1);
        counts.lines = counts.lines.saturating_add(1);
        Some(missed)
    }
}

impl Core {
    /// Records a refusal that [`Lately::count`] gave a line. That it cannot be recorded changes
    /// nothing: it is refused all the same, and the log says so.
    pub(crate) async fn note_refused(&self, refused: Refused, missed: Vec<Value>) {
        let mut fields = json!({
            "route": refused.route,
            "code": refused.code,
            "request_id": refused.request_id,
            "by": refused.by,
        });
        if let (false, Some(fields)) = (missed.is_empty(), fields.as_object_mut()) {
            fields.insert("not_recorded_before".to_owned(), Value::Array(missed));
        }
        let now = self.clock.now().utc;
        if let Err(error) = self.audit.record(now, "request_refused", fields).await {
            tracing::error!(%error, "a refusal could not be recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    #[test]
    fn ten_of_a_kind_get_a_line_and_the_rest_are_counted_for_the_next_minute() {
        let refusals = Lately::default();
        for _ in 0..10 {
            assert_eq!(refusals.count("/a", "x", START), Some(Vec::new()));
        }
        let last = START + WINDOW - Duration::from_millis(1);
        for _ in 0..3 {
            assert_eq!(refusals.count("/a", "x", last), None);
        }
        assert_eq!(refusals.count("/a", "y", last), Some(Vec::new()));
        assert_eq!(refusals.count("/b", "x", last), Some(Vec::new()));
        let missed = json!([{"route": "/a", "code": "x", "count": 3}]);
        let next = refusals.count("/b", "x", START + WINDOW);
        assert_eq!(next.map(Value::Array), Some(missed));
        assert_eq!(refusals.count("/a", "x", START + WINDOW), Some(Vec::new()));
    }

    #[test]
    fn sixty_of_all_kinds_get_a_line_and_one_more_does_not() {
        let refusals = Lately::default();
        for number in 0..60 {
            let route = format!("/{number}");
            assert!(refusals.count(&route, "x", START).is_some(), "{number}");
        }
        assert_eq!(refusals.count("/60", "x", START), None);
        assert!(refusals.count("/60", "x", START + WINDOW).is_some());
    }

    #[test]
    fn kinds_beyond_the_last_are_counted_as_one() {
        let refusals = Lately::default();
        for number in 0..MAX_KINDS + 7 {
            refusals.count(&format!("/{number}"), "x", START);
        }
        let missed = refusals.count("/", "x", START + WINDOW).unwrap();
        assert_eq!(missed.len(), MAX_KINDS - 60 + 1);
        assert_eq!(missed[0], json!({"route": "", "code": "other", "count": 7}));
    }
}
