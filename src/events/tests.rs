//! The ring, what it drops, and who is told what.

use super::ring::EVENT_COUNT_MAX;
use super::*;
use crate::memory::{Change, ChangeKind, ContentHash, NamespaceSet};

fn change(n: u64, kind: ChangeKind, text: &str) -> Change {
    Change {
        n,
        kind,
        dot: format!("node-1~00000000000000aa:{n}").parse().expect("a dot"),
        at: 1_795_361_184.25,
        changed: vec!["tag:a".to_owned()],
        namespace: "default".parse().expect("a name"),
        content_hash: ContentHash::of(text),
        preview: (kind != ChangeKind::Deleted).then(|| text.to_owned()),
        tags: Some(crate::memory::normalise_tags(["a", "b"]).expect("tags")),
        memory_type: None,
        updated_at: None,
    }
}

fn event(n: u64, kind: ChangeKind, text: &str) -> Event {
    Event::of_change(change(n, kind, text), format!("id-{n}"))
}

fn taken(hub: &Hub, cursor: &mut Cursor) -> Vec<String> {
    match hub.take(cursor) {
        Taken::Events(events) => events.iter().map(|event| event.data().to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}

fn everything() -> Filter {
    Filter { namespaces: NamespaceSet::All, tags: Vec::new(), kinds: Vec::new(), hears_node: true }
}

#[test]
fn a_frame_is_one_event_of_one_line() {
    let event = event(1, ChangeKind::Stored, "two\nlines");
    let frame = String::from_utf8(event.frame().to_vec()).expect("text");
    let start =
        "id: id-1\nevent: memory_stored\ndata: {\"timestamp\":\"2026-11-22T15:26:24.250000Z\"";
    assert!(frame.starts_with(start), "{frame}");
    assert!(frame.ends_with("}\n\n"), "{frame}");
    assert_eq!(frame.lines().count(), 4);
    let data: serde_json::Value = serde_json::from_str(event.data()).expect("JSON");
    assert_eq!(data["content_preview"], "two\nlines");
    assert_eq!(data["position"], "node-1~00000000000000aa:1");
    assert_eq!(data["origin"], "node-1");
    assert!(data.get("changed").is_none());
}

#[test]
fn subscribers_share_what_they_take() {
    let hub = Hub::new(0, "id-0".to_owned());
    let (mut one, mut other) = (hub.end().0, hub.end().0);
    hub.publish(vec![event(1, ChangeKind::Stored, "x"), event(2, ChangeKind::Updated, "x")]);
    assert_eq!(taken(&hub, &mut one), taken(&hub, &mut other));
    assert_eq!(one.n, 2);
    assert!(taken(&hub, &mut one).is_empty());
    assert_eq!(hub.end().1, "id-2");
    hub.close();
    assert!(matches!(hub.take(&mut one), Taken::Closed));
}

#[test]
fn who_is_too_slow_finds_the_ring_gone_on() {
    let hub = Hub::new(0, "id-0".to_owned());
    let (mut slow, _) = hub.end();
    for n in 1..=EVENT_COUNT_MAX as u64 + 10 {
        hub.publish(vec![event(n, ChangeKind::Stored, "x")]);
    }
    assert!(matches!(hub.take(&mut slow), Taken::Behind));
    assert_eq!(hub.after(5), None);
    let mut back = hub.after(10).expect("the ring starts after row 10");
    let events = taken(&hub, &mut back);
    assert!(events[0].contains(":11\""), "{}", events[0]);
}

#[test]
fn the_text_of_a_memory_that_is_gone_leaves_the_ring() {
    let hub = Hub::new(0, "id-0".to_owned());
    let (mut slow, _) = hub.end();
    hub.publish(vec![event(1, ChangeKind::Stored, "secret"), event(2, ChangeKind::Stored, "kept")]);
    hub.publish(vec![event(3, ChangeKind::Deleted, "secret")]);
    let events = taken(&hub, &mut slow);
    assert_eq!(events.len(), 3);
    assert!(!events.concat().contains("secret"));
    assert!(events[1].contains("kept"));
}

#[test]
fn a_filter_leaves_what_was_asked_for() {
    let stored = event(1, ChangeKind::Stored, "x");
    assert!(everything().matches(&stored));
    let tags = |list: &[&str]| crate::memory::normalise_tags(list.iter().copied()).expect("tags");
    assert!(Filter { tags: tags(&["b", "c"]), ..everything() }.matches(&stored));
    assert!(!Filter { tags: tags(&["c"]), ..everything() }.matches(&stored));
    let only = |name: &str| Filter { namespaces: name.parse().expect("names"), ..everything() };
    assert!(only("default,x").matches(&stored));
    assert!(!only("x").matches(&stored));
    let kinds = |kind| Filter { kinds: vec![kind], ..everything() };
    assert!(kinds(EventKind::MemoryStored).matches(&stored));
    assert!(!kinds(EventKind::Heartbeat).matches(&stored));
    assert!(kinds(EventKind::Heartbeat).matches(&Event::comment()));
}

#[test]
fn an_erased_memory_is_gone_for_every_tag() {
    let erased = Change { tags: None, ..change(1, ChangeKind::Deleted, "x") };
    let erased = Event::of_change(erased, String::new());
    let tags = crate::memory::normalise_tags(["other"]).expect("tags");
    assert!(Filter { tags, ..everything() }.matches(&erased));
}

#[test]
fn a_search_is_told_to_those_who_may_read_all_of_it() {
    let search = |namespaces: &str| {
        let notice = Notice::SearchCompleted {
            namespaces: namespaces.parse().expect("names"),
            query: "q".to_owned(),
            search_type: "semantic",
            results_count: 0,
            processing_time_ms: 1.0,
            message: String::new(),
        };
        Event::of_notice(&notice, 0.0)
    };
    let only = |name: &str| Filter { namespaces: name.parse().expect("names"), ..everything() };
    assert!(everything().matches(&search("*")));
    assert!(only("a,b").matches(&search("a")));
    assert!(!only("a").matches(&search("a,b")));
    assert!(!only("a").matches(&search("*")));
    assert!(
        search("a").data().starts_with("{\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"query\"")
    );
}

#[test]
fn seats_are_bounded_and_given_back() {
    let hub = Hub::new(0, "id-0".to_owned());
    let one = hub.seat(1).expect("a free seat");
    assert!(hub.seat(1).is_none());
    drop(one);
    assert_eq!(hub.subscriber_count(), 0);
}
