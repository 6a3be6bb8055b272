//! Clients that an operator registers, from the command line.

use std::fs;

use serde_json::{Value, json};

use crate::harness::http::Request;
use crate::harness::service::{Bailiwick, Place};

fn added(servers: &Place, more: &[&str]) -> Value {
    let mut arguments = vec!["clients", "add", "--application", "default"];
    arguments.extend(more);
    let added = servers.run(&arguments).expect_code(0).json();
    assert_eq!(added["event"], "client_added");
    added
}

#[test]
fn operator_registers_lists_and_removes_clients_of_an_application() {
    let servers = Bailiwick::up();
    let add = ["applications", "add", "support", "--name", "Help desk"];
    servers.run(&add).expect_code(0);
    let redirect = "https://app.example/cb";
    let client = added(
        &servers,
        &[
            "--name",
            "Triage",
            "--auth",
            "client-secret-basic",
            "--redirect-uri",
            redirect,
        ],
    );
    let (id, secret) = (
        client["client_id"].as_str().unwrap(),
        client["client_secret"].as_str(),
    );
    assert!(secret.is_some_and(|secret| secret.len() >= 32));

    let list = |more: &[&str]| {
        let mut arguments = vec!["clients", "list"];
        arguments.extend(more);
        let listed = servers.run(&arguments).expect_code(0).json_lines();
        listed.into_iter().find(|one| one["client_id"] == id)
    };
    let shown = list(&["--application", "default"]).unwrap();
    assert_eq!(
        shown,
        json!({"event": "client", "client_id": id, "application": "default", "name": "Triage",
            "redirect_uris": [redirect], "proof": "secret"})
    );
    assert_eq!(list(&[]), Some(shown));
    assert_eq!(list(&["--application", "support"]), None);

    let removed = servers
        .run(&["clients", "remove", id])
        .expect_code(0)
        .json();
    assert_eq!(removed, json!({"event": "client_removed", "client_id": id}));
    assert_eq!(list(&[]), None);
    let again = servers.run(&["clients", "remove", id]).expect_code(1);
    assert_eq!(again.json()["code"], "client_not_found");
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", id),
        ("code", "x"),
        ("redirect_uri", redirect),
        ("code_verifier", "x"),
    ];
    let refused = Request::post(&servers.issuer, "/oauth/token")
        .form(&form)
        .send();
    assert_eq!(refused.expect_status(401).json()["error"], "invalid_client");
}

#[test]
fn client_with_keys_is_registered_with_those_in_its_file() {
    let servers = Bailiwick::up();
    let file = servers.folder.arg("keys.json");
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
    fs::write(&file, keys.to_string()).unwrap();
    let client = added(
        &servers,
        &[
            "--name",
            "Own key",
            "--auth",
            "private-key-jwt",
            "--jwks",
            &file,
        ],
    );
    assert_eq!(client.get("client_secret"), None);
    let listed = servers
        .run(&["clients", "list"])
        .expect_code(0)
        .json_lines();
    let own = listed
        .iter()
        .find(|one| one["client_id"] == client["client_id"]);
    assert_eq!(own.unwrap()["proof"], "private_key_jwt");
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["clients", "add", "--name", "X", "--application"], more].concat()
}

#[test]
fn what_cannot_be_done_ends_with_the_code_for_it() {
    let servers = Bailiwick::up();
    for (arguments, exit, code) in [
        (with(&["none", "--auth", "none"]), 1, "malformed_json"),
        (
            with(&[
                "default",
                "--auth",
                "none",
                "--redirect-uri",
                "javascript:x",
            ]),
            1,
            "malformed_json",
        ),
        (
            with(&[
                "default",
                "--auth",
                "private-key-jwt",
                "--jwks",
                "no-such-file",
            ]),
            2,
            "usage",
        ),
        (
            vec!["clients", "remove", "bailiwick"],
            1,
            "client_not_found",
        ),
    ] {
        let refused = servers.run(&arguments).expect_code(exit);
        assert_eq!(refused.json()["code"], code, "{arguments:?}");
    }
    for arguments in [
        with(&["default"]),
        with(&["default", "--auth", "password"]),
        with(&["default", "--auth", "private-key-jwt"]),
        with(&["default", "--auth", "spiffe-jwt"]),
        vec!["clients"],
    ] {
        servers.run(&arguments).expect_code(2);
    }
    let elsewhere = servers.folder.arg("nothing-here");
    let arguments = ["clients", "list", "--data-dir", &elsewhere];
    let refused = servers.run(&arguments).expect_code(4);
    assert_eq!(refused.json()["code"], "no_operator_token");
}
