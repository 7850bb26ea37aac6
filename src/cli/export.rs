//! `memnode export`: memories as JSONL, to a file that appears only when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hyper::Method;

use super::Call;
use super::args::ExportArgs;
use super::exit::Failure;
use super::find::comma_list;
use super::output::counted;
use super::progress::{Progress, count_and_rate};
use crate::client::{ApiClient, Payload, path_with_query};
use crate::node::Need;

pub(super) async fn run(call: &Call, args: ExportArgs) -> Result<(), Failure> {
    let path = path_with_query(
        "/api/export",
        &[
            ("tag", (!args.tags.tags.is_empty()).then(|| comma_list(&args.tags.tags))),
            ("tag_match", args.tags.all_tags.then(|| "all".to_owned())),
            call.namespaces(&args.scope),
        ],
    );
    call.with_node(Need::StoreOnly, async |client| match &args.file {
        Some(file) if file.as_os_str() != "-" => export_to_file(call, client, &path, file).await,
        _ => stream(client, &path, |line| call.output.write(line)).await.map(drop),
    })
    .await
}

async fn export_to_file(
    call: &Call,
    client: &ApiClient,
    path: &str,
    file: &Path,
) -> Result<(), Failure> {
    let mut part = PartFile::create(file)?;
    let mut progress = Progress::start(0);
    let mut count = 0;
    stream(client, path, |line| {
        count += 1;
        let elapsed = progress.elapsed();
        progress.update(0, || count_and_rate(count, "memory", "memories", elapsed));
        part.write(line)
    })
    .await?;
    progress.finish();
    part.finish()?;
    if call.output.json {
        return call.output.document(&serde_json::json!({ "file": file, "exported": count }));
    }
    let count = counted(count, "memory", "memories");
    call.output.line(format!("exported {count} to {}", file.display()))
}

/// Hands on every line of the answer, newline included.
async fn stream(
    client: &ApiClient,
    path: &str,
    mut write: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut lines = client.request(Method::GET, path, Payload::Empty).await?.lines();
    let mut whole = Vec::new();
    while let Some(line) = lines.next().await? {
        whole.clear();
        whole.extend_from_slice(line);
        whole.push(b'\n');
        write(&whole)?;
    }
    Ok(())
}

/// A file under a name of its own until it is whole; removed when it never will be.
struct PartFile {
    out: Option<BufWriter<File>>,
    part: PathBuf,
    target: PathBuf,
}

impl PartFile {
    /// Only the user may read it: memories are private.
    fn create(target: &Path) -> Result<Self, Failure> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".part-{}", std::process::id()));
        let part = target.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .map_err(|error| Failure::create(&part, error))?;
        Ok(PartFile { out: Some(BufWriter::new(file)), part, target: target.to_owned() })
    }

    fn write(&mut self, line: &[u8]) -> Result<(), Failure> {
        let out = self.out.as_mut().expect("open until it is finished");
        out.write_all(line).map_err(|error| self.failed(error))
    }

    /// On disk under its own name.
    fn finish(mut self) -> Result<(), Failure> {
        let out = self.out.take().expect("open until it is finished");
        out.into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.part, &self.target))
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> Failure {
        Failure::io(format!("cannot write {}", self.target.display()), error)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // Once renamed it is not there any more, and that is fine.
        let _ = fs::remove_file(&self.part);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        entries.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_appears_only_when_it_is_whole() {
        let directory = tempfile::tempdir().expect("directory");
        let target = directory.path().join("out.jsonl");
        fs::write(&target, "old").expect("file");
        let mut part = PartFile::create(&target).expect("created");
        part.write(b"new\n").expect("written");
        assert_eq!(fs::read_to_string(&target).expect("file"), "old");
        part.finish().expect("finished");
        assert_eq!(fs::read_to_string(&target).expect("file"), "new\n");
        let mode = fs::metadata(&target).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(names(directory.path()), ["out.jsonl"]);
    }

    #[test]
    fn an_unfinished_file_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("directory");
        let part = PartFile::create(&directory.path().join("out.jsonl")).expect("created");
        drop(part);
        assert_eq!(names(directory.path()), [""; 0]);
        assert!(PartFile::create(&directory.path().join("none/out.jsonl")).is_err());
    }
}
