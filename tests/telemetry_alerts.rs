//! `deploy/observability`: what dashboards and alerts name exists, and each alert can fire; which
//! real trouble fires it is in `telemetry_fired.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::cluster::Cluster;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::prometheus::DISK_LOW;
use crate::common::rest::{search, store_text};
use crate::common::{eventually, skip};
use crate::telemetry_fired::CAUSES;

/// Labels that Prometheus adds, or that every histogram has.
const LABELS_OF_PROMETHEUS: [&str; 4] = ["instance", "job", "le", "alertstate"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words of a text that are names of metrics or labels.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The labels that an expression selects, groups or prints by.
fn labels(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for inside in expression.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        let selectors = inside.split(',').filter(|part| part.contains('='));
        let names = selectors.filter_map(|part| words(part).next());
        found.extend(names.map(str::to_owned));
        found.extend(inside.trim().strip_prefix("$labels.").map(|name| name.trim().to_owned()));
    }
    for inside in expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next()) {
        found.extend(words(inside).map(str::to_owned));
    }
    found.retain(|name| !LABELS_OF_PROMETHEUS.contains(&name.as_str()));
    found
}

/// Every expression of the dashboard and of the alerts, with what is printed of it.
fn expressions() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&read("deploy/observability/grafana.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let mut all: Vec<String> = targets
        .map(|target| {
            let legend = target["legendFormat"].as_str().expect("a legend");
            let legend = legend.replace("{{", "{$labels.");
            format!("{} {legend}", target["expr"].as_str().expect("an expression"))
        })
        .collect();
    let alerts = read("deploy/observability/alerts.yml");
    all.extend(alerts.split("- alert: ").skip(1).map(|alert| alert.replace("{{", "{")));
    all
}

#[test]
fn every_metric_and_label_that_is_named_exists() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    let client = cluster.nodes[0].client();
    store_text(&client, "one");
    search(&client, json!({"query": "one"}));
    eventually("what is named exists", || {
        let text = client.get("/metrics").expect(200).text();
        let missing = expressions().iter().find_map(|expression| missing(expression, &text));
        missing.is_none().then_some(()).or_else(|| {
            eprintln!("{missing:?}");
            None
        })
    });
}

#[test]
fn prometheus_finds_nothing_to_mend_in_the_names() {
    let server = Place::new().serve().ready();
    let client = server.client();
    store_text(&client, "one");
    search(&client, json!({"query": "one"}));
    let text = client.get("/metrics").expect(200).text();
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut checking) = command.stderr(Stdio::piped()).spawn() else {
        return skip("promtool, of Debian's package prometheus, is not here");
    };
    let mut input = checking.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = checking.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// What an expression names and a node does not show.
fn missing(expression: &str, shown: &str) -> Option<String> {
    let metrics: BTreeSet<&str> =
        words(expression).filter(|word| word.starts_with("memnode_")).collect();
    let series = |name: &str| -> Vec<&str> {
        let of_name = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']))
        };
        shown.lines().filter(of_name).collect()
    };
    if let Some(name) = metrics.iter().find(|name| series(name).is_empty()) {
        return Some((*name).to_owned());
    }
    let has_label = |label: &String| {
        let label = format!("{label}=\"");
        metrics.iter().any(|name| series(name).iter().any(|line| line.contains(&label)))
    };
    labels(expression).into_iter().find(|label| !has_label(label))
}

#[test]
fn every_alert_fires_when_it_should() {
    let alerts = read("deploy/observability/alerts.yml");
    let cases = read("tests/observability/alerts_test.yml");
    for name in alerts.split("- alert: ").skip(1).filter_map(|rest| rest.lines().next()) {
        assert!(cases.contains(&format!("name: {name}\n")), "{name} is never fired");
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new("promtool");
        let output = command.args(arguments).current_dir(root()).output();
        output.map(|output| {
            let told = format!("{output:?}");
            assert!(output.status.success(), "{arguments:?}: {told}");
        })
    };
    if run(&["test", "rules", "tests/observability/alerts_test.yml"]).is_err() {
        return skip("promtool, of Debian's package prometheus, is not here");
    }
    run(&["check", "config", "deploy/observability/prometheus.yml"]).expect("it ran before");
}

#[test]
fn every_alert_has_a_cause_that_fires_it_or_a_reason_why_not() {
    let alerts = read("deploy/observability/alerts.yml");
    let tests = read("tests/telemetry_fired.rs");
    let names = alerts.split("- alert: ").skip(1).filter_map(|rest| rest.lines().next());
    let (caused, made_up): (Vec<&str>, Vec<&str>) =
        names.partition(|name| CAUSES.iter().any(|(alert, _)| alert == name));
    assert_eq!(made_up, ["MemnodeReplicationLag"], "which takes a minute of waiting");
    assert_eq!(caused.len(), CAUSES.len(), "a row is left over");
    for (alert, test) in CAUSES {
        let body = tests.split(&format!("fn {test}()")).nth(1).expect("the test is there");
        let body = body.split("#[test]").next().expect("there is a first part");
        let name = if alert == DISK_LOW { "DISK_LOW" } else { &format!("\"{alert}\"") };
        assert!(body.contains(name), "{test} does not fire {alert}");
    }
}
