//! Tokens handed on: the next holder is named by the one before it, and by nobody else.

use bailiwick_verifier::holder::HolderProof;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use biscuit_auth::format::schema;
use ed25519_dalek::Signer;
use serde_json::json;

use crate::{
    case::Case,
    forge::{Draft, key, payload},
    holder::{Forged, bound, bound_with, hands_on, hash, thumbprint, thumbprint_of},
    scene::{Presented, authority, authority_with, case},
    signatures::{by_nobody, malleated, neutral},
};

/// Handed on behind blocks of the older signature version.
fn before_v0() -> Draft {
    let older = bound_with(&["delegate(\"sub-1\");"]).signature_version(None);
    older.third_party("holder", &hands_on("second"))
}

/// Signs the first later block again after a change to what its third party said.
fn sign_again(draft: &Draft, message: &mut schema::Biscuit) {
    let previous = message.authority.signature.clone();
    let body = payload(&message.blocks[0], Some(&previous));
    message.blocks[0].signature = draft.next_key(0).sign(&body).to_bytes().to_vec();
}

pub(crate) fn cases() -> Vec<Case> {
    [single(), chains()].concat()
}

/// The holder's block of one token behind a sibling that it was not signed for. The thief signs
/// its own part again, over the signature it brought along.
fn replayed_on_sibling() -> schema::Biscuit {
    let child = |name: &str| bound_with(&[&format!("delegate(\"{name}\");")]);
    let handed = child("sub-1").third_party("holder", &hands_on("second"));
    let mut sibling = child("sub-2");
    sibling.blocks.push(handed.blocks[2].clone());
    let mut message = sibling.sign();
    message.blocks[1].external_signature = handed.sign().blocks[1].external_signature.clone();
    let previous = message.blocks[0].signature.clone();
    let body = payload(&message.blocks[1], Some(&previous));
    message.blocks[1].signature = sibling.next_key(1).sign(&body).to_bytes().to_vec();
    message
}

/// Tokens that pass through several hands.
fn chains() -> Vec<Case> {
    let first = || bound().third_party("holder", &hands_on("second")).blocks[1].clone();
    // From the first holder to the second, then a first-party block.
    let then = |source: &str| {
        let mut draft = bound_with(&[source]);
        draft.blocks.insert(1, first());
        draft
    };
    let narrowed = || then("delegate(\"sub-1\"); check if tool(\"files.read_file\");");
    let third = || narrowed().third_party("second", &hands_on("third"));
    let by = |holder: &str, id: &str| {
        let id = format!("handed-chain-{id}");
        Forged::of(&key(holder), &third().presented(), &id).signed()
    };
    vec![
        case(
            "handed-on-through-three",
            "allow",
            &third(),
            "From holder to holder with a narrowing in between: the last one proves possession (rules 15 and 16).",
        )
        .proof(by("third", "1")),
        case(
            "handed-on-through-three-by-second",
            "holder_proof_invalid",
            &third(),
            "Who handed the token on last no longer holds it in this form (rule 16).",
        )
        .proof(by("second", "2")),
        case(
            "handed-on-through-three-by-first",
            "holder_proof_invalid",
            &third(),
            "Nor does who held it before (rule 16).",
        )
        .proof(by("holder", "3")),
        case(
            "handed-on-through-three-missing",
            "holder_proof_missing",
            &third(),
            "However often it was handed on, it is bound (rule 24).",
        ),
        case(
            "handed-on-narrowed-by-old-holder",
            "profile_violation",
            &narrowed().third_party("holder", &hands_on("thief")),
            "A narrowing in between does not give the first holder the token back (rule 16).",
        ),
        case(
            "handed-on-then-first-party",
            "profile_violation",
            &then(&hands_on("thief")),
            "Behind a block that hands on, too, a first-party block does not replace a holder (rule 16).",
        ),
        case(
            "handed-on-block-of-sibling",
            "bad_signature",
            &replayed_on_sibling(),
            "The holder's signature for one child does not hand on its sibling (rule 16).",
        ),
    ]
}

fn single() -> Vec<Case> {
    let handed = || bound().third_party("holder", &hands_on("second"));
    let again = || handed().third_party("second", &hands_on("third"));
    let narrowed = || {
        bound().third_party(
            "holder",
            &format!("{} check if access(\"read\");", hands_on("second")),
        )
    };
    let by = |holder: &str, token: &Draft, id: &str| {
        Forged::of(&key(holder), &token.presented(), &format!("handed-{id}")).signed()
    };
    let stripped = {
        let mut message = handed().sign();
        message.blocks.pop();
        message
    };
    let unsigned = {
        let mut message = handed().sign();
        message.blocks[0].external_signature = None;
        message
    };
    let forged = {
        let mut message = handed().sign();
        message.blocks[0]
            .external_signature
            .as_mut()
            .unwrap()
            .signature[0] ^= 1;
        message
    };
    let old_version = {
        let mut draft = handed();
        draft.blocks[1].version = None;
        draft
    };
    let replayed = {
        // The holder's signed block for one token behind another one.
        let mut target = Draft::of(
            &authority_with(&format!("holder(\"{}\")", thumbprint(&key("holder")))),
            &["delegate(\"sub-1\");"],
        );
        target.blocks.push(handed().blocks[1].clone());
        let mut message = target.sign();
        let foreign = handed().sign().blocks[0].external_signature.clone();
        message.blocks[1].external_signature = foreign;
        // The thief signs its own part again, over the signature it brought along.
        let previous = message.blocks[0].signature.clone();
        let body = payload(&message.blocks[1], Some(&previous));
        message.blocks[1].signature = target.next_key(1).sign(&body).to_bytes().to_vec();
        message
    };
    // A token that somebody got bound to a key of small order.
    let weak = thumbprint_of(&neutral());
    let weakly_bound = || Draft::of(&authority_with(&format!("holder(\"{weak}\")")), &[]);
    let weakly_handed = {
        let mut draft = weakly_bound().third_party("holder", &hands_on("thief"));
        draft.blocks[1].external = Some(key("thief"));
        let mut message = draft.sign();
        let external = message.blocks[0].external_signature.as_mut().unwrap();
        external.public_key.key = neutral().to_vec();
        external.signature = by_nobody();
        sign_again(&draft, &mut message);
        message
    };
    let malleated = {
        let draft = handed();
        let mut message = draft.sign();
        let external = message.blocks[0].external_signature.as_mut().unwrap();
        external.signature = malleated(&external.signature);
        sign_again(&draft, &mut message);
        message
    };
    // A first-party block behind a third party's: symbols go on where the authority's ended.
    let behind = {
        let mut draft = bound_with(&["delegate(\"sub-1\"); check if tool(\"files.read_file\");"]);
        draft.blocks.insert(1, handed().blocks[1].clone());
        draft
    };
    let before = bound_with(&["delegate(\"sub-1\");"]).third_party("holder", &hands_on("second"));
    let late =
        Draft::of(&authority(), &[&hands_on("holder")]).third_party("holder", &hands_on("second"));
    let kept = bound().third_party("holder", &hands_on("holder"));
    vec![
        case(
            "handed-on-then-narrowed",
            "allow",
            &behind,
            "The next holder narrows the token it was handed (rules 15 and 16).",
        )
        .proof(by("second", &behind, "8")),
        case(
            "handed-on-then-narrowed-missing",
            "holder_proof_missing",
            &behind,
            "A block behind the one that hands on does not unbind (rule 24).",
        ),
        case(
            "handed-on-after-a-block",
            "allow",
            &before,
            "The holder narrows the token and hands it on (rule 16).",
        )
        .proof(by("second", &before, "9")),
        case(
            "handed-on-bound-later",
            "allow",
            &late,
            "Bound by a first-party block and handed on by its holder (rule 16).",
        )
        .proof(by("second", &late, "10")),
        case(
            "handed-on-to-itself",
            "allow",
            &kept,
            "A holder may name itself again by its signature (rule 16).",
        )
        .proof(by("holder", &kept, "11")),
        case(
            "handed-on-again-sealed",
            "allow",
            &again().seal(),
            "Handed on twice and sealed (rules 10 and 16).",
        )
        .proof(by("third", &again().seal(), "12")),
        case(
            "handed-on-narrowed-sealed",
            "allow",
            &narrowed().seal(),
            "Handed on, narrowed in the same block and sealed (rules 10 and 16).",
        )
        .proof(by("second", &narrowed().seal(), "13")),
        case(
            "handed-on-first-version-before",
            "allow",
            &before_v0(),
            "A block of signature version 0 before the one that hands on (rules 13 and 16).",
        )
        .proof(by("second", &before_v0(), "14")),
        case(
            "handed-on-sealed",
            "allow",
            &handed().seal(),
            "A token handed on and then sealed (rules 10 and 16).",
        )
        .proof(by("second", &handed().seal(), "6")),
        case(
            "handed-on-sealed-missing",
            "holder_proof_missing",
            &handed().seal(),
            "A token handed on and then sealed is bound all the same (rules 10 and 24).",
        ),
        case(
            "handed-on-by-weak-key",
            "bad_signature",
            &weakly_handed,
            "A holder's key of small order lets anybody hand on (rule 16).",
        ),
        case(
            "handed-on-malleated",
            "bad_signature",
            &malleated,
            "The holder's signature with its scalar raised by the group's order (rule 21).",
        ),
        case(
            "holder-weak-key",
            "holder_proof_invalid",
            &weakly_bound(),
            "A holder's key of small order lets anybody prove possession (rule 24).",
        )
        .proof({
            let forged = Forged::of(&key("thief"), &weakly_bound().presented(), "handed-weak");
            let jwk =
                json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(neutral())});
            let sound = forged.header("jwk", jwk).signed();
            let (signed, _) = sound.dpop.rsplit_once('.').unwrap();
            HolderProof {
                dpop: format!("{signed}.{}", URL_SAFE_NO_PAD.encode(by_nobody())),
                ..sound.clone()
            }
        }),
        case(
            "holder-malleated-proof",
            "holder_proof_invalid",
            &bound(),
            "A proof's signature with its scalar raised by the group's order (rule 24).",
        )
        .proof({
            let sound = by("holder", &bound(), "7");
            let (signed, signature) = sound.dpop.rsplit_once('.').unwrap();
            let signature =
                crate::signatures::malleated(&URL_SAFE_NO_PAD.decode(signature).unwrap());
            HolderProof {
                dpop: format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)),
                ..sound.clone()
            }
        }),
        case(
            "handed-on",
            "allow",
            &handed(),
            "The holder hands the token on by its signature (rule 16).",
        )
        .proof(by("second", &handed(), "1")),
        case(
            "handed-on-missing",
            "holder_proof_missing",
            &handed(),
            "The next holder has to prove itself as well (rule 24).",
        ),
        case(
            "handed-on-old-holder",
            "holder_proof_invalid",
            &handed(),
            "Who handed the token on no longer holds it in this form (rule 16).",
        )
        .proof(by("holder", &handed(), "2")),
        case(
            "handed-on-again",
            "allow",
            &again(),
            "The next holder hands it on in turn (rule 16).",
        )
        .proof(by("third", &again(), "3")),
        case(
            "handed-on-narrowed",
            "allow",
            &narrowed(),
            "A block that hands on may narrow as well (rule 16).",
        )
        .proof(by("second", &narrowed(), "4")),
        case(
            "handed-on-narrowed-fails",
            "tool_not_granted",
            &narrowed(),
            "A call that nothing grants, with a good proof for it (rules 16 and 20).",
        )
        .tool("files.delete_file", "destructive")
        .proof({
            let call = json!({"arguments": {"path": "reports/q3.md"}, "tool": "files.delete_file"});
            Forged::of(&key("second"), &narrowed().presented(), "handed-5")
                .claim("bwc", json!(hash(&call.to_string())))
                .signed()
        }),
        case(
            "handed-on-by-thief",
            "profile_violation",
            &bound().third_party("thief", &hands_on("thief")),
            "A thief of the bytes signs with its own key (rule 16).",
        ),
        case(
            "handed-on-by-old-holder",
            "profile_violation",
            &handed().third_party("holder", &hands_on("thief")),
            "The first holder hands on what it no longer holds (rule 16).",
        ),
        case(
            "handed-on-first-party",
            "profile_violation",
            &bound_with(&[&hands_on("thief")]),
            "A first-party block does not replace a holder (rule 16).",
        ),
        case(
            "handed-on-to-itself-first-party",
            "profile_violation",
            &bound_with(&[&hands_on("holder")]),
            "Not even by the same one (rule 16).",
        ),
        case(
            "handed-on-without-holder",
            "profile_violation",
            &Draft::of(&authority(), &[]).third_party("holder", &hands_on("second")),
            "A third-party block where nothing is bound (rule 16).",
        ),
        case(
            "handed-on-to-nobody",
            "profile_violation",
            &bound().third_party("holder", "delegate(\"sub-7\");"),
            "A third-party block that names no holder (rule 16).",
        ),
        case(
            "handed-on-only-checks",
            "profile_violation",
            &bound().third_party("holder", "check if access(\"read\");"),
            "A third-party block that only narrows (rule 16).",
        ),
        case(
            "handed-on-with-grant",
            "profile_violation",
            &bound().third_party(
                "holder",
                &format!(
                    "{} grant(\"g9\", \"files.read_file\", \"read\", [\"files\"]);",
                    hands_on("second")
                ),
            ),
            "A holder's signature does not grant (rule 15).",
        ),
        case(
            "handed-on-stripped",
            "bad_signature",
            &stripped,
            "The block that hands on cut off, with the proof of the chain's end behind it (rule 21).",
        ),
        case(
            "handed-on-signature-dropped",
            "bad_signature",
            &unsigned,
            "The third party's signature taken away (rule 21).",
        ),
        case(
            "handed-on-signature-broken",
            "bad_signature",
            &forged,
            "The third party's signature with one bit turned (rule 21).",
        ),
        case(
            "handed-on-old-signature-version",
            "profile_violation",
            &old_version,
            "Third-party signatures belong to version 1 of block signatures (rule 13).",
        ),
        case(
            "handed-on-block-replayed",
            "bad_signature",
            &replayed,
            "The holder's signature covers the chain before it, so it does not serve another one (rule 16).",
        ),
    ]
}
