//! The seeds: small inputs of each target, made from real tokens and committed.

use std::{collections::BTreeMap, fs, path::PathBuf};

use biscuit_auth::{Biscuit, builder::BlockBuilder, format::schema};
use prost::Message;

use crate::bodies::scene::{ROOT, append, authority, mint};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/seeds"))
}

/// The committed seeds of a target, in the order of their names.
pub(crate) fn committed(target: &str) -> Vec<Vec<u8>> {
    let of_target = files().into_iter();
    let of_target = of_target.filter(|(name, _)| name.starts_with(&format!("{target}/")));
    of_target.map(|(_, bytes)| bytes).collect()
}

/// Every committed file, by target and name.
fn files() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for target in fs::read_dir(folder()).unwrap() {
        let target = target.unwrap();
        for file in fs::read_dir(target.path()).unwrap() {
            let file = file.unwrap();
            let name = [target.file_name(), file.file_name()].map(|n| n.into_string().unwrap());
            files.insert(name.join("/"), fs::read(file.path()).unwrap());
        }
    }
    files
}

fn made() -> BTreeMap<String, Vec<u8>> {
    let numbered = |target: &'static str, inputs: Vec<Vec<u8>>| {
        let inputs = inputs.into_iter().enumerate();
        inputs.map(move |(n, input)| (format!("{target}/{n:02}"), input))
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    numbered("header", headers())
        .chain(numbered("block", BLOCKS.into_iter().map(block).collect()))
        .chain(numbered("constraint", texts(&CONSTRAINTS)))
        .chain(numbered("resource", texts(&RESOURCES)))
        .chain(numbered("policy", texts(&POLICIES)))
        .collect()
}

fn with(token: &Biscuit, block: &str) -> Biscuit {
    append(token, BlockBuilder::new().code(block).unwrap())
}

fn headers() -> Vec<Vec<u8>> {
    let plain = mint(&authority(), ROOT);
    let hop = |token: &Biscuit| with(token, "delegate(\"sub\"); check if access(\"read\");");
    let two = hop(&hop(&plain));
    let bearer = |token: &Biscuit| format!("Bearer {}", token.to_base64().unwrap());
    let unpadded = bearer(&plain).trim_end_matches('=').to_owned();
    let headers = [
        bearer(&plain),
        unpadded,
        bearer(&plain).replacen("Bearer", "dpop", 1),
        bearer(&hop(&plain)),
        bearer(&two),
        bearer(&two.seal().unwrap()),
        bearer(&hop(&two)),
        bearer(&hop(&hop(&two))),
        bearer(&with(&plain, "check if tool(\"files.write_file\");")),
        bearer(&with(&plain, "time(2020-01-01T00:00:00Z);")),
        bearer(&mint(&authority(), ROOT + 3)),
        "Bearer ".to_owned(),
        "Basic YTpi".to_owned(),
    ];
    headers.map(String::into_bytes).to_vec()
}

/// The bytes of a later block.
fn block(source: &str) -> Vec<u8> {
    let token = with(&mint(&authority(), ROOT), source).to_vec().unwrap();
    let message = schema::Biscuit::decode(token.as_slice()).unwrap();
    message.blocks[0].block.clone()
}

const BLOCKS: [&str; 32] = [
    "",
    "delegate(\"sub\");",
    "check if time($t), $t <= 2030-01-01T00:00:00Z;",
    "check all time($t), $t < 2030-01-01T00:00:00Z;",
    "check if tool(\"files.read_file\");",
    "check if tool($t), [\"files.read_file\", \"files.search\"].contains($t);",
    "check if tool($t), {\"files.read_file\"}.contains($t);",
    "check if access(\"read\");",
    "check if access($a), [\"read\", \"write\"].contains($a);",
    "check if resource($r), $r.starts_with([\"files\", \"reports\"]);",
    "check if resource($r), $r.starts_with([\"a\"]) || $r.starts_with([\"files\"]);",
    "check if depth($d), $d <= 2;",
    "check if request_audience(\"http://127.0.0.1:8401/mcp\");",
    "check if args($a), $a.get(\"n\") == 5;",
    "check if args($a), [1, \"x\", true].contains($a.get(\"n\"));",
    "check if args($a), $a.get(\"n\") >= 1, $a.get(\"n\") <= 9;",
    "check if args($a), $a.get(\"path\").starts_with(\"files\");",
    "check if args($a), $a.get(\"path\").ends_with(\"a\");",
    "check if args($a), $a.get(\"list\").all($x -> [\"a\", \"b\"].contains($x));",
    "check if args($a), $a.get(\"list\").any($x -> [\"a\"].contains($x));",
    "check if args($a), [\"a\"].all($x -> $a.get(\"list\").contains($x));",
    "check if args($a), $a.get(\"list\").length() <= 2;",
    "check if args($a), !$a.contains(\"m\") || $a.get(\"m\") == 5;",
    "check if args($a), $a.contains(\"n\");",
    "check if args($a), !$a.contains(\"m\");",
    "check if args($a), $a.all($kv -> [\"n\", \"path\", \"list\", \"flag\"].contains($kv.get(0)));",
    "check if path_arg(\"path\", $p), $p.starts_with([\"files\"]);",
    "check if url_arg(\"url\", $u), $u.get(\"scheme\") == \"https\", $u.get(\"host\").ends_with(\".h\");",
    "check if tool($t), $t.matches(\"a\");",
    "reject if tool(\"x\");",
    "a($x) <- tool($x);",
    "check if tool(\"x\") trusting authority;",
];

const CONSTRAINTS: [&str; 28] = [
    "n=5",
    "n=true",
    "n=text",
    "n?=text",
    "n=1..10",
    "n=..10",
    "n=-5..",
    "n=a|b|3",
    "n=pre*",
    "n=*suf",
    "n=*",
    "n=",
    "=5",
    "n={\"url\":{\"scheme\":\"https\",\"host\":\".h.example\",\"port\":443,\"path\":\"/p\"}}",
    "{\"exact\":\"a\"}",
    "{\"exact\":1.5}",
    "{\"one_of\":[1,\"a\",true],\"optional\":true}",
    "{\"min\":1,\"max\":9}",
    "{\"min\":9223372036854775807}",
    "{\"prefix\":\"p\"}",
    "{\"suffix\":\"s\",\"optional\":false}",
    "{\"subset\":[]}",
    "{\"any_of\":[1]}",
    "{\"all_of\":[\"a\"]}",
    "{\"max_length\":3}",
    "{\"present\":true}",
    "{\"absent\":true}",
    "{\"under\":\"a/b\"}",
];

const RESOURCES: [&str; 18] = [
    "a",
    "files/reports/q3.md",
    "files/..",
    "/files",
    "files//a",
    "files/\u{202e}a",
    "a%2fb",
    "...",
    "https://api.example.com/v1/a",
    "https://api.example.com:8443/",
    "https://user@h.example/",
    "https://127.0.0.1/",
    "https://h.example/a/../b",
    "{}",
    "{\"n\":5,\"list\":[\"a\",null,1.5],\"deep\":{\"a\":{\"b\":[[]]}}}",
    "{\"a\":1,\"a\":2}",
    "{\"n\":9007199254740993}",
    "[1,2,{\"x\":\"\\u0000\\ud83d\\ude00\"}]",
];

const POLICIES: [&str; 8] = [
    "",
    "deny if access(\"destructive\");",
    "allow if access(\"read\");",
    "check if tool($t), [\"files.read_file\", \"files.search\"].contains($t);",
    "deny if resource($r), $r.starts_with([\"files\", \"secret\"]);\nallow if access(\"read\") or access(\"write\");",
    "deny if agent($a), $a.matches(\"^bot-[0-9]+$\");",
    "deny if unknown($x);",
    "deny if tool(",
];

#[test]
fn seeds_are_those_that_the_code_makes() {
    let made = made();
    if std::env::var_os("BAILIWICK_WRITE_SEEDS").is_some() {
        if folder().exists() {
            fs::remove_dir_all(folder()).unwrap();
        }
        for (name, bytes) in &made {
            let path = folder().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let kept = files();
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&made), names(&kept));
    for (name, bytes) in &made {
        assert_eq!(bytes, &kept[name], "{name}");
    }
}
