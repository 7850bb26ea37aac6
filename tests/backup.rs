//! Backups of a running node: made by hand and by the clock, listed, kept and removed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::common::clock::faketime;
use crate::common::disk::Disk;
use crate::common::events::EventStream;
use crate::common::eventually;
use crate::common::node::{Place, Server};
use crate::common::rest::{keys, store_text, text};

/// Texts of a file whose copy takes long enough to be met half done.
const MANY: usize = 300;

/// The names in the directory of backups, sorted.
fn names(place: &Place) -> Vec<String> {
    let Ok(entries) = fs::read_dir(place.path().join("backups")) else { return Vec::new() };
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.flatten().map(name).collect();
    names.sort();
    names
}

fn whole(place: &Place) -> Vec<PathBuf> {
    let names = names(place).into_iter().filter(|name| name.ends_with(".db"));
    names.map(|name| place.path().join("backups").join(name)).collect()
}

fn back_up(server: &Server) -> Value {
    server.client().post("/api/backup/now", json!({})).expect(200).value()
}

fn status(server: &Server) -> Value {
    server.client().get("/api/backup/status").expect(200).value()
}

/// The texts of a backup, by a node of its own that begins with it.
fn texts_of(backup: &Path) -> Vec<String> {
    let place = Place::new();
    place.run(&["restore", &backup.to_string_lossy()]).ok();
    let lines = place.run(&["export", "-A", "-"]).ok().stdout;
    place.run(&["verify"]).ok();
    let content = |line: &str| text(&serde_json::from_str::<Value>(line).expect("JSON")["content"]);
    lines.lines().map(content).collect()
}

/// A file with many long texts, which cost little to embed.
fn filled() -> Place {
    let place = Place::new();
    let line = |n: usize| json!({"content": format!("Text {n}{}is long", " ".repeat(60_000))});
    let lines: String = (0..MANY).map(|n| format!("{}\n", line(n))).collect();
    place.run_with_input(&["import", "-"], lines.as_bytes()).ok();
    place
}

#[test]
fn a_backup_is_made_listed_and_told_of() {
    let place = Place::new();
    let server = place.serve();
    let before = status(&server);
    assert_eq!(before["backup_count"], 0);
    assert_eq!(before["last_backup_time"], Value::Null);
    store_text(&server.client(), "Kept twice");
    let made = back_up(&server);
    let expected = [
        "created_at",
        "duration_seconds",
        "error",
        "filename",
        "path",
        "records",
        "size_bytes",
        "success",
    ];
    assert_eq!(keys(&made), expected);
    assert_eq!((&made["success"], &made["error"]), (&json!(true), &Value::Null));
    let path = PathBuf::from(text(&made["path"]));
    assert_eq!(path.parent(), Some(place.path().join("backups").as_path()));
    let metadata = fs::metadata(&path).expect("the backup");
    assert_eq!(json!(metadata.len()), made["size_bytes"]);
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let directory = fs::metadata(place.path().join("backups")).expect("the directory");
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);

    let list = server.client().get("/api/backup/list").expect(200).value();
    let expected = json!({"backups": [{"filename": made["filename"], "age_days": 0,
        "size_bytes": made["size_bytes"], "created_at": made["created_at"]}],
        "total_count": 1, "total_size_bytes": made["size_bytes"]});
    assert_eq!(list, expected);
    let told = status(&server);
    let names = [
        "backup_count",
        "backup_directory",
        "enabled",
        "interval",
        "last_backup_time",
        "last_error",
        "max_count",
        "next_backup_at",
        "retention_days",
        "running",
        "scheduler_running",
        "time_since_last_seconds",
        "total_size_bytes",
    ];
    assert_eq!(keys(&told), names);
    assert_eq!((&told["interval"], &told["retention_days"]), (&json!("daily"), &json!(7)));
    assert_eq!((&told["backup_count"], &told["max_count"]), (&json!(1), &json!(10)));
    assert!(told["time_since_last_seconds"].as_f64().is_some_and(|ago| ago < 60.0), "{told}");
    assert_eq!(told["running"], Value::Null);

    let sum = std::process::Command::new("sha256sum")
        .args(["-c", "--quiet", &format!("{}.sha256", path.display())])
        .current_dir(place.path().join("backups"))
        .status();
    assert!(sum.expect("sha256sum runs").success());
    assert_eq!(texts_of(&path), ["Kept twice"]);
}

#[test]
fn every_write_that_was_acknowledged_before_is_in_a_backup_under_load() {
    let place = Place::new();
    let server = place.serve().ready();
    let is_over = AtomicBool::new(false);
    let (sender, stored) = mpsc::channel::<String>();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (client, sender, is_over) = (server.client(), sender.clone(), &is_over);
            scope.spawn(move || {
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let content = format!("Writer {writer} wrote {number}");
                    store_text(&client, &content);
                    sender.send(content).expect("the test listens");
                }
            });
        }
        let mut acknowledged: Vec<String> = Vec::new();
        for _ in 0..3 {
            acknowledged.extend((0..20).map(|_| stored.recv().expect("writers write")));
            acknowledged.extend(stored.try_iter());
            let found = texts_of(Path::new(&text(&back_up(&server)["path"])));
            let missing = acknowledged.iter().find(|content| !found.contains(content));
            assert_eq!(missing, None, "{} of {} texts", found.len(), acknowledged.len());
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_kill_in_the_middle_leaves_only_what_the_next_start_removes() {
    let place = filled();
    let is_under_way = |place: &Place| names(place).iter().any(|name| name.ends_with(".part"));
    let mut server = place.serve();
    let mut whole_count = 0;
    loop {
        let client = server.client();
        let asking = std::thread::spawn(move || {
            // The node is killed before it answers.
            client.try_send("POST", "/api/backup/now", &[], Vec::new()).is_ok()
        });
        eventually("a backup is begun", || {
            (is_under_way(&place) || asking.is_finished()).then_some(())
        });
        server.kill();
        // One that was made before the kill came is whole.
        whole_count += usize::from(asking.join().expect("no panic"));
        if is_under_way(&place) {
            break;
        }
        server = place.serve();
    }
    assert!(whole(&place).len() <= whole_count + 1);
    let server = place.serve();
    eventually("the rest is removed", || (!is_under_way(&place)).then_some(()));
    back_up(&server);
    assert!(names(&place).iter().all(|name| !name.contains(".part")), "{:?}", names(&place));
    let newest = whole(&place).pop().expect("a backup");
    assert_eq!(texts_of(&newest).len(), MANY);
}

#[test]
fn a_second_backup_waits_for_nobody() {
    let server = filled().serve();
    eventually("two met", || {
        let both: Vec<u16> = std::thread::scope(|scope| {
            let ask = || {
                let client = server.client();
                scope.spawn(move || client.post("/api/backup/now", json!({})))
            };
            let asked = [ask(), ask()];
            asked
                .map(|thread| {
                    let answer = thread.join().expect("no panic");
                    if answer.status == 409 {
                        return answer.expect_problem(409, "backup_running").status;
                    }
                    answer.expect(200).status
                })
                .to_vec()
        });
        assert!(both.contains(&200), "{both:?}");
        both.contains(&409).then_some(())
    });
}

#[test]
fn a_disk_without_room_harms_nothing_else() {
    let Some(disk) = Disk::new(1024) else { return };
    let place = Place::new().with("MCP_MEMORY_BACKUPS_PATH", disk.path().to_string_lossy());
    let server = place.serve().ready();
    let client = server.client();
    store_text(&client, "Before");
    let problem = client.post("/api/backup/now", json!({}));
    let detail = text(&problem.expect_problem(507, "backup_disk_full").value()["detail"]);
    assert!(detail.contains(" needs ") && detail.contains(" free"), "{detail}");
    assert!(text(&status(&server)["last_error"]).contains("needs"));
    store_text(&client, "After");
    client.get("/readyz").expect(200);
    assert_eq!(disk.names(), [""; 0]);
    place.run(&["backup"]).expect_code(74);
    let elsewhere = place.path().join("elsewhere.db");
    place.run(&["backup", &elsewhere.to_string_lossy()]).ok();
    assert_eq!(status(&server)["last_error"], Value::Null);
    assert_eq!(texts_of(&elsewhere).len(), 2);
}

#[test]
fn a_disk_that_fills_up_meanwhile_leaves_no_rest() {
    let Some(disk) = Disk::new(1024) else { return };
    let place = filled();
    let target = disk.path().join("copy.db");
    let made = memnode::store::back_up(&place.database(), &target, |_| {}, || false);
    let error = made.expect_err("18 MB do not fit into 1 MiB");
    assert!(matches!(error, memnode::store::StoreError::Full), "{error:?}");
    assert_eq!(disk.names(), [""; 0]);
    place.run(&["verify"]).ok();
}

#[test]
fn old_backups_and_those_beyond_the_count_are_removed() {
    let place = Place::new().with("MCP_BACKUP_MAX_COUNT", "2").with("MCP_BACKUP_RETENTION", "1");
    let server = place.serve();
    store_text(&server.client(), "x");
    let first = text(&back_up(&server)["path"]);
    let at = |name: &str| place.path().join("backups").join(name);
    let old = at("memnode-test-node-20200101T000000.000Z.db");
    let other = at("memnode-other-node-20200101T000000.000Z.db");
    fs::copy(&first, &old).expect("a copy");
    fs::copy(&first, &other).expect("a copy");
    let list = || server.client().get("/api/backup/list").expect(200).value();
    assert_eq!(list()["total_count"], 2);
    assert!(list()["backups"][1]["age_days"].as_u64().is_some_and(|days| days > 2000));
    back_up(&server);
    assert!(!old.exists() && other.exists(), "{:?}", names(&place));
    assert_eq!(list()["total_count"], 2);
    let third = back_up(&server);
    assert!(!Path::new(&first).exists() && !Path::new(&format!("{first}.sha256")).exists());
    assert_eq!(list()["total_count"], 2);
    assert_eq!(list()["backups"][0]["filename"], third["filename"]);
    assert!(other.exists());
}

#[test]
fn the_clock_makes_backups_and_a_restart_makes_none_too_many() {
    let Some(library) = faketime() else { return };
    let place = Place::new().with("MCP_BACKUP_ENABLED", "1").with("MCP_BACKUP_INTERVAL", "hourly");
    let server = place.serve();
    store_text(&server.client(), "Worth keeping");
    let told = eventually("the first backup", || {
        Some(status(&server)).filter(|told| told["backup_count"] == 1)
    });
    assert_eq!(told["scheduler_running"], true);
    let next = told["next_backup_at"].clone();
    server.stop();
    let server = place.serve();
    let told = eventually("the scheduler runs", || {
        Some(status(&server)).filter(|told| told["scheduler_running"] == true)
    });
    assert_eq!((&told["next_backup_at"], &told["backup_count"]), (&next, &json!(1)));
    server.stop();
    let server = place.clone().at_time(&library, "+2h").serve();
    eventually("the second backup", || (status(&server)["backup_count"] == 2).then_some(()));
}

#[test]
fn without_a_clock_nothing_is_planned() {
    let server = Place::new().with("MCP_BACKUP_ENABLED", "false").serve();
    let told = status(&server);
    assert_eq!((&told["enabled"], &told["scheduler_running"]), (&json!(false), &json!(false)));
    assert_eq!(told["next_backup_at"], Value::Null);
}

#[test]
fn a_file_is_named_only_by_who_sits_at_the_machine() {
    let place = Place::new();
    let server = place.serve();
    let client = server.client();
    let path = "/api/backup/now?file=/tmp/stolen.db";
    client.post(path, json!({})).expect_problem(403, "local_only");
    assert!(!Path::new("/tmp/stolen.db").exists());
    // What is not a directory cannot hold backups, and says so.
    fs::write(place.path().join("backups"), "x").expect("a file");
    client.post("/api/backup/now", json!({})).expect_problem(503, "backup_unusable");
    client.get("/api/backup/list").expect_problem(503, "backup_unusable");
    place.run(&["backup"]).expect_code(73);
}

#[test]
fn commands_back_up_list_and_show_with_and_without_a_node() {
    let place = Place::new();
    place.run(&["add", "Written down"]).ok();
    let made = place.run(&["backup"]).ok();
    assert!(made.stdout.contains("1 record"), "{made:#?}");
    assert_eq!(whole(&place).len(), 1);
    let server = place.serve();
    let made = place.run(&["backup", "--json"]).ok().json();
    assert_eq!(whole(&place).last(), Some(&PathBuf::from(text(&made["path"]))));
    let target = place.path().join("a file, 100% odd?.db");
    let target = target.to_string_lossy();
    assert!(place.run(&["backup", &target]).ok().stdout.starts_with(&*target));
    let taken = place.run(&["backup", &target]).expect_code(73);
    assert!(taken.stderr.contains("is there already"), "{taken:#?}");
    place.run(&["backup", "-"]).expect_code(64);
    let list = place.run(&["backup", "--list"]).ok();
    assert!(list.stdout.ends_with('\n') && list.stdout.contains("2 backups"), "{list:#?}");
    assert_eq!(place.run(&["backup", "--list", "--json"]).ok().json()["total_count"], 2);
    let told = place.run(&["backup", "--status"]).ok();
    assert!(told.stdout.contains("7 days, 10 at most"), "{told:#?}");
    drop(server);
    place.run(&["backup", "--list", "--status"]).expect_code(64);
}

#[test]
fn whoever_listens_is_told_how_a_backup_goes_on() {
    let server = Place::new().serve();
    store_text(&server.client(), "x");
    let mut stream = EventStream::open(&server.url, "/api/events?event=backup_status", &[]);
    assert_eq!(stream.next().name, "connection_established");
    let made = back_up(&server);
    let mut phases = Vec::new();
    let last = loop {
        let event = stream.next();
        if event.name != "backup_status" {
            continue;
        }
        assert_eq!(event.id, None);
        let phase = text(&event.data["phase"]);
        if phases.last() != Some(&phase) {
            phases.push(phase);
        }
        if phases.last().is_some_and(|phase| phase == "completed") {
            break event;
        }
    };
    assert_eq!(phases, ["copying", "verifying", "completed"]);
    assert_eq!(last.data["bytes_done"], made["size_bytes"]);
    assert_eq!(last.data["bytes_total"], made["size_bytes"]);
    assert!(last.data["message"].is_string());
}
