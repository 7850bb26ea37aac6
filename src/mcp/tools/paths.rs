//! Which files a caller may have read.

use std::path::{Path, PathBuf};

use crate::mcp::IngestPaths;
use crate::{Code, Error, Result};

/// The file or directory that is meant, with every link resolved, if the caller may have it read.
///
/// # Errors
/// `Forbidden` outside of the allowed directories, whether or not anything is there;
/// `InvalidInput` for what is missing inside, and for a relative path that starts nowhere.
pub(super) fn resolve(
    given: &str,
    directory: Option<&Path>,
    allowed: &IngestPaths,
) -> Result<PathBuf> {
    match allowed {
        IngestPaths::Any => {
            let path = absolute(given, directory)?;
            path.canonicalize().map_err(|error| missing(&path, error))
        }
        // A remote caller's directory means nothing on this machine.
        IngestPaths::Below(roots) => below(&absolute(given, None)?, roots),
    }
}

fn absolute(given: &str, directory: Option<&Path>) -> Result<PathBuf> {
    let path = Path::new(given);
    match directory {
        _ if path.is_absolute() => Ok(path.to_owned()),
        Some(directory) if directory.is_absolute() => Ok(directory.join(path)),
        _ => Err(Error::invalid(format!("`{given}` is a relative path; give an absolute one"))
            .reason("relative_path")),
    }
}

fn below(path: &Path, roots: &[PathBuf]) -> Result<PathBuf> {
    if roots.is_empty() {
        return Err(forbidden(
            "files are not read for remote callers: set MEMNODE_INGEST_ROOTS to the directories \
             that may be read",
        ));
    }
    let outside = || {
        forbidden(format!(
            "`{}` is not below a directory that MEMNODE_INGEST_ROOTS names",
            path.display()
        ))
    };
    // A root that does not exist allows nothing.
    let roots: Vec<PathBuf> = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    let is_below = |path: &Path| roots.iter().any(|root| path.starts_with(root));
    match path.canonicalize() {
        Ok(resolved) if is_below(&resolved) => Ok(resolved),
        Ok(_) => Err(outside()),
        // Nothing is told about what exists elsewhere: the parent must be inside.
        Err(error) => match path.parent().map(Path::canonicalize) {
            Some(Ok(parent)) if is_below(&parent) => Err(missing(path, error)),
            _ => Err(outside()),
        },
    }
}

fn forbidden(detail: impl Into<String>) -> Error {
    Error::new(Code::Forbidden, detail).reason("path_not_allowed")
}

fn missing(path: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("`{}` cannot be read: {error}", path.display())).reason("file_not_found")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// `root/a.txt`, `secret.txt`, and links between the two.
    fn tree() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("directory");
        let top = directory.path().canonicalize().expect("it exists");
        fs::create_dir(top.join("root")).expect("directory");
        fs::write(top.join("root/a.txt"), "a").expect("file");
        fs::write(top.join("secret.txt"), "s").expect("file");
        symlink(top.join("secret.txt"), top.join("root/leak.txt")).expect("link");
        symlink(&top, top.join("root/up")).expect("link");
        symlink(top.join("root/a.txt"), top.join("root/b.txt")).expect("link");
        (directory, top)
    }

    fn check(top: &Path, given: &str, allowed: &IngestPaths, expected: Result<&str, &str>) {
        let given = given.replace('^', &top.display().to_string());
        let found = resolve(&given, Some(&top.join("root")), allowed);
        let found = found.map_err(|error| error.reason);
        assert_eq!(found, expected.map(|path| top.join(path)), "{given}");
    }

    #[test]
    fn a_remote_caller_stays_below_the_roots() {
        let (_directory, top) = tree();
        let roots = IngestPaths::Below(vec![top.join("root"), top.join("nowhere")]);
        check(&top, "^/root/a.txt", &roots, Ok("root/a.txt"));
        check(&top, "^/root", &roots, Ok("root"));
        check(&top, "^/root/b.txt", &roots, Ok("root/a.txt"));
        check(&top, "^/root/none.txt", &roots, Err("file_not_found"));
        for outside in [
            "^/secret.txt",
            "^/none.txt",
            "^/root/leak.txt",
            "^/root/up/secret.txt",
            "^/root/../secret.txt",
            "^/root/none/../../secret.txt",
            "^/rooted/a.txt",
            "/etc/passwd",
        ] {
            check(&top, outside, &roots, Err("path_not_allowed"));
        }
        check(&top, "a.txt", &roots, Err("relative_path"));
    }

    #[test]
    fn without_roots_a_remote_caller_has_nothing_read() {
        let (_directory, top) = tree();
        let none = IngestPaths::Below(Vec::new());
        check(&top, "^/root/a.txt", &none, Err("path_not_allowed"));
        let error = resolve("/etc/passwd", None, &none).expect_err("refused");
        assert!(error.detail.contains("MEMNODE_INGEST_ROOTS"));
    }

    #[test]
    fn a_local_caller_has_anything_read_from_its_own_directory_on() {
        let (_directory, top) = tree();
        check(&top, "a.txt", &IngestPaths::Any, Ok("root/a.txt"));
        check(&top, "../secret.txt", &IngestPaths::Any, Ok("secret.txt"));
        check(&top, "^/secret.txt", &IngestPaths::Any, Ok("secret.txt"));
        check(&top, "none.txt", &IngestPaths::Any, Err("file_not_found"));
        let error = resolve("a.txt", None, &IngestPaths::Any).expect_err("starts nowhere");
        assert_eq!(error.reason, "relative_path");
    }
}
