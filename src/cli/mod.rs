//! The command line: reads arguments and settings, runs one command, answers with an exit code.
//!
//! Commands that look at memories are HTTP clients of the node that owns the file, which is this
//! very process when no other one is.

mod add;
mod args;
mod audit;
mod backup;
mod change;
mod cluster;
mod doctor;
mod eval;
mod exit;
mod export;
mod find;
mod import;
mod index;
mod key;
mod log;
mod model;
mod output;
mod progress;
mod ready;
mod reembed;
mod restore;
mod serve;
mod service;
mod show;
mod signal;
mod watch;
mod wire;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::FromArgMatches;
use tokio_util::sync::CancellationToken;

use crate::client::ApiClient;
use crate::config::{self, Config, Flags, Loaded, Sources};
use crate::node::{self, Need, Session};
use crate::telemetry::{Identity, Telemetry};
use args::{Cli, Command, ConfigCommand};
use exit::{Exit, Failure};
use output::{Output, Style};

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    node::install_crypto();
    let matches = match args::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return refuse_usage(&error).into(),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return refuse_usage(&error).into(),
    };
    let exit = match run_command(cli, config::flags_from(&matches)) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            report(&failure);
            failure.exit()
        }
    };
    exit.into()
}

/// Prints what clap has to say: an error, or the help that was asked for.
fn refuse_usage(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        // A closed output needs no second error.
        let _ = error.print();
        return Exit::Done;
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").map_or(text.clone(), |rest| format!("memnode: {rest}"));
    // There is nowhere left to say that this cannot be said.
    let _ = io::stderr().write_all(text.as_bytes());
    Exit::Usage
}

/// Prints a failure as one sentence, and what to do about it as another.
fn report(failure: &Failure) {
    if matches!(failure, Failure::OutputClosed) {
        return;
    }
    let mut text = format!("memnode: {}\n", output::harmless(&failure.sentence()));
    if let Some(hint) = failure.hint() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    // There is nowhere left to say that this cannot be said.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn run_command(cli: Cli, flags: Flags) -> Result<(), Failure> {
    if let Command::Completions { shell } = cli.command {
        return print_completions(shell);
    }
    let settings_file = flags.file.clone();
    let sources = Sources { flags, environment: config::environment() };
    let style = Style::for_stdout(&sources.environment);
    let loaded = config::load(&sources);
    if let Command::Doctor(args) = &cli.command {
        let output = Output { json: cli.json, style, zone: jiff::tz::TimeZone::system() };
        return on_runtime(|stop| doctor::run(loaded, args, output, stop));
    }
    let loaded = loaded?;
    let zone =
        loaded.config.node.time_zone.as_deref().and_then(|name| jiff::tz::TimeZone::get(name).ok());
    let output =
        Output { json: cli.json, style, zone: zone.unwrap_or_else(jiff::tz::TimeZone::system) };
    match cli.command {
        Command::Config(ConfigCommand::Show) => return show_config(&loaded, &output),
        Command::Service(command) => {
            return service::run(command, &loaded, settings_file.as_deref(), &output);
        }
        _ => {}
    }
    let runs_on = matches!(cli.command, Command::Serve | Command::Mcp);
    let telemetry = if runs_on { start_telemetry(&loaded.config)? } else { None };
    log::start(&loaded, runs_on, telemetry.as_ref());
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let result = on_runtime(|stop| dispatch(cli.command, loaded, output, stop));
    if let Some(telemetry) = telemetry {
        telemetry.stop();
    }
    result
}

/// Starts to send telemetry, if there is a collector. Commands that end by themselves send none.
fn start_telemetry(config: &Config) -> Result<Option<Telemetry>, Failure> {
    let who = Identity { node: &config.node.id, cluster: &config.cluster.name };
    Telemetry::start(&config.otel, who).map_err(|error| Failure::Usage(error.to_string()))
}

/// Runs a command until it ends; the token is cancelled when the user asks to stop.
fn on_runtime<F: Future<Output = Result<(), Failure>>>(
    command: impl FnOnce(CancellationToken) -> F,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start threads", error))?;
    let (stop, signals) = signal::listen(&runtime)?;
    let result = runtime.block_on(command(stop));
    runtime.shutdown_background();
    match result {
        Ok(()) if signals.interrupted() => Err(Failure::Interrupted("interrupted".to_owned())),
        result => result,
    }
}

async fn dispatch(
    command: Command,
    loaded: Loaded,
    output: Output,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let Loaded { mut config, effective, .. } = loaded;
    config.read_secrets()?;
    let call = Call { config, output, stop };
    match command {
        Command::Serve => serve::serve(&call).await,
        Command::Mcp => serve::mcp(&call).await,
        Command::Ready => ready::run(&call).await,
        Command::Add(args) => add::run(&call, args).await,
        Command::Search(args) => find::search(&call, args).await,
        Command::List(args) => find::list(&call, args).await,
        Command::Get(args) => find::get(&call, &args.hash).await,
        Command::History(args) => find::history(&call, &args.hash).await,
        Command::Tags(args) => find::tags(&call, &args).await,
        Command::Watch(args) => watch::run(&call, args).await,
        Command::Stats => find::stats(&call).await,
        Command::Update(args) => change::update(&call, args).await,
        Command::Delete(args) => change::delete(&call, args).await,
        Command::Restore(args) => restore::run(&call, args).await,
        Command::Import(args) => {
            let namespace_is_asked = effective.iter().any(|setting| {
                setting.key == "node.namespace" && matches!(setting.source, config::Source::Flag(_))
            });
            import::run(&call, args, namespace_is_asked).await
        }
        Command::Export(args) => export::run(&call, args).await,
        Command::Backup(args) => backup::run(&call, args).await,
        Command::Key(command) => key::run(&call, command).await,
        Command::Cluster(command) => cluster::run(&call, command).await,
        Command::Model(command) => model::run(&call, command).await,
        Command::Reembed => reembed::run(&call).await,
        Command::Index(command) => index::run(&call, command).await,
        Command::Eval(args) => eval::run(&call, args).await,
        Command::Audit(args) => audit::run(&call, args).await,
        Command::Verify => doctor::verify(&call).await,
        Command::Completions { .. }
        | Command::Doctor(_)
        | Command::Config(_)
        | Command::Service(_) => unreachable!("run before the settings are complete"),
    }
}

/// What every command that runs on the runtime needs.
struct Call {
    config: Config,
    output: Output,
    /// Cancelled when the user asks to stop.
    stop: CancellationToken,
}

impl Call {
    /// Finds the node that owns the file, or becomes it.
    async fn attach(&self, need: Need) -> Result<Session, Failure> {
        let attached = self.until_stopped(async { Ok(node::attach(&self.config, need).await?) });
        attached.await
    }

    /// Attaches, runs `work` and lets go, whatever came of it. Work that is cut short leaves the
    /// file as it was before or after each of its calls.
    async fn with_node<T>(
        &self,
        need: Need,
        work: impl AsyncFnOnce(&ApiClient) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let session = self.attach(need).await?;
        let result = self.until_stopped(work(&session.client)).await;
        session.close().await;
        result
    }

    async fn until_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            result = work => result,
            () = self.stop.cancelled() => Err(Failure::Interrupted("interrupted".to_owned())),
        }
    }

    /// The namespace of a call on one memory, as a query parameter.
    fn namespace(&self) -> (&'static str, Option<String>) {
        ("namespace", Some(self.config.node.namespace.clone()))
    }

    /// The namespaces of a call on many memories, as a query parameter.
    fn namespaces(&self, scope: &args::ScopeArgs) -> (&'static str, Option<String>) {
        if scope.all_namespaces { ("namespace", Some("*".to_owned())) } else { self.namespace() }
    }
}

fn show_config(loaded: &Loaded, output: &Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&config::effective_json(&loaded.effective));
    }
    output.write(config::effective_text(&loaded.effective).as_bytes())
}

fn print_completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "memnode", &mut script);
    io::stdout().write_all(&script).map_err(Failure::output)
}

/// Whether a person can be asked.
fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
