//! An authenticator in software, which does what it is told, the wrong thing included.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The user is there.
pub(crate) const PRESENT: u8 = 0x01;
/// The authenticator knows that it is its user.
pub(crate) const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// One passkey, with what it says when it signs.
#[derive(Clone)]
pub(crate) struct Authenticator {
    key: SigningKey,
    pub(crate) id: Vec<u8>,
    handle: String,
    pub(crate) count: u32,
    pub(crate) flags: u8,
    pub(crate) origin: String,
    pub(crate) party: String,
    pub(crate) kind: &'static str,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Authenticator {
    pub(crate) fn new(seed: u8, origin: &str) -> Self {
        Self {
            key: SigningKey::from_slice(&[seed; 32]).unwrap(),
            id: vec![seed; 32],
            handle: String::new(),
            count: 0,
            flags: PRESENT | VERIFIED,
            origin: origin.to_owned(),
            party: "localhost".to_owned(),
            kind: "webauthn.get",
        }
    }

    /// Signs with another key from here on.
    pub(crate) fn signs_with_key(&mut self, seed: u8) {
        self.key = SigningKey::from_slice(&[seed; 32]).unwrap();
    }

    /// Answers `PublicKeyCredentialCreationOptionsJSON`.
    pub(crate) fn registers(&mut self, options: &Value) -> String {
        self.handle = options["user"]["id"].as_str().unwrap().to_owned();
        let client = self.client_data("webauthn.create", options);
        let mut data = self.data(self.flags | ATTESTED);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose());
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt");
        object.push(0x64);
        object.extend(b"none");
        object.push(0x67);
        object.extend(b"attStmt");
        object.extend([0xa0, 0x68]);
        object.extend(b"authData");
        object.extend([0x58, u8::try_from(data.len()).unwrap()]);
        object.extend(&data);
        let response = json!({"clientDataJSON": encode(client), "transports": ["internal"],
            "attestationObject": encode(object)});
        self.credential(response)
    }

    /// Answers `PublicKeyCredentialRequestOptionsJSON`.
    pub(crate) fn signs(&mut self, options: &Value) -> String {
        self.count += 1;
        let client = self.client_data(self.kind, options);
        let data = self.data(self.flags);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(&client));
        let signature: Signature = self.key.sign(&signed);
        let response = json!({"clientDataJSON": encode(client), "authenticatorData": encode(data),
            "signature": encode(signature.to_der()), "userHandle": self.handle});
        self.credential(response)
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        json!({"type": kind, "challenge": options["challenge"], "origin": self.origin,
            "crossOrigin": false})
        .to_string()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let mut data = Sha256::digest(&self.party).to_vec();
        data.push(flags);
        data.extend(self.count.to_be_bytes());
        data
    }

    /// The public key (RFC 9053).
    fn cose(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_encoded_point(false);
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend(point.x().unwrap());
        key.extend([0x22, 0x58, 0x20]);
        key.extend(point.y().unwrap());
        key
    }

    fn credential(&self, response: Value) -> String {
        json!({"id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key",
            "response": response, "clientExtensionResults": {},
            "authenticatorAttachment": "platform"})
        .to_string()
    }
}
