//! `deny.toml`, enforced from `cargo metadata`.
//!
//! cargo-deny reads the same file and looks closer, but it is a tool that not
//! every machine has; licences, sources, bans and minimum versions are held
//! here in any case.

mod spdx;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use self::versions::Requirement;
use crate::workspace::{Graph, Package, root};

/// The parts of `deny.toml` that this module enforces.
struct Policy {
    licences: BTreeSet<String>,
    exceptions: BTreeMap<String, BTreeSet<String>>,
    bans: Vec<Ban>,
}

/// A crate, or some versions of it, that only its wrappers may link.
struct Ban {
    name: String,
    versions: Option<Requirement>,
    wrappers: BTreeSet<String>,
}

impl Policy {
    fn read() -> Self {
        let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
        let file: Table = text.parse().unwrap();
        let exceptions = list(&file["licenses"]["exceptions"]).iter().map(|entry| {
            let name = entry["crate"].as_str().unwrap().to_owned();
            (name, strings(&entry["allow"]))
        });
        Self {
            licences: strings(&file["licenses"]["allow"]),
            exceptions: exceptions.collect(),
            bans: list(&file["bans"]["deny"])
                .iter()
                .map(Ban::from_entry)
                .collect(),
        }
    }

    fn allows_licence_of(&self, package: &Package) -> bool {
        let exceptions = self.exceptions.get(&package.name);
        let allowed = |licence: &str| {
            self.licences.contains(licence) || exceptions.is_some_and(|more| more.contains(licence))
        };
        package
            .licence
            .as_deref()
            .is_some_and(|expression| spdx::is_satisfied(expression, &allowed))
    }
}

impl Ban {
    fn from_entry(entry: &Value) -> Self {
        let name = entry.get("crate").or_else(|| entry.get("name")).unwrap();
        let versions = entry
            .get("version")
            .map(|version| version.as_str().unwrap());
        Self {
            name: name.as_str().unwrap().to_owned(),
            versions: versions.map(Requirement::parse),
            wrappers: entry.get("wrappers").map(strings).unwrap_or_default(),
        }
    }

    fn covers(&self, package: &Package) -> bool {
        package.name == self.name
            && self
                .versions
                .as_ref()
                .is_none_or(|versions| versions.matches(&package.version))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn strings(value: &Value) -> BTreeSet<String> {
    list(value)
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_licence_is_allowed() {
    let policy = Policy::read();
    let refused: Vec<_> = Graph::of_workspace()
        .packages()
        .filter(|package| !policy.allows_licence_of(package))
        .map(|package| {
            format!(
                "{} {}: {:?}",
                package.name, package.version, package.licence
            )
        })
        .collect();
    assert!(refused.is_empty(), "not allowed by deny.toml: {refused:#?}");
}

#[test]
fn every_licence_exception_is_still_needed() {
    let policy = Policy::read();
    let graph = Graph::of_workspace();
    for name in policy.exceptions.keys() {
        let package = graph.packages().find(|package| package.name == *name);
        let Some(package) = package else {
            // Present on another platform only; cargo-deny tells.
            continue;
        };
        let plain = |licence: &str| policy.licences.contains(licence);
        let expression = package.licence.as_deref().unwrap();
        assert!(
            !spdx::is_satisfied(expression, &plain),
            "`{name}` needs no exception"
        );
    }
}

#[test]
fn own_packages_are_apache_2_0_and_the_text_is_in_the_repository() {
    for member in Graph::of_workspace().members() {
        assert_eq!(
            member.licence.as_deref(),
            Some("Apache-2.0"),
            "{}",
            member.name
        );
    }
    let text = std::fs::read_to_string(root().join("LICENSE")).unwrap();
    assert!(text.contains("Apache License"));
    assert!(text.contains("Version 2.0, January 2004"));
    assert!(text.contains("END OF TERMS AND CONDITIONS"));
}

#[test]
fn every_dependency_comes_from_one_registry() {
    let sources: BTreeSet<_> = Graph::of_workspace()
        .packages()
        .filter_map(|package| package.source.as_deref())
        .collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
    assert!(
        sources.iter().all(|source| source.starts_with("registry+")),
        "{sources:?}"
    );
}

#[test]
fn only_own_packages_have_a_local_path() {
    let graph = Graph::of_workspace();
    let members: BTreeSet<_> = graph
        .members()
        .map(|package| package.name.as_str())
        .collect();
    let local = graph.packages().filter(|package| package.source.is_none());
    let local: BTreeSet<_> = local.map(|package| package.name.as_str()).collect();
    assert_eq!(local, members);
}

#[test]
fn banned_crates_appear_only_under_their_wrappers() {
    let graph = Graph::of_workspace();
    for ban in Policy::read().bans {
        for package in graph.packages().filter(|package| ban.covers(package)) {
            let users = graph.direct_dependents(package);
            let strangers: Vec<_> = users
                .iter()
                .filter(|user| !ban.wrappers.contains(**user))
                .collect();
            let wrapped = !ban.wrappers.is_empty() && strangers.is_empty();
            assert!(
                wrapped,
                "{} {} is banned by deny.toml, used by {users:?}",
                package.name, package.version
            );
        }
    }
}
