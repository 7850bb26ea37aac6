//! Real NATS servers with JetStream, which a test may kill, wipe, damage and start again.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::{eventually, skip};

/// Ports below those that the kernel gives to outgoing connections: a server that was killed finds
/// its port free again, and nobody who dials it in the meantime is connected to himself.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
/// How often another port is tried when one was taken in between.
const ATTEMPT_COUNT: usize = 20;

/// Which server a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one of `tests/nats/requirements.txt`.
    Newer,
    /// Debian's 2.9.10: no `sync_interval`, other replies.
    Older,
}

impl Version {
    /// The program; `None`, after [`skip`], where it cannot be had.
    pub fn program(self) -> Option<&'static Path> {
        static NEWER: OnceLock<Option<PathBuf>> = OnceLock::new();
        static OLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
        let (found, find): (_, fn() -> Option<PathBuf>) = match self {
            Version::Newer => (&NEWER, newer),
            Version::Older => (&OLDER, older),
        };
        found.get_or_init(find).as_deref()
    }
}

/// The one that `make test` names, else the same one, made here when it is not there yet.
fn newer() -> Option<PathBuf> {
    let program = named("TEST_NATS_SERVER").or_else(prepared);
    if program.is_none() {
        skip("pip cannot install the NATS server of tests/nats/requirements.txt");
    }
    program
}

fn older() -> Option<PathBuf> {
    let program = named("TEST_NATS_SERVER_OLD")
        .or_else(|| Some(PathBuf::from("/usr/sbin/nats-server")).filter(|path| path.exists()));
    if program.is_none() {
        skip("there is no older NATS server: apt-get install nats-server");
    }
    program
}

#[allow(clippy::disallowed_methods, reason = "a test may look at where it runs")]
fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.exists())
}

#[allow(clippy::disallowed_methods, reason = "a test may look at where it runs")]
fn prepared() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty());
    let cache = cache.map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    let environment = cache.join("memnode/test-nats");
    fs::create_dir_all(environment.parent()?).ok()?;
    // Other tests, in other processes, may be about to make it too.
    let lock = File::create(environment.with_extension("lock")).ok()?;
    lock.lock().ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nats/prepare");
    let prepared = Command::new(script).arg(&environment).stdin(Stdio::null()).status();
    let program = environment.join("bin/nats-server");
    (prepared.is_ok_and(|status| status.success()) && program.exists()).then_some(program)
}

/// One server process with its own storage; both end with the test.
pub struct NatsServer {
    program: &'static Path,
    directory: TempDir,
    port: u16,
    /// What a test adds to the configuration.
    options: String,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts a server with JetStream; `None`, after [`skip`], where there is none.
    pub fn start(version: Version) -> Option<Self> {
        Self::start_with(version, "")
    }

    /// One with more configuration: users, permissions, TLS, a cluster.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_with(version: Version, options: &str) -> Option<Self> {
        let program = version.program()?;
        let started = (0..ATTEMPT_COUNT).find_map(|_| {
            let mut server = Self::prepare(program, free_port(), options);
            server.try_run().then_some(server)
        });
        Some(started.expect("the NATS server starts; a fault in its configuration?"))
    }

    /// Three servers that keep streams together, each on a machine of its own as it were.
    ///
    /// # Panics
    /// When they do not start.
    pub fn start_three(version: Version) -> Option<[Self; 3]> {
        let program = version.program()?;
        let started = (0..ATTEMPT_COUNT).find_map(|_| {
            let routes = [free_port(), free_port(), free_port()];
            let urls = routes.map(|port| format!("nats://127.0.0.1:{port}")).join(", ");
            let mut servers = routes.map(|route| {
                // Without `no_advertise` clients learn of ways around the proxies of a test.
                let cluster = format!(
                    "cluster {{ name: three, listen: \"127.0.0.1:{route}\", no_advertise: true, \
                     routes: [{urls}] }}"
                );
                Self::prepare(program, free_port(), &cluster)
            });
            servers.iter_mut().all(NatsServer::try_run).then_some(servers)
        });
        Some(started.expect("three NATS servers start"))
    }

    fn prepare(program: &'static Path, port: u16, options: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("nats-").tempdir().expect("a directory");
        NatsServer { program, directory, port, options: options.to_owned(), child: None }
    }

    /// The address for clients.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Where it keeps its streams.
    pub fn storage(&self) -> PathBuf {
        self.directory.path().join("storage")
    }

    /// What it logged, over all its runs.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Ends the process at once, as a crash would.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("the process is ours");
        child.wait().expect("the process is ours");
    }

    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Starts it again, on the same port and storage.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        assert!(self.try_run(), "the server starts again:\n{}", self.log());
    }

    /// Forgets every stream, as a lost disk would; the server must not run.
    pub fn wipe(&self) {
        assert!(self.child.is_none(), "the server runs");
        fs::remove_dir_all(self.storage()).expect("the storage");
    }

    /// Sends the process a signal by name.
    pub fn signal(&self, name: &str) {
        super::node::signal(self.child.as_ref().expect("the server runs").id(), name);
    }

    /// The files that hold messages of streams, largest first.
    pub fn blocks(&self) -> Vec<PathBuf> {
        let mut blocks = Vec::new();
        collect_blocks(&self.storage(), &mut blocks);
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        blocks.sort_by_key(|path| std::cmp::Reverse(size(path)));
        blocks
    }

    /// Starts the process; whether it got as far as to take clients.
    fn try_run(&mut self) -> bool {
        let directory = self.directory.path();
        let ports = directory.join("ports");
        // The file of an earlier run must not be taken for the one of this.
        let _ = fs::remove_dir_all(&ports);
        fs::create_dir_all(&ports).expect("a directory");
        let name = directory.file_name().expect("it has a name").to_string_lossy();
        let configuration = format!(
            "server_name: \"{name}\"\nlisten: \"127.0.0.1:{}\"\nports_file_dir: \"{}\"\n\
             jetstream {{ store_dir: \"{}\" }}\n{}\n",
            self.port,
            ports.display(),
            self.storage().display(),
            self.options,
        );
        let path = directory.join("nats.conf");
        fs::write(&path, configuration).expect("a file");
        let log = File::options().create(true).append(true).open(directory.join("log"));
        let mut child = Command::new(self.program)
            .arg("--config")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a file"))
            .spawn()
            .expect("the NATS server runs");
        let runs = eventually("the NATS server takes clients", || {
            if child.try_wait().expect("the process is ours").is_some() {
                return Some(false);
            }
            let mut entries = fs::read_dir(&ports).expect("a directory");
            entries.next().is_some().then_some(true)
        });
        self.child = runs.then_some(child);
        runs
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Ended already, or ended here: either way nothing is left running.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn collect_blocks(directory: &Path, blocks: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect_blocks(&path, blocks);
        } else if path.extension().is_some_and(|extension| extension == "blk") {
            blocks.push(path);
        }
    }
}

/// A port that nothing listens on; that may change before it is used.
pub fn free_port() -> u16 {
    let free = (0..1_000).map(|_| rand::random_range(PORTS));
    let mut free = free.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("there are free ports")
}
