//! A full disk: writes are refused, reads go on, and all is well once there is room again.

use std::fs;

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::disk::Disk;
use crate::common::eventually;

fn store(client: &Client, number: usize) -> Result<String, Value> {
    // Blanks take room and cost nothing to embed.
    let content = format!("Memory {number}{}on a small disk", " ".repeat(30_000));
    let answer = client.post("/api/memories", json!({"content": content, "tags": ["disk"]}));
    match answer.status {
        200 => Ok(answer.value()["content_hash"].as_str().expect("a hash").to_owned()),
        _ => Err(answer.expect_problem(507, "storage_full").value()),
    }
}

#[test]
fn a_full_disk_stops_writes_alone_and_they_resume_by_themselves() {
    let Some(disk) = Disk::new(16 * 1024) else { return };
    let place = disk.place();
    let server = place.serve().ready();
    let client = server.client();
    let mut acknowledged = vec![store(&client, 0).expect("there is room")];
    let ballast = disk.fill_up(1024);

    let problem = loop {
        match store(&client, acknowledged.len()) {
            Ok(hash) => acknowledged.push(hash),
            Err(problem) => break problem,
        }
    };
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("disk")), "{problem}");
    let first = &acknowledged[0];
    let ready = client.get("/readyz").expect(503).text();
    assert!(ready.contains("disk is full"), "{ready}");
    client.get("/livez").expect(200);
    let state = client.get("/api/health/detailed").expect(200).value();
    assert_eq!(state["storage"]["status"], "full", "{state}");

    client.get(&format!("/api/memories/{first}")).expect(200);
    let found = client.post("/api/search", json!({"query": "a small disk"})).expect(200).value();
    assert!(found["results"].as_array().is_some_and(|results| !results.is_empty()), "{found}");
    for refused in [
        client.delete(&format!("/api/memories/{first}")),
        client.put(&format!("/api/memories/{first}"), json!({"tags": ["x"]})),
    ] {
        refused.expect_problem(507, "storage_full");
    }
    let batch = client.send(
        "POST",
        "/api/memories/batch",
        &[("content-type", "application/x-ndjson")],
        b"{\"content\": \"in a batch\"}\n".to_vec(),
    );
    assert!(batch.status == 507 || batch.text().contains("storage_full"), "{}", batch.text());

    fs::remove_file(ballast).expect("the ballast");
    let after = eventually("writes resume", || store(&client, 1_000_000).ok());
    acknowledged.push(after);
    client.get("/readyz").expect(200);
    let verified = client.post("/api/verify", json!({})).expect(200).value();
    assert_eq!(verified["ok"], true, "{verified}");
    server.kill();

    let server = place.serve().ready();
    for hash in &acknowledged {
        server.client().get(&format!("/api/memories/{hash}")).expect(200);
    }
    let total = server.client().get("/api/memories").expect(200).value()["total"].clone();
    assert_eq!(total, acknowledged.len());
}

#[test]
fn an_import_onto_a_full_disk_says_so_and_is_completed_later() {
    /// Memories of the import, several times what fits.
    const COUNT: u64 = 300;
    let Some(disk) = Disk::new(32 * 1024) else { return };
    let place = disk.place();
    place.run(&["add", "The first"]).ok();
    let ballast = disk.fill_up(3 * 1024);
    let line = |n: u64| {
        let content = format!("Line {n}{}takes up some room", " ".repeat(15_000));
        json!({"content": content}).to_string() + "\n"
    };
    let lines: String = (0..COUNT).map(line).collect();
    let import = ["import", "-", "--json"];

    let stopped = place.run_with_input(&import, lines.as_bytes()).expect_code(74);
    assert!(stopped.stderr.contains("disk is full"), "{stopped:#?}");
    assert!(stopped.stderr.contains("free some disk space"), "{stopped:#?}");
    let summary = stopped.json();
    let stored = summary["stored"].as_u64().expect("a number");
    assert!((1..COUNT).contains(&stored), "{summary}");
    assert_eq!(summary["failed"], 0, "{summary}");
    // Whatever was announced as stored is there, on the disk that is still full.
    let total = place.run(&["list", "--json"]).ok().json()["total"].as_u64();
    assert_eq!(total, Some(stored + 1));

    fs::remove_file(ballast).expect("the ballast");
    let again = place.run_with_input(&import, lines.as_bytes()).ok().json();
    assert_eq!(
        (&again["already_there"], &again["stored"]),
        (&json!(stored), &json!(COUNT - stored))
    );
    place.run(&["verify"]).ok();
}

#[test]
fn a_first_start_on_a_full_disk_leaves_nothing_half_made() {
    let Some(disk) = Disk::new(8 * 1024) else { return };
    let place = disk.place();
    for room in [0, 40, 300, 600] {
        disk.fill_up(room);
        let refusals = [&["add", "A text"][..], &["serve", "--http-port", "0"]];
        for arguments in refusals {
            let refused = place.run(arguments);
            assert!(matches!(refused.code, Some(73 | 74)), "{room}: {refused:#?}");
            let told = refused.stderr.to_lowercase();
            assert!(told.contains("full") || told.contains("space"), "{room}: {refused:#?}");
            let left = disk.names();
            assert_eq!(left, ["memnode.db.lock"], "{room}: {refused:#?}");
        }
    }
    fs::remove_file(disk.path().join("ballast")).expect("the ballast");
    place.run(&["add", "A text"]).ok();
    place.run(&["verify"]).ok();
}
