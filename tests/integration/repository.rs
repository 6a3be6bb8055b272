//! The repository says what it is: the documents exist, agree with the code,
//! and a newcomer needs exactly two commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bailiwick_verifier::Denied;

use crate::workspace::{Graph, root};

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file under version control; in an export without git, every file of
/// the source folders.
fn sources() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output();
    let listed = listed.expect("git runs");
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let names = String::from_utf8(listed.stdout).unwrap();
    let names = names.split('\0').filter(|name| !name.is_empty());
    names
        .map(|name| root().join(name))
        .filter(|path| path.is_file())
        .collect()
}

fn rust_sources() -> impl Iterator<Item = PathBuf> {
    sources()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The fenced blocks of a Markdown text: their language and their lines.
fn fences(markdown: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in markdown.lines() {
        match line.strip_prefix("```") {
            Some(language) if !inside => {
                blocks.push((language.trim().to_owned(), Vec::new()));
                inside = true;
            }
            Some(_) => inside = false,
            None if inside => blocks.last_mut().unwrap().1.push(line.to_owned()),
            None => {}
        }
    }
    assert!(!inside, "every fence is closed");
    blocks
}

#[test]
fn readme_opens_with_exactly_two_set_up_commands() {
    let readme = read("README.md");
    let blocks = fences(&readme);
    let commands: Vec<_> = blocks
        .iter()
        .filter(|(language, _)| language != "mermaid")
        .take(2)
        .flat_map(|(_, lines)| lines)
        .map(|line| line.trim_start_matches("$ ").trim())
        .filter(|line| line.starts_with("cargo ") || line.starts_with("./scripts/"))
        .collect();
    assert_eq!(commands, ["cargo run --release -- up", "./scripts/test.sh"]);
    assert!(
        blocks.iter().any(|(language, _)| language == "mermaid"),
        "a picture of the flow"
    );
}

#[test]
fn one_command_runs_what_continuous_integration_runs() {
    assert!(read(".ci/run").contains("./scripts/test.sh"));
    for script in [".ci/run", "scripts/test.sh"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = root().join(script).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is executable");
        assert!(
            read(script).contains("set -euo pipefail"),
            "{script} is strict"
        );
    }
}

#[test]
fn architecture_names_every_crate_and_only_files_that_exist() {
    let text = read("ARCHITECTURE.md");
    for member in Graph::of_workspace().members() {
        let folder = member.manifest.parent().unwrap();
        let folder = relative(folder);
        if folder.is_empty() || folder == "benches" {
            continue;
        }
        assert!(
            text.contains(&format!("`{folder}/`")),
            "`{folder}/` is described"
        );
    }
    let quoted = text.split('`').skip(1).step_by(2);
    let ours = [
        "datalog/",
        "verifier/",
        "issuer/",
        "mcp-server/",
        "src/",
        "tests/",
        "benches/",
    ];
    // The table of the data directory names paths of a running system.
    let of_data = ["issuer/issuer.sqlite", "issuer/keys/", "issuer/clients.key"];
    for path in quoted.filter(|word| ours.iter().any(|folder| word.starts_with(folder))) {
        let known = of_data.contains(&path) || root().join(path).exists();
        assert!(
            known,
            "ARCHITECTURE.md names `{path}`, which does not exist"
        );
    }
}

#[test]
fn every_denial_code_is_documented() {
    let text = read("ARCHITECTURE.md");
    let missing: Vec<_> = Denied::ALL_CODES
        .iter()
        .filter(|code| !text.contains(&format!("`{code}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md does not explain {missing:?}"
    );
}

#[test]
fn changelog_tells_of_the_version_in_the_manifest() {
    let changelog = read("CHANGELOG.md");
    let version = concat!("## ", env!("CARGO_PKG_VERSION"));
    assert!(changelog.contains(version) || changelog.contains("## Unreleased"));
}

#[test]
fn nothing_unfinished_is_left_in_the_sources() {
    // Spelled apart, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX:"),
        concat!("unimplemented", "!("),
    ];
    let mut found = Vec::new();
    for path in rust_sources() {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{}: {line}", relative(&path), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_module_says_what_it_owns() {
    // Unit tests in a file of their own speak through their names.
    let is_unit_tests = |path: &PathBuf| path.ends_with("tests.rs");
    let silent: Vec<_> = rust_sources()
        .filter(|path| !is_unit_tests(path))
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "))
        .map(|path| relative(&path))
        .collect();
    assert!(silent.is_empty(), "no module documentation: {silent:#?}");
}

#[test]
fn no_source_file_outgrows_one_idea() {
    const MOST_LINES: usize = 600;
    let long: Vec<_> = rust_sources()
        .map(|path| (fs::read_to_string(&path).unwrap(), path))
        .map(|(text, path)| (code_lines(&text), relative(&path)))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .collect();
    assert!(
        long.is_empty(),
        "over {MOST_LINES} lines without tests: {long:?}"
    );
}

/// Lines before the unit tests, which stand at the end of a file.
fn code_lines(text: &str) -> usize {
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .count()
}
