//! `memnode service`: a unit for one user, never for root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::node::Place;
use crate::common::skip;

/// Somebody who is not root and owns nothing.
const NOBODY: &str = "65534";

/// Everyone may use the path.
fn open_up(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("it is ours");
}

/// A place of an ordinary user with a home and a `systemctl` that writes down what it is asked.
fn user(place: &Place, systemctl_answer: &str) -> Option<Place> {
    let directory = place.path();
    open_up(directory);
    for name in ["bin", "home"] {
        fs::create_dir_all(directory.join(name)).expect("a directory");
        open_up(&directory.join(name));
    }
    let program = directory.join("bin/memnode");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_memnode"), &program).expect("a copy");
    }
    let systemctl = directory.join("bin/systemctl");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\n{systemctl_answer}\n",
        directory.join("home/asked").display()
    );
    fs::write(&systemctl, script).expect("a file");
    open_up(&systemctl);
    let path = format!("{}:/usr/bin:/bin", directory.join("bin").display());
    let place = place
        .clone()
        .with("HOME", directory.join("home").to_string_lossy())
        .with("XDG_CONFIG_HOME", directory.join("home/.config").to_string_lossy())
        .with("PATH", path);
    if !is_root(&place) {
        return Some(place);
    }
    // Whatever stands first is dropped: this user cannot reach the binary of the tests.
    let run = format!("shift; exec {} \"$@\"", program.display());
    let (uid, gid) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    let place = place.under(&["setpriv", &uid, &gid, "--clear-groups", "sh", "-c", &run, "sh"]);
    if place.command(&["--version"]).output().is_ok_and(|output| output.status.success()) {
        return Some(place);
    }
    skip("setpriv cannot change the user here");
    None
}

fn is_root(place: &Place) -> bool {
    place.run(&["service", "status"]).code == Some(77)
}

fn asked(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.path().join("home/asked")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn root_is_told_to_use_the_unit_of_the_machine() {
    let place = Place::new();
    if !is_root(&place) {
        return eprintln!("these tests are not run by root");
    }
    for command in ["install", "status", "remove"] {
        let refused = place.run(&["service", command]).expect_code(77);
        assert!(refused.stderr.contains("deploy/"), "{refused:#?}");
    }
    assert!(!place.path().join("config").exists());
}

#[test]
fn a_unit_is_installed_shown_and_removed() {
    let whole = Place::new();
    let Some(place) = user(&whole, "[ \"$2\" != is-active ] || echo active") else { return };
    let unit = place.path().join("home/.config/systemd/user/memnode.service");
    let missing = place.run(&["service", "status"]).expect_code(1);
    assert!(missing.stderr.contains("memnode service install"), "{missing:#?}");

    let settings = place.path().join("home/my settings.toml");
    fs::write(&settings, "[http]\nport = 9100\n").expect("a file");
    let settings = settings.to_string_lossy();
    let installed = place.run(&["service", "install", "--config", &settings]).ok();
    assert!(installed.stdout.contains("memnode runs now"), "{installed:#?}");
    let text = fs::read_to_string(&unit).expect("a unit");
    let start = text.lines().find(|line| line.starts_with("ExecStart=")).expect("a start");
    assert!(start.ends_with(&format!("serve --config \"{settings}\"")), "{start}");
    let steps = ["--user daemon-reload", "--user enable memnode.service"];
    assert_eq!(asked(&place)[..2], steps, "{:?}", asked(&place));

    let again = place.run(&["service", "install", "--config", &settings, "--json"]).ok().json();
    assert_eq!((&again["changed"], &again["running"]), (&false.into(), &true.into()), "{again}");
    let status = place.run(&["service", "status", "--json"]).ok().json();
    assert_eq!((&status["installed"], &status["state"]), (&true.into(), &"active".into()));

    let removed = place.run(&["service", "remove"]).ok();
    assert!(removed.stdout.contains("the memories stay"), "{removed:#?}");
    assert!(!unit.exists());
    assert!(place.run(&["service", "remove"]).ok().stdout.contains("not installed"));
}

#[test]
fn where_systemd_does_not_answer_the_user_is_told_what_to_run() {
    let whole = Place::new();
    let Some(place) = user(&whole, "exit 1") else { return };
    let installed = place.run(&["service", "install"]).ok();
    assert!(installed.stdout.contains("systemctl --user daemon-reload"), "{installed:#?}");
    let status = place.run(&["service", "status"]).expect_code(1);
    assert!(status.stderr.contains("not running"), "{status:#?}");
    let removed = place.run(&["service", "remove", "--json"]).ok().json();
    assert_eq!(removed["removed"], true, "{removed}");
}
