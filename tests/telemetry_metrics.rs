//! `/metrics`: what the documentation names is there, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::common::cluster::Cluster;
use crate::common::eventually;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::rest::{search, store_text};

/// The type and the labels of each metric.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

/// What a node shows.
fn shown(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            metrics.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let series = line.split([' ', '{']).next().expect("a name");
            let parts = ["_bucket", "_sum", "_count"];
            let family = parts.iter().find_map(|part| series.strip_suffix(part));
            let family = family.filter(|family| metrics.contains_key(*family)).unwrap_or(series);
            let (_, labels) = metrics.get_mut(family).expect("its type comes first");
            labels.extend(label_names(line).filter(|name| name != "le"));
        }
    }
    metrics
}

/// The names in `name{a="1",b="{2},"} 3`.
fn label_names(line: &str) -> impl Iterator<Item = String> {
    let inside = line.split_once('{').map_or("", |(_, rest)| rest);
    let parts = inside.split("=\"").collect::<Vec<_>>();
    let names = parts.iter().take(parts.len() - 1);
    names
        .map(|part| part.rsplit(['"', ',']).next().unwrap_or_default().to_owned())
        .collect::<Vec<_>>()
        .into_iter()
}

/// What the documentation says.
fn documented() -> Metrics {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/observability.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let rows = page.lines().filter(|line| line.starts_with("| `memnode_"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let labels = cells[3].split(',').map(|name| name.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|name| !name.is_empty()).collect();
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels))
    };
    rows.map(row).collect()
}

#[test]
fn a_node_shows_what_is_documented_and_nothing_else() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    let client = cluster.nodes[0].client();
    store_text(&client, "the first memory");
    search(&client, json!({"query": "memory"}));
    let (documented, text) = eventually("every metric is there", || {
        let text = client.get("/metrics").expect(200).text();
        let documented = documented();
        (shown(&text).len() >= documented.len()).then_some((documented, text))
    });
    let shown = shown(&text);
    let names = |metrics: &Metrics| metrics.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&shown), names(&documented), "{text}");
    for (name, (kind, labels)) in &shown {
        assert_eq!((kind, labels), (&documented[name].0, &documented[name].1), "{name}");
    }
    for series in ["memnode_replication_digest_equal{node=\"node-2\"} 1", "memnode_memories 3"] {
        eventually(series, || {
            client.get("/metrics").text().lines().any(|line| line == series).then_some(())
        });
    }
    assert!(!text.contains("the first memory"), "{text}");
}

#[test]
fn a_key_is_needed_where_calls_need_one() {
    let server = Place::new().with("MCP_API_KEY", "s3cret").serve().ready();
    let client = server.client();
    client.get("/metrics").expect_problem(401, "credential_missing");
    let answer = client.with("authorization", "Bearer s3cret").get("/metrics").expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.text().contains("memnode_http_requests_total{"), "{}", answer.text());
    assert!(answer.text().lines().all(|line| !line.contains("s3cret")));
}
