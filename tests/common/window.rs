//! `memnode mcp` as an MCP client sees it: JSON-RPC lines over the pipes of a child process.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::{Value, json};

use super::DEADLINE;
use super::node::{Place, signal};

/// What every request of a client without a handshake carries.
pub fn stateless_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// The parameters of `initialize`.
pub fn initialize_params(revision: &str) -> Value {
    let info = json!({"name": "test", "version": "1"});
    json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": info})
}

/// The first text of a tool's result.
#[track_caller]
pub fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
}

/// What came out of the process so far.
#[derive(Default)]
struct Heard {
    /// Every message with an id and no method, by its id.
    answers: HashMap<String, Vec<Value>>,
    /// Every other message.
    others: Vec<Value>,
    /// Lines that are no JSON-RPC.
    garbage: Vec<String>,
    ended: bool,
}

#[derive(Default)]
struct Ear {
    heard: Mutex<Heard>,
    changed: Condvar,
}

impl Ear {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, pipe: ChildStdout) {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            self.hear(&line);
        }
        self.heard().ended = true;
        self.changed.notify_all();
    }

    fn hear(&self, line: &str) {
        let mut heard = self.heard();
        match serde_json::from_str::<Value>(line) {
            Ok(message) if message["jsonrpc"] == "2.0" => {
                if message.get("method").is_none() {
                    let id = message["id"].to_string();
                    heard.answers.entry(id).or_default().push(message);
                } else {
                    heard.others.push(message);
                }
            }
            _ => heard.garbage.push(line.to_owned()),
        }
        self.changed.notify_all();
    }
}

/// A running `memnode mcp`.
pub struct Window {
    child: Child,
    input: Option<ChildStdin>,
    ear: Arc<Ear>,
    listening: Option<JoinHandle<()>>,
    stderr: Option<JoinHandle<String>>,
    next_id: u64,
}

/// How a window ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stderr: String,
}

impl Place {
    /// Starts `memnode mcp`.
    pub fn mcp(&self) -> Window {
        self.mcp_with(&[])
    }

    pub fn mcp_with(&self, arguments: &[&str]) -> Window {
        let all: Vec<&str> = std::iter::once("mcp").chain(arguments.iter().copied()).collect();
        let mut child = self.command(&all).stdin(Stdio::piped()).spawn().expect("the binary runs");
        let input = child.stdin.take();
        let ear = Arc::new(Ear::default());
        let stdout = child.stdout.take().expect("a pipe");
        let hearing = Arc::clone(&ear);
        let listening = Some(std::thread::spawn(move || hearing.listen(stdout)));
        let mut stderr = child.stderr.take().expect("a pipe");
        let stderr = std::thread::spawn(move || {
            let mut log = Vec::new();
            // A pipe that breaks with its process has said all it will.
            let _ = stderr.read_to_end(&mut log);
            String::from_utf8_lossy(&log).into_owned()
        });
        Window { child, input, ear, listening, stderr: Some(stderr), next_id: 0 }
    }

    /// Starts `memnode mcp` and agrees on a revision.
    pub fn mcp_ready(&self) -> Window {
        let mut window = self.mcp();
        window.initialize("2025-11-25");
        window
    }
}

impl Window {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The handshake; gives its answer's result.
    pub fn initialize(&mut self, revision: &str) -> Value {
        let mut answer = self.request("initialize", initialize_params(revision));
        assert_eq!(answer["result"]["protocolVersion"], revision, "{answer}");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer["result"].take()
    }

    /// Sends bytes as they are. A process that ended may not take them.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(bytes).and_then(|()| input.flush())
    }

    pub fn send(&mut self, message: &Value) {
        self.send_bytes(format!("{message}\n").as_bytes()).expect("the process reads");
    }

    /// Sends a request without waiting; gives its id.
    pub fn begin(&mut self, method: &str, params: &Value) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    pub fn begin_call(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.begin("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Waits for the answer to a request.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn answer(&self, id: u64) -> Value {
        let found = self.until(&format!("an answer to {id}"), |answers| {
            answers.get(&id.to_string()).and_then(|answers| answers.first().cloned())
        });
        found.unwrap_or_else(|| panic!("process {} ended before it answered {id}", self.pid()))
    }

    #[track_caller]
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, &params);
        self.answer(id)
    }

    /// Calls a tool and gives its result.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.begin_call(tool, &arguments);
        let mut answer = self.answer(id);
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].take()
    }

    /// Stores a text, which must be new.
    #[track_caller]
    pub fn store(&mut self, content: &str) -> Value {
        let result = self.call("memory_store", json!({"content": content}));
        assert!(text(&result).starts_with("Memory stored successfully (hash: "), "{result}");
        result
    }

    /// Every answer with an id, as often as it came.
    pub fn answers_to(&self, id: &Value) -> Vec<Value> {
        self.ear.heard().answers.get(&id.to_string()).cloned().unwrap_or_default()
    }

    /// How many requests are answered.
    pub fn answered_count(&self) -> usize {
        self.ear.heard().answers.len()
    }

    /// Waits until that many requests are answered; false when the process ended before.
    #[track_caller]
    pub fn wait_answered(&self, count: usize) -> bool {
        self.until(&format!("{count} answers"), |answers| (answers.len() >= count).then_some(()))
            .is_some()
    }

    /// Lines on standard output that are no JSON-RPC.
    pub fn garbage(&self) -> Vec<String> {
        self.ear.heard().garbage.clone()
    }

    /// Waits until the answers are as wanted, or the process has ended without them.
    #[track_caller]
    fn until<T>(
        &self,
        what: &str,
        mut wanted: impl FnMut(&HashMap<String, Vec<Value>>) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + DEADLINE;
        let mut heard = self.ear.heard();
        loop {
            if let Some(found) = wanted(&heard.answers) {
                return Some(found);
            }
            if heard.ended {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what}: not within {DEADLINE:?}");
            let waited = self.ear.changed.wait_timeout(heard, left);
            heard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Closes the client's end, as a client does when it is done.
    pub fn hang_up(&mut self) {
        self.input = None;
    }

    /// Closes the client's end and waits for the process to end.
    pub fn close(mut self) -> Ended {
        self.hang_up();
        self.finish()
    }

    /// Sends a signal and waits for the process to end, with the client's end still open.
    pub fn end_by(mut self, name: &str) -> Ended {
        signal(self.pid(), name);
        self.finish()
    }

    /// Ends the process at once, as a crash would.
    pub fn kill(mut self) -> Ended {
        self.child.kill().expect("the process is ours");
        self.finish()
    }

    /// Waits for the process to end by itself.
    pub fn finish(&mut self) -> Ended {
        let status = self.child.wait().expect("the process is ours");
        if let Some(listening) = self.listening.take() {
            listening.join().expect("listening does not panic");
        }
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok());
        Ended { code: status.code(), stderr: stderr.unwrap_or_default() }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Ended already, or ended here: either way nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
