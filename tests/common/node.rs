//! Runs the real binary: servers on free ports, commands, and both on one data directory.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::Client;
use super::eventually;

/// How long a command may run.
const RUN_DEADLINE: Duration = Duration::from_secs(180);

/// A data directory of its own, with the settings that every process on it gets.
#[derive(Clone)]
pub struct Place {
    directory: Arc<TempDir>,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("memnode-").tempdir().expect("a directory");
        Place { directory: Arc::new(directory), environment: Vec::new(), wrapper: Vec::new() }
    }

    /// Adds an environment variable for every process.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Runs every process below another program, such as `strace`.
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn database(&self) -> PathBuf {
        self.path().join("memnode.db")
    }

    /// The binary with this place's settings and nothing of the caller's own.
    #[allow(clippy::disallowed_methods, reason = "a test may look at where it runs")]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_memnode");
        let mut command = match self.wrapper.split_first() {
            Some((wrapper, words)) => {
                let mut command = Command::new(wrapper);
                command.args(words).arg(program);
                command
            }
            None => Command::new(program),
        };
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["MEMNODE_", "MCP_", "OTEL_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        // An absent file, so that settings of the person who runs the tests do not count.
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("MCP_MEMORY_BASE_DIR", self.path())
            .env("MEMNODE_NODE_ID", "test-node")
            .env("MEMNODE_TIME_ZONE", "UTC")
            // The tests of backups make theirs when they want them.
            .env("MCP_BACKUP_ENABLED", "false")
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let child = self.command(arguments).spawn().expect("the binary runs");
        Finished::within(RUN_DEADLINE, child, arguments)
    }

    /// Runs a command to its end with bytes on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Finished {
        let mut child =
            self.command(arguments).stdin(Stdio::piped()).spawn().expect("the binary runs");
        let mut pipe = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let writing = std::thread::spawn(move || {
            // The command may stop reading early; what it made of the input is what counts.
            let _ = pipe.write_all(&input);
        });
        let finished = Finished::within(RUN_DEADLINE, child, arguments);
        writing.join().expect("writing does not panic");
        finished
    }

    /// Starts a server on a free port and waits until it takes requests.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, arguments: &[&str]) -> Server {
        self.serve_at("0", arguments)
    }

    /// Starts a server on the port that one before had.
    pub fn serve_on(&self, port: &str) -> Server {
        self.serve_at(port, &[])
    }

    fn serve_at(&self, port: &str, arguments: &[&str]) -> Server {
        let all: Vec<&str> =
            ["serve", "--http-port", port].iter().chain(arguments).copied().collect();
        let mut child = self.command(&all).spawn().expect("the binary runs");
        let stderr = collect(child.stderr.take().expect("a pipe"));
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let rest = line.strip_prefix("REST and MCP")?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        let Some(url) = url else {
            let status = child.wait().expect("the binary ends");
            let log = stderr.join().unwrap_or_default();
            panic!("the server did not start ({status}):\n{log}");
        };
        // The rest of what it says is read, so that it never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, url, place: self.clone(), stderr: Some(stderr) }
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // A pipe that breaks with its process has said all it will.
        let _ = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    pub arguments: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Waits for the end of a command, which it must come to by itself.
    ///
    /// # Panics
    /// When it does not in time; the process is ended then.
    #[track_caller]
    fn within(deadline: Duration, mut child: Child, arguments: &[&str]) -> Self {
        let stdout = collect(child.stdout.take().expect("a pipe"));
        let stderr = collect(child.stderr.take().expect("a pipe"));
        let until = Instant::now() + deadline;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the process is ours") {
                break Some(status);
            }
            if Instant::now() > until {
                child.kill().expect("the process is ours");
                child.wait().expect("the process is ours");
                break None;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        };
        let finished = Finished {
            arguments: arguments.join(" "),
            code: status.and_then(|status| status.code()),
            stdout: stdout.join().expect("reading does not panic"),
            stderr: stderr.join().expect("reading does not panic"),
        };
        assert!(status.is_some(), "not over within {deadline:?}: {finished:#?}");
        finished
    }

    /// # Panics
    /// When the command ended with another code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// # Panics
    /// When the command failed.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect_code(0)
    }

    /// The standard output as one JSON document.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// A running server.
pub struct Server {
    child: Child,
    pub url: String,
    pub place: Place,
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Server {
    /// A client without credentials.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process at once, as a crash would.
    pub fn kill(mut self) -> String {
        self.child.kill().expect("the process is ours");
        self.finish().1
    }

    /// Asks the process to stop and waits; gives its exit code and what it logged.
    pub fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        self.finish()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits until the model is loaded too.
    pub fn ready(self) -> Self {
        let client = self.client();
        eventually("the server is ready", || (client.get("/readyz").status == 200).then_some(()));
        self
    }

    fn finish(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("the process is ours");
        let log = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        (status.code(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already, or ended here: either way nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that a test started.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.expect("`kill` runs").success(), "kill -{name} {pid}");
}
