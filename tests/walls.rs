//! Walls: every operation with every wrong credential, and what a key for one namespace can learn
//! of another.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::client::{Answer, Client};
use crate::common::events::EventStream;
use crate::common::node::{Place, Server};
use crate::common::rest::{UNKNOWN, store, text};
use crate::common::socket::Socket;

/// What stands in the memories of the one namespace, and nowhere else.
const MARKER: &str = "xylophonist";
/// Its tag and type, and the namespace itself.
const TRACES: [&str; 4] = [MARKER, "zebrafish-tag", "quokka-type", "hidden-vault"];
pub const HIDDEN: &str = "hidden-vault";

/// What an operation needs: nothing, or one of these scopes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scope {
    Open,
    Read,
    Write,
    Admin,
}

use Scope::{Admin, Open, Read, Write};

/// The scope of each operation, by method and path; a new one fails the test until it is here.
const OPERATIONS: &[(&str, Scope, bool)] = &[
    ("get /.well-known/oauth-protected-resource", Open, false),
    ("get /.well-known/oauth-protected-resource/mcp", Open, false),
    ("get /api/admin/audit", Admin, true),
    ("get /api/admin/audit/export", Admin, true),
    ("get /api/admin/keys", Admin, true),
    ("post /api/admin/keys", Admin, true),
    ("delete /api/admin/keys/{id}", Admin, true),
    ("post /api/admin/keys/{id}/rotate", Admin, true),
    ("get /api/admin/limits", Admin, true),
    ("get /api/admin/webhooks", Admin, true),
    ("post /api/admin/webhooks", Admin, true),
    ("get /api/analytics/memory-growth", Read, false),
    ("get /api/analytics/overview", Read, false),
    ("get /api/backup/list", Read, true),
    ("post /api/backup/now", Write, true),
    ("get /api/backup/status", Read, true),
    ("get /api/cluster", Admin, true),
    ("get /api/cluster/digest", Read, true),
    ("get /api/cluster/digest/{bucket}", Read, true),
    ("post /api/cluster/forget-node", Admin, true),
    ("post /api/cluster/init", Admin, true),
    ("post /api/cluster/join", Admin, true),
    ("get /api/cluster/quarantine", Admin, true),
    ("post /api/cluster/quarantine", Admin, true),
    ("post /api/cluster/snapshot", Admin, true),
    ("get /api/conflicts", Read, false),
    ("get /api/events", Read, false),
    ("post /api/events/ticket", Read, false),
    ("get /api/export", Read, false),
    ("get /api/health", Open, false),
    ("get /api/health/detailed", Read, false),
    ("post /api/import", Write, false),
    ("get /api/index", Admin, true),
    ("post /api/index/check", Admin, true),
    ("post /api/index/rebuild", Admin, true),
    ("get /api/map", Read, false),
    ("post /api/map/redraw", Write, true),
    ("get /api/memories", Read, false),
    ("post /api/memories", Write, false),
    ("post /api/memories/batch", Write, false),
    ("post /api/memories/delete", Write, false),
    ("get /api/memories/{hash}", Read, false),
    ("put /api/memories/{hash}", Write, false),
    ("patch /api/memories/{hash}", Write, false),
    ("delete /api/memories/{hash}", Write, false),
    ("get /api/memories/{hash}/history", Read, false),
    ("post /api/memories/{hash}/purge", Admin, false),
    ("post /api/memories/{hash}/restore", Write, false),
    ("get /api/reembed", Admin, true),
    ("post /api/reembed", Admin, true),
    ("post /api/search", Read, false),
    ("post /api/search/by-tag", Read, false),
    ("post /api/search/by-time", Read, false),
    ("get /api/search/similar/{hash}", Read, false),
    ("get /api/sync/status", Read, false),
    ("get /api/tags", Read, false),
    ("get /api/types", Read, false),
    ("post /api/verify", Admin, true),
    ("get /api/ws", Read, false),
    ("get /events", Read, false),
    ("get /healthz", Open, false),
    ("get /livez", Open, false),
    ("get /metrics", Read, true),
    ("get /readyz", Open, false),
];

/// One operation of the document: its scope, and whether it needs it in all namespaces.
struct Operation {
    name: String,
    method: String,
    path: String,
    scope: Scope,
    everywhere: bool,
}

fn operations(client: &Client) -> Vec<Operation> {
    let document = client.get("/api/openapi.json").expect(200).value();
    let rows: BTreeMap<&str, (Scope, bool)> =
        OPERATIONS.iter().map(|(name, scope, everywhere)| (*name, (*scope, *everywhere))).collect();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            let name = format!("{method} {path}");
            let row = rows.get(name.as_str());
            let (scope, everywhere) = *row.unwrap_or_else(|| panic!("{name} has no row here"));
            let path = path
                .replace("{hash}", UNKNOWN)
                .replace("{bucket}", "0")
                .replace("{id}", "0123456789abcdef");
            found.push(Operation { name, method: method.to_uppercase(), path, scope, everywhere });
        }
    }
    assert_eq!(found.len(), OPERATIONS.len(), "a row is left over");
    found
}

impl Operation {
    fn call(&self, client: &Client) -> Answer {
        let headers = [("content-type", "application/json")];
        client.send(&self.method, &self.path, &headers, Vec::new())
    }
}

/// A key with these scopes: its id and a client that sends it.
fn key(server: &Server, arguments: &[&str]) -> (String, Client) {
    let all = [&["--json", "key", "create", "x"], arguments].concat();
    let made = server.place.run(&all).ok().json();
    let bearer = format!("Bearer {}", text(&made["secret"]));
    (text(&made["key"]["id"]), server.client().with("authorization", &bearer))
}

#[test]
fn every_operation_refuses_every_wrong_credential() {
    let server = Place::new().serve().ready();
    let (revoked_id, revoked) = key(&server, &[]);
    server.place.run(&["key", "revoke", &revoked_id]).ok();
    let (_, expired) = key(&server, &["--expires", "1s"]);
    let (_, reader) = key(&server, &["--scope", "read"]);
    let (_, writer) = key(&server, &["--scope", "write"]);
    let (_, limited) =
        key(&server, &["--scope", "read:b", "--scope", "write:b", "--scope", "admin:b"]);
    let none = server.client();
    let wrong = none.with("authorization", "Bearer mnk_0123456789abcdef_00");
    crate::common::eventually("the key has expired", || {
        (expired.get("/api/tags").status == 401).then_some(())
    });
    for operation in operations(&none) {
        let name = &operation.name;
        if operation.scope == Open {
            assert!([200, 503].contains(&operation.call(&none).status), "{name}");
            continue;
        }
        operation.call(&none).expect_problem(401, "credential_missing");
        operation.call(&wrong).expect_problem(401, "invalid_credential");
        operation.call(&revoked).expect_problem(401, "credential_revoked");
        operation.call(&expired).expect_problem(401, "credential_expired");
        let lacking: &[&Client] = match operation.scope {
            Open => &[],
            Read => &[&writer],
            Write => &[&reader],
            Admin => &[&reader, &writer],
        };
        for client in lacking {
            // A WebSocket that is none is told so first.
            if name != "get /api/ws" {
                operation.call(client).expect_problem(403, "scope_missing");
            }
        }
        if operation.everywhere {
            operation.call(&limited).expect_problem(403, "scope_missing");
        }
    }
    for (client, code) in [(&none, "credential_missing"), (&revoked, "credential_revoked")] {
        for method in ["GET", "POST", "DELETE"] {
            client.send(method, "/mcp", &[], Vec::new()).expect_problem(401, code);
        }
    }
    // What is about one namespace refuses those of another before it looks.
    for operation in operations(&none).iter().filter(|it| it.path.contains(UNKNOWN)) {
        for namespace in ["a", "default", "nowhere"] {
            let path = format!("{}?namespace={namespace}", operation.path);
            let headers = [("content-type", "application/json")];
            let body = b"{\"tags\": [\"x\"]}".to_vec();
            let refused = limited.send(&operation.method, &path, &headers, body);
            refused.expect_problem(403, "scope_missing");
        }
    }
}

/// Two namespaces that hold alike memories, and who may see the one of them.
pub struct Vault {
    pub server: Server,
    /// May do everything in `own`, and nothing elsewhere.
    pub client: Client,
    pub hidden: String,
    pub own: String,
}

fn vault() -> Vault {
    let (vault, root) = vault_and_root();
    // What is looked for can be found by who may: the tests would see it.
    let found = root.get("/api/export?namespace=*").expect(200).text();
    assert!(TRACES.iter().all(|trace| found.contains(trace)), "{found}");
    vault
}

/// The same with somebody who may do everything.
pub fn vault_and_root() -> (Vault, Client) {
    let server = Place::new().serve().ready();
    let (_, root) = key(&server, &["--scope", "admin"]);
    let hidden = json!({"content": format!("the {MARKER} keeps the alarm code"),
        "tags": [TRACES[1], "shared"], "memory_type": TRACES[2], "namespace": HIDDEN,
        "metadata": {"where": MARKER}});
    let hidden = text(&store(&root, hidden)["content_hash"]);
    let path = format!("/api/memories/{hidden}?namespace={HIDDEN}");
    root.put(&path, json!({"tags": [TRACES[1], "shared", "changed"]})).expect(200);
    let (_, client) =
        key(&server, &["--scope", "read:own", "--scope", "write:own", "--scope", "admin:own"]);
    let own = json!({"content": "the organist keeps the alarm code", "tags": ["shared"],
        "namespace": "own"});
    let own = text(&store(&client, own)["content_hash"]);
    (Vault { server, client, hidden, own }, root)
}

/// # Panics
/// When an answer tells anything of the hidden namespace that the question did not.
#[track_caller]
fn check_silent(what: &str, asked: &str, answer: &Answer) {
    let told = format!("{:?} {}", answer.headers, answer.text());
    for trace in TRACES.iter().filter(|trace| !asked.contains(**trace)) {
        assert!(!told.contains(trace), "{what} tells {trace}: {told}");
    }
}

#[test]
fn no_operation_tells_of_another_namespace() {
    let Vault { server: _server, client, hidden, own } = vault();
    for operation in operations(&client) {
        if ["/api/events", "/events", "/api/ws"].contains(&operation.path.as_str()) {
            continue;
        }
        for path in [
            operation.path.clone(),
            operation.path.replace(UNKNOWN, &hidden),
            format!("{}?namespace=*", operation.path.replace(UNKNOWN, &hidden)),
            format!("{}?namespace=own", operation.path.replace(UNKNOWN, &hidden)),
            format!("{}?store=all", operation.path),
        ] {
            let headers = [("content-type", "application/json")];
            for body in [
                &b"{}"[..],
                b"{\"query\": \"alarm code\", \"namespace\": \"*\"}",
                b"{\"tags\": [\"shared\"], \"namespace\": \"*\", \"dry_run\": true}",
                b"{\"query\": \"today\", \"namespace\": \"own\"}",
            ] {
                let answer = client.send(&operation.method, &path, &headers, body.to_vec());
                check_silent(&format!("{} {path}", operation.method), "", &answer);
            }
        }
        // Named aloud it is refused, and so is one that there is not: neither says which it is.
        let named = format!("{}?namespace={HIDDEN}", operation.path.replace(UNKNOWN, &hidden));
        let absent = format!("{}?namespace=nowhere-here", operation.path);
        let question = json!({"query": "alarm", "tags": ["shared"], "content": "x"});
        let body = |namespace: &str| {
            let mut body = question.clone();
            body["namespace"] = json!(namespace);
            body
        };
        let there = client.json(&operation.method, &named, body(HIDDEN));
        let nowhere = client.json(&operation.method, &absent, body("nowhere-here"));
        assert_eq!(there.status, nowhere.status, "{} {named}", operation.method);
        check_silent(&named, HIDDEN, &there);
    }
    let similar = client.get(&format!("/api/search/similar/{own}?namespace=own")).expect(200);
    assert_eq!(similar.value()["total_found"], 0);
    let health = client.get("/api/health/detailed").expect(200).value();
    assert_eq!(health["statistics"]["total_memories"], 1);
    for zero in [
        &health["storage"]["database_size_bytes"],
        &health["index"]["rows"],
        &client.get("/api/sync/status").expect(200).value()["operations_processed"],
        &client.get("/api/map?namespace=*").expect(200).value()["axes"]["drawn_for"],
    ] {
        assert_eq!(*zero, 0, "{health}");
    }
}

#[test]
fn a_write_does_not_reach_into_another_namespace_nor_learn_of_it() {
    let Vault { server, client, hidden, .. } = vault();
    let text = format!("the {MARKER} keeps the alarm code");
    // The same text is new here, whatever is elsewhere.
    let stored = client.post("/api/memories", json!({"content": text, "namespace": "own"}));
    assert_eq!(stored.expect(200).value()["success"], true);
    let line = json!({"content": "x", "namespace": HIDDEN}).to_string();
    for path in ["/api/memories/batch", "/api/import"] {
        let headers = [("content-type", "application/x-ndjson")];
        let answer = client.send("POST", path, &headers, line.clone().into_bytes());
        assert!(answer.text().contains("scope_missing"), "{path}: {}", answer.text());
    }
    let everything = json!({"tags": ["shared"], "namespace": "*"});
    let deleted = client.post("/api/memories/delete", everything);
    assert!([200, 403].contains(&deleted.status), "{}", deleted.text());
    let (_, root) = key(&server, &["--scope", "admin"]);
    let path = format!("/api/memories/{hidden}?namespace={HIDDEN}");
    root.get(&path).expect(200);
    assert_eq!(root.get(&format!("/api/memories?namespace={HIDDEN}")).value()["total"], 1);
}

#[test]
fn no_event_tells_of_another_namespace() {
    let Vault { server, client, hidden, .. } = vault();
    let (_, root) = key(&server, &["--scope", "admin"]);
    let ticket = |client: &Client| {
        text(&client.post("/api/events/ticket", json!({})).expect(200).value()["ticket"])
    };
    for query in ["", "&namespace=*", "&namespace=own"] {
        let path = format!("/events?ticket={}{query}", ticket(&client));
        let (mut stream, _) = EventStream::resume(&server.url, &path, None);
        let path = format!("/api/memories/{hidden}?namespace={HIDDEN}");
        root.put(&path, json!({"tags": [TRACES[1], query.trim_start_matches('&')]})).expect(200);
        root.post("/api/search", json!({"query": MARKER, "namespace": HIDDEN})).expect(200);
        root.post("/api/search", json!({"query": MARKER, "namespace": "*"})).expect(200);
        root.post("/api/backup/now", json!({})).expect(200);
        let own = json!({"content": format!("own {query}"), "namespace": "own"});
        let own = text(&store(&client, own)["content_hash"]);
        let next = stream.next();
        assert_eq!((next.name.as_str(), next.hash()), ("memory_stored", own));
    }
    let path = format!("/events?ticket={}&namespace={HIDDEN}", ticket(&client));
    server.client().get(&path).expect_problem(403, "scope_missing");
}

#[test]
fn what_was_missed_of_another_namespace_is_not_told_later() {
    let (Vault { server, client, .. }, root) = vault_and_root();
    let ticket =
        || text(&client.post("/api/events/ticket", json!({})).expect(200).value()["ticket"]);
    let own = |content: &str| {
        text(&store(&client, json!({"content": content, "namespace": "own"}))["content_hash"])
    };
    let path = format!("/events?ticket={}", ticket());
    let (mut stream, _) = EventStream::resume(&server.url, &path, None);
    own("heard");
    let last = stream.next().id.expect("an id");
    drop(stream);
    for number in 0..5 {
        let content = format!("{MARKER} {number}");
        store(&root, json!({"content": content, "namespace": HIDDEN, "tags": [TRACES[1]]}));
    }
    let missed = own("missed");
    let path = format!("/events?ticket={}&namespace=*", ticket());
    let (mut stream, status) = EventStream::resume(&server.url, &path, Some(&last));
    assert_eq!((status.as_str(), stream.next().hash()), ("resumed", missed.clone()));
    let query = format!("?ticket={}&last_event_id={last}", ticket());
    let mut socket = Socket::open(&server.url, &query, &[]).expect("it opens");
    let first = socket.json();
    assert_eq!(first["data"]["replay"]["status"], "resumed", "{first}");
    let told = socket.json();
    assert_eq!(told["data"]["content_hash"], missed.as_str(), "{told}");
}

#[test]
fn no_tool_resource_or_completion_tells_of_another_namespace() {
    let Vault { server: _server, client, hidden, .. } = vault();
    let send = |method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let headers = [
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ];
        client.send("POST", "/mcp", &headers, body.to_string().into_bytes())
    };
    let tools = send("tools/list", json!({})).expect(200).value();
    let tools = tools["result"]["tools"].as_array().expect("tools").clone();
    assert!(tools.len() >= 10);
    let older = [
        "retrieve_memory",
        "recall_memory",
        "search_by_tag",
        "delete_by_tag",
        "exact_match_retrieve",
        "check_database_health",
        "cleanup_duplicates",
    ];
    let names = tools.iter().map(|tool| text(&tool["name"])).chain(older.map(str::to_owned));
    for name in names {
        for namespace in [json!(null), json!("own"), json!("*"), json!(HIDDEN)] {
            let mut arguments = json!({"query": "alarm code", "content_hash": hidden,
                "tags": ["shared"], "dry_run": true, "updates": {"tags": ["x"]},
                "content": "x", "turns": [{"role": "user", "content": "alarm code"}]});
            if !namespace.is_null() {
                arguments["namespace"] = namespace.clone();
            }
            let answer = send("tools/call", json!({"name": name, "arguments": arguments}));
            check_silent(&format!("{name} {namespace}"), &namespace.to_string(), &answer);
        }
    }
    for uri in [
        "memory://stats".to_owned(),
        "memory://tags".to_owned(),
        "memory://recent/50".to_owned(),
        "memory://tag/shared".to_owned(),
        "memory://search/alarm%20code".to_owned(),
        format!("memory://tag/{}", TRACES[1]),
    ] {
        let answer = send("resources/read", json!({"uri": uri}));
        check_silent(&uri, &uri, &answer);
    }
    for (kind, reference) in [
        ("ref/resource", json!({"type": "ref/resource", "uri": "memory://tag/{tag}"})),
        ("ref/prompt", json!({"type": "ref/prompt", "name": "memory_review"})),
    ] {
        for value in ["", "z", "zebra", "q"] {
            let argument = json!({"name": "tag", "value": value});
            let params = json!({"ref": reference, "argument": argument});
            check_silent(kind, value, &send("completion/complete", params));
        }
    }
    let prompts = send("prompts/list", json!({})).expect(200).value();
    for prompt in prompts["result"]["prompts"].as_array().expect("prompts") {
        let params = json!({"name": prompt["name"], "arguments": {"tags": "shared",
            "time_period": "today", "format": "json", "topic": "alarm", "query": "alarm"}});
        check_silent(&prompt.to_string(), "", &send("prompts/get", params));
    }
}
