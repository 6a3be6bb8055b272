//! What tokens and permits say of themselves, and what they never show.

use super::*;

#[test]
fn token_and_permit_name_the_session_and_all_who_have_a_part_in_it() {
    let token = narrowed(&mint(&authority()), vec![]);
    let token = UnverifiedToken::from_bytes(token.to_vec().unwrap()).unwrap();
    let verifier = verifier();
    let verified = verifier.verify(&token, at(1_500)).unwrap();
    let call = read("files/reports/q3.md");
    let permit = verifier.authorize(&token, &call, at(1_500)).unwrap();
    let names = [
        ["s-1"; 2],
        ["a-1"; 2],
        ["default"; 2],
        ["ada"; 2],
        ["agent"; 2],
    ];
    let shown = [
        [verified.session(), permit.session()],
        [verified.approval(), permit.approval()],
        [verified.application(), permit.application()],
        [verified.principal(), permit.principal()],
        [verified.agent(), permit.agent()],
    ];
    assert_eq!(shown, names);
    assert_eq!(permit.delegates().collect::<Vec<_>>(), ["sub-7"]);
    assert_eq!(verified.expires_at(), Timestamp::from_unix(2_000));
    let last = verified.chain().revocation_ids().last().copied();
    assert_eq!(Some(permit.token_id()), last);
    for key in [verified.key(), permit.key()] {
        assert_eq!((key.id(), *key.public_key()), (1, public(&root())));
    }
}

#[test]
fn a_tool_may_be_called_with_the_access_of_its_grant_unless_a_block_excludes_it() {
    let whole = mint(&authority());
    let moves = narrowed(
        &whole,
        vec![Caveat::Tools(vec!["files.move_file".to_owned()])],
    );
    for (token, tool, access, may) in [
        (&whole, "files.read_file", Access::Read, true),
        (&whole, "files.read_file", Access::Write, false),
        (&whole, "files.delete_file", Access::Read, false),
        (&moves, "files.read_file", Access::Read, false),
        (&moves, "files.move_file", Access::Write, true),
    ] {
        let token = UnverifiedToken::from_bytes(token.to_vec().unwrap()).unwrap();
        let token = verifier().verify(&token, at(1_500)).unwrap();
        let tool = ToolName::parse(tool).unwrap();
        assert_eq!(token.may_call(&tool, access), may, "{tool} {access:?}");
    }
}

#[test]
fn a_token_shows_its_session_and_never_itself() {
    let token = mint(&authority());
    let token = UnverifiedToken::from_bytes(token.to_vec().unwrap()).unwrap();
    let shown = format!("{token:?}");
    assert!(shown.starts_with("UnverifiedToken { bytes: "), "{shown}");
    assert!(!shown.contains(token.expose_text()), "{shown}");
    let verified = verifier().verify(&token, at(1_500)).unwrap();
    let shown = format!("{verified:?}");
    assert!(shown.contains("s-1"), "{shown}");
    assert!(!shown.contains(token.expose_text()), "{shown}");
}

#[test]
fn a_permit_never_shows_its_arguments() {
    let secret = json!({"path": "a-very-private-argument"});
    let call = call("files.read_file", Access::Read, &["files/reports"], secret);
    let permit = decide(&mint(&authority()), &call, at(1_500)).unwrap();
    let shown = format!("{permit:?}");
    assert!(shown.contains("files.read_file"), "{shown}");
    assert!(!shown.contains("private"), "{shown}");
}
