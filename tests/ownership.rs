//! One owner per file, many clients: who gets the file, who goes through whom, and what happens
//! when the owner goes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::eventually;
use crate::common::node::{Place, Server};
use crate::common::window::{Window, text};

/// Far less than a process with the model in it.
const BRIDGE_BYTES_MAX: u64 = 60 * 1024 * 1024;

/// Resident memory of a process.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The owner as the lock file announces it.
fn announced(database: &Path) -> Option<Value> {
    let text = std::fs::read(beside(database, ".lock")).ok()?;
    serde_json::from_slice(&text).ok()
}

fn owner_pid(place: &Place) -> Option<u64> {
    announced(&place.database())?["pid"].as_u64()
}

/// Every text of a place's default namespace, sorted.
fn contents(window: &mut Window) -> Vec<String> {
    let listed = window.call("memory_list", json!({"page_size": 100}));
    let memories = listed["structuredContent"]["memories"].as_array().expect("a list").clone();
    let mut contents: Vec<String> = memories
        .iter()
        .map(|memory| memory["content"].as_str().expect("a text").to_owned())
        .collect();
    contents.sort();
    contents
}

fn total(server: &Server) -> Value {
    server.client().get("/api/memories").expect(200).value()["total"].clone()
}

#[test]
fn a_second_window_bridges_to_the_first_and_needs_no_model_of_its_own() {
    let place = Place::new();
    let mut first = place.mcp_ready();
    first.store("by the first");
    let mut second = place.mcp_ready();
    second.store("by the second");
    assert_eq!(owner_pid(&place), Some(first.pid().into()));
    assert_eq!(contents(&mut first), ["by the first", "by the second"]);
    let (owner, bridge) = (resident_bytes(first.pid()), resident_bytes(second.pid()));
    println!("resident: owner {} MiB, bridge {} MiB", owner >> 20, bridge >> 20);
    assert!(bridge < BRIDGE_BYTES_MAX, "{bridge} bytes");
}

#[test]
fn a_window_beside_a_server_bridges_to_it() {
    let place = Place::new();
    let server = place.serve().ready();
    let mut window = place.mcp_ready();
    window.store("through the server");
    assert_eq!(owner_pid(&place), Some(server.pid().into()));
    assert_eq!(total(&server), 1);
    assert!(resident_bytes(window.pid()) < BRIDGE_BYTES_MAX);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    // The window takes over, and what is asked of it meanwhile waits.
    window.store("after the server");
    assert_eq!(owner_pid(&place), Some(window.pid().into()));
}

#[test]
fn a_window_that_goes_leaves_the_owner_and_the_others_alone() {
    let place = Place::new();
    let mut owner = place.mcp_ready();
    let mut other = place.mcp_ready();
    place.mcp_ready().close();
    place.mcp_ready().kill();
    place.mcp_ready().end_by("TERM");
    owner.store("by the owner");
    other.store("by the other");
    assert_eq!(owner_pid(&place), Some(owner.pid().into()));

    let server = place.serve().ready();
    place.mcp_ready().close();
    place.mcp_ready().kill();
    place.mcp_ready().end_by("TERM");
    assert_eq!(total(&server), 2);
    other.store("by the other through the server");
    assert_eq!(owner_pid(&place), Some(server.pid().into()));
}

#[test]
fn when_the_owner_is_killed_another_takes_over_and_no_request_is_lost() {
    let place = Place::new();
    let owner = place.mcp_ready();
    let mut windows = [place.mcp_ready(), place.mcp_ready()];
    for round in 0..20 {
        for (number, window) in windows.iter_mut().enumerate() {
            window.begin_call("memory_store", &json!({"content": format!("{number}-{round}")}));
        }
    }
    owner.kill();
    for window in &windows {
        // The handshake and twenty stores.
        assert!(window.wait_answered(21), "a window ended");
    }
    let [first, second] = &mut windows;
    assert_eq!(contents(first).len(), 40);
    assert_eq!(contents(second).len(), 40);
    let owner = owner_pid(&place).expect("an owner");
    assert!([first.pid(), second.pid()].contains(&u32::try_from(owner).expect("a pid")));
    for window in &windows {
        for id in 2..=21 {
            let answers = window.answers_to(&json!(id));
            assert_eq!(answers.len(), 1, "{answers:?}");
            let said = text(&answers[0]["result"]);
            assert!(said.starts_with("Memory stored successfully"), "{said}");
        }
    }
}

#[test]
fn a_server_takes_the_file_over_from_a_window_and_both_go_on() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    let mut other = place.mcp_ready();
    window.store("before the server");
    let ids: Vec<u64> = (0..50)
        .map(|n| other.begin_call("memory_store", &json!({"content": format!("meanwhile {n}")})))
        .collect();
    let server = place.serve().ready();
    assert_eq!(owner_pid(&place), Some(server.pid().into()));
    for id in ids {
        let answer = other.answer(id);
        let said = text(&answer["result"]);
        assert!(said.starts_with("Memory stored successfully"), "{said}");
    }
    window.store("after the server came");
    other.store("after the server came, too");
    assert_eq!(total(&server), 53);
    assert_eq!(owner_pid(&place), Some(server.pid().into()));
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    window.store("after the server went");
    other.store("after the server went, too");
}

#[test]
fn a_server_gets_the_file_although_many_windows_want_it() {
    let place = Place::new();
    let mut windows: Vec<Window> = (0..6).map(|_| place.mcp_ready()).collect();
    let server = place.serve().ready();
    for (number, window) in windows.iter_mut().enumerate() {
        window.store(&format!("window {number}"));
    }
    assert_eq!(total(&server), 6);
    assert_eq!(owner_pid(&place), Some(server.pid().into()));
}

#[test]
fn a_second_server_is_refused_by_the_name_of_the_first() {
    let place = Place::new();
    let server = place.serve().ready();
    let refused = place.run(&["serve", "--http-port", "0"]).expect_code(75);
    assert!(refused.stderr.contains(&server.pid().to_string()), "{}", refused.stderr);
    assert!(refused.stderr.contains(&server.url), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    server.client().get("/readyz").expect(200);
}

/// Commands that look and change, as a person would type them.
fn use_the_command_line(place: &Place, content: &str) {
    let added = place.run(&["--json", "add", content]).ok().json();
    let hash = added["content_hash"].as_str().expect("a hash").to_owned();
    let found = place.run(&["--json", "search", content]).ok().stdout;
    assert!(found.contains(&hash), "{found}");
    assert!(place.run(&["get", &hash]).ok().stdout.contains(content));
    assert!(place.run(&["list"]).ok().stdout.contains(content));
    place.run(&["stats"]).ok();
    place.run(&["verify"]).ok();
    assert!(place.run(&["export"]).ok().stdout.contains(content));
    place.run(&["delete", "--yes", &hash]).ok();
    assert!(!place.run(&["list"]).ok().stdout.contains(content));
}

#[test]
fn the_command_line_works_whoever_owns_the_file() {
    let place = Place::new();
    use_the_command_line(&place, "nobody owns it");
    let mut window = place.mcp_ready();
    use_the_command_line(&place, "a window owns it");
    assert_eq!(owner_pid(&place), Some(window.pid().into()));
    let server = place.serve().ready();
    use_the_command_line(&place, "a server owns it");
    assert_eq!(owner_pid(&place), Some(server.pid().into()));
    window.store("and the window is still there");
    server.kill();
    use_the_command_line(&place, "the window owns it again");
}

#[test]
fn what_a_killed_owner_leaves_behind_does_no_harm() {
    let place = Place::new();
    for round in 0..3 {
        let mut window = place.mcp_ready();
        window.store(&format!("round {round}"));
        window.kill();
        let (lock, socket) =
            (beside(&place.database(), ".lock"), beside(&place.database(), ".sock"));
        assert!(lock.exists() && socket.exists(), "a crash tidies nothing up");
    }
    // A directory listing full of lies: a socket that is a file, a lock that is no JSON.
    std::fs::remove_file(beside(&place.database(), ".sock")).expect("it is there");
    std::fs::write(beside(&place.database(), ".sock"), "not a socket").expect("a file");
    std::fs::write(beside(&place.database(), ".lock"), "{\"pid\": \"x\"").expect("a file");
    assert_eq!(contents(&mut place.mcp_ready()), ["round 0", "round 1", "round 2"]);
    place.run(&["verify"]).ok();
}

#[test]
fn a_lock_that_names_a_process_of_somebody_else_is_not_believed() {
    let place = Place::new();
    place.mcp_ready().store("one");
    let other = Place::new();
    let stranger = other.mcp_ready();
    // The pid lives, its socket answers, but it does not hold this lock.
    let lies = announced(&other.database()).expect("an owner").to_string();
    std::fs::write(beside(&place.database(), ".lock"), lies).expect("a file");
    let mut window = place.mcp_ready();
    window.store("two");
    assert_eq!(contents(&mut window), ["one", "two"]);
    assert_eq!(owner_pid(&place), Some(window.pid().into()));
    assert_eq!(owner_pid(&other), Some(stranger.pid().into()));
}

#[test]
fn the_file_its_lock_and_its_socket_are_for_this_user_alone() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    window.store("private");
    let database = place.database();
    for (path, mode) in [
        (beside(&database, ".sock"), 0o600),
        (beside(&database, ".lock"), 0o600),
        (database, 0o600),
    ] {
        let found = std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}: {found:o}", path.display());
    }
}

#[test]
fn a_long_path_works_for_windows_servers_and_commands() {
    let place = Place::new();
    let directory = place.path().join("d".repeat(100)).join("e".repeat(100));
    let path = directory.join("memnode.db").display().to_string();
    assert!(path.len() > 108);
    let place = place.with("MCP_MEMORY_SQLITE_PATH", path.clone());
    let mut first = place.mcp_ready();
    let mut second = place.mcp_ready();
    first.store("first");
    second.store("second");
    let socket = announced(Path::new(&path)).expect("an owner")["socket"].clone();
    let socket = PathBuf::from(socket.as_str().expect("a path"));
    assert!(socket.as_os_str().len() < 108, "{}", socket.display());
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().expect("a directory")), 0o700);
    let server = place.serve().ready();
    assert_eq!(total(&server), 2);
    first.store("third");
    place.run(&["list"]).ok();
    server.stop();
    drop(first);
    assert_eq!(contents(&mut second), ["first", "second", "third"]);
    second.close();
    assert!(!socket.exists(), "{}", socket.display());
}

#[test]
fn two_files_at_once_do_not_mix() {
    let places = [Place::new(), Place::new()];
    let mut windows: Vec<(usize, Window)> =
        [0, 1, 0, 1].into_iter().map(|number| (number, places[number].mcp_ready())).collect();
    for (number, window) in &mut windows {
        let pid = window.pid();
        window.store(&format!("file {number} by {pid}"));
    }
    for (number, window) in &mut windows {
        let found = contents(window);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|text| text.starts_with(&format!("file {number}"))), "{found:?}");
    }
}

#[test]
fn one_file_by_two_names_has_one_owner() {
    let place = Place::new();
    let mut first = place.mcp_ready();
    first.store("by its own name");
    let link = Place::new();
    let alias = link.path().join("alias");
    std::os::unix::fs::symlink(place.path(), &alias).expect("a link");
    let link = link.with("MCP_MEMORY_BASE_DIR", alias.display().to_string());
    let mut second = link.mcp_ready();
    second.store("by another name");
    assert_eq!(contents(&mut first), ["by another name", "by its own name"]);
    assert!(resident_bytes(second.pid()) < BRIDGE_BYTES_MAX);
}

#[test]
fn a_file_that_is_itself_a_link_has_one_owner() {
    let place = Place::new();
    let mut first = place.mcp_ready();
    first.store("by its own name");
    let other = Place::new();
    std::os::unix::fs::symlink(place.database(), other.database()).expect("a link");
    let mut second = other.mcp_ready();
    second.store("by the link");
    assert_eq!(contents(&mut first), ["by its own name", "by the link"]);
    assert_eq!(owner_pid(&place), Some(first.pid().into()));
    assert!(resident_bytes(second.pid()) < BRIDGE_BYTES_MAX);
}

#[test]
fn a_window_with_http_serves_as_long_as_it_owns_the_file() {
    let place = Place::new().with("MCP_HTTP_ENABLED", "true").with("MCP_HTTP_PORT", "0");
    let first = place.mcp_ready();
    let url = |pid: u32| {
        eventually("an announced address", || {
            let owner = announced(&place.database())?;
            (owner["pid"] == pid).then(|| owner["url"].as_str().map(str::to_owned))?
        })
    };
    let address = url(first.pid());
    let client = crate::common::client::Client::new(&address);
    client.post("/api/memories", json!({"content": "over HTTP"})).expect(200);
    let mut second = place.mcp_ready();
    first.kill();
    assert_eq!(contents(&mut second), ["over HTTP"]);
    let client = crate::common::client::Client::new(&url(second.pid()));
    assert_eq!(client.get("/api/memories").expect(200).value()["total"], 1);
}
