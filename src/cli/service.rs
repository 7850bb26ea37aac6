//! `memnode service`: a systemd unit of the user's own, so that a node is always there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::Subcommand;
use serde_json::json;

use super::exit::Failure;
use super::output::Output;
use crate::config::Loaded;

/// What to do with the unit.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// Write the unit, start it now and at every login
    Install,
    /// Show whether it runs
    Status,
    /// Stop it and remove the unit
    Remove,
}

const UNIT: &str = "memnode.service";

pub(super) fn run(
    command: ServiceCommand,
    loaded: &Loaded,
    settings_file: Option<&Path>,
    output: &Output,
) -> Result<(), Failure> {
    refuse_root(is_root())?;
    let config = loaded.directories.config.as_ref().ok_or_else(|| {
        Failure::Usage("there is no place for a unit: set HOME or XDG_CONFIG_HOME".to_owned())
    })?;
    let path = config.join("systemd/user").join(UNIT);
    match command {
        ServiceCommand::Install => {
            let program = std::env::current_exe()
                .map_err(|error| Failure::io("cannot find this program's own path", error))?;
            let settings_file = settings_file.map(std::path::absolute).transpose();
            let settings_file =
                settings_file.map_err(|error| Failure::io("cannot use the settings", error))?;
            install(&path, &unit(&program, settings_file.as_deref()), output)
        }
        ServiceCommand::Status => status(&path, output),
        ServiceCommand::Remove => remove(&path, output),
    }
}

/// A unit of the user root would run as root without need.
fn refuse_root(is_root: bool) -> Result<(), Failure> {
    if !is_root {
        return Ok(());
    }
    Err(Failure::NotAllowed(
        "this installs a unit for one user, not for root; use \
         deploy/systemd/memnode.service for the whole machine, \
         or run it as the user whose memories these are"
            .to_owned(),
    ))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn unit(program: &Path, settings_file: Option<&Path>) -> String {
    let mut start = format!("{} serve", quoted(program));
    if let Some(file) = settings_file {
        start.push_str(&format!(" --config {}", quoted(file)));
    }
    format!(
        "[Unit]\n\
         Description=memnode: long-term memory for AI agents\n\
         \n\
         [Service]\n\
         ExecStart={start}\n\
         Restart=on-failure\n\
         RestartSec=2\n\
         # Wrong settings, a missing model, a taken port: starting again mends none of them.\n\
         RestartPreventExitStatus=64 69 73 74 77\n\
         NoNewPrivileges=yes\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n"
    )
}

/// A word of a command line as systemd reads it (systemd.service(5), "Command lines").
fn quoted(path: &Path) -> String {
    let mut word = String::from("\"");
    for c in path.to_string_lossy().chars() {
        match c {
            '"' | '\\' => word.extend(['\\', c]),
            '%' | '$' => word.extend([c, c]),
            _ => word.push(c),
        }
    }
    word + "\""
}

fn install(path: &Path, unit: &str, output: &Output) -> Result<(), Failure> {
    let changed = write_unit(path, unit)?;
    let written = if changed { "wrote" } else { "unchanged:" };
    // Restarting brings a changed unit into force, and starts one that is not running.
    let steps: [&[&str]; 3] = [&["daemon-reload"], &["enable", UNIT], &["restart", UNIT]];
    let missed = missed_steps(&steps, systemctl);
    if output.json {
        return output.document(&json!({"unit": path, "changed": changed,
            "running": missed.is_empty(), "run_yourself": missed}));
    }
    output.line(format!("{written} {}", path.display()))?;
    if missed.is_empty() {
        output.line(
            "memnode runs now and starts at every login; logs: journalctl --user -u memnode",
        )?;
        return output.line("to keep it running after logout: loginctl enable-linger");
    }
    output.line("systemd did not answer for this user; where it does, run:")?;
    missed.iter().try_for_each(|command| output.line(format!("  {command}")))
}

/// Writes the unit if it is not there in just this form.
fn write_unit(path: &Path, unit: &str) -> Result<bool, Failure> {
    if fs::read_to_string(path).is_ok_and(|found| found == unit) {
        return Ok(false);
    }
    let directory = path.parent().expect("a unit lies in a directory");
    fs::create_dir_all(directory).map_err(|error| Failure::create(directory, error))?;
    fs::write(path, unit).map_err(|error| Failure::create(path, error))?;
    Ok(true)
}

fn status(path: &Path, output: &Output) -> Result<(), Failure> {
    let installed = path.is_file();
    let state = installed.then(|| systemctl_output(&["is-active", UNIT])).flatten();
    let state = state.unwrap_or_else(|| "unknown".to_owned());
    let running = state == "active";
    if output.json {
        output.document(
            &json!({"unit": path, "installed": installed, "state": state, "running": running}),
        )?;
    } else if installed {
        output.line(format!("{}: {state}", path.display()))?;
    }
    match (installed, running) {
        (false, _) => {
            Err(Failure::Found("not installed; `memnode service install` does that".to_owned()))
        }
        (true, false) => Err(Failure::Found(
            "installed, but not running; see journalctl --user -u memnode".to_owned(),
        )),
        (true, true) => Ok(()),
    }
}

fn remove(path: &Path, output: &Output) -> Result<(), Failure> {
    let installed = path.is_file();
    let mut missed = Vec::new();
    if installed {
        missed = missed_steps(&[&["disable", "--now", UNIT]], systemctl);
        delete(path)?;
        missed.extend(missed_steps(&[&["daemon-reload"]], systemctl));
    }
    if output.json {
        return output
            .document(&json!({"unit": path, "removed": installed, "run_yourself": missed}));
    }
    if !installed {
        return output.line("not installed");
    }
    output.line(format!("removed {}; the memories stay", path.display()))?;
    if missed.is_empty() {
        return Ok(());
    }
    output.line("systemd did not answer for this user; where it does, run:")?;
    missed.iter().try_for_each(|command| output.line(format!("  {command}")))
}

fn delete(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::io(format!("cannot remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// Runs the steps up to the first that fails; answers that one and the rest, for the user to run.
fn missed_steps(steps: &[&[&str]], mut run: impl FnMut(&[&str]) -> bool) -> Vec<String> {
    let done = steps.iter().take_while(|step| run(step)).count();
    steps[done..].iter().map(|step| format!("systemctl --user {}", step.join(" "))).collect()
}

fn systemctl(arguments: &[&str]) -> bool {
    let mut command = Command::new("systemctl");
    command.arg("--user").args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The first line of the answer, also of one that is no success.
fn systemctl_output(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("systemctl");
    let answer = command.arg("--user").args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_as_systemd_reads_them() {
        let text = unit(Path::new("/a b/100%\"$x"), Some(Path::new("/etc/m.toml")));
        let expected = r#"ExecStart="/a b/100%%\"$$x" serve --config "/etc/m.toml""#;
        assert!(text.lines().any(|line| line == expected), "{text}");
        assert!(!unit(Path::new("/m"), None).contains("--config"));
    }

    #[test]
    fn a_unit_is_written_once() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("systemd/user/memnode.service");
        assert!(write_unit(&path, "a").expect("written"));
        assert!(!write_unit(&path, "a").expect("unchanged"));
        assert!(write_unit(&path, "b").expect("written"));
        delete(&path).expect("deleted");
        delete(&path).expect("not there any more");
    }

    #[test]
    fn what_systemd_does_not_do_is_left_to_the_user() {
        let steps: [&[&str]; 2] = [&["daemon-reload"], &["enable", "x"]];
        assert!(missed_steps(&steps, |_| true).is_empty());
        assert_eq!(missed_steps(&steps, |step| step[0] != "enable"), ["systemctl --user enable x"]);
        assert_eq!(missed_steps(&steps, |_| false).len(), 2);
    }

    #[test]
    fn root_is_told_what_to_use_instead() {
        assert!(matches!(refuse_root(true), Err(Failure::NotAllowed(_))));
        assert!(refuse_root(false).is_ok());
    }
}
