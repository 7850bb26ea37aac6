//! TLS in the program: what is spoken, and certificates that change.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::common::eventually;
use crate::common::node::{Place, Server};

/// A certificate and the files that a node reads it from.
struct Files {
    place: Place,
    certificate: PathBuf,
    key: PathBuf,
}

fn made() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate")
}

impl Files {
    fn new(first: &CertifiedKey<KeyPair>) -> Self {
        let place = Place::new();
        let (certificate, key) = (place.path().join("cert.pem"), place.path().join("key.pem"));
        let text = |path: &PathBuf| path.to_str().expect("a path").to_owned();
        let place =
            place.with("MEMNODE_TLS_CERT", text(&certificate)).with("MEMNODE_TLS_KEY", text(&key));
        let files = Files { place, certificate, key };
        files.write(first);
        files
    }

    fn write(&self, certified: &CertifiedKey<KeyPair>) {
        fs::write(&self.certificate, certified.cert.pem()).expect("a file");
        fs::write(&self.key, certified.signing_key.serialize_pem()).expect("a file");
    }
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

/// A connection whose handshake is done, to a node whose certificate must be this one.
fn connect(
    server: &Server,
    certificate: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    protocols: &[&[u8]],
) -> std::io::Result<Connection> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let address = server.url.strip_prefix("https://").expect("an address with TLS");
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut connection = StreamOwned::new(client, stream);
    while connection.conn.is_handshaking() {
        connection.conn.complete_io(&mut connection.sock)?;
    }
    Ok(connection)
}

/// Asks for something and reads until a part of the answer came.
fn ask(connection: &mut Connection, path: &str, part: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.write_all(request.as_bytes()).expect("the node reads");
    read_until(connection, part)
}

fn read_until(connection: &mut Connection, part: &str) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&read).contains(part) {
        connection.read_exact(&mut byte).expect("the node answers");
        read.push(byte[0]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[test]
fn both_versions_and_both_protocols_are_spoken() {
    let certified = made();
    let server = Files::new(&certified).place.serve();
    let certificate = certified.cert.der();
    for version in [&TLS12, &TLS13] {
        let mut plain = connect(&server, certificate, version, &[]).expect("a connection");
        let answer = ask(&mut plain, "/api/health", "healthy");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        for (offered, chosen) in [
            (&[b"h2".as_slice(), b"http/1.1"][..], b"h2".as_slice()),
            (&[b"http/1.1"], b"http/1.1"),
        ] {
            let connection = connect(&server, certificate, version, offered).expect("a connection");
            assert_eq!(connection.conn.alpn_protocol(), Some(chosen));
        }
    }
    let stranger = made();
    assert!(connect(&server, stranger.cert.der(), &TLS13, &[]).is_err(), "another certificate");
    // The challenge names the scheme that the caller used.
    let mut caller = connect(&server, certificate, &TLS13, &[]).expect("a connection");
    let told = ask(&mut caller, "/.well-known/oauth-protected-resource", "resource_name");
    assert!(told.contains("\"resource\":\"https://localhost\""), "{told}");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn who_speaks_no_tls_gets_nothing_and_is_let_go() {
    let server = Files::new(&made()).place.serve();
    let address = server.url.strip_prefix("https://").expect("an address with TLS");
    let started = Instant::now();
    let mut silent = TcpStream::connect(address).expect("the node listens");
    let mut plain = TcpStream::connect(address).expect("the node listens");
    plain.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    for stream in [&mut plain, &mut silent] {
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
}

#[test]
fn a_new_certificate_is_taken_into_use_and_open_connections_go_on() {
    let (first, second) = (made(), made());
    let files = Files::new(&first);
    let server = files.place.serve().await_tls(first.cert.der());
    let mut stream = connect(&server, first.cert.der(), &TLS13, &[]).expect("a connection");
    ask(&mut stream, "/events", "connection_established");
    // One file is new and the other is not yet: that pair is no good, and the old one stays.
    fs::write(&files.certificate, second.cert.pem()).expect("a file");
    connect(&server, first.cert.der(), &TLS13, &[]).expect("still the old one");
    files.write(&second);
    eventually("the new certificate is used", || {
        connect(&server, second.cert.der(), &TLS13, &[]).ok()
    });
    assert!(connect(&server, first.cert.der(), &TLS13, &[]).is_err(), "the old one is gone");
    fs::write(&files.key, "no key at all").expect("a file");
    // What was opened before goes on: the comment that keeps it open comes every 15 seconds.
    read_until(&mut stream, "keep-alive");
    connect(&server, second.cert.der(), &TLS13, &[]).expect("a broken file changes nothing");
    let (_, log) = server.stop();
    assert!(log.contains("the one before stays"), "{log}");
}

#[test]
fn files_that_cannot_be_used_keep_the_node_down() {
    let files = Files::new(&made());
    fs::write(&files.key, made().signing_key.serialize_pem()).expect("a file");
    let refused = files.place.run(&["serve", "--http-port", "0"]).expect_code(64);
    assert!(refused.stderr.contains("http.tls_key"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("BEGIN"), "{}", refused.stderr);
    let half = Place::new().with("MEMNODE_TLS_CERT", "/c.pem");
    let refused = half.run(&["serve"]).expect_code(64);
    assert!(refused.stderr.contains("need each other"), "{}", refused.stderr);
}

impl Server {
    /// Waits until a connection can be made.
    fn await_tls(self, certificate: &CertificateDer<'static>) -> Self {
        eventually("TLS is spoken", || connect(&self, certificate, &TLS13, &[]).ok());
        self
    }
}
