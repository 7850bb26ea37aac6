//! The cluster as people read it.

use super::super::output::{Output, counted, grouped, harmless, size, table};
use super::wire::{Membership, Node, Origin, Quarantine, Status};

/// Digits of a digest that are enough for the eye.
const ROOT_DIGITS: usize = 8;

/// Where a file belongs.
pub(super) fn membership(membership: &Membership) -> String {
    let Membership { name, id, node, membership, memories } = membership;
    let rows = [
        ("cluster", name.clone()),
        ("id", id.clone()),
        ("node", node.clone()),
        ("membership", membership.clone()),
        ("memories", grouped(*memories)),
    ];
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, value)| vec![name.to_owned(), harmless(&value)]).collect();
    table(&rows)
}

/// How this node and its peers stand.
pub(super) fn status(status: &Status, output: &Output) -> String {
    let style = output.style;
    let mut text = format!("{} {} ({})\n", style.bold("cluster"), status.name, status.id);
    text.push_str(&format!("{}\n", connection(status)));
    if let Some(transfer) = &status.transfer {
        let records = counted(transfer.records, "record", "records");
        let from = harmless(&transfer.from);
        text.push_str(&format!("takes over from {from} ({}): {records}\n", transfer.reason));
    }
    text.push_str(&format!("\n{}", nodes(&status.nodes)));
    let lag: Vec<Vec<String>> = status.origins.iter().filter_map(lag).collect();
    if !lag.is_empty() {
        text.push_str(&format!("\n{}\n{}", style.bold("missing here"), table(&lag)));
    }
    text.push_str(&format!("\n{}\n", kept(status)));
    if status.alarms.is_empty() {
        text.push_str(&format!("{}\n", style.green("no alarms")));
    }
    for alarm in &status.alarms {
        let since = output.time(alarm.since);
        let line = format!("{} since {since}: {}", alarm.kind, harmless(&alarm.detail));
        text.push_str(&format!("{}\n", style.red(&line)));
    }
    text
}

fn connection(status: &Status) -> String {
    let mut parts = vec![match (status.enabled, status.connected) {
        (false, _) => format!("without peers, {}", status.membership),
        (true, true) => format!("connected, {}", status.membership),
        (true, false) => format!("cut off from the servers, {}", status.membership),
    }];
    if status.joining != "done" {
        parts.push(format!("joining: {}", status.joining));
    }
    if status.outbox > 0 {
        parts.push(format!("{} to send", counted(status.outbox, "write", "writes")));
    }
    let behind = status.stream.as_ref().map_or(0, |stream| stream.behind);
    if behind > 0 {
        parts.push(format!("{} to read", counted(behind, "message", "messages")));
    }
    if status.quarantined > 0 {
        parts.push(format!("{} in quarantine", counted(status.quarantined, "write", "writes")));
    }
    parts.join(", ")
}

fn nodes(nodes: &[Node]) -> String {
    let head = ["node", "heard", "lacks", "records", "root", "clock", "disk", "version"];
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let rows = nodes.iter().map(|node| {
        let unknown = || "?".to_owned();
        vec![
            harmless(&node.node),
            heard(node),
            grouped(node.lacks_ops),
            node.records.map_or_else(unknown, grouped),
            node.root.as_ref().map_or_else(unknown, |root| shortened(root)),
            node.clock_offset_ms.map_or_else(unknown, |offset| format!("{offset:+} ms")),
            node.disk_percent.map_or_else(unknown, |percent| format!("{percent} %")),
            node.version.as_deref().map_or_else(unknown, harmless),
        ]
    });
    table(&[head].into_iter().chain(rows).collect::<Vec<_>>())
}

fn heard(node: &Node) -> String {
    match (node.this, node.live, node.state.as_str()) {
        (true, ..) => "this node".to_owned(),
        (false, true, _) => "now".to_owned(),
        (false, false, "forgotten") => "forgotten".to_owned(),
        (false, false, _) => format!("{} ago", duration(node.heard_ms)),
    }
}

fn lag(origin: &Origin) -> Option<Vec<String>> {
    let writes = counted(origin.lag_ops, "write", "writes");
    (origin.lag_ops > 0).then(|| vec![harmless(&origin.origin), writes, duration(origin.lag_ms)])
}

fn kept(status: &Status) -> String {
    let pruning = &status.pruning;
    let kept = counted(pruning.kept_ops, "write", "writes");
    let mut text = format!(
        "{kept} kept for peers ({}), {} not yet everywhere",
        size(pruning.kept_bytes),
        grouped(pruning.not_everywhere_ops)
    );
    if !pruning.held_back_by.is_empty() {
        text.push_str(&format!("; waiting for {}", harmless(&pruning.held_back_by.join(", "))));
    }
    text
}

/// Writes that cannot be applied.
pub(super) fn quarantine(held: &Quarantine, output: &Output) -> String {
    if held.quarantine.is_empty() {
        return "nothing is in quarantine\n".to_owned();
    }
    let rows: Vec<Vec<String>> = held
        .quarantine
        .iter()
        .map(|one| {
            let position = harmless(&one.position);
            vec![position, output.time(one.at), size(one.bytes), harmless(&one.reason)]
        })
        .collect();
    let mut text = table(&rows);
    if held.count > rows.len() as u64 {
        text.push_str(&format!("{} in all\n", counted(held.count, "write", "writes")));
    }
    text
}

pub(super) fn shortened(root: &str) -> String {
    harmless(&root.chars().take(ROOT_DIGITS).collect::<String>())
}

/// A time for the eye: its largest unit.
fn duration(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let unit = units.iter().find(|(length, _)| ms >= *length);
    unit.map_or_else(|| format!("{ms} ms"), |(length, name)| format!("{} {name}", ms / length))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::output::Style;
    use super::*;

    fn output() -> Output {
        Output { json: false, style: Style::new(false), zone: jiff::tz::TimeZone::UTC }
    }

    #[test]
    fn a_cluster_is_shown_node_by_node() {
        let node = |name: &str, this: bool, live: bool| {
            json!({"node": name, "this": this, "live": live, "state": "joined",
                "heard_ms": 7_200_000, "lacks_ops": 1200, "root": "0123456789abcdef",
                "version": "1.0", "records": 5, "disk_percent": 40, "clock_offset_ms": -3})
        };
        let told = json!({"enabled": true, "name": "c", "id": "00ff", "membership": "joined",
            "connected": true, "joining": "done", "outbox": 2, "quarantined": 1,
            "stream": {"behind": 3}, "transfer": {"from": "b", "reason": "joining", "records": 9},
            "origins": [{"origin": "b~00000000000000bb", "lag_ops": 4, "lag_ms": 1500}],
            "nodes": [node("a", true, true), node("b", false, false)],
            "pruning": {"kept_ops": 7, "kept_bytes": 2048, "not_everywhere_ops": 6,
                "held_back_by": ["b"]},
            "alarms": [{"kind": "clock_ahead", "detail": "b\u{1b}[2J runs ahead", "since": 0.0}]});
        let shown = status(&serde_json::from_value(told).expect("a status"), &output());
        let expected = "\
cluster c (00ff)
connected, joined, 2 writes to send, 3 messages to read, 1 write in quarantine
takes over from b (joining): 9 records

node  heard      lacks  records  root      clock  disk  version
a     this node  1,200  5        01234567  -3 ms  40 %  1.0
b     2 h ago    1,200  5        01234567  -3 ms  40 %  1.0

missing here
b~00000000000000bb  4 writes  1 s

7 writes kept for peers (2.0 KiB), 6 not yet everywhere; waiting for b
clock_ahead since 1970-01-01 00:00: b\u{fffd}[2J runs ahead
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn times_show_their_largest_unit() {
        for (ms, text) in [(0, "0 ms"), (999, "999 ms"), (61_000, "1 min"), (90_000_000, "1 d")] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn an_empty_quarantine_says_so() {
        let none = Quarantine { quarantine: Vec::new(), count: 0 };
        assert_eq!(quarantine(&none, &output()), "nothing is in quarantine\n");
    }
}
