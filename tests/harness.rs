//! The tools of the replication tests do what those tests take for granted.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::Config;

use crate::common::cluster::Cluster;
use crate::common::eventually;
use crate::common::history::{Clocks, Contents, Fault, Outcome, check};
use crate::common::nats::{NatsServer, Version};
use crate::common::proxy::{Mode, Proxy};
use crate::common::stream::Admin;
use crate::common::writers::{Ack, Writers};

fn stream(replica_count: usize) -> Config {
    Config {
        name: "kept".to_owned(),
        subjects: vec!["kept.>".to_owned()],
        num_replicas: replica_count,
        ..Config::default()
    }
}

fn a_killed_server_keeps_its_streams_until_it_is_wiped(version: Version) {
    let Some(mut server) = NatsServer::start(version) else { return };
    let admin = Admin::of(&server).ready();
    admin.create(stream(1));
    for number in 1..=3 {
        assert_eq!(admin.publish("kept.here", b"text"), number);
    }
    let address = server.address();
    server.kill();
    server.restart();
    assert_eq!(server.address(), address);
    let admin = Admin::of(&server).ready();
    assert_eq!(admin.wait_for("kept").state.messages, 3);
    assert_eq!(admin.message("kept", 2), Some(("kept.here".to_owned(), b"text".to_vec())));
    admin.limit_messages("kept", 1);
    assert_eq!(admin.wait_for("kept").state.first_sequence, 3);
    admin.purge("kept");
    assert_eq!(admin.publish("kept.here", b"more"), 4);
    assert!(fs::metadata(&server.blocks()[0]).expect("a block").len() > 0);
    let created = admin.wait_for("kept").created;
    admin.recreate("kept");
    assert_ne!(admin.wait_for("kept").created, created);
    assert_eq!(admin.publish("kept.here", b"again"), 1);
    server.kill();
    server.wipe();
    server.restart();
    assert!(Admin::of(&server).ready().info("kept").is_none());
}

#[test]
fn a_killed_server_keeps_its_streams_until_it_is_wiped_newer() {
    a_killed_server_keeps_its_streams_until_it_is_wiped(Version::Newer);
}

#[test]
fn a_killed_server_keeps_its_streams_until_it_is_wiped_older() {
    a_killed_server_keeps_its_streams_until_it_is_wiped(Version::Older);
}

#[test]
fn three_servers_keep_a_stream_without_one_of_them() {
    let Some(mut servers) = NatsServer::start_three(Version::Newer) else { return };
    let admin = Admin::of(&servers[0]).ready();
    eventually("three copies can be kept", || admin.try_create(stream(3)).ok());
    assert_eq!(admin.publish("kept.here", b"text"), 1);
    servers[2].kill();
    let again = || admin.try_publish("kept.here", b"text");
    let sequence = eventually("two of three are enough", again);
    assert!(sequence > 1, "{sequence}");
    servers[2].restart();
}

#[test]
fn a_server_takes_the_configuration_of_a_test() {
    let users = "authorization { users: [{ user: \"a\", password: \"b\" }] }";
    let Some(server) = NatsServer::start_with(Version::Newer, users) else { return };
    let known = || async_nats::ConnectOptions::with_user_and_password("a".into(), "b".into());
    Admin::connect(&server.url(), known).ready();
    let refused = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async_nats::connect(server.url()));
    assert!(refused.is_err());
}

#[test]
fn the_checker_follows_what_clients_did_to_a_node_that_was_killed() {
    let mut cluster = Cluster::on(Vec::new(), 1);
    let writers = Writers::start(&cluster.nodes, Ack::Local, 1);
    writers.progress(100);
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    writers.progress(100);
    let calls = writers.stop();
    let (name, mut contents) = cluster.contents().remove(0);
    let judge =
        |contents: &Contents| check(&calls, &[(name.clone(), contents.clone())], Clocks::InStep);
    assert_eq!(judge(&contents).len(), 0, "{:#?}", judge(&contents));
    let acknowledged = calls.iter().filter(|call| call.outcome == Outcome::Acknowledged);
    assert!(acknowledged.count() >= 200);
    // One memory that the node loses is seen.
    let lost = contents.keys().next().expect("a memory").clone();
    contents.remove(&lost);
    assert!(judge(&contents).iter().all(|violation| violation.call.memory == lost));
    assert!(judge(&contents).iter().any(|violation| violation.fault == Fault::Lost));
}

/// A server that sends back what it gets.
fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut back = stream.try_clone().expect("a copy");
                std::io::copy(&mut stream, &mut back)
            });
        }
    });
    Proxy::to(address)
}

fn dial(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).expect("the proxy listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    stream
}

/// Sends a byte and waits for its echo.
fn is_answered(mut stream: &TcpStream) -> bool {
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_proxy_passes_delays_and_drops() {
    const DELAY: Duration = Duration::from_millis(60);
    let proxy = echo();
    let stream = dial(&proxy);
    assert!(is_answered(&stream));
    proxy.set(Mode::Delay(DELAY));
    let start = Instant::now();
    assert!(is_answered(&stream));
    assert!(start.elapsed() >= 2 * DELAY);
    proxy.set(Mode::Drop);
    assert!(!is_answered(&stream));
    assert!(!is_answered(&dial(&proxy)));
    proxy.set(Mode::Pass);
    assert!(is_answered(&dial(&proxy)));
}

#[test]
fn a_half_open_connection_is_silent_and_ends_when_the_network_heals() {
    let proxy = echo();
    let old = dial(&proxy);
    assert!(is_answered(&old));
    proxy.set(Mode::HalfOpen);
    let new = dial(&proxy);
    for mut stream in [&old, &new] {
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
        stream.write_all(b"x").expect("it is taken");
        let silence = stream.read(&mut [0]).expect_err("nothing comes");
        assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    }
    proxy.set(Mode::Pass);
    for mut stream in [&old, &new] {
        assert!(stream.read(&mut [0]).is_ok_and(|count| count == 0) || !is_answered(stream));
    }
    assert!(is_answered(&dial(&proxy)));
}
