//! Text and JSON → argument constraints.

use bailiwick_datalog::{ArgumentConstraint, Caveat, Chain, LaterBlock, strict_json};

use super::scene::{ROOT, authority, mint, narrow};

/// A constraint that is read is written as JSON and as Datalog, and read back as the same.
pub(crate) fn run(data: &[u8]) -> bool {
    let from_json = strict_json::parse(data)
        .ok()
        .and_then(|rule| ArgumentConstraint::from_json("n", &rule).ok());
    let from_text = std::str::from_utf8(data)
        .ok()
        .and_then(|text| ArgumentConstraint::parse_cli(text).ok());
    let read: Vec<_> = from_json.into_iter().chain(from_text).collect();
    for constraint in &read {
        let json = constraint.rule_to_json();
        let again = ArgumentConstraint::from_json(&constraint.name, &json);
        assert_eq!(again.as_ref(), Ok(constraint));
        let text = format!("{}={json}", constraint.name);
        if !constraint.name.contains(['=', '?']) {
            assert_eq!(
                ArgumentConstraint::parse_cli(&text).as_ref(),
                Ok(constraint)
            );
        }
        assert_reads_back(constraint);
    }
    !read.is_empty()
}

fn assert_reads_back(constraint: &ArgumentConstraint) {
    let block = LaterBlock {
        caveats: vec![Caveat::Argument(constraint.clone())],
        ..LaterBlock::default()
    };
    let token = narrow(&mint(&authority(), ROOT), &block).to_vec().unwrap();
    let chain = Chain::decode_unverified(&token).expect("what is written can be read");
    assert_eq!(chain.blocks()[0].content, block);
    assert!(!constraint.in_words().contains(char::is_control));
}
