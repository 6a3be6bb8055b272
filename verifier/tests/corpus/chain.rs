//! Chain surgery: blocks stripped, moved, spliced and re-signed, seals, keys and their ids.

use biscuit_auth::format::schema::{self, proof};

use crate::{
    case::Case,
    forge::{Draft, key, seal, sign_block},
    scene::{authority, authority_replacing, case, token},
};

const DELEGATED: &str = "delegate(\"sub-1\"); check if access(\"read\");";
const NARROWED: &str = "check if tool(\"files.read_file\");";

/// The usual token with two later blocks.
pub(crate) fn narrowed() -> Draft {
    token(&[DELEGATED, NARROWED])
}

/// The signed message after a change that nobody signs.
pub(crate) fn changed(change: impl FnOnce(&mut schema::Biscuit)) -> schema::Biscuit {
    let mut message = narrowed().sign();
    change(&mut message);
    message
}

pub(crate) fn cases() -> Vec<Case> {
    [sound(), surgery(), proofs(), depth()].concat()
}

fn sound() -> Vec<Case> {
    vec![
        case(
            "chain-as-minted",
            "allow",
            &token(&[]),
            "A token as the issuer minted it, on a call under its grant (rule 6).",
        ),
        case(
            "chain-two-blocks",
            "allow",
            &narrowed(),
            "Two later blocks whose checks hold (rule 17).",
        ),
        case(
            "chain-empty-block",
            "allow",
            &token(&[""]),
            "A block may say nothing (rule 15).",
        ),
        case(
            "chain-sealed",
            "allow",
            &narrowed().seal(),
            "Sealed tokens are as good as unsealed ones (rule 10).",
        ),
        case(
            "chain-sealed-as-minted",
            "allow",
            &token(&[]).seal(),
            "A token may be sealed before anybody narrows it (rule 10).",
        ),
        case(
            "chain-signature-version-0",
            "allow",
            &narrowed().signature_version(None),
            "Signature version 0 is one that official libraries write (rule 13).",
        ),
        case(
            "chain-signature-version-1",
            "allow",
            &narrowed().signature_version(Some(1)),
            "Signature version 1 is one that official libraries write (rule 13).",
        ),
        case(
            "chain-signature-version-1-sealed",
            "allow",
            &narrowed().signature_version(Some(1)).seal(),
            "A seal ends a chain of either signature version (rules 10 and 13).",
        ),
    ]
}

fn surgery() -> Vec<Case> {
    let other = Draft::of(
        &authority_replacing("session(", "session(\"s-2\")"),
        &[DELEGATED, NARROWED],
    )
    .salted("other")
    .sign();
    let twin = narrowed().salted("twin").sign();
    let wide = Draft::of(
        &authority_replacing(
            "grant(\"g1\"",
            "grant(\"g1\", \"files.read_file\", \"read\", [\"files\"])",
        ),
        &[],
    )
    .salted("wide");
    let refused = |id: &str, why: &str, change: &dyn Fn(&mut schema::Biscuit)| {
        case(id, "bad_signature", &changed(change), why)
    };
    vec![
        refused(
            "chain-strip-last",
            "Without its last block the token's proof is of the wrong key (rule 21).",
            &|m| {
                m.blocks.pop();
            },
        ),
        refused(
            "chain-strip-first-later",
            "The second block was signed by the key that the stripped one names (rule 21).",
            &|m| {
                m.blocks.remove(0);
            },
        ),
        refused(
            "chain-strip-all",
            "The bare authority block, with the proof of a key it does not name (rule 21).",
            &|m| m.blocks.clear(),
        ),
        refused(
            "chain-reorder",
            "Each block is signed by the key its predecessor names, so they can't change places (rule 21).",
            &|m| m.blocks.swap(0, 1),
        ),
        refused(
            "chain-repeat-last",
            "A block said twice was signed once (rule 21).",
            &|m| m.blocks.push(m.blocks[1].clone()),
        ),
        refused(
            "chain-repeat-first-as-last",
            "The first later block in place of the second (rule 21).",
            &|m| m.blocks[1] = m.blocks[0].clone(),
        ),
        refused(
            "chain-insert-between",
            "A block of another token between two of this one (rule 21).",
            &|m| m.blocks.insert(1, twin.blocks[0].clone()),
        ),
        refused(
            "chain-splice-content",
            "What another token's block says under this one's signature (rule 21).",
            &|m| {
                m.blocks[0].block = token(&["check if access(\"write\");"]).sign().blocks[0]
                    .block
                    .clone()
            },
        ),
        refused(
            "chain-splice-block",
            "The same block of a twin token, signed by the twin's key (rule 21).",
            &|m| m.blocks[1] = twin.blocks[1].clone(),
        ),
        refused(
            "chain-splice-tail",
            "Another session's later blocks and proof behind this authority block (rule 21).",
            &|m| {
                m.blocks = other.blocks.clone();
                m.proof = other.proof.clone();
            },
        ),
        refused(
            "chain-splice-authority",
            "Another session's authority block before these later blocks (rule 21).",
            &|m| m.authority = other.authority.clone(),
        ),
        refused(
            "chain-splice-wide-authority",
            "A wider authority block of the same issuer before blocks that narrowed another (rule 21).",
            &|m| m.authority = wide.sign().authority,
        ),
        refused(
            "chain-edited-authority",
            "A wider grant under the signature of the narrower one (rule 21).",
            &|m| m.authority.block = wide.blocks[0].content.clone(),
        ),
        refused(
            "chain-later-block-as-authority",
            "A later block's bytes and signature in the authority's place (rule 21).",
            &|m| m.authority = m.blocks[0].clone(),
        ),
        case(
            "chain-authority-as-later-block",
            "profile_violation",
            &token(&[&authority()]),
            "A holder signs the authority's words again as a later block, where facts have no place (rule 15).",
        ),
        case(
            "chain-wide-authority-as-later-block",
            "profile_violation",
            &token(&[&authority_replacing(
                "grant(\"g1\"",
                "grant(\"g1\", \"files.read_file\", \"read\", [\"files\"])",
            )]),
            "A holder writes an authority block of its own behind the issuer's (rule 15).",
        ),
    ]
}

fn proofs() -> Vec<Case> {
    let draft = narrowed();
    let last = draft.next_key(2);
    let with_proof =
        |content: Option<proof::Content>| changed(|message| message.proof.content = content);
    let secret = |bytes: Vec<u8>| with_proof(Some(proof::Content::NextSecret(bytes)));
    let sealed = |bytes: Vec<u8>| with_proof(Some(proof::Content::FinalSignature(bytes)));
    let whole = draft.sign();
    let sealed_whole = draft.clone().seal().sign();
    let mut shortened = sealed_whole.clone();
    shortened.blocks.pop();
    let mut resealed = whole.clone();
    resealed.blocks.pop();
    let stale_seal = seal(&whole.blocks[0], &last);
    resealed.proof.content = Some(proof::Content::FinalSignature(stale_seal.clone()));
    let mut appended = sealed_whole.clone();
    let previous = appended.blocks[1].signature.clone();
    let block = token(&["check if access(\"read\");"]).blocks.remove(1);
    let next = key("intruder's next");
    appended
        .blocks
        .push(sign_block(&block, &key("intruder"), &next, Some(&previous)));
    appended.proof.content = Some(proof::Content::NextSecret(next.to_bytes().to_vec()));
    let unsealed_seal = seal(&whole.blocks[1], &key("intruder"));
    vec![
        case(
            "proof-missing",
            "malformed_token",
            &with_proof(None),
            "A token ends with a secret or a seal (rule 21).",
        ),
        case(
            "proof-of-stripped-block",
            "bad_signature",
            &changed(|m| {
                m.blocks.pop();
                m.proof.content = Some(proof::Content::NextSecret(last.to_bytes().to_vec()));
            }),
            "The secret a holder was given proves nothing for the chain without that holder's own block (rule 21).",
        ),
        case(
            "proof-secret-of-earlier-block",
            "bad_signature",
            &secret(draft.next_key(1).to_bytes().to_vec()),
            "The secret has to be that of the last block's next key (rule 21).",
        ),
        case(
            "proof-secret-of-stranger",
            "bad_signature",
            &secret(key("intruder").to_bytes().to_vec()),
            "A guessed secret proves nothing (rule 21).",
        ),
        case(
            "proof-secret-of-root",
            "bad_signature",
            &secret(draft.root.to_bytes().to_vec()),
            "Even the root's secret is not the one that the last block names (rule 21).",
        ),
        case(
            "proof-secret-short",
            "bad_signature",
            &secret(vec![7; 31]),
            "A secret has 32 bytes (rule 21).",
        ),
        case(
            "proof-secret-long",
            "bad_signature",
            &secret([last.to_bytes().to_vec(), vec![0]].concat()),
            "A secret has 32 bytes, and a right one followed by more is not right (rule 21).",
        ),
        case(
            "proof-secret-empty",
            "bad_signature",
            &secret(Vec::new()),
            "An empty secret proves nothing (rule 21).",
        ),
        case(
            "seal-of-zeros",
            "bad_signature",
            &sealed(vec![0; 64]),
            "A seal of zeros is no signature (rule 21).",
        ),
        case(
            "seal-short",
            "bad_signature",
            &sealed(vec![0; 63]),
            "A seal has 64 bytes (rule 21).",
        ),
        case(
            "seal-by-stranger",
            "bad_signature",
            &sealed(unsealed_seal),
            "A seal is made with the last block's next key (rule 21).",
        ),
        case(
            "seal-over-shorter-chain",
            "bad_signature",
            &sealed(stale_seal),
            "A seal over the first later block does not end a chain of two (rule 21).",
        ),
        case(
            "seal-without-last-block",
            "bad_signature",
            &shortened,
            "The last block cut off a sealed token leaves a seal over other bytes (rule 21).",
        ),
        case(
            "seal-made-anew-without-last-block",
            "bad_signature",
            &resealed,
            "Stripped of its last block and sealed with the secret of that block, which is not the one before names (rule 21).",
        ),
        case(
            "seal-replaced-by-secret",
            "bad_signature",
            &changed(|m| {
                m.proof = schema::Proof {
                    content: Some(proof::Content::NextSecret(
                        key("intruder").to_bytes().to_vec(),
                    )),
                };
            }),
            "A sealed token does not open to a made-up secret (rule 10).",
        ),
        case(
            "seal-appended-to",
            "bad_signature",
            &appended,
            "Nobody has the secret to append to a sealed token, so the block behind it is signed by a stranger (rule 10).",
        ),
    ]
}

fn depth() -> Vec<Case> {
    let hops = |authority: &str, count: usize| Draft::of(authority, &vec![""; count]);
    let deep = authority_replacing("max_depth(", "max_depth(16)");
    let generous = authority_replacing("max_depth(", "max_depth(99)");
    let none = authority_replacing("max_depth(", "max_depth(0)");
    let named: Vec<String> = (1..=4)
        .map(|hop| format!("delegate(\"hop-{hop}\");"))
        .collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    vec![
        case(
            "depth-at-most",
            "allow",
            &hops(&authority(), 3),
            "Three blocks where three are allowed (rule 9).",
        ),
        case(
            "depth-one-more",
            "depth_exceeded",
            &hops(&authority(), 4),
            "Empty blocks count as well (rule 9).",
        ),
        case(
            "depth-one-more-named",
            "depth_exceeded",
            &token(&named),
            "Blocks count with or without a delegate (rule 9).",
        ),
        case(
            "depth-none-as-minted",
            "allow",
            &hops(&none, 0),
            "No delegation is allowed and none happened (rule 9).",
        ),
        case(
            "depth-none-delegated",
            "depth_exceeded",
            &hops(&none, 1),
            "No delegation is allowed (rule 9).",
        ),
        case(
            "depth-none-sealed",
            "depth_exceeded",
            &hops(&none, 1).seal(),
            "A seal does not hide a block (rules 9 and 10).",
        ),
        case(
            "depth-most-blocks",
            "allow",
            &hops(&deep, 16),
            "Seventeen blocks with the authority's (rule 22).",
        ),
        case(
            "depth-more-than-most-blocks",
            "limit_exceeded",
            &hops(&deep, 17),
            "Eighteen blocks with the authority's (rule 22).",
        ),
        case(
            "depth-generous",
            "allow",
            &hops(&generous, 16),
            "Seventeen blocks where the issuer would allow a hundred (rules 9 and 22).",
        ),
        case(
            "depth-generous-more-than-most-blocks",
            "limit_exceeded",
            &hops(&generous, 17),
            "The bound on blocks holds whatever the issuer allows (rule 22).",
        ),
        case(
            "depth-caveat-holds",
            "allow",
            &token(&["check if depth($d), $d <= 2;", ""]),
            "A block allows one more behind it, and there is one (rule 17).",
        ),
        case(
            "depth-caveat-fails",
            "depth_exceeded",
            &token(&["check if depth($d), $d <= 1;", ""]),
            "A block allows none behind it, and there is one (rule 20).",
        ),
        case(
            "depth-caveat-negative",
            "depth_exceeded",
            &token(&["check if depth($d), $d <= -1;"]),
            "No depth is below zero (rule 20).",
        ),
        case(
            "depth-caveat-cannot-raise",
            "depth_exceeded",
            &token(&["check if depth($d), $d <= 9;", "", "", ""]),
            "A generous block does not lift the issuer's bound (rule 9).",
        ),
    ]
}
