//! Callers behind a reverse proxy: whose word is taken for where they are.

use std::io::Write;

use serde_json::{Value, json};

use crate::common::client::Answer;
use crate::common::eventually;
use crate::common::node::{Place, Server};
use crate::common::raw;

/// The one that is trusted; every other address of this machine is not.
const PROXY: &str = "127.0.0.2";
const STRANGER: &str = "127.0.0.3";

fn place() -> Place {
    Place::new().with("MEMNODE_TRUSTED_PROXIES", PROXY).with("MEMNODE_LIMIT_WRITES", "1/h burst 2")
}

/// Stores a text over a connection from an address, with a header about where the caller is.
fn store(server: &Server, from: &str, header: &str, content: &str) -> Answer {
    let body = json!({"content": content}).to_string();
    let request = format!(
        "POST /api/memories HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{header}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = raw::connect_from(from, &server.url);
    stream.write_all(request.as_bytes()).expect("the server reads");
    raw::read_answer(&mut stream)
}

#[test]
fn limits_are_of_the_caller_behind_a_trusted_proxy_and_of_nobody_else() {
    let server = place().serve().ready();
    let mut number = 0;
    let mut statuses = |from: &str, headers: [&str; 3]| {
        headers.map(|header| {
            number += 1;
            store(&server, from, header, &format!("text {number}")).status
        })
    };
    let of = ["X-Forwarded-For: 198.51.100.7"; 3];
    assert_eq!(statuses(PROXY, of), [200, 200, 429]);
    // What stands before the nearest address may be invented.
    let behind = ["X-Forwarded-For: 203.0.113.5, 198.51.100.8"; 3];
    assert_eq!(statuses(PROXY, behind), [200, 200, 429]);
    // The newer field says the same, and a site of IPv6 is one caller.
    let site = [1, 2, 3].map(|host| format!("Forwarded: for=\"[2001:db8::{host}]\";proto=https"));
    assert_eq!(statuses(PROXY, site.each_ref().map(String::as_str)), [200, 200, 429]);
    assert_eq!(
        statuses(PROXY, ["Forwarded: for=\"[2001:db8:0:1::1]\""; 3]),
        [200, 200, 429],
        "another site"
    );
    let invented = [9, 10, 11].map(|host| format!("X-Forwarded-For: 198.51.100.{host}"));
    let invented = invented.each_ref().map(String::as_str);
    assert_eq!(statuses(STRANGER, invented), [200, 200, 429], "it is not believed");
    let forwarded = ["Forwarded: for=192.0.2.1", "Forwarded: for=192.0.2.2", "X-Other: x"];
    assert_eq!(statuses("127.0.0.4", forwarded), [200, 200, 429]);
}

#[test]
fn the_audit_log_names_the_caller_behind_a_trusted_proxy_and_no_invention() {
    let server = place().serve().ready();
    for (from, header, content) in [
        (PROXY, "X-Forwarded-For: 203.0.113.5, 198.51.100.7", "one"),
        (PROXY, "Forwarded: for=\"[2001:db8::5]:4711\"", "two"),
        (STRANGER, "X-Forwarded-For: 198.51.100.7", "three"),
        (STRANGER, "Forwarded: for=198.51.100.7", "four"),
    ] {
        assert_eq!(store(&server, from, header, content).status, 200, "{header}");
    }
    let entries: Vec<Value> = eventually("every write is noted", || {
        let lines = server.client().get("/api/admin/audit/export").expect(200).lines();
        (lines.len() == 4).then_some(lines)
    });
    let addresses: Vec<&str> =
        entries.iter().map(|entry| entry["address"].as_str().expect("an address")).collect();
    assert_eq!(addresses, ["198.51.100.7", "2001:db8::5", STRANGER, STRANGER]);
}
