//! The direction of dependency, read from `cargo metadata`.
//!
//! The split into crates is a security boundary: the issuer holds signing keys
//! and no provider secrets, the gateway holds provider secrets and no signing
//! keys, and the decision itself is pure. A new edge in the graph that blurs
//! one of these lines has to change this file as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One package of the resolved graph.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) manifest: PathBuf,
    /// Ids of what is compiled into this package (normal and build edges).
    linked: BTreeSet<String>,
    /// Names of packages declared optional.
    optional: BTreeSet<String>,
}

/// The resolved dependency graph for this machine's platform.
#[derive(Debug)]
pub(crate) struct Graph {
    packages: BTreeMap<String, Package>,
    members: BTreeSet<String>,
}

impl Graph {
    /// The graph of this workspace, read once.
    pub(crate) fn of_workspace() -> &'static Self {
        static GRAPH: LazyLock<Graph> = LazyLock::new(Graph::read);
        &GRAPH
    }

    /// Every package, ours and others'.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// The packages that directly link `id`'s package, by name.
    pub(crate) fn direct_dependents(&self, package: &Package) -> BTreeSet<&str> {
        self.packages
            .values()
            .filter(|other| {
                other
                    .linked
                    .iter()
                    .any(|id| std::ptr::eq(&raw const self.packages[id], package))
            })
            .map(|other| other.name.as_str())
            .collect()
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().map(|id| &self.packages[id])
    }

    fn member(&self, name: &str) -> &Package {
        self.members()
            .find(|package| package.name == name)
            .unwrap_or_else(|| panic!("`{name}` is a member of the workspace"))
    }

    fn names_of(&self, ids: &BTreeSet<String>) -> BTreeSet<&str> {
        ids.iter()
            .map(|id| self.packages[id].name.as_str())
            .collect()
    }

    /// Names of the workspace's own packages that `name` links directly.
    fn own_dependencies(&self, name: &str) -> BTreeSet<&str> {
        let linked = &self.member(name).linked;
        self.names_of(&linked.intersection(&self.members).cloned().collect())
    }

    fn direct_dependencies(&self, name: &str) -> BTreeSet<&str> {
        self.names_of(&self.member(name).linked)
    }

    /// Names of everything compiled into `name`, however deep.
    fn everything_in(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut ahead: Vec<&String> = self.member(name).linked.iter().collect();
        while let Some(id) = ahead.pop() {
            if seen.insert(id) {
                ahead.extend(&self.packages[id].linked);
            }
        }
        seen.into_iter()
            .map(|id| self.packages[id].name.as_str())
            .collect()
    }

    fn read() -> Self {
        let metadata = metadata();
        let mut linked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in array(&metadata["resolve"]["nodes"]) {
            let edges = array(&node["deps"]).iter().filter(|edge| is_linked(edge));
            let ids = edges.map(|edge| text(&edge["pkg"])).collect();
            linked.insert(text(&node["id"]), ids);
        }
        let packages = array(&metadata["packages"]).iter().map(|package| {
            let id = text(&package["id"]);
            let optional = array(&package["dependencies"])
                .iter()
                .filter(|dependency| dependency["optional"] == true)
                .map(|dependency| text(&dependency["name"]))
                .collect();
            let linked = linked.remove(&id).unwrap_or_default();
            let package = Package {
                name: text(&package["name"]),
                version: text(&package["version"]),
                licence: package["license"].as_str().map(str::to_owned),
                source: package["source"].as_str().map(str::to_owned),
                manifest: PathBuf::from(text(&package["manifest_path"])),
                linked,
                optional,
            };
            (id, package)
        });
        let packages = packages.collect();
        let members = array(&metadata["workspace_members"])
            .iter()
            .map(text)
            .collect();
        Self { packages, members }
    }
}

/// Asks cargo for this platform's part of the graph, which a build has already
/// downloaded, so that the test needs no network.
fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let rustc = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc runs");
    let host = String::from_utf8(rustc.stdout).unwrap();
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names its host");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn is_linked(edge: &Value) -> bool {
    array(&edge["dep_kinds"])
        .iter()
        .any(|kind| kind["kind"].is_null() || kind["kind"] == "build")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .expect("cargo metadata has text here")
        .to_owned()
}

fn set<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

/// Fails if any of `forbidden` is among `present`.
fn assert_absent(of: &str, present: &BTreeSet<&str>, forbidden: &[&str]) {
    let found: Vec<_> = forbidden
        .iter()
        .filter(|name| present.contains(*name))
        .collect();
    assert!(found.is_empty(), "`{of}` must not depend on {found:?}");
}

#[test]
fn datalog_depends_on_no_other_part() {
    assert_eq!(
        Graph::of_workspace().own_dependencies("bailiwick-datalog"),
        set(&[])
    );
}

#[test]
fn verifier_depends_on_datalog_alone() {
    let own = Graph::of_workspace().own_dependencies("bailiwick-verifier");
    assert_eq!(own, set(&["bailiwick-datalog"]));
}

#[test]
fn issuer_depends_on_the_two_token_crates_alone() {
    let own = Graph::of_workspace().own_dependencies("bailiwick-issuer");
    assert!(
        own.is_subset(&set(&["bailiwick-datalog", "bailiwick-verifier"])),
        "{own:?}"
    );
}

#[test]
fn gateway_depends_on_the_two_token_crates_alone() {
    let own = Graph::of_workspace().own_dependencies("bailiwick-mcp-server");
    assert!(
        own.is_subset(&set(&["bailiwick-datalog", "bailiwick-verifier"])),
        "{own:?}"
    );
}

#[test]
fn nothing_depends_on_the_binary_or_the_benches() {
    let graph = Graph::of_workspace();
    for member in graph.members() {
        let own = graph.own_dependencies(&member.name);
        assert_absent(&member.name, &own, &["bailiwick", "bailiwick-benches"]);
    }
}

#[test]
fn datalog_has_no_runtime_no_network_and_no_store() {
    let present = Graph::of_workspace().everything_in("bailiwick-datalog");
    let forbidden = [
        "tokio",
        "async-std",
        "smol",
        "axum",
        "hyper",
        "reqwest",
        "tower",
        "rmcp",
        "sled",
        "sqlx",
        "rustls",
        "tracing",
        "log4rs",
        "fs4",
        "cap-std",
    ];
    assert_absent("bailiwick-datalog", &present, &forbidden);
}

#[test]
fn datalog_makes_no_randomness_of_its_own() {
    let direct = Graph::of_workspace().direct_dependencies("bailiwick-datalog");
    assert_absent(
        "bailiwick-datalog",
        &direct,
        &["rand", "rand_chacha", "getrandom", "uuid"],
    );
}

#[test]
fn verifier_has_no_runtime_no_network_and_no_log() {
    let present = Graph::of_workspace().everything_in("bailiwick-verifier");
    let forbidden = [
        "tokio",
        "async-std",
        "smol",
        "axum",
        "hyper",
        "reqwest",
        "tower",
        "rmcp",
        "sqlx",
        "rustls",
        "tracing",
        "cap-std",
    ];
    assert_absent("bailiwick-verifier", &present, &forbidden);
}

#[test]
fn verifier_keeps_its_only_store_and_its_http_layer_behind_features() {
    let verifier = Graph::of_workspace().member("bailiwick-verifier");
    for name in ["sled", "http", "tower-layer", "tower-service"] {
        assert!(
            verifier.optional.contains(name),
            "{name} is optional in the verifier"
        );
    }
}

#[test]
fn issuer_has_no_mcp_and_no_provider() {
    let present = Graph::of_workspace().everything_in("bailiwick-issuer");
    assert_absent("bailiwick-issuer", &present, &["rmcp", "cap-std"]);
}

#[test]
fn gateway_has_no_database_no_passwords_and_no_pages() {
    let present = Graph::of_workspace().everything_in("bailiwick-mcp-server");
    assert_absent(
        "bailiwick-mcp-server",
        &present,
        &["sqlx", "argon2", "askama"],
    );
}

#[test]
fn every_member_inherits_the_workspace_lints() {
    for member in Graph::of_workspace().members() {
        let manifest = std::fs::read_to_string(&member.manifest).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let inherits = manifest["lints"]["workspace"].as_bool();
        assert_eq!(
            inherits,
            Some(true),
            "`{}` has `lints.workspace = true`",
            member.name
        );
    }
}

#[test]
fn workspace_forbids_unsafe_code_and_keeps_overflow_checks() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let lints = &manifest["workspace"]["lints"];
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("forbid"));
    assert_eq!(lints["rust"]["missing_docs"].as_str(), Some("deny"));
    for lint in [
        "unwrap_used",
        "expect_used",
        "panic",
        "indexing_slicing",
        "string_slice",
        "as_conversions",
        "disallowed_methods",
    ] {
        assert_eq!(
            lints["clippy"][lint].as_str(),
            Some("deny"),
            "clippy::{lint}"
        );
    }
    let release = &manifest["profile"]["release"];
    assert_eq!(release["overflow-checks"].as_bool(), Some(true));
}
