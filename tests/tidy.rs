//! Holds the shape of the code: which module may import which, who may name which library, and
//! the habits that no compiler lint knows.
//!
//! It reads the sources as text, which rustfmt keeps regular, and so needs no parser.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may import. A new module fails until it has a row here; a new arrow is a
/// decision that deserves a commit of its own.
const IMPORTS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("clock", &[]),
    ("machine", &[]),
    ("config", &["error"]),
    ("memory", &["error", CLUSTER]),
    ("embed", &["config", "error", "memory"]),
    ("index", &["error", "memory"]),
    ("store", &["clock", "config", "error", "memory", "telemetry", CLUSTER]),
    ("events", &["memory"]),
    (
        "replica",
        &["clock", "config", "error", "events", "machine", "memory", "store", "telemetry", CLUSTER],
    ),
    ("auth", &["clock", "config", "error", "memory"]),
    ("limit", &["config", "error", "memory"]),
    ("rerank", &["config"]),
    ("ingest", &["error", "memory"]),
    // It tells what event streams tell, in the same words.
    ("webhook", &["clock", "config", "error", "events", "memory", "store"]),
    (
        "service",
        &[
            "auth",
            "clock",
            "config",
            "embed",
            "error",
            "events",
            "index",
            "ingest",
            "machine",
            "memory",
            "replica",
            "rerank",
            "store",
            "telemetry",
            "webhook",
            CLUSTER,
        ],
    ),
    ("http", &["auth", "config", "error", "events", "limit", "memory", "service", "telemetry"]),
    // A client's files are read where its own process runs, so not behind the service.
    ("mcp", &["auth", "error", "ingest", "limit", "memory", "service", "telemetry"]),
    ("bridge", &["error"]),
    ("client", &["error"]),
    // Like the log, it is where things happen, and knows none of them.
    ("telemetry", &["config", "error"]),
    ("node", ALL),
    ("cli", ALL),
];

const ALL: &[&str] = &["*"];
const CLUSTER: &str = "memnode_cluster";

/// Where a library may be named; tests may drive a module with what they like.
const HOMES: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("sqlite_vec", &["store"]),
    ("async_nats", &["replica"]),
    ("axum", &["http", "node"]),
    ("rmcp", &["mcp"]),
    ("rten", &["embed"]),
    ("rten_tensor", &["embed"]),
    ("tokenizers", &["embed"]),
    ("ureq", &["auth", "embed", "rerank", "telemetry", "webhook"]),
    ("jsonwebtoken", &["auth"]),
    ("tokio_rustls", &["client", "node"]),
    ("rustls_native_certs", &["client"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_prometheus", &["telemetry"]),
    ("prometheus", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("anyhow", &["main"]),
];

/// Where `unsafe` is allowed: registering sqlite-vec, the vector instructions of the index, and
/// the processor clock of the benchmarks.
const UNSAFE_HOMES: &[&str] = &["src/store/register.rs", "src/index/kernels/", "benches/"];

/// What the crate of pure logic must not name.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "tokio",
    "async",
    "rusqlite",
    "async_nats",
];

/// Never in code, tests included; written in halves, as this file is read too.
const NEVER: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("db", "g!("),
    concat!("#[ig", "nore"),
    concat!("#[should", "_panic"),
];

const LINES_MAX: usize = 500;
const COLUMNS_MAX: usize = 100;

#[test]
fn every_module_imports_only_what_its_row_allows() {
    let sources = sources(&["src"]);
    let modules: BTreeSet<&str> = sources.iter().map(|source| source.module.as_str()).collect();
    let mut faults = Vec::new();
    for module in modules.iter().filter(|module| !["lib", "main"].contains(module)) {
        if row(module).is_none() {
            faults.push(format!("module {module} has no row in tests/tidy.rs"));
        }
    }
    // Files of tests may set a module against its neighbours.
    for source in sources.iter().filter(|source| !source.is_test) {
        let Some(allowed) = row(&source.module) else { continue };
        for (line, import) in imports(source, &modules) {
            if import != source.module && allowed != ALL && !allowed.contains(&import.as_str()) {
                faults.push(format!(
                    "{}:{line}: {} must not import {import}",
                    source.path, source.module
                ));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn a_library_is_named_only_at_its_home() {
    let mut faults = Vec::new();
    for source in sources(&["src"]).iter().filter(|source| !source.is_test) {
        for (number, line) in source.production_lines() {
            for (library, homes) in HOMES {
                let used = names_path(line, library);
                if used && !homes.contains(&source.module.as_str()) {
                    faults.push(format!("{}:{number}: {library} is named", source.path));
                }
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn the_protocol_crate_is_pure() {
    let mut faults = Vec::new();
    for source in sources(&["cluster/src"]) {
        for (number, line) in source.production_lines() {
            for name in IMPURE.iter().filter(|name| names_word(line, name)) {
                faults.push(format!("{}:{number}: {name} is named", source.path));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn the_habits_of_the_code_are_kept() {
    let mut faults = Vec::new();
    for source in sources(&["src", "cluster/src", "tests", "benches"]) {
        faults.extend(size_faults(&source));
        let unsafe_is_allowed = UNSAFE_HOMES.iter().any(|home| source.path.starts_with(home));
        for (number, line) in source.code_lines() {
            let mut fault = |what: &str| {
                faults.push(format!("{}:{number}: {what}", source.path));
            };
            for name in NEVER.iter().filter(|name| line.contains(**name)) {
                fault(name);
            }
            if is_unsafe(line) && !unsafe_is_allowed {
                fault("`unsafe` away from its homes");
            }
        }
        if source.is_test {
            continue;
        }
        for (number, _) in source.production_lines().filter(|(_, line)| unwraps(line)) {
            faults.push(format!("{}:{number}: unwrap outside tests", source.path));
        }
    }
    assert_none(&faults);
}

fn size_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{}: {lines} lines; split it", source.path));
    }
    for (number, line) in source.lines() {
        if line.chars().count() > COLUMNS_MAX {
            faults.push(format!("{}:{number}: over {COLUMNS_MAX} columns", source.path));
        }
    }
    if !source.is_test && !source.text.starts_with("//!") {
        faults.push(format!("{}: starts without `//!`", source.path));
    }
    faults
}

fn row(module: &str) -> Option<&'static [&'static str]> {
    IMPORTS.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed)
}

/// One file of Rust.
struct Source {
    /// Path from the root of the repository.
    path: String,
    /// The top-level module it belongs to: `store` for `src/store/pool.rs`.
    module: String,
    /// Nested modules from the crate's root down: 2 for `src/store/pool.rs`, 1 for its `mod.rs`.
    depth: usize,
    /// Whether all of it is test or benchmark code.
    is_test: bool,
    text: String,
}

impl Source {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines without comments.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines()
            .map(|(number, line)| (number, line.split(" // ").next().unwrap_or(line)))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The lines of code before the unit tests, which end a file.
    fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.lines().find(|(_, line)| *line == "mod tests {").map(|(number, _)| number);
        self.code_lines().take_while(move |(number, _)| end.is_none_or(|end| *number < end))
    }
}

fn sources(directories: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for directory in directories {
        let mut files = Vec::new();
        rust_files(&root.join(directory), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).expect("a source is text");
            let inside = file.strip_prefix(root.join(directory)).expect("it lies below");
            let path = Path::new(directory).join(inside).display().to_string();
            sources.push(source(path, inside, text));
        }
    }
    assert!(!sources.is_empty(), "there are sources");
    sources
}

fn source(path: String, inside: &Path, text: String) -> Source {
    let mut parts: Vec<String> =
        inside.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let in_tests = parts.iter().any(|part| part == "tests" || part == "testing");
    let is_test = in_tests || path.starts_with("tests") || path.starts_with("benches");
    parts.pop_if(|last| last == "mod");
    let module = parts.first().cloned().unwrap_or_default();
    Source { path, module, depth: parts.len(), is_test, text }
}

fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.expect("a readable directory").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The modules that a file names by a path from the crate's root, with the line.
fn imports(source: &Source, modules: &BTreeSet<&str>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut inline_depth = 0;
    let code: Vec<(usize, &str)> = source.code_lines().collect();
    for (position, (number, line)) in code.iter().enumerate() {
        if line.starts_with("mod ") && line.ends_with('{') {
            inline_depth = 1;
        } else if *line == "}" {
            inline_depth = 0;
        }
        if names_path(line, CLUSTER) {
            found.push((*number, CLUSTER.to_owned()));
        }
        let to_root = "super::".repeat(source.depth + inline_depth);
        for start in ["crate::", to_root.as_str()] {
            for after in occurrences(line, start) {
                let rest = std::iter::once(after)
                    .chain(code[position + 1..].iter().map(|(_, line)| *line));
                for name in path_heads(rest) {
                    found.extend(module_named(&name, modules).map(|module| (*number, module)));
                }
            }
        }
    }
    found
}

/// The module that a name at the crate's root belongs to; types there are those of `error`.
fn module_named(name: &str, modules: &BTreeSet<&str>) -> Option<String> {
    if name.starts_with(|first: char| first.is_uppercase()) {
        return Some("error".to_owned());
    }
    modules.contains(name).then(|| name.to_owned())
}

/// What follows each place where a line has the text as the start of a path.
fn occurrences<'a>(line: &'a str, text: &str) -> Vec<&'a str> {
    let begins_a_path =
        |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c));
    line.match_indices(text)
        .filter(|(at, _)| begins_a_path(*at))
        .map(|(at, _)| &line[at + text.len()..])
        .collect()
}

/// The first names of a path: one of `a::b`, each of `{a::b, c}`, which may span lines.
fn path_heads<'a>(mut lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let first = lines.next().unwrap_or_default();
    let Some(group) = first.strip_prefix('{') else {
        return vec![first.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()];
    };
    let mut heads = vec![String::new()];
    let (mut depth, mut in_head) = (1, true);
    for line in std::iter::once(group).chain(lines) {
        for c in line.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => heads.push(String::new()),
                _ => {}
            }
            if depth == 0 {
                return heads;
            }
            in_head = (c == ',' && depth == 1) || (in_head && c != ':');
            if in_head && (c.is_alphanumeric() || c == '_') {
                heads.last_mut().expect("there is one from the start").push(c);
            }
        }
    }
    heads
}

/// Whether a line begins a path with the name, or imports it.
fn names_path(line: &str, name: &str) -> bool {
    occurrences(line, name)
        .iter()
        .any(|after| after.starts_with("::") || after.starts_with(';') || after.starts_with(" as "))
}

/// Whether a line holds the name as a word of its own.
fn names_word(line: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    occurrences(line, name).iter().any(|after| !after.starts_with(is_part))
}

fn is_unsafe(line: &str) -> bool {
    let word = concat!("un", "safe");
    line.contains(&format!("allow({word}_code)"))
        || occurrences(line, word).iter().any(|after| after.starts_with(' '))
}

fn unwraps(line: &str) -> bool {
    line.contains(concat!(".unw", "rap()"))
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn imports_are_found_however_they_are_written() {
    let modules = BTreeSet::from(["config", "memory", "store"]);
    let check = |inside: &str, text: &str, expected: &[&str]| {
        let source = source(format!("src/{inside}"), Path::new(inside), text.to_owned());
        let found: Vec<String> =
            imports(&source, &modules).into_iter().map(|(_, module)| module).collect();
        assert_eq!(found, expected, "{text}");
    };
    check("a.rs", "use crate::store::pool::Pool;", &["store"]);
    check(
        "a.rs",
        "use crate::{Error, store, memory::{config, Tag}};",
        &["error", "store", "memory"],
    );
    check("a.rs", "use crate::{\n    config::Config,\n    memory,\n};\n", &["config", "memory"]);
    check("a.rs", "    let now = crate::store::open(crate::config::x());", &["store", "config"]);
    check("a.rs", "use super::store;", &["store"]);
    check("a/b.rs", "use super::store;", &[]);
    check("a/b.rs", "use super::super::store;", &["store"]);
    check("a/mod.rs", "mod tests {\n    use super::super::store;\n}\n", &["store"]);
    check("a/b.rs", "mod tests {\n    use super::super::store;\n}\n", &[]);
    check("a.rs", "// use crate::store;\nlet x = notcrate::store; // crate::memory", &[]);
    check("a.rs", "use memnode_cluster::Clock;", &[CLUSTER]);
}

#[test]
fn words_are_told_from_parts_of_words() {
    assert!(names_path("use axum::Router;", "axum") && names_path("use axum;", "axum"));
    assert!(!names_path("use utoipa_axum::x;", "axum") && !names_path("an axum router", "axum"));
    assert!(names_word("async fn f() {", "async") && !names_word("asynchronous", "async"));
    assert!(is_unsafe(concat!("let x = un", "safe { y };")));
    assert!(!is_unsafe("\"style-src 'unsafe-inline'\"; deny(unsafe_code)"));
}
