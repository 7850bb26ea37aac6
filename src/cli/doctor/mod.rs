//! `memnode doctor`: what could keep a node from working, and `memnode verify`.
//!
//! Looks without changing anything: it neither makes the file nor starts a node, but for a deep
//! check, which the node that owns the file has to make.

mod checks;

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Call;
use super::exit::Failure;
use super::output::{Output, harmless};
use super::wire::Verified;
use crate::client::Payload;
use crate::config::{Config, ConfigError, Loaded};
use crate::node::Need;
use crate::store::{self, FileKind};

/// What to look at.
#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// Check every byte of the file too, as `memnode verify` does
    #[arg(long)]
    pub(super) deep: bool,
}

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do about it; empty when nothing.
    advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Check { name, verdict: Verdict::Ok, found: found.into(), advice: String::new() }
    }

    fn warn(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Check { name, verdict: Verdict::Warn, found: found.into(), advice: advice.into() }
    }

    fn fail(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Check { name, verdict: Verdict::Fail, found: found.into(), advice: advice.into() }
    }
}

/// Makes every check and prints them; settings that cannot be read end it at the first.
pub(super) async fn run(
    loaded: Result<Loaded, ConfigError>,
    args: &DoctorArgs,
    output: Output,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let mut checks = checks::settings(&loaded);
    if let Ok(loaded) = loaded {
        let call = Call { config: loaded.config, output: output.clone(), stop };
        checks.extend(call.until_stopped(async { Ok(look(&call.config).await) }).await?);
        if args.deep && store::identify(&call.config.store.path).is_ok_and(is_ours) {
            checks.push(deep(&call).await?);
        }
    }
    print(&checks, &output)?;
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
    match failed {
        0 => Ok(()),
        1 => Err(Failure::Found("1 check failed".to_owned())),
        _ => Err(Failure::Found(format!("{failed} checks failed"))),
    }
}

/// Only a file that is there and ours can be opened without making or changing one.
fn is_ours(kind: FileKind) -> bool {
    matches!(kind, FileKind::Ours(_))
}

async fn look(config: &Config) -> Vec<Check> {
    let owner = checks::owner(&config.store.path).await;
    let mut found = vec![
        checks::directory(&config.store.path),
        checks::disk(&config.store.path),
        checks::file(&config.store.path),
    ];
    found.push(checks::model(&config.embed));
    found.push(checks::owner_check(&owner));
    found.push(checks::port(config, &owner));
    found.push(checks::clock(&config.store.path, crate::clock::now_seconds()));
    found
}

/// Every byte of the file, by the node that owns it.
async fn deep(call: &Call) -> Result<Check, Failure> {
    const NAME: &str = "integrity";
    match problems(call).await {
        Ok(problems) if problems.is_empty() => Ok(Check::ok(NAME, "everything adds up")),
        Ok(problems) => Ok(Check::fail(NAME, problems.join("; "), "restore a backup")),
        Err(Failure::Interrupted(sentence)) => Err(Failure::Interrupted(sentence)),
        Err(failure) => Ok(Check::fail(NAME, failure.to_string(), "see the other checks")),
    }
}

async fn problems(call: &Call) -> Result<Vec<String>, Failure> {
    call.with_node(Need::StoreOnly, async |client| {
        let verified: Verified = client.json(Method::POST, "/api/verify", Payload::Empty).await?;
        Ok(verified.problems)
    })
    .await
}

/// `memnode verify`.
pub(super) async fn verify(call: &Call) -> Result<(), Failure> {
    let problems = problems(call).await?;
    if call.output.json {
        call.output.document(&json!({"ok": problems.is_empty(), "problems": problems}))?;
    } else {
        problems.iter().try_for_each(|problem| call.output.line(harmless(problem)))?;
    }
    match problems.len() {
        0 if call.output.json => Ok(()),
        0 => call.output.line(format!("{} is sound", call.config.store.path.display())),
        1 => Err(Failure::Damaged("1 problem found".to_owned())),
        count => Err(Failure::Damaged(format!("{count} problems found"))),
    }
}

fn print(checks: &[Check], output: &Output) -> Result<(), Failure> {
    if output.json {
        let rows: Vec<Value> = checks
            .iter()
            .map(|check| {
                json!({"check": check.name, "verdict": check.verdict.name(),
                    "found": check.found, "advice": check.advice})
            })
            .collect();
        return output.document(&rows);
    }
    output.write(report(checks, output).as_bytes())
}

/// A line a check, and what to do under those that need it.
fn report(checks: &[Check], output: &Output) -> String {
    let style = output.style;
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let verdict = format!("{:4}", check.verdict.name());
        let verdict = match check.verdict {
            Verdict::Ok => style.green(&verdict),
            Verdict::Warn => style.yellow(&verdict),
            Verdict::Fail => style.red(&verdict),
        };
        let (name, found) = (check.name, harmless(&check.found));
        text.push_str(&format!("{verdict}  {name:width$}  {found}\n"));
        if !check.advice.is_empty() {
            let indent = " ".repeat(width + 8);
            text.push_str(&format!("{indent}{}\n", harmless(&check.advice)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::output::Style;
    use super::*;

    #[test]
    fn the_report_aligns_and_advises() {
        let checks =
            [Check::ok("file", "fine"), Check::fail("port", "taken", "stop the other program")];
        let zone = jiff::tz::TimeZone::UTC;
        let output = Output { json: false, style: Style::new(false), zone };
        let expected = "ok    file  fine\nfail  port  taken\n            stop the other program\n";
        assert_eq!(report(&checks, &output), expected);
    }
}
