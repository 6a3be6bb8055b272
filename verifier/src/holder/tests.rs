//! Every claim and member of a proof: right, and wrong in one thing.

use std::{cell::Cell, time::Duration};

use bailiwick_datalog::{ToolName, canonical_call_digest};
use serde_json::{Value, json};

use super::*;

mod memory;

const SESSION: &str = "s-1";
const TOKEN: &str = "En0KEwoEbm9uZRgDIgkKBwgKEgMYgAg=";
const URL: &str = "http://127.0.0.1:8401/mcp";
const NOW: u64 = 1_769_860_800;

fn holder() -> HolderKey {
    HolderKey::from_secret(&[1; 32])
}

fn now(utc: u64) -> Now {
    Now {
        utc: Timestamp::from_unix(utc),
        monotonic: Duration::ZERO,
    }
}

fn digest() -> [u8; 32] {
    call_digest("files.read_file", &json!({"path": "a", "lines": [1, 2]}))
}

fn call_digest(tool: &str, arguments: &Value) -> [u8; 32] {
    let tool = ToolName::parse(tool).unwrap();
    canonical_call_digest(&tool, arguments.as_object().unwrap()).unwrap()
}

fn header() -> Value {
    json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": holder().jwk() })
}

fn claims() -> Value {
    json!({
        "jti": "1",
        "htm": "POST",
        "htu": URL,
        "iat": NOW,
        "ath": token_hash(TOKEN),
        "bwc": URL_SAFE_NO_PAD.encode(digest()),
    })
}

fn proof_of(dpop: String) -> HolderProof {
    HolderProof {
        dpop,
        method: "POST".to_owned(),
        url: URL.to_owned(),
    }
}

fn signed(header: &Value, claims: &Value) -> HolderProof {
    proof_of(holder().sign_jwt(&header.to_string(), &claims.to_string()))
}

/// What the proof of `header` and `claims` is about.
fn demand(holder: &Thumbprint) -> ProofDemand<'_> {
    ProofDemand {
        holder,
        session: SESSION,
        token_text: TOKEN,
        call_digest: &|| Some(digest()),
    }
}

fn verify_at(proof: &HolderProof, utc: u64) -> Result<(), HolderError> {
    ProofVerifier::default().verify(Some(proof), &demand(&holder().thumbprint()), now(utc))
}

fn verify(proof: &HolderProof) -> Result<(), HolderError> {
    verify_at(proof, NOW)
}

fn invalid(reason: InvalidProof) -> Result<(), HolderError> {
    Err(HolderError::Invalid(reason))
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
}

#[test]
fn the_proof_of_the_holder_passes() {
    let proof = holder().create_proof(&ProofRequest {
        method: "POST",
        url: URL,
        token_text: TOKEN,
        call_digest: &digest(),
        issued_at: Timestamp::from_unix(NOW),
        id: "1",
    });
    assert_eq!(proof, signed(&header(), &claims()));
    assert_eq!(verify(&proof), Ok(()));
}

#[test]
fn a_call_without_a_proof_is_refused() {
    let holder = holder().thumbprint();
    assert_eq!(
        ProofVerifier::default().verify(None, &demand(&holder), now(NOW)),
        Err(HolderError::Missing)
    );
}

#[test]
fn thumbprints_are_those_of_rfc_8037() {
    // RFC 8037 appendix A.1 and A.3.
    let secret = URL_SAFE_NO_PAD
        .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        .unwrap();
    let key = HolderKey::from_secret(&secret.try_into().unwrap());
    assert_eq!(
        key.jwk()["x"],
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    );
    assert_eq!(
        key.thumbprint().as_str(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn header_members_are_required_to_the_letter() {
    for (member, value, reason) in [
        ("typ", json!("JWT"), InvalidProof::Type),
        ("typ", json!("DPOP+JWT"), InvalidProof::Type),
        ("typ", json!(["dpop+jwt"]), InvalidProof::Type),
        ("alg", json!("none"), InvalidProof::Algorithm),
        ("alg", json!("ES256"), InvalidProof::Algorithm),
        ("alg", json!("HS256"), InvalidProof::Algorithm),
        ("alg", json!("Ed25519"), InvalidProof::Algorithm),
        ("crit", json!(["b64"]), InvalidProof::CriticalExtension),
        ("jwk", json!("x"), InvalidProof::Key),
    ] {
        let bad = with(header(), member, value);
        assert_eq!(verify(&signed(&bad, &claims())), invalid(reason), "{bad}");
    }
    for (member, reason) in [
        ("typ", InvalidProof::Type),
        ("alg", InvalidProof::Algorithm),
        ("jwk", InvalidProof::Key),
    ] {
        let bad = without(header(), member);
        assert_eq!(verify(&signed(&bad, &claims())), invalid(reason), "{bad}");
    }
    assert_eq!(
        verify(&signed(&with(header(), "kid", json!("k")), &claims())),
        Ok(())
    );
}

#[test]
fn the_key_must_be_an_ed25519_public_key() {
    let x = holder().jwk()["x"].as_str().unwrap().to_owned();
    for (member, value, reason) in [
        ("kty", json!("EC"), InvalidProof::Key),
        ("crv", json!("X25519"), InvalidProof::Key),
        ("crv", json!("Ed448"), InvalidProof::Key),
        ("x", json!(format!("{x}=")), InvalidProof::Key),
        ("x", json!(x.split_at(42).0), InvalidProof::Key),
        ("x", json!(1), InvalidProof::Key),
        ("d", json!("AA"), InvalidProof::PrivateKey),
        ("d", Value::Null, InvalidProof::PrivateKey),
        ("k", json!("AA"), InvalidProof::PrivateKey),
    ] {
        let mut bad = header();
        bad["jwk"][member] = value;
        assert_eq!(verify(&signed(&bad, &claims())), invalid(reason), "{bad}");
    }
    for member in ["kty", "crv", "x"] {
        let mut bad = header();
        bad["jwk"].as_object_mut().unwrap().remove(member);
        assert_eq!(
            verify(&signed(&bad, &claims())),
            invalid(InvalidProof::Key),
            "{bad}"
        );
    }
}

#[test]
fn the_proof_of_another_key_is_refused() {
    let other = HolderKey::from_secret(&[2; 32]);
    let header = with(header(), "jwk", other.jwk());
    let proof = proof_of(other.sign_jwt(&header.to_string(), &claims().to_string()));
    assert_eq!(
        verify(&proof),
        invalid(InvalidProof::WrongHolder {
            actual: other.thumbprint()
        })
    );
}

#[test]
fn the_holders_key_with_another_signature_is_refused() {
    let other = HolderKey::from_secret(&[2; 32]);
    let proof = proof_of(other.sign_jwt(&header().to_string(), &claims().to_string()));
    assert_eq!(verify(&proof), invalid(InvalidProof::Signature));
}

#[test]
fn every_changed_character_is_refused() {
    let good = signed(&header(), &claims()).dpop;
    for at in 0..good.len() {
        for replacement in [b'A', b'B', b'.', b'='] {
            let mut bytes = good.clone().into_bytes();
            if bytes[at] == replacement {
                continue;
            }
            bytes[at] = replacement;
            let bad = proof_of(String::from_utf8(bytes).unwrap());
            assert!(
                matches!(verify(&bad), Err(HolderError::Invalid(_))),
                "character {at}"
            );
        }
    }
}

#[test]
fn only_a_jwt_of_three_parts_is_one() {
    let good = signed(&header(), &claims()).dpop;
    for bad in [
        String::new(),
        "..".to_owned(),
        good.rsplit_once('.').unwrap().0.to_owned(),
        format!("{good}."),
        format!("{good}.AA"),
        format!(" {good}"),
        format!("{good}="),
        holder().sign_jwt("[]", &claims().to_string()),
        holder().sign_jwt(&header().to_string(), "[]"),
        holder().sign_jwt(&header().to_string(), "{} {}"),
    ] {
        assert_eq!(
            verify(&proof_of(bad.clone())),
            invalid(InvalidProof::NotAJwt),
            "{bad}"
        );
    }
}

#[test]
fn keys_that_come_twice_are_refused() {
    let twice = |object: Value, member: &str| {
        let text = object.to_string();
        let value = &object[member];
        text.replacen('{', &format!("{{\"{member}\":{value},"), 1)
    };
    for dpop in [
        holder().sign_jwt(&twice(header(), "alg"), &claims().to_string()),
        holder().sign_jwt(&header().to_string(), &twice(claims(), "htm")),
    ] {
        assert_eq!(verify(&proof_of(dpop)), invalid(InvalidProof::NotAJwt));
    }
}

#[test]
fn claims_are_required_to_the_letter() {
    for (claim, value, reason) in [
        ("htm", json!("GET"), InvalidProof::Method),
        ("htm", json!("post"), InvalidProof::Method),
        ("htm", json!(1), InvalidProof::Claim { claim: "htm" }),
        (
            "htu",
            json!("http://127.0.0.1:8401/other"),
            InvalidProof::Url,
        ),
        (
            "htu",
            json!("https://127.0.0.1:8401/mcp"),
            InvalidProof::Url,
        ),
        ("htu", json!("mcp"), InvalidProof::Url),
        ("htu", json!([URL]), InvalidProof::Claim { claim: "htu" }),
        (
            "iat",
            json!(NOW.to_string()),
            InvalidProof::Claim { claim: "iat" },
        ),
        (
            "iat",
            json!(1_769_860_800.5),
            InvalidProof::Claim { claim: "iat" },
        ),
        ("iat", json!(-1), InvalidProof::Claim { claim: "iat" }),
        ("jti", json!(1), InvalidProof::Claim { claim: "jti" }),
        ("jti", json!(""), InvalidProof::Claim { claim: "jti" }),
        ("ath", json!(token_hash("other")), InvalidProof::Token),
        (
            "ath",
            json!(format!("{}=", token_hash(TOKEN))),
            InvalidProof::Token,
        ),
        ("ath", Value::Null, InvalidProof::Claim { claim: "ath" }),
        ("bwc", json!(token_hash("other")), InvalidProof::Call),
        ("bwc", json!({}), InvalidProof::Claim { claim: "bwc" }),
        ("exp", json!(NOW), InvalidProof::Period),
        ("exp", json!("never"), InvalidProof::Claim { claim: "exp" }),
        ("nbf", json!(NOW + 1), InvalidProof::Period),
    ] {
        let bad = with(claims(), claim, value);
        assert_eq!(verify(&signed(&header(), &bad)), invalid(reason), "{bad}");
    }
    for claim in ["htm", "htu", "iat", "jti", "ath", "bwc"] {
        let bad = without(claims(), claim);
        assert_eq!(
            verify(&signed(&header(), &bad)),
            invalid(InvalidProof::Claim { claim }),
            "{bad}"
        );
    }
    for (claim, value) in [
        ("htu", json!("HTTP://127.0.0.1:8401/mcp?x=1#y")),
        ("exp", json!(NOW + 1)),
        ("nbf", json!(NOW)),
        ("nonce", json!("n")),
    ] {
        let good = with(claims(), claim, value);
        assert_eq!(verify(&signed(&header(), &good)), Ok(()), "{good}");
    }
}

#[test]
fn the_request_is_compared_as_the_host_reports_it() {
    let good = signed(&header(), &claims());
    for (method, url, verdict) in [
        ("POST", "http://127.0.0.1:8401/mcp?x=1", Ok(())),
        ("GET", URL, invalid(InvalidProof::Method)),
        (
            "POST",
            "http://127.0.0.1:8402/mcp",
            invalid(InvalidProof::Url),
        ),
        ("POST", "/mcp", invalid(InvalidProof::RequestUrl)),
    ] {
        let proof = HolderProof {
            dpop: good.dpop.clone(),
            method: method.to_owned(),
            url: url.to_owned(),
        };
        assert_eq!(verify(&proof), verdict, "{method} {url}");
    }
}

#[test]
fn a_proof_is_good_60_seconds_either_way() {
    let proof = signed(&header(), &claims());
    for (utc, good) in [
        (NOW - 61, false),
        (NOW - 60, true),
        (NOW + 60, true),
        (NOW + 61, false),
    ] {
        let verdict = if good {
            Ok(())
        } else {
            invalid(InvalidProof::Stale {
                issued_at: Timestamp::from_unix(NOW),
                now: Timestamp::from_unix(utc),
            })
        };
        assert_eq!(verify_at(&proof, utc), verdict, "{utc}");
    }
}

#[test]
fn the_proof_covers_the_token_text_as_presented() {
    let proof = signed(&header(), &claims());
    let verdict = ProofVerifier::default().verify(
        Some(&proof),
        &ProofDemand {
            token_text: TOKEN.trim_end_matches('='),
            ..demand(&holder().thumbprint())
        },
        now(NOW),
    );
    assert_eq!(verdict, invalid(InvalidProof::Token));
}

#[test]
fn the_proof_covers_tool_and_arguments_whatever_their_order() {
    let proof = signed(&header(), &claims());
    for (tool, arguments, verdict) in [
        (
            "files.read_file",
            json!({"lines": [1, 2], "path": "a"}),
            Ok(()),
        ),
        (
            "files.write_file",
            json!({"path": "a", "lines": [1, 2]}),
            invalid(InvalidProof::Call),
        ),
        (
            "files.read_file",
            json!({"path": "b", "lines": [1, 2]}),
            invalid(InvalidProof::Call),
        ),
        (
            "files.read_file",
            json!({"path": "a", "lines": [2, 1]}),
            invalid(InvalidProof::Call),
        ),
        (
            "files.read_file",
            json!({"path": "a"}),
            invalid(InvalidProof::Call),
        ),
    ] {
        let demanded = ProofVerifier::default().verify(
            Some(&proof),
            &ProofDemand {
                call_digest: &|| Some(call_digest(tool, &arguments)),
                ..demand(&holder().thumbprint())
            },
            now(NOW),
        );
        assert_eq!(demanded, verdict, "{tool} {arguments}");
    }
}

#[test]
fn a_call_without_a_canonical_form_has_no_proof() {
    let verdict = ProofVerifier::default().verify(
        Some(&signed(&header(), &claims())),
        &ProofDemand {
            call_digest: &|| None,
            ..demand(&holder().thumbprint())
        },
        now(NOW),
    );
    assert_eq!(verdict, invalid(InvalidProof::NoCanonicalCall));
}

#[test]
fn a_call_is_put_into_its_canonical_form_only_when_all_else_holds() {
    let asked = |header: &Value, claims: &Value, key: &HolderKey| {
        let asked = Cell::new(false);
        let verdict = ProofVerifier::default().verify(
            Some(&proof_of(
                key.sign_jwt(&header.to_string(), &claims.to_string()),
            )),
            &ProofDemand {
                call_digest: &|| {
                    asked.set(true);
                    Some(digest())
                },
                ..demand(&holder().thumbprint())
            },
            now(NOW),
        );
        (verdict.is_ok(), asked.get())
    };
    let other_call = with(claims(), "bwc", json!(token_hash("other")));
    assert_eq!(asked(&header(), &claims(), &holder()), (true, true));
    assert_eq!(asked(&header(), &other_call, &holder()), (false, true));

    let other = HolderKey::from_secret(&[2; 32]);
    let others_header = with(header(), "jwk", other.jwk());
    assert_eq!(asked(&others_header, &claims(), &other), (false, false));
    assert_eq!(asked(&header(), &claims(), &other), (false, false));
    for (claim, value) in [
        ("jti", json!("")),
        ("htm", json!("GET")),
        ("htu", json!("http://127.0.0.1:8401/other")),
        ("iat", json!(NOW - 61)),
        ("exp", json!(NOW)),
        ("nbf", json!(NOW + 1)),
        ("ath", json!(token_hash("other"))),
    ] {
        let bad = with(claims(), claim, value);
        assert_eq!(asked(&header(), &bad, &holder()), (false, false), "{bad}");
    }
}

#[test]
fn jti_bound_counts_characters_and_is_inclusive() {
    for (length, verdict) in [
        (1, Ok(())),
        (MAX_JTI_CHARS, Ok(())),
        (
            MAX_JTI_CHARS + 1,
            invalid(InvalidProof::Claim { claim: "jti" }),
        ),
    ] {
        let claims = with(claims(), "jti", json!("é".repeat(length)));
        assert_eq!(verify(&signed(&header(), &claims)), verdict, "{length}");
    }
}

#[test]
fn size_bound_is_inclusive() {
    // Three bytes of padding in the claims make four characters of the proof.
    let sized = |padding: usize| {
        signed(
            &header(),
            &with(claims(), "pad", json!("x".repeat(padding))),
        )
    };
    let padding = (0..MAX_PROOF_BYTES)
        .find(|padding| sized(*padding).dpop.len() >= MAX_PROOF_BYTES)
        .unwrap();
    let (largest, larger) = (0..4)
        .map(|less| (sized(padding - less), sized(padding - less + 1)))
        .find(|(fits, _)| fits.dpop.len() <= MAX_PROOF_BYTES)
        .unwrap();
    assert!(MAX_PROOF_BYTES - largest.dpop.len() <= 1);
    assert_eq!(verify(&largest), Ok(()));
    assert_eq!(
        verify(&larger),
        invalid(InvalidProof::TooLarge {
            actual: larger.dpop.len()
        })
    );
}

#[test]
fn secrets_do_not_show() {
    let proof = signed(&header(), &claims());
    let shown = format!("{:?} {proof:?}", holder());
    assert!(shown.contains(holder().thumbprint().as_str()));
    assert!(shown.contains(URL) && shown.contains("POST"), "{shown}");
    assert!(!shown.contains(&proof.dpop), "{shown}");
    let shown = format!("{:?}", demand(&holder().thumbprint()));
    assert!(
        shown.contains(holder().thumbprint().as_str()) && shown.contains(SESSION),
        "{shown}"
    );
    assert!(!shown.contains(TOKEN), "{shown}");
}
