//! The snippets of docs/events.md, run as they are printed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::common::node::{Place, Server};
use crate::common::rest::store_text;
use crate::common::{skip, within};

const PAGE: &str = include_str!("../docs/events.md");

/// What stands between the fences of a language.
fn snippet(language: &str) -> &'static str {
    let start = format!("```{language}\n");
    let after = PAGE.split(&start).nth(1).unwrap_or_else(|| panic!("no snippet: {language}"));
    after.split("```").next().expect("a fence ends it")
}

/// Runs a snippet and holds that it prints what happens, before and after a restart.
fn check(program: &str, arguments: &[&str], name: &str, language: &str) {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        return skip(&format!("{program} is not there"));
    }
    let place = Place::new();
    let server: Server = place.serve().ready();
    let script = place.path().join(name);
    std::fs::write(&script, snippet(language)).expect("a file");
    let mut child = Command::new(program)
        .args(arguments)
        .arg(&script)
        .env("MEMNODE_URL", &server.url)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let (sender, lines) = std::sync::mpsc::channel();
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let reading = std::thread::spawn(move || {
        output.lines().map_while(Result::ok).for_each(|line| {
            // The test may have seen enough.
            let _ = sender.send(line);
        });
    });
    let shows = |text: &str| {
        let found = within(crate::common::DEADLINE, std::time::Duration::ZERO, || {
            let line = lines.recv_timeout(std::time::Duration::from_secs(1)).ok()?;
            line.contains(text).then_some(())
        });
        assert!(found.is_some(), "{language}: {text:?} was not printed");
    };
    shows("connection_established");
    store_text(&server.client(), "seen by the snippet");
    shows("memory_stored seen by the snippet");
    let port = server.url.rsplit(':').next().expect("a port").to_owned();
    server.stop();
    let server = place.serve_on(&port).ready();
    store_text(&server.client(), "seen after the restart");
    shows("memory_stored seen after the restart");
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    reading.join().expect("reading does not panic");
}

#[test]
fn the_javascript_snippet_runs_as_printed() {
    check("node", &[], "snippet.mjs", "javascript");
}

#[test]
fn the_python_snippet_runs_as_printed() {
    check("python3", &["-B"], "snippet.py", "python");
}
