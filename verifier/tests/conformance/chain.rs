//! The chain of blocks: rules 9 to 14 and 21, on tokens that no library would write.

use std::sync::Arc;

use bailiwick_datalog::{Authority, LaterBlock, RevocationId};
use bailiwick_verifier::{
    Denied, KeySet, MemoryRevocations, UnverifiedToken,
    keys::{KeyState, MintKey},
    signed::PublicKeyHex,
};
use biscuit_auth::{
    Biscuit, KeyPair,
    builder::{Algorithm, BlockBuilder},
    format::schema::{self, check, proof},
};
use prost::Message;
use rand::{SeedableRng, rngs::StdRng};

use crate::support::{
    Forge, NOW, ROOT_KEY_ID, append, append_text, at, authority, call, code, decide, key_pair,
    key_set, mint, public, root, signing_key, verdict, verifier_with,
};

const NARROWING: &str = "check if access(\"read\");";

/// A token with two later blocks.
fn narrowed() -> Biscuit {
    let token = append_text(
        &mint(&authority()),
        "delegate(\"sub-1\"); check if access(\"read\");",
    );
    append_text(&token, "check if tool(\"files.read_file\");")
}

fn depth(max: u32, blocks: usize, block: &LaterBlock) -> &'static str {
    let authority = Authority {
        max_depth: max,
        ..authority()
    };
    let token = (0..blocks).fold(mint(&authority), |token, _| append(&token, block));
    verdict(&token)
}

#[test]
fn depth_counts_every_later_block() {
    let silent = LaterBlock::default();
    let named = LaterBlock {
        delegate: Some("sub-1".parse().unwrap()),
        ..LaterBlock::default()
    };
    for block in [silent, named] {
        assert_eq!(depth(0, 0, &block), "allow");
        assert_eq!(depth(0, 1, &block), "depth_exceeded");
        assert_eq!(depth(3, 3, &block), "allow");
        assert_eq!(depth(3, 4, &block), "depth_exceeded");
    }
}

#[test]
fn sealed_tokens_are_as_good_as_unsealed_ones() {
    assert_eq!(verdict(&narrowed()), "allow");
    assert_eq!(verdict(&narrowed().seal().unwrap()), "allow");
}

#[test]
fn the_root_key_is_looked_up_by_its_id_and_no_other_is_tried() {
    let mut forge = Forge::of(&narrowed());
    assert_eq!(forge.clone().verdict(), "allow");
    forge.message.root_key_id = Some(2);
    assert_eq!(forge.clone().verdict(), "unknown_key");
    forge.message.root_key_id = None;
    assert_eq!(forge.clone().verdict(), "unknown_key");

    let other = PublicKeyHex::from(&signing_key(8));
    let one = key_set();
    let both = one.iter().copied().chain([MintKey::active(2, other)]);
    let keys = KeySet::new(both).unwrap();
    let verifier = verifier_with(keys, Arc::new(MemoryRevocations::fixed([])));
    for (id, expected) in [(1, "allow"), (2, "bad_signature"), (3, "unknown_key")] {
        forge.message.root_key_id = Some(id);
        let token = UnverifiedToken::from_bytes(forge.clone().bytes()).unwrap();
        let decision = verifier.authorize(&token, &call(), at(NOW));
        assert_eq!(code(&decision), expected, "{id}");
    }
}

#[test]
fn tokens_of_a_revoked_key_are_refused_and_of_a_retired_one_are_not() {
    let token = UnverifiedToken::from_bytes(narrowed().to_vec().unwrap()).unwrap();
    for (state, expected) in [
        (KeyState::Active, "allow"),
        (KeyState::Retired, "allow"),
        (KeyState::Revoked, "unknown_key"),
    ] {
        let keys = key_set()
            .iter()
            .map(|key| MintKey { state, ..*key })
            .collect::<Vec<_>>();
        let verifier = verifier_with(
            KeySet::new(keys).unwrap(),
            Arc::new(MemoryRevocations::fixed([])),
        );
        let decision = verifier.authorize(&token, &call(), at(NOW));
        assert_eq!(code(&decision), expected, "{state:?}");
    }
}

#[test]
fn only_ed25519_keys_are_accepted_anywhere() {
    let p256 = KeyPair::new_with_rng(Algorithm::Secp256r1, &mut StdRng::seed_from_u64(1));
    let foreign = schema::PublicKey {
        algorithm: i32::from(schema::public_key::Algorithm::Secp256r1),
        key: p256.public().to_bytes(),
    };
    // As the next key of each block; the signatures are not reached.
    for index in 0..3 {
        let mut message = Forge::of(&narrowed()).sign();
        let block = match index {
            0 => &mut message.authority,
            _ => &mut message.blocks[index - 1],
        };
        block.next_key = foreign.clone();
        assert_eq!(
            code(&decide(&message.encode_to_vec())),
            "unsupported_algorithm",
            "block {index}"
        );
    }
    // As a third party's key.
    let mut message = Forge::of(&narrowed()).sign();
    message.blocks[1].external_signature = Some(schema::ExternalSignature {
        signature: vec![0; 64],
        public_key: foreign.clone(),
    });
    assert_eq!(
        code(&decide(&message.encode_to_vec())),
        "unsupported_algorithm"
    );
    // As an algorithm nobody has heard of.
    let mut message = Forge::of(&narrowed()).sign();
    message.authority.next_key.algorithm = 2;
    assert_eq!(
        code(&decide(&message.encode_to_vec())),
        "unsupported_algorithm"
    );
    // A whole token appended to with such a key, as the library does it.
    let appended = mint(&authority())
        .append_with_keypair(&p256, BlockBuilder::new().code(NARROWING).unwrap())
        .unwrap();
    assert_eq!(verdict(&appended), "unsupported_algorithm");
    // A token minted with such a key carries a signature of another size.
    let minted = authority()
        .to_builder()
        .unwrap()
        .root_key_id(ROOT_KEY_ID)
        .build(&p256)
        .unwrap();
    assert_eq!(verdict(&minted), "bad_signature");
}

#[test]
fn a_match_on_any_block_revokes() {
    let token = narrowed();
    let ids: Vec<_> = token
        .revocation_identifiers()
        .iter()
        .map(|id| RevocationId::try_from(id.as_slice()).unwrap())
        .collect();
    let presented = UnverifiedToken::from_bytes(token.to_vec().unwrap()).unwrap();
    for (block, id) in ids.iter().enumerate() {
        let verifier = verifier_with(key_set(), Arc::new(MemoryRevocations::fixed([*id])));
        assert!(matches!(
            verifier.authorize(&presented, &call(), at(NOW)),
            Err(Denied::Revoked { block: named }) if named == block
        ));
    }
    // A sibling's revocation leaves this token alone.
    let sibling = append_text(&mint(&authority()), NARROWING);
    let sibling = sibling.revocation_identifiers()[1]
        .as_slice()
        .try_into()
        .unwrap();
    let verifier = verifier_with(key_set(), Arc::new(MemoryRevocations::fixed([sibling])));
    assert!(verifier.authorize(&presented, &call(), at(NOW)).is_ok());
}

#[test]
fn datalog_versions_3_to_6_are_accepted() {
    for (version, expected) in [
        (Some(2), "profile_violation"),
        (Some(3), "allow"),
        (Some(4), "allow"),
        (Some(5), "allow"),
        (Some(6), "allow"),
        (Some(7), "profile_violation"),
        (None, "profile_violation"),
    ] {
        let forge = Forge::of(&narrowed()).edit(2, |block| block.version = version);
        assert_eq!(forge.verdict(), expected, "{version:?}");
    }
}

#[test]
fn signature_versions_0_and_1_are_accepted() {
    for index in 0..3 {
        for (version, expected) in [
            (None, "allow"),
            (Some(0), "malformed_token"),
            (Some(1), "allow"),
            (Some(2), "profile_violation"),
        ] {
            let mut forge = Forge::of(&narrowed());
            forge.signed_block(index).version = version;
            assert_eq!(forge.verdict(), expected, "block {index} {version:?}");
        }
    }
}

#[test]
fn unused_symbols_are_harmless() {
    let forge = Forge::of(&narrowed()).edit(2, |block| block.symbols.push("unused".to_owned()));
    assert_eq!(forge.verdict(), "allow");
}

#[test]
fn unknown_fields_are_refused_wherever_they_stand() {
    // Field 15, a varint of 1.
    const UNKNOWN: [u8; 2] = [0x78, 0x01];
    let token = narrowed().to_vec().unwrap();
    assert_eq!(
        code(&decide(&[&token[..], &UNKNOWN].concat())),
        "malformed_token"
    );
    assert_eq!(
        code(&decide(&[&UNKNOWN, &token[..]].concat())),
        "malformed_token"
    );
    for index in 0..3 {
        let forge = Forge::of(&narrowed()).edit_bytes(index, |bytes| bytes.extend(UNKNOWN));
        assert_eq!(forge.verdict(), "malformed_token", "block {index}");
    }
    // Inside the proof, which is the last field: its length grows by the two bytes.
    let secret = token.len() - 36;
    let mut longer = token.clone();
    assert_eq!(longer[secret..secret + 4], [0x22, 0x22, 0x0a, 0x20]);
    longer[secret + 1] += 2;
    longer.extend(UNKNOWN);
    assert_eq!(code(&decide(&longer)), "malformed_token");
}

#[test]
fn fields_out_of_order_or_repeated_are_refused() {
    let token = narrowed().to_vec().unwrap();
    // The root key id is the first field, of two bytes.
    let (id, rest) = token.split_at(2);
    assert_eq!(id, [0x08, 0x01]);
    assert_eq!(code(&decide(&[rest, id].concat())), "malformed_token");
    assert_eq!(code(&decide(&[id, id, rest].concat())), "malformed_token");
    // A block with its version moved to the front, in the bytes that are signed.
    let forge = Forge::of(&narrowed()).edit_bytes(2, |bytes| {
        let version = bytes
            .windows(2)
            .position(|field| field == [0x18, 0x03])
            .unwrap();
        bytes.drain(version..version + 2);
        bytes.splice(0..0, [0x18, 0x03]);
    });
    assert_eq!(forge.verdict(), "malformed_token");
}

#[test]
fn varints_longer_than_needed_are_refused() {
    let token = narrowed().to_vec().unwrap();
    let long_id = [&[0x08, 0x81, 0x00], &token[2..]].concat();
    assert_eq!(code(&decide(&long_id)), "malformed_token");
    let forge = Forge::of(&narrowed()).edit_bytes(2, |bytes| {
        let version = bytes
            .windows(2)
            .position(|field| field == [0x18, 0x03])
            .unwrap();
        bytes.splice(version + 1..version + 2, [0x83, 0x00]);
    });
    assert_eq!(forge.verdict(), "malformed_token");
}

#[test]
fn defaults_that_are_written_out_are_refused() {
    let forge = Forge::of(&narrowed()).edit(2, |block| {
        block.checks[0].kind = Some(i32::from(check::Kind::One));
    });
    assert_eq!(forge.verdict(), "malformed_token");
    let forge = Forge::of(&narrowed()).edit(2, |block| {
        block.checks[0].kind = Some(i32::from(check::Kind::All));
        block.version = Some(4);
    });
    assert_eq!(forge.verdict(), "allow");
}

#[test]
fn undecodable_bytes_are_malformed() {
    for bad in [&b""[..], b"\0", b"not a token", &[0xff; 64]] {
        assert_eq!(code(&decide(bad)), "malformed_token", "{bad:?}");
    }
    let token = narrowed().to_vec().unwrap();
    for length in 0..token.len() {
        assert_eq!(
            code(&decide(&token[..length])),
            "malformed_token",
            "{length} bytes"
        );
    }
}

#[test]
fn any_flipped_bit_is_refused() {
    let token = narrowed().to_vec().unwrap();
    for bit in 0..token.len() * 8 {
        let mut bad = token.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(code(&decide(&bad)), "allow", "bit {bit}");
    }
}

fn outer(change: impl FnOnce(&mut schema::Biscuit)) -> &'static str {
    let mut message = Forge::of(&narrowed()).sign();
    change(&mut message);
    code(&decide(&message.encode_to_vec()))
}

#[test]
fn blocks_cannot_be_stripped_moved_repeated_or_mixed() {
    assert_eq!(outer(|_| {}), "allow");
    let broken: [fn(&mut schema::Biscuit); 7] = [
        |message| {
            message.blocks.pop();
        },
        |message| {
            message.blocks.remove(0);
        },
        |message| message.blocks.clear(),
        |message| message.blocks.swap(0, 1),
        |message| message.blocks.push(message.blocks[1].clone()),
        |message| message.blocks[1] = message.blocks[0].clone(),
        |message| message.authority = message.blocks[0].clone(),
    ];
    for (index, change) in broken.into_iter().enumerate() {
        assert_eq!(outer(change), "bad_signature", "change {index}");
    }
    let other = Forge::of(&append_text(&mint(&authority()), NARROWING)).sign();
    assert_eq!(
        outer(|message| message.blocks[0].block = other.blocks[0].block.clone()),
        "bad_signature"
    );
}

#[test]
fn signatures_cannot_be_swapped_or_resized() {
    assert_eq!(
        outer(|message| {
            let first = message.blocks[0].signature.clone();
            message.blocks[0].signature = message.blocks[1].signature.clone();
            message.blocks[1].signature = first;
        }),
        "bad_signature"
    );
    for length in [0, 63, 65] {
        for index in 0..3 {
            let resized = outer(|message| match index {
                0 => message.authority.signature.resize(length, 0),
                _ => message.blocks[index - 1].signature.resize(length, 0),
            });
            assert_eq!(resized, "bad_signature", "block {index}, {length} bytes");
        }
    }
}

#[test]
fn a_signature_does_not_move_from_block_to_block_under_another_version() {
    for index in 0..3 {
        let verdict = outer(|message| {
            let block = match index {
                0 => &mut message.authority,
                _ => &mut message.blocks[index - 1],
            };
            block.version = match block.version {
                None => Some(1),
                Some(_) => None,
            };
        });
        assert_eq!(verdict, "bad_signature", "block {index}");
    }
}

#[test]
fn the_proof_is_the_secret_of_the_last_key_or_its_seal() {
    let set = |content| outer(move |message| message.proof.content = content);
    let secret = |bytes| set(Some(proof::Content::NextSecret(bytes)));
    let seal = |bytes| set(Some(proof::Content::FinalSignature(bytes)));
    // `Forge` makes the key of the block after the last from this seed.
    assert_eq!(secret(vec![102; 32]), "allow");
    assert_eq!(secret(vec![101; 32]), "bad_signature");
    assert_eq!(secret(vec![102; 31]), "bad_signature");
    assert_eq!(secret(Vec::new()), "bad_signature");
    assert_eq!(seal(vec![0; 64]), "bad_signature");
    assert_eq!(seal(vec![0; 63]), "bad_signature");
    assert_eq!(set(None), "malformed_token");

    let mut sealed =
        schema::Biscuit::decode(narrowed().seal().unwrap().to_vec().unwrap().as_slice()).unwrap();
    sealed.blocks.pop();
    assert_eq!(code(&decide(&sealed.encode_to_vec())), "bad_signature");
}

#[test]
fn next_keys_have_32_bytes() {
    for length in [0, 31, 33] {
        assert_eq!(
            outer(|message| message.authority.next_key.key.resize(length, 0)),
            "malformed_token",
            "{length}"
        );
    }
}

#[test]
fn the_authority_block_has_no_third_party() {
    assert_eq!(
        outer(|message| {
            message.authority.external_signature = Some(schema::ExternalSignature {
                signature: vec![0; 64],
                public_key: public(&signing_key(9)),
            });
        }),
        "malformed_token"
    );
}

#[test]
fn third_party_signatures_are_verified() {
    let holder = key_pair(50);
    let holder_key: [u8; 32] = holder.public().to_bytes().try_into().unwrap();
    let bound = mint(&Authority {
        holder: Some(bailiwick_datalog::Thumbprint::of_ed25519(&holder_key)),
        ..authority()
    });
    let rebind = BlockBuilder::new()
        .code(format!("holder(\"{}\");", "a".repeat(43)))
        .unwrap();
    let request = bound.third_party_request().unwrap();
    let block = request.create_block(&holder.private(), rebind).unwrap();
    let token = bound.append_third_party(holder.public(), block).unwrap();
    assert_eq!(verdict(&token), "holder_proof_missing");

    let mut forge = Forge::of(&token);
    forge.external[1] = Some(signing_key(50));
    assert_eq!(forge.clone().verdict(), "holder_proof_missing");
    let mut message = forge.sign();
    let external = message.blocks[0].external_signature.as_mut().unwrap();
    external.signature[0] ^= 1;
    assert_eq!(code(&decide(&message.encode_to_vec())), "bad_signature");
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    let token = authority()
        .to_builder()
        .unwrap()
        .root_key_id(ROOT_KEY_ID)
        .build(&key_pair(8))
        .unwrap();
    assert_eq!(verdict(&token), "bad_signature");
    assert_eq!(root().public().to_bytes(), key_pair(7).public().to_bytes());
}

#[test]
fn a_block_that_declares_an_older_datalog_than_it_uses_is_refused() {
    let plain = "check if access(\"read\");";
    let all = "check all access(\"read\");";
    let exact = "check if args($a), $a.get(\"n\") == 1;";
    let closure = "check if resource($r), $r.starts_with([\"x\"]) || $r.starts_with([\"files\"]);";
    for (source, least) in [(plain, 3), (all, 4), (exact, 6), (closure, 6)] {
        let token = append_text(&mint(&authority()), source);
        for version in 3..=6 {
            let forge = Forge::of(&token).edit(1, |block| block.version = Some(version));
            let refused = forge.verdict() == "profile_violation";
            assert_eq!(refused, version < least, "{source} as version {version}");
        }
    }
}
