//! TLS for tests: nodes with a certificate of their own, and a server that shows one text.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::node::Place;

/// A certificate for this machine, as a file, and its key.
pub struct Identity {
    certified: rcgen::CertifiedKey<rcgen::KeyPair>,
    place: Place,
}

impl Identity {
    pub fn make() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let identity = Identity { certified, place: Place::new() };
        identity.write("cert.pem", &identity.certified.cert.pem());
        identity.write("key.pem", &identity.certified.signing_key.serialize_pem());
        identity
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    /// The file that who believes in it names.
    pub fn authority(&self) -> String {
        self.path("cert.pem").to_str().expect("a path").to_owned()
    }

    /// A place whose node shows it.
    pub fn place(&self) -> Place {
        let key = self.path("key.pem").to_str().expect("a path").to_owned();
        Place::new().with("MEMNODE_TLS_CERT", self.authority()).with("MEMNODE_TLS_KEY", key)
    }

    /// Answers every request with a body, for as long as the test runs; gives the address.
    pub fn publish(&self, body: String) -> String {
        let key = PrivateKeyDer::Pkcs8(self.certified.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certified.cert.der().clone()], key)
            .expect("a certificate and its key");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let connection = ServerConnection::new(Arc::clone(&config)).expect("a server");
                let mut stream = StreamOwned::new(connection, stream);
                let mut head = Vec::new();
                let mut byte = [0];
                // Who does not believe in the certificate asks for nothing.
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        format!("https://{address}")
    }
}
