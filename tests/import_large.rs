//! Much in, much out: in little memory, and an export that breaks off leaves the old file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;

use serde_json::json;

use crate::common::embedder::Stub;
use crate::common::eventually;
use crate::common::node::{Place, signal};

const COUNT: usize = 20_000;
/// What a process may take at most, in KiB.
const MEMORY_KIB_MAX: u64 = 400 * 1024;

/// Lines of different lengths, some of them long.
fn lines(place: &Place) -> PathBuf {
    let path = place.path().join("many.jsonl");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).expect("a file"));
    for number in 0..COUNT {
        let text = format!("Entry {number} {}", "of a long journal ".repeat(number % 11));
        writeln!(file, "{}", json!({"content": text, "tags": ["journal"]})).expect("room");
    }
    path
}

/// Waits for the end; gives the most memory that was taken, in KiB (proc(5), `VmHWM`).
fn peak(child: &mut Child) -> u64 {
    let mut most = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = most.max(now.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("it is ours") {
            assert!(status.success(), "{status}");
            return most;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

fn part_of(target: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(target.parent()?).ok()?;
    let parts = entries.flatten().map(|entry| entry.path());
    parts.into_iter().find(|path| {
        let is_part = path.to_string_lossy().contains(".part-");
        is_part && fs::metadata(path).is_ok_and(|found| found.len() > 0)
    })
}

#[test]
fn twenty_thousand_memories_come_and_go_in_little_memory() {
    let stub = Stub::new();
    let place = stub.at(&Place::new());
    let path = lines(&place);
    let arguments = ["import", path.to_str().expect("a plain path")];
    let mut import = place.command(&arguments).spawn().expect("the binary runs");
    let taken = peak(&mut import);
    println!("import of {COUNT} lines: {} MiB at most", taken / 1024);
    assert!(taken < MEMORY_KIB_MAX, "{taken} KiB");
    let total = place.run(&["list", "--json"]).ok().json()["total"].clone();
    assert_eq!(total, COUNT);

    let target = place.path().join("out").join("all.jsonl");
    fs::create_dir(target.parent().expect("a parent")).expect("a directory");
    fs::write(&target, "the old export\n").expect("a file");
    let arguments = ["export", target.to_str().expect("a plain path")];
    for (name, code) in [("KILL", None), ("INT", Some(130))] {
        let mut export = place.command(&arguments).spawn().expect("the binary runs");
        let part = eventually("the export has begun", || part_of(&target));
        signal(export.id(), name);
        assert_eq!(export.wait().expect("it ends").code(), code);
        assert_eq!(fs::read_to_string(&target).expect("a file"), "the old export\n");
        // What was killed could not clean up; what was asked to stop has.
        assert_eq!(part.exists(), name == "KILL");
        let _ = fs::remove_file(part);
    }
    let mut export = place.command(&arguments).spawn().expect("the binary runs");
    let taken = peak(&mut export);
    println!("export of {COUNT} lines: {} MiB at most", taken / 1024);
    assert!(taken < MEMORY_KIB_MAX, "{taken} KiB");
    assert_eq!(fs::read_to_string(&target).expect("a file").lines().count(), COUNT);

    // Whoever has seen enough closes the pipe: no failure, and nothing to say about it.
    let mut shown = place.command(&["export", "-"]).spawn().expect("the binary runs");
    drop(shown.stdout.take());
    let ended = shown.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}
