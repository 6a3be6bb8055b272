//! The sample files that a first start leaves in the sandbox, so that there is
//! something to read.

use std::fs;
use std::io;
use std::path::Path;

use crate::exit::Failure;
use crate::files;

const SAMPLES: [(&str, &str); 4] = [
    ("README.txt", include_str!("samples/README.txt")),
    ("reports/q3.md", include_str!("samples/q3.md")),
    ("reports/q4-draft.md", include_str!("samples/q4-draft.md")),
    ("notes/meeting.md", include_str!("samples/meeting.md")),
];

/// Fills `root` with the samples if it does not exist yet.
///
/// # Errors
///
/// `data_dir_unusable`.
pub(crate) fn fill_if_new(root: &Path) -> Result<(), Failure> {
    if root.exists() {
        return Ok(());
    }
    write_all(root).map_err(|error| {
        Failure::new(
            "data_dir_unusable",
            format!(
                "cannot write the sample files to `{}`: {error}",
                root.display()
            ),
        )
    })
}

fn write_all(root: &Path) -> io::Result<()> {
    for (name, text) in SAMPLES {
        let path = root.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        files::create_secret(&path, text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_once_and_never_over_what_is_there() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("files");
        fill_if_new(&root).unwrap();
        let report = root.join("reports/q3.md");
        assert!(fs::read_to_string(&report).unwrap().contains("Q3"));
        fs::remove_file(&report).unwrap();
        fill_if_new(&root).unwrap();
        assert!(!report.exists());
    }
}
