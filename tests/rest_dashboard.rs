//! The dashboard's files, and what the API has for it: the map and the totals.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::client::{Answer, Client};
use crate::common::node::Place;
use crate::common::rest::{import, store, store_text};

/// How far a memory may move on the map when another is stored: two hundredths of its width.
const MOVE_MAX: f64 = 0.04;

#[test]
fn every_file_of_the_page_is_served_with_a_policy_and_known_again() {
    let server = Place::new().serve();
    let client = server.client();
    let list = client.get("/ui/assets.json").expect(200).value();
    let paths: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(paths.contains(&"/") && paths.contains(&"/ui/sw.js"), "{paths:?}");
    for path in paths {
        let answer = client.get(path).expect(200);
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        let tag = answer.header("etag").expect("a tag").to_owned();
        let again = client.with("if-none-match", &tag).get(path).expect(304);
        assert!(again.body.is_empty(), "{path}");
    }
    client.get("/ui/nothing.js").expect_problem(404, "unknown_path");
    client.post("/", json!({})).expect(405);
    let docs = client.get("/api/docs/").expect(200);
    assert!(docs.header("content-security-policy").expect("its own").contains("unsafe-inline"));
}

#[test]
fn the_page_is_open_and_the_api_behind_it_is_not() {
    let server = Place::new().with("MCP_API_KEY", "a-key-of-32-characters-0123456789").serve();
    let client = server.client();
    client.get("/").expect(200);
    for path in ["/api/map", "/api/analytics/overview", "/api/analytics/memory-growth"] {
        assert_eq!(client.get(path).status, 401, "{path}");
    }
    assert_eq!(client.post("/api/map/redraw", json!({})).status, 401);
}

/// The points of a map by their text.
fn places(answer: &Answer) -> BTreeMap<String, (f64, f64)> {
    let points = answer.value()["points"].as_array().expect("points").clone();
    let place = |point: &Value| {
        let number = |name: &str| point[name].as_f64().expect("a number");
        (point["preview"].as_str().expect("a text").to_owned(), (number("x"), number("y")))
    };
    points.iter().map(place).collect()
}

fn topic(number: usize) -> String {
    let topics = ["a database of customers", "the garden in spring", "trains to Vienna", "bread"];
    format!("Note {number} is about {}", topics[number % topics.len()])
}

#[test]
fn one_more_memory_moves_none_on_the_map() {
    let server = Place::new().serve().ready();
    let client = server.client();
    for count in [1, 4, 24] {
        for number in places(&client.get("/api/map").expect(200)).len()..count {
            store_text(&client, &topic(number));
        }
        let before = places(&client.get("/api/map").expect(200));
        assert_eq!(before.len(), count);
        store_text(&client, &format!("{count}: something else altogether, about stars"));
        let after = places(&client.get("/api/map").expect(200));
        assert_eq!(after.len(), count + 1);
        for (text, (x, y)) in before {
            let (now_x, now_y) = after[&text];
            assert!((x - now_x).abs().max((y - now_y).abs()) <= MOVE_MAX, "{text}");
            assert!(x.abs() <= 1.0 && y.abs() <= 1.0, "{text}");
        }
    }
}

#[test]
fn the_map_is_drawn_anew_when_it_is_asked_to_be() {
    let server = Place::new().serve().ready();
    let client = server.client();
    store_text(&client, &topic(0));
    assert_eq!(client.get("/api/map").expect(200).value()["axes"]["stale"], false);
    for number in 1..12 {
        store_text(&client, &topic(number));
    }
    let before = client.get("/api/map").expect(200);
    assert_eq!(before.value()["axes"]["stale"], true, "there are twelve times as many");
    let axes = client.post("/api/map/redraw", json!({})).expect(200).value();
    assert_eq!((&axes["drawn_for"], &axes["stale"]), (&json!(12), &json!(false)));
    let after = places(&client.get("/api/map").expect(200));
    assert_ne!(places(&before), after, "the axes fit the memories now");
    // Texts of one topic are nearer to each other than to those of another.
    let distance = |a: usize, b: usize| {
        let (one, other) = (after[&topic(a)], after[&topic(b)]);
        (one.0 - other.0).hypot(one.1 - other.1)
    };
    assert!(distance(0, 4) < distance(0, 1), "{after:?}");
}

#[test]
fn a_map_keeps_its_places_over_a_restart_and_shows_a_sample() {
    let place = Place::new();
    let server = place.serve().ready();
    for number in 0..8 {
        store_text(&server.client(), &topic(number));
    }
    let before = places(&server.client().get("/api/map").expect(200));
    server.stop();
    let server = place.serve().ready();
    let client = server.client();
    assert_eq!(places(&client.get("/api/map").expect(200)), before);
    let sample = client.get("/api/map?limit=3").expect(200);
    assert_eq!((places(&sample).len(), &sample.value()["total"]), (3, &json!(8)));
    assert_eq!(client.get("/api/map?limit=3").value()["points"], sample.value()["points"]);
    for bad in ["limit=0", "limit=5001", "limit=x", "namespace=Not%20valid"] {
        assert_eq!(client.get(&format!("/api/map?{bad}")).status, 400, "{bad}");
    }
}

fn growth(client: &Client, query: &str) -> Value {
    client.get(&format!("/api/analytics/memory-growth?{query}")).expect(200).value()
}

#[test]
fn growth_counts_every_day_in_the_zone_asked_for() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let at = |time: &str| json!({"content": format!("made at {time}"), "created_at_iso": time});
    // In Auckland, 13 hours ahead, the second is of the next day.
    import(&client, &[at("2026-01-10T08:00:00Z"), at("2026-01-10T12:00:00Z")]);
    let day = |answer: &Value, date: &str| {
        let points = answer["data_points"].as_array().expect("days").clone();
        points.into_iter().find(|point| point["date"] == date).expect("the day")
    };
    let utc = growth(&client, "period=all&tz=UTC");
    assert_eq!(utc["data_points"][0], json!({"date": "2026-01-10", "count": 2, "cumulative": 2}));
    let auckland = growth(&client, "period=all&tz=Pacific/Auckland");
    assert_eq!(day(&auckland, "2026-01-10")["count"], 1);
    let next = day(&auckland, "2026-01-11");
    assert_eq!((&next["count"], &next["cumulative"]), (&json!(1), &json!(2)));
    store(&client, json!({"content": "made now"}));
    let week = growth(&client, "period=week&tz=UTC");
    let days = week["data_points"].as_array().expect("days");
    assert_eq!((days.len(), &week["total_memories"]), (7, &json!(3)));
    assert_eq!(days[6], json!({"date": days[6]["date"], "count": 1, "cumulative": 3}));
    assert_eq!(growth(&client, "")["period"], "month");
    for bad in ["period=decade", "tz=Mars/Olympus"] {
        let path = format!("/api/analytics/memory-growth?{bad}");
        assert_eq!(client.get(&path).status, 400, "{bad}");
    }
}

#[test]
fn the_overview_counts_what_the_caller_may_see() {
    let server = Place::new().serve().ready();
    let client = server.client();
    store(&client, json!({"content": "one", "tags": ["a", "b"]}));
    store(&client, json!({"content": "two", "tags": ["b"]}));
    store(&client, json!({"content": "three", "namespace": "other"}));
    let old = json!({"content": "four", "created_at": 1_000_000_000});
    import(&client, &[old]);
    let found = client.get("/api/analytics/overview").expect(200).value();
    let counts = ["total_memories", "memories_this_week", "memories_this_month", "unique_tags"];
    assert_eq!(counts.map(|name| found[name].as_u64()), [3, 2, 2, 2].map(Some));
    assert!(found["database_size_mb"].as_f64().is_some_and(|size| size > 0.0));
    let all = client.get("/api/analytics/overview?namespace=*").expect(200).value();
    assert_eq!(
        all["namespaces"],
        json!([{"namespace": "default", "count": 3},
        {"namespace": "other", "count": 1}])
    );
}
