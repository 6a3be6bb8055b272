//! The audit record as a hash chain of JSON lines.
//!
//! Owns how a line is made and how a run of lines is checked: pure functions over text. Writing
//! lines durably, before the effect they record, is left to the services that own the files.
//!
//! A line is one JSON object in canonical form ([RFC 8785](https://www.rfc-editor.org/rfc/rfc8785)):
//!
//! ```json
//! {"event":"…","fields":{…},"hash":"…","prev":"…","seq":1,"time":"2026-01-31T12:00:00Z"}
//! ```
//!
//! `seq` counts from 1; `prev` is the `hash` of the line before, or 64 zeros in the first; `hash` is
//! the SHA-256, in hex, of `bailiwick audit v1`, a zero byte, and the line without its `hash`.
//!
//! # What the chain proves
//!
//! An edited, inserted, reordered or missing line inside a run breaks the chain. A run that was cut
//! off at its end, or written anew from its start, is a whole chain too: compare [`Summary::seq`]
//! and [`Summary::hash`] with a copy kept elsewhere.

use bailiwick_datalog::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What is hashed before each line, so that these hashes mean nothing elsewhere.
const DOMAIN: &[u8] = b"bailiwick audit v1\0";

/// `prev` of the first line.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Highest sequence number: the last integer that every JSON reader keeps exact.
const MAX_SEQ: u64 = (1 << 53) - 1;

/// The end of a chain, to which lines are appended.
///
/// The state moves with [`Chain::append`], whether or not the line was then stored. A service
/// whose write may fail appends to a clone and keeps it once the line is durable:
///
/// ```
/// # use bailiwick_verifier::audit::Chain;
/// # use bailiwick_datalog::Timestamp;
/// # fn store(_line: &str) -> std::io::Result<()> { Ok(()) }
/// # let mut chain = Chain::new();
/// let mut next = chain.clone();
/// let line = next.append(Timestamp::EPOCH, "sign_in", serde_json::json!({"approver": "ada"}))?;
/// if store(&line).is_ok() {
///     chain = next;
/// }
/// # Ok::<(), bailiwick_verifier::audit::AuditError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Sequence number of the last line; 0 before the first.
    seq: u64,
    /// Hash of the last line; zeros before the first.
    hash: String,
}

/// One line, read and found whole by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number, counting from 1.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// What happened.
    pub event: String,
    /// The particulars, an object.
    pub fields: Value,
    /// Hash of the line before.
    pub prev: String,
    /// Hash of this line.
    pub hash: String,
}

/// What a whole chain amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Number of lines.
    pub lines: u64,
    /// Sequence number of the last line; 0 if there is none.
    pub seq: u64,
    /// Hash of the last line; zeros if there is none.
    pub hash: String,
    /// When the first line was written.
    pub first: Option<Timestamp>,
    /// When the last line was written.
    pub last: Option<Timestamp>,
}

/// A line that is not what the chain demands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audit line {line}: {what}")]
pub struct AuditError {
    /// Which line, counting from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: AuditFault,
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// It is not a JSON object with exactly the members of a line.
    #[error("not an audit record")]
    Malformed,
    /// It is one, but not written the one canonical way.
    #[error("not in canonical form")]
    NotCanonical,
    /// Its hash is not that of its content: it was edited.
    #[error("the content does not match its hash")]
    Hash,
    /// It does not follow the line before: one was removed, inserted or moved.
    #[error("number {found} stands where {expected} belongs")]
    Sequence {
        /// The number that belongs here.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// It has the right number but names another line as the one before.
    #[error("it does not link to the line before it")]
    Link,
    /// The fields to record are not a JSON object.
    #[error("the fields of a record must be an object")]
    FieldsNotAnObject,
    /// No sequence number is left.
    #[error("the chain is full")]
    Full,
}

/// The members that are hashed. Canonical form puts them in order.
#[derive(Serialize)]
struct Content<'a> {
    seq: u64,
    time: Timestamp,
    event: &'a str,
    fields: &'a Value,
    prev: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    content: Content<'a>,
    hash: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineText {
    seq: u64,
    time: Timestamp,
    event: String,
    fields: Value,
    prev: String,
    hash: String,
}

impl Chain {
    /// A chain without lines.
    #[must_use]
    pub fn new() -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
        }
    }

    /// The chain that ends with `last_line`.
    ///
    /// Proves that this line is whole by itself; not that the lines before it are.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if it is not, counted as line 1.
    pub fn resume(last_line: &str) -> Result<Self, AuditError> {
        let entry = Entry::parse(last_line).map_err(|what| AuditError { line: 1, what })?;
        Ok(Self {
            seq: entry.seq,
            hash: entry.hash,
        })
    }

    /// Makes the next line, without a line break, and moves on.
    ///
    /// Numbers in `fields` are written as RFC 8785 writes them, as doubles: pass larger integers
    /// as strings.
    ///
    /// # Errors
    ///
    /// [`AuditFault::FieldsNotAnObject`] and [`AuditFault::Full`], with the line that could not be
    /// made. The chain then stays where it was.
    pub fn append(
        &mut self,
        at: Timestamp,
        event: &str,
        fields: Value,
    ) -> Result<String, AuditError> {
        let seq = self.seq.saturating_add(1);
        let fault = |what| AuditError { line: seq, what };
        if seq > MAX_SEQ {
            return Err(fault(AuditFault::Full));
        }
        if !fields.is_object() {
            return Err(fault(AuditFault::FieldsNotAnObject));
        }
        let content = Content {
            seq,
            time: at,
            event,
            fields: &fields,
            prev: &self.hash,
        };
        let hash = content.hash().map_err(fault)?;
        let line = canonical(&Line {
            content,
            hash: &hash,
        })
        .map_err(fault)?;
        *self = Self { seq, hash };
        Ok(line)
    }

    /// Sequence number of the last line; 0 before the first.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Hash of the last line; zeros before the first.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Checks that `entry` is the next one, and moves on.
    fn follow(&mut self, entry: &Entry) -> Result<(), AuditFault> {
        let expected = self.seq.saturating_add(1);
        if entry.seq != expected {
            return Err(AuditFault::Sequence {
                expected,
                found: entry.seq,
            });
        }
        if entry.prev != self.hash {
            return Err(AuditFault::Link);
        }
        *self = Self {
            seq: entry.seq,
            hash: entry.hash.clone(),
        };
        Ok(())
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    /// Reads one line, without a line break.
    ///
    /// Proves that its hash is that of its content; not its place in a chain.
    ///
    /// # Errors
    ///
    /// [`AuditFault::Malformed`], [`AuditFault::NotCanonical`] or [`AuditFault::Hash`].
    pub fn parse(line: &str) -> Result<Self, AuditFault> {
        let text: LineText = serde_json::from_str(line).map_err(|_| AuditFault::Malformed)?;
        if !text.fields.is_object() {
            return Err(AuditFault::Malformed);
        }
        let content = Content {
            seq: text.seq,
            time: text.time,
            event: &text.event,
            fields: &text.fields,
            prev: &text.prev,
        };
        let hash = content.hash()?;
        let rewritten = canonical(&Line {
            content,
            hash: &text.hash,
        })?;
        if rewritten != line {
            return Err(AuditFault::NotCanonical);
        }
        if hash != text.hash {
            return Err(AuditFault::Hash);
        }
        Ok(Self {
            seq: text.seq,
            time: text.time,
            event: text.event,
            fields: text.fields,
            prev: text.prev,
            hash: text.hash,
        })
    }
}

impl Content<'_> {
    fn hash(&self) -> Result<String, AuditFault> {
        let digest = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update(canonical(self)?)
            .finalize();
        Ok(hex::encode(digest))
    }
}

fn canonical(value: &impl Serialize) -> Result<String, AuditFault> {
    serde_json_canonicalizer::to_string(value).map_err(|_| AuditFault::Malformed)
}

/// Checks a run of lines from the first one of a chain.
///
/// # Errors
///
/// [`AuditError`] for the first line that was edited, or that does not follow the one before.
pub fn verify<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Result<Summary, AuditError> {
    let mut chain = Chain::new();
    let mut summary = Summary {
        lines: 0,
        seq: 0,
        hash: GENESIS.to_owned(),
        first: None,
        last: None,
    };
    for line in lines {
        let number = summary.lines.saturating_add(1);
        let entry = Entry::parse(line.as_ref())
            .and_then(|entry| chain.follow(&entry).map(|()| entry))
            .map_err(|what| AuditError { line: number, what })?;
        summary.lines = number;
        summary.first = summary.first.or(Some(entry.time));
        summary.last = Some(entry.time);
    }
    summary.seq = chain.seq;
    summary.hash = chain.hash;
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: Timestamp = Timestamp::from_unix(1_769_860_800);

    fn lines(count: u64) -> Vec<String> {
        let mut chain = Chain::new();
        (0..count)
            .map(|n| {
                let at = Timestamp::from_unix(AT.unix() + n);
                chain
                    .append(at, "call", json!({"n": n, "b": "é", "a": []}))
                    .unwrap()
            })
            .collect()
    }

    fn refused(lines: &[String]) -> (u64, AuditFault) {
        let error = verify(lines).unwrap_err();
        (error.line, error.what)
    }

    #[test]
    fn a_line_is_canonical_json_with_the_documented_members() {
        let line = &lines(1)[0];
        let hash = Chain::resume(line).unwrap().hash().to_owned();
        assert_eq!(
            *line,
            format!(
                concat!(
                    r#"{{"event":"call","fields":{{"a":[],"b":"é","n":0}},"hash":"{}","#,
                    r#""prev":"{}","seq":1,"time":"2026-01-31T12:00:00Z"}}"#
                ),
                hash,
                "0".repeat(64)
            )
        );
        let unhashed = line.replace(&format!(r#""hash":"{hash}","#), "");
        let digest = Sha256::digest([b"bailiwick audit v1\0", unhashed.as_bytes()].concat());
        assert_eq!(hash, hex::encode(digest));
    }

    #[test]
    fn a_whole_chain_is_summed_up() {
        let lines = lines(5);
        let summary = verify(&lines).unwrap();
        assert_eq!(summary.lines, 5);
        assert_eq!(summary.seq, 5);
        assert_eq!(summary.hash, Chain::resume(&lines[4]).unwrap().hash());
        assert_eq!(summary.first, Some(AT));
        assert_eq!(summary.last.map(Timestamp::unix), Some(AT.unix() + 4));
    }

    #[test]
    fn a_chain_without_lines_is_whole() {
        let summary = verify(Vec::<String>::new()).unwrap();
        assert_eq!((summary.lines, summary.seq, summary.first), (0, 0, None));
        assert_eq!(summary.hash, "0".repeat(64));
    }

    #[test]
    fn a_resumed_chain_goes_on_where_it_ended() {
        let mut lines = lines(2);
        let mut chain = Chain::resume(&lines[1]).unwrap();
        lines.push(chain.append(AT, "call", json!({})).unwrap());
        assert_eq!(verify(&lines).unwrap().seq, 3);
    }

    #[test]
    fn a_chain_tells_the_number_and_hash_of_its_last_line() {
        let mut chain = Chain::new();
        assert_eq!((chain.seq(), chain.hash()), (0, GENESIS));
        for seq in 1..=3 {
            let line = chain.append(AT, "call", json!({})).unwrap();
            let entry = Entry::parse(&line).unwrap();
            assert_eq!((chain.seq(), chain.hash()), (seq, entry.hash.as_str()));
            assert_eq!(Chain::resume(&line), Ok(chain.clone()));
        }
    }

    #[test]
    fn every_changed_byte_is_found() {
        let lines = lines(3);
        for at in 0..lines[1].len() {
            let mut bytes = lines[1].clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(edited) = String::from_utf8(bytes) else {
                continue;
            };
            let mut edited_lines = lines.clone();
            edited_lines[1] = edited;
            assert!(verify(&edited_lines).is_err(), "byte {at}");
        }
    }

    #[test]
    fn an_edit_is_named_with_its_line() {
        let mut lines = lines(3);
        lines[1] = lines[1].replace(r#""n":1"#, r#""n":7"#);
        assert_eq!(refused(&lines), (2, AuditFault::Hash));
    }

    #[test]
    fn an_edit_with_a_matching_hash_breaks_the_link_of_the_next_line() {
        let mut lines = lines(3);
        let mut forged = Chain::resume(&lines[0]).unwrap();
        lines[1] = forged.append(AT, "call", json!({"n": 7})).unwrap();
        assert_eq!(refused(&lines), (3, AuditFault::Link));
    }

    #[test]
    fn a_missing_line_is_found() {
        let mut lines = lines(3);
        lines.remove(1);
        let what = AuditFault::Sequence {
            expected: 2,
            found: 3,
        };
        assert_eq!(refused(&lines), (2, what));
    }

    #[test]
    fn a_missing_first_line_is_found() {
        let what = AuditFault::Sequence {
            expected: 1,
            found: 2,
        };
        assert_eq!(refused(&lines(3)[1..]), (1, what));
    }

    #[test]
    fn a_repeated_line_is_found() {
        let mut lines = lines(3);
        lines.insert(1, lines[1].clone());
        let what = AuditFault::Sequence {
            expected: 3,
            found: 2,
        };
        assert_eq!(refused(&lines), (3, what));
    }

    #[test]
    fn lines_out_of_order_are_found() {
        let mut lines = lines(3);
        lines.swap(1, 2);
        let what = AuditFault::Sequence {
            expected: 2,
            found: 3,
        };
        assert_eq!(refused(&lines), (2, what));
    }

    #[test]
    fn one_record_has_one_text() {
        let good = lines(1).remove(0);
        assert!(Entry::parse(&good).is_ok());
        for (bad, what) in [
            (format!("{good} "), AuditFault::NotCanonical),
            (good.replacen(',', ", ", 1), AuditFault::NotCanonical),
            (good.replacen("é", "\\u00e9", 1), AuditFault::NotCanonical),
            (
                good.replacen(r#""n":0"#, r#""n":0,"n":0"#, 1),
                AuditFault::NotCanonical,
            ),
            (
                good.replacen("12:00:00Z", "13:00:00+01:00", 1),
                AuditFault::NotCanonical,
            ),
            (
                good.replacen(r#""seq":1"#, r#""seq":1,"seq":1"#, 1),
                AuditFault::Malformed,
            ),
            (
                good.replacen(r#""seq":1"#, r#""more":0,"seq":1"#, 1),
                AuditFault::Malformed,
            ),
            (
                good.replacen(r#""event":"call","#, "", 1),
                AuditFault::Malformed,
            ),
            (String::new(), AuditFault::Malformed),
            ("{".to_owned(), AuditFault::Malformed),
            ("[]".to_owned(), AuditFault::Malformed),
        ] {
            assert_ne!(bad, good);
            assert_eq!(
                Entry::parse(&bad).map(|entry| entry.seq),
                Err(what),
                "{bad}"
            );
        }
    }

    #[test]
    fn fields_must_be_an_object() {
        let mut chain = Chain::new();
        for fields in [json!(null), json!([1]), json!("x")] {
            let error = chain.append(AT, "call", fields).unwrap_err();
            assert_eq!(error.what, AuditFault::FieldsNotAnObject);
        }
        assert_eq!(
            chain,
            Chain::new(),
            "a refusal leaves the chain where it was"
        );
    }

    #[test]
    fn the_last_number_is_the_last_exact_one() {
        assert_eq!(MAX_SEQ, 9_007_199_254_740_991);
        let mut chain = Chain {
            seq: MAX_SEQ - 1,
            hash: GENESIS.to_owned(),
        };
        let line = chain.append(AT, "call", json!({})).unwrap();
        assert_eq!(Entry::parse(&line).unwrap().seq, MAX_SEQ);
        let error = chain.append(AT, "call", json!({})).unwrap_err();
        assert_eq!(error.what, AuditFault::Full);
    }

    #[test]
    fn integers_too_large_for_a_double_are_written_as_the_nearest_one() {
        let mut chain = Chain::new();
        let line = chain.append(AT, "call", json!({"n": u64::MAX})).unwrap();
        assert!(line.contains(r#""n":18446744073709552000"#), "{line}");
        assert!(Entry::parse(&line).is_ok());
    }
}
