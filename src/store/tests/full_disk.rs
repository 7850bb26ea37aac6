//! A disk that fills up and is emptied again.

use std::process::Command;

use super::super::StoreState;
use super::*;

/// A file system of its own, kept in memory.
pub(super) struct Mount {
    directory: TempDir,
}

impl Mount {
    /// `None` where mounting is not permitted; in CI that is a failure.
    #[allow(clippy::disallowed_methods, reason = "CI must not skip a test")]
    pub(super) fn new(size: &str) -> Option<Mount> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(directory.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Mount { directory }),
            other => {
                assert!(std::env::var_os("CI").is_none(), "CI must be able to mount: {other:?}");
                eprintln!("skipped, mounting a tmpfs is not possible here: {other:?}");
                None
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `ro` or `rw`.
    pub(super) fn remount(&self, mode: &str) {
        let options = format!("remount,{mode}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.path()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazy: files may still be open when a test fails. What is left is a directory in /tmp.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// A memory whose text takes a page or more.
fn long_text(number: usize) -> String {
    format!("{number} {}", "what a full disk is made of ".repeat(300))
}

async fn fill(store: &Store, acknowledged: &mut Vec<String>) {
    loop {
        let text = long_text(acknowledged.len());
        let written = {
            let text = text.clone();
            store.write(move |writer| create(writer, &text).map(drop)).await
        };
        match written {
            Ok(()) => acknowledged.push(text),
            Err(StoreError::Full) => return,
            Err(other) => panic!("{other}"),
        }
        assert!(acknowledged.len() < 10_000, "the disk never filled up");
    }
}

async fn check_all_there(store: &Store, acknowledged: &[String]) {
    let expected = acknowledged.to_vec();
    store
        .read(PATIENCE, move |reader| {
            for text in &expected {
                assert!(is_live(&reader.find(&Namespace::default(), &ContentHash::of(text))?));
            }
            assert_eq!(reader.count(&everything())?, expected.len() as u64);
            assert_eq!(reader.verify()?, Vec::<String>::new());
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_writes_answers_reads_and_recovers_by_itself() {
    let Some(mount) = Mount::new("12m") else { return };
    let path = mount.path().join("memory.db");
    let ballast = mount.path().join("ballast");
    std::fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let store = Store::open(&options(&path)).unwrap();
    let mut acknowledged = Vec::new();
    fill(&store, &mut acknowledged).await;
    assert!(!acknowledged.is_empty());
    assert_eq!(store.state(), StoreState::Full);
    let refused = store.write(|writer| create(writer, "small").map(drop)).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    check_all_there(&store, &acknowledged).await;

    std::fs::remove_file(&ballast).unwrap();
    eventually("the probe finds room", || store.state() == StoreState::Ok).await;
    let before = acknowledged.len();
    fill(&store, &mut acknowledged).await;
    assert!(acknowledged.len() > before, "writes came back");
    check_all_there(&store, &acknowledged).await;
    store.close();

    let store = Store::open(&StoreOptions { any_model: true, ..options(&path) }).unwrap();
    check_all_there(&store, &acknowledged).await;
}

/// With a small page cache a large transaction meets the full disk in the middle of its
/// statements, those of the word index and of the vectors among them.
#[tokio::test]
async fn a_disk_that_fills_up_in_the_middle_of_a_write_is_told_as_such() {
    let Some(mount) = Mount::new("12m") else { return };
    for words in [30, 300, 3_000] {
        let path = mount.path().join("memory.db");
        let store = Store::open(&options(&path)).unwrap();
        store.write(|writer| create(writer, "first").map(drop)).await.unwrap();
        let failed = store
            .write(move |writer| {
                writer.connection().pragma_update(None, "cache_size", 10)?;
                for number in 0..100_000 {
                    let text = format!("{number} {}", format!("word{number} ").repeat(words));
                    writer.atomically(|writer| create(writer, &text))?;
                }
                Ok(())
            })
            .await;
        assert!(matches!(failed, Err(StoreError::Full)), "{words}: {failed:?}");
        assert_eq!(store.state(), StoreState::Full, "{words}");
        check_all_there(&store, &["first".to_owned()]).await;
        store.close();
        for file in std::fs::read_dir(mount.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}
