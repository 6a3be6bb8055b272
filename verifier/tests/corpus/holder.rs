//! Proofs of possession: replayed, swapped, stale, stolen, and badly made. Proofs are written here
//! by RFC 9449 and the profile, not by the verifier's own maker of proofs.

use bailiwick_verifier::holder::HolderProof;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    case::Case,
    forge::{Draft, key},
    scene::{AUDIENCE, NOW_UNIX, Presented, authority_with, case, token},
};

/// RFC 7638, by hand.
pub(crate) fn thumbprint(key: &SigningKey) -> String {
    thumbprint_of(&key.verifying_key().to_bytes())
}

pub(crate) fn thumbprint_of(public: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let json = format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{x}\"}}");
    URL_SAFE_NO_PAD.encode(Sha256::digest(json))
}

pub(crate) fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// A proof that can be spoilt in one place before it is signed.
pub(crate) struct Forged {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) signer: SigningKey,
    pub(crate) method: String,
    pub(crate) url: String,
}

impl Forged {
    /// A good proof by `signer` that the usual call comes with `token`.
    pub(crate) fn of(signer: &SigningKey, token: &str, id: &str) -> Self {
        let call = json!({"arguments": {"path": "reports/q3.md"}, "tool": "files.read_file"});
        Self {
            header: json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(signer.verifying_key().to_bytes())}}),
            // The members and values are ASCII texts in alphabetical order, so this is canonical.
            claims: json!({"jti": id, "htm": "POST", "htu": AUDIENCE, "iat": NOW_UNIX, "ath": hash(token), "bwc": hash(&call.to_string())}),
            signer: signer.clone(),
            method: "POST".to_owned(),
            url: AUDIENCE.to_owned(),
        }
    }

    pub(crate) fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: Value) -> Self {
        self.header[name] = value;
        self
    }

    pub(crate) fn without(mut self, claim: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(claim);
        self
    }

    pub(crate) fn signed(&self) -> HolderProof {
        self.signed_as(&self.header.to_string(), &self.claims.to_string())
    }

    /// Signs other texts than those of the values.
    pub(crate) fn signed_as(&self, header: &str, claims: &str) -> HolderProof {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = URL_SAFE_NO_PAD.encode(self.signer.sign(signed.as_bytes()).to_bytes());
        HolderProof {
            dpop: format!("{signed}.{signature}"),
            method: self.method.clone(),
            url: self.url.clone(),
        }
    }
}

/// A token bound to `holder` by the issuer.
pub(crate) fn bound() -> Draft {
    bound_with(&[])
}

pub(crate) fn bound_with(later: &[&str]) -> Draft {
    let holder = thumbprint(&key("holder"));
    Draft::of(&authority_with(&format!("holder(\"{holder}\")")), later)
}

pub(crate) fn hands_on(to: &str) -> String {
    format!("holder(\"{}\");", thumbprint(&key(to)))
}

impl Case {
    pub(crate) fn proof(mut self, proof: HolderProof) -> Self {
        self.holder_proof = Some(proof);
        self
    }

    pub(crate) fn after(mut self, id: &str) -> Self {
        self.after = Some(id.to_owned());
        self
    }
}

pub(crate) fn cases() -> Vec<Case> {
    [binding(), spoilt(), clocks(), replays()].concat()
}

/// A good proof for a token, with an id of its own.
pub(crate) fn good(token: &impl Presented, id: &str) -> Forged {
    Forged::of(&key("holder"), &token.presented(), id)
}

fn binding() -> Vec<Case> {
    let plain = token(&[]);
    let late = token(&[&hands_on("holder")]);
    let padded = ["a", "bb", "ccc"]
        .map(|name| bound_with(&[&format!("delegate(\"{name}\");")]).presented())
        .into_iter()
        .find(|text| text.ends_with('='))
        .unwrap();
    let bare = padded.trim_end_matches('=').to_owned();
    let thief = key("thief");
    vec![
        case("holder-proof", "allow", &bound(), "The holder's proof for this token and this call (rule 24).").proof(good(&bound(), "binding-1").signed()),
        case("holder-proof-missing", "holder_proof_missing", &bound(), "A bound token does nothing without its key (rule 24)."),
        case("holder-proof-missing-sealed", "holder_proof_missing", &bound().seal(), "A seal does not unbind (rules 10 and 24)."),
        case("holder-proof-sealed", "allow", &bound().seal(), "A sealed token with its holder's proof (rules 10 and 24).").proof(good(&bound().seal(), "binding-2").signed()),
        case("holder-proof-missing-ungranted", "holder_proof_missing", &bound(), "The missing proof is told before the missing grant (rules 20 and 24).").tool("files.delete_file", "destructive"),
        case("holder-proof-failing-check", "caveat_failed", &bound_with(&["check if access(\"write\");"]), "A proof does not lift a condition (rules 20 and 24).").proof(good(&bound_with(&["check if access(\"write\");"]), "binding-3").signed()),
        case("holder-bearer", "allow", &plain, "A token without a holder needs no proof (rule 24)."),
        case("holder-bearer-with-proof", "allow", &plain, "A proof that nobody asks for is not looked at (rule 24).").proof(Forged::of(&thief, "another token", "binding-4").signed()),
        case("holder-bound-later", "allow", &late, "A first-party block binds where nothing was bound (rule 16).").proof(good(&late, "binding-5").signed()),
        case("holder-bound-later-missing", "holder_proof_missing", &late, "A first-party block binds where nothing was bound (rule 16)."),
        case("holder-bound-later-thief", "holder_proof_invalid", &late, "Another key than the one that was bound (rule 24).").proof(Forged::of(&thief, &late.presented(), "binding-6").signed()),
        case("holder-theft", "holder_proof_invalid", &bound(), "A thief of the bytes proves possession of its own key (rule 24).").proof(Forged::of(&thief, &bound().presented(), "binding-7").signed()),
        case("holder-text-padded", "allow", &padded, "The proof is over the text as it is presented, here padded (rule 24).").proof(Forged::of(&key("holder"), &padded, "binding-8").signed()),
        case("holder-text-bare", "allow", &bare, "The proof is over the text as it is presented, here unpadded (rule 24).").proof(Forged::of(&key("holder"), &bare, "binding-9").signed()),
        case("holder-text-swapped", "holder_proof_invalid", &bare, "The proof is over the padded text, and the unpadded one is presented (rule 24).").proof(Forged::of(&key("holder"), &padded, "binding-10").signed()),
        case("holder-header", "allow", &bound(), "The proof is over the token without its scheme (rule 24).").header(format!("DPoP {}", bound().presented())).proof(good(&bound(), "binding-11").signed()),
        case("holder-header-hashed", "holder_proof_invalid", &bound(), "The proof is over the whole header (rule 24).").header(format!("DPoP {}", bound().presented())).proof(Forged::of(&key("holder"), &format!("DPoP {}", bound().presented()), "binding-12").signed()),
        case("holder-of-parent-token", "holder_proof_invalid", &bound_with(&["check if access(\"read\");"]), "A proof for the token before it was narrowed (rule 24).").proof(good(&bound(), "binding-13").signed()),
        case("holder-without-canonical-form", "holder_proof_invalid", &bound(), "An integer beyond 2^53 shares its canonical text with others, so no proof can be about it (rule 24).").args(json!({"n": 9_007_199_254_740_992_u64})).proof(good(&bound(), "binding-14").signed()),
    ]
}

fn spoilt() -> Vec<Case> {
    let text = bound().presented();
    let holder = key("holder");
    let thief = key("thief");
    let spoil = |id: &str, change: &dyn Fn(Forged) -> Forged, why: &str| {
        let proof = change(Forged::of(&holder, &text, &format!("spoilt-{id}"))).signed();
        case(
            &format!("proof-jwt-{id}"),
            "holder_proof_invalid",
            &text,
            why,
        )
        .proof(proof)
    };
    let written = |id: &str, proof: HolderProof, why: &str| {
        case(
            &format!("proof-jwt-{id}"),
            "holder_proof_invalid",
            &text,
            why,
        )
        .proof(proof)
    };
    let usual = |id: &str| Forged::of(&holder, &text, &format!("spoilt-{id}"));
    let jwk_of = |key: &SigningKey| json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.verifying_key().to_bytes())});
    let other_call = |call: Value| json!(hash(&call.to_string()));
    let cut = |proof: HolderProof, keep: usize| {
        let parts: Vec<&str> = proof.dpop.split('.').take(keep).collect();
        HolderProof {
            dpop: parts.join("."),
            ..proof.clone()
        }
    };
    let stranger = usual("x").signed();
    let moved = |url: &str| HolderProof {
        url: url.to_owned(),
        ..stranger.clone()
    };
    vec![
        spoil(
            "swapped-key",
            &|p| p.header("jwk", jwk_of(&thief)),
            "The holder's signature under another key's name (rule 24).",
        ),
        spoil(
            "swapped-signer",
            &|mut p| {
                p.signer = thief.clone();
                p
            },
            "Another key's signature under the holder's name (rule 24).",
        ),
        spoil(
            "private-key",
            &|p| {
                let mut jwk = jwk_of(&holder);
                jwk["d"] = json!("AA");
                p.header("jwk", jwk)
            },
            "A proof that gives the private key away (rule 24, RFC 9449 section 4.3).",
        ),
        spoil(
            "algorithm-none",
            &|p| p.header("alg", json!("none")),
            "No signature is no proof (rule 24).",
        ),
        spoil(
            "algorithm-hs256",
            &|p| p.header("alg", json!("HS256")),
            "A public key is no shared secret (rule 24).",
        ),
        spoil(
            "algorithm-missing",
            &|mut p| {
                p.header.as_object_mut().unwrap().remove("alg");
                p
            },
            "The algorithm is said (rule 24).",
        ),
        spoil(
            "type-jwt",
            &|p| p.header("typ", json!("JWT")),
            "A JWT made for something else (rule 24).",
        ),
        spoil(
            "critical",
            &|p| p.header("crit", json!(["exp"])),
            "An extension that has to be understood (rule 24).",
        ),
        spoil(
            "key-of-another-kind",
            &|p| {
                p.header(
                    "jwk",
                    json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
                )
            },
            "Ed25519 everywhere (rules 11 and 24).",
        ),
        spoil(
            "key-x25519",
            &|p| {
                let mut jwk = jwk_of(&holder);
                jwk["crv"] = json!("X25519");
                p.header("jwk", jwk)
            },
            "The right bytes on another curve (rule 24).",
        ),
        spoil(
            "key-missing",
            &|mut p| {
                p.header.as_object_mut().unwrap().remove("jwk");
                p
            },
            "A proof brings its key (rule 24).",
        ),
        spoil(
            "other-method",
            &|p| p.claim("htm", json!("GET")),
            "Made for another method (rule 24).",
        ),
        spoil(
            "method-in-lower-case",
            &|p| p.claim("htm", json!("post")),
            "Methods are told apart by case (rule 24).",
        ),
        spoil(
            "other-url",
            &|p| p.claim("htu", json!("http://127.0.0.1:8401/other")),
            "Made for another URL (rule 24).",
        ),
        spoil(
            "other-host",
            &|p| p.claim("htu", json!("http://127.0.0.2:8401/mcp")),
            "Made for another server (rule 24).",
        ),
        spoil(
            "url-with-user",
            &|p| p.claim("htu", json!("http://127.0.0.1:8401@evil.test/mcp")),
            "A URL with a user in it (rule 24).",
        ),
        spoil(
            "other-token",
            &|p| p.claim("ath", json!(hash("another token"))),
            "Made for another token (rule 24).",
        ),
        spoil(
            "other-arguments",
            &|p| {
                p.claim(
                    "bwc",
                    other_call(
                        json!({"arguments": {"path": "reports/q4.md"}, "tool": "files.read_file"}),
                    ),
                )
            },
            "Made for other arguments (rule 24).",
        ),
        spoil(
            "other-tool",
            &|p| {
                p.claim(
                    "bwc",
                    other_call(
                        json!({"arguments": {"path": "reports/q3.md"}, "tool": "files.write_file"}),
                    ),
                )
            },
            "Made for another tool (rule 24).",
        ),
        spoil(
            "without-call",
            &|p| p.without("bwc"),
            "A plain DPoP proof is not about one call (rule 24).",
        ),
        spoil(
            "without-token",
            &|p| p.without("ath"),
            "A proof names its token (rule 24).",
        ),
        spoil(
            "without-id",
            &|p| p.without("jti"),
            "A proof without an id could be replayed (rule 24).",
        ),
        spoil(
            "id-empty",
            &|p| p.claim("jti", json!("")),
            "An empty id is none (rule 24).",
        ),
        spoil(
            "id-long",
            &|p| p.claim("jti", json!("x".repeat(129))),
            "An id longer than any memory should keep (rule 24).",
        ),
        spoil(
            "id-number",
            &|p| p.claim("jti", json!(7)),
            "An id is a text (rule 24).",
        ),
        spoil(
            "without-time",
            &|p| p.without("iat"),
            "A proof says when it was made (rule 24).",
        ),
        spoil(
            "time-text",
            &|p| p.claim("iat", json!(NOW_UNIX.to_string())),
            "A time is a number (rule 24).",
        ),
        spoil(
            "time-float",
            &|p| p.claim("iat", json!(1_769_860_860.5)),
            "A time is a whole number here (rule 24).",
        ),
        spoil(
            "time-negative",
            &|p| p.claim("iat", json!(-1)),
            "A time before 1970 (rule 24).",
        ),
        spoil(
            "ended",
            &|p| p.claim("exp", json!(NOW_UNIX)),
            "A proof past its own end (rule 24).",
        ),
        spoil(
            "not-begun",
            &|p| p.claim("nbf", json!(NOW_UNIX + 1)),
            "A proof before its own start (rule 24).",
        ),
        written(
            "claim-twice",
            usual("twice").signed_as(
                &usual("twice").header.to_string(),
                &usual("twice")
                    .claims
                    .to_string()
                    .replacen('{', "{\"htm\":\"GET\",", 1),
            ),
            "A claim said twice, of which readers take different ones (rule 24).",
        ),
        written(
            "two-parts",
            cut(usual("two-parts").signed(), 2),
            "A JWT has three parts (rule 24).",
        ),
        written(
            "four-parts",
            HolderProof {
                dpop: format!("{}.AA", usual("four-parts").signed().dpop),
                ..stranger.clone()
            },
            "A JWT has three parts (rule 24).",
        ),
        written(
            "empty",
            HolderProof {
                dpop: String::new(),
                ..stranger.clone()
            },
            "An empty proof is not a missing one, and is none (rule 24).",
        ),
        written(
            "padded",
            HolderProof {
                dpop: format!("{}==", usual("padded").signed().dpop),
                ..stranger.clone()
            },
            "Parts of a JWT have no padding (rule 24).",
        ),
        written(
            "large",
            usual("large")
                .claim("note", json!("x".repeat(5_000)))
                .signed(),
            "More bytes than an honest proof has (rule 24).",
        ),
        written(
            "claims-not-an-object",
            usual("list").signed_as(&usual("list").header.to_string(), "[1]"),
            "Claims are an object (rule 24).",
        ),
        written(
            "presented-elsewhere",
            moved("http://127.0.0.1:8401/other"),
            "The request came to another URL than the proof is for (rule 24).",
        ),
        written(
            "request-without-url",
            moved(""),
            "Without a URL of the request nothing can be compared (rule 24).",
        ),
    ]
}

fn clocks() -> Vec<Case> {
    let made = |id: &str, verdict: &str, iat: u64, why: &str| {
        let proof = good(&bound(), &format!("clock-{id}"))
            .claim("iat", json!(iat))
            .signed();
        case(&format!("holder-clock-{id}"), verdict, &bound(), why).proof(proof)
    };
    vec![
        made("oldest", "allow", NOW_UNIX - 60, "A minute old (rule 24)."),
        made(
            "older",
            "holder_proof_invalid",
            NOW_UNIX - 61,
            "More than a minute old (rule 24).",
        ),
        made("ahead", "allow", NOW_UNIX + 60, "A minute ahead (rule 24)."),
        made(
            "further-ahead",
            "holder_proof_invalid",
            NOW_UNIX + 61,
            "More than a minute ahead (rule 24).",
        ),
        made("zero", "holder_proof_invalid", 0, "Made in 1970 (rule 24)."),
        made(
            "greatest",
            "holder_proof_invalid",
            u64::MAX,
            "Made at the end of all numbers (rule 24).",
        ),
    ]
}

fn replays() -> Vec<Case> {
    let first = || good(&bound(), "replay-1");
    let narrowed = || bound_with(&["check if access(\"read\");"]);
    let refused = good(&bound(), "replay-2").signed();
    vec![
        case(
            "holder-replay-1-first",
            "allow",
            &bound(),
            "A proof is good once (rule 24).",
        )
        .proof(first().signed()),
        case(
            "holder-replay-2-again",
            "holder_proof_replayed",
            &bound(),
            "The same proof a second time (rule 24).",
        )
        .proof(first().signed())
        .after("holder-replay-1-first"),
        case(
            "holder-replay-3-same-id",
            "holder_proof_replayed",
            &bound(),
            "A new proof with a used id (rule 24).",
        )
        .proof(first().claim("iat", json!(NOW_UNIX + 1)).signed())
        .after("holder-replay-1-first"),
        case(
            "holder-replay-4-same-id-other-token",
            "holder_proof_replayed",
            &narrowed(),
            "A used id with another token of the same holder (rule 24).",
        )
        .proof(good(&narrowed(), "replay-1").signed())
        .after("holder-replay-1-first"),
        case(
            "holder-replay-5-spoilt",
            "holder_proof_invalid",
            &bound(),
            "A replay is told only of a proof that is good otherwise (rule 24).",
        )
        .proof(first().claim("htm", json!("GET")).signed())
        .after("holder-replay-1-first"),
        case(
            "holder-replay-6-other-id",
            "allow",
            &bound(),
            "Another id is another proof (rule 24).",
        )
        .proof(good(&bound(), "replay-6").signed()),
        case(
            "holder-replay-7-refused-call",
            "resource_not_granted",
            &bound(),
            "A proof is used up even if the call is refused (rule 24).",
        )
        .resources(&["drive/q3.md"])
        .proof(refused.clone()),
        case(
            "holder-replay-8-after-refusal",
            "holder_proof_replayed",
            &bound(),
            "The proof was used up by a call that was refused (rule 24).",
        )
        .proof(refused)
        .after("holder-replay-7-refused-call"),
        case(
            "holder-replay-9-other-holder",
            "allow",
            &token(&[&hands_on("second")]),
            "Ids are counted for each holder (rule 24).",
        )
        .proof(
            Forged::of(
                &key("second"),
                &token(&[&hands_on("second")]).presented(),
                "replay-1",
            )
            .signed(),
        ),
    ]
}
