//! The Python of the tests, with an MCP client from PyPI in it, and scripts that run on it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::node::Place;
use super::skip;

/// The Python that has the client; `None`, after [`skip`], where pip cannot install it.
pub fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let python = prepared();
        if python.is_none() {
            skip("pip cannot install the MCP client of tests/client/requirements.txt");
        }
        python
    });
    python.as_deref()
}

/// The one that `make test` names, else the same one, made here when it is not there yet.
#[allow(clippy::disallowed_methods, reason = "a test may look at where it runs")]
fn prepared() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os("TEST_PYTHON").map(PathBuf::from)
        && has_client(&python)
    {
        return Some(python);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty());
    let cache = cache.map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    let environment = cache.join("memnode/test-client");
    std::fs::create_dir_all(environment.parent()?).ok()?;
    // Other tests, in other processes, may be about to make it too.
    let lock = File::create(environment.with_extension("lock")).ok()?;
    lock.lock().ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client/prepare");
    let prepared = Command::new(script).arg(&environment).stdin(Stdio::null()).status();
    let python = environment.join("bin/python");
    (prepared.is_ok_and(|status| status.success()) && has_client(&python)).then_some(python)
}

fn has_client(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import mcp.client.client"]).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Place {
    /// A script of `tests/client` with this place's settings; `memnode` are the arguments of the
    /// program that it starts, if it starts one.
    pub fn script(
        &self,
        python: &Path,
        name: &str,
        arguments: &[&str],
        memnode: Option<&[&str]>,
    ) -> Command {
        let program = self.command(memnode.unwrap_or_default());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client").join(name);
        let mut command = Command::new(python);
        command.arg("-B").arg(script).args(arguments);
        if memnode.is_some() {
            command.arg("--").arg(program.get_program()).args(program.get_args());
        }
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}
