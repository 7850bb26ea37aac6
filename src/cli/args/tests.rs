//! Command lines that are understood, and that are refused.

use clap::FromArgMatches;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    let words = std::iter::once("memnode").chain(line.split_whitespace());
    command().try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches))
}

fn check_refused(line: &str, kind: ErrorKind) {
    assert_eq!(parse(line).err().map(|error| error.kind()), Some(kind), "{line}");
}

#[test]
fn the_arguments_do_not_clash_with_each_other_or_the_settings() {
    command().debug_assert();
}

#[test]
fn the_help_names_every_command_once() {
    let command = command();
    let mut grouped: Vec<&str> =
        GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let mut all: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    grouped.sort_unstable();
    all.sort_unstable();
    assert_eq!(grouped, all);
    let help = command.clone().render_help().to_string();
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    assert!(help.contains("\n  search       Find memories by meaning"), "{help}");
    assert!(help.contains("--http-port"), "{help}");
    assert!(!help.contains("--write-queue-max"), "{help}");
}

#[test]
fn settings_and_json_go_before_or_after_the_command() {
    for line in ["--json --namespace work list", "list --namespace work --json"] {
        assert!(parse(line).expect("valid").json, "{line}");
        let words = std::iter::once("memnode").chain(line.split_whitespace());
        let matches = command().try_get_matches_from(words).expect("valid");
        let setting = ("node.namespace".to_owned(), "work".to_owned());
        assert_eq!(config::flags_from(&matches).settings, [setting], "{line}");
    }
}

#[test]
fn good_lines_are_understood() {
    let hash = "a".repeat(64);
    for line in [
        "add some text --tag a --tag b --type note -m k=v",
        "add -",
        "search a query -n 100 --mode hybrid --time yesterday --min-score 0.5",
        "search --tag x",
        "list --page 2 -n 5 -A",
        &format!("get {hash}"),
        &format!("update {hash} --no-tags --type x"),
        &format!("delete {hash} {hash}"),
        "delete --tag x --before 2020-01-01 --yes",
        "import a b - --dry-run --extension md,txt",
        "export -",
        "model fetch --from x.whl",
        "completions zsh",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn wrong_lines_are_refused() {
    let hash = "a".repeat(64);
    check_refused("nonsense", ErrorKind::InvalidSubcommand);
    check_refused("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    check_refused("list --nonsense", ErrorKind::UnknownArgument);
    check_refused("list --limit 0", ErrorKind::ValueValidation);
    check_refused("list --limit 101", ErrorKind::ValueValidation);
    check_refused("list --page 0", ErrorKind::ValueValidation);
    check_refused("list --page 1 --cursor x", ErrorKind::ArgumentConflict);
    check_refused("list --all-tags", ErrorKind::MissingRequiredArgument);
    check_refused("search x --min-score NaN", ErrorKind::ValueValidation);
    check_refused("search x --mode guess", ErrorKind::InvalidValue);
    check_refused("get abc", ErrorKind::ValueValidation);
    check_refused("get", ErrorKind::MissingRequiredArgument);
    check_refused(&format!("delete {hash} --tag x"), ErrorKind::ArgumentConflict);
    check_refused(&format!("update {hash} --tag x --no-tags"), ErrorKind::ArgumentConflict);
    check_refused("import", ErrorKind::MissingRequiredArgument);
    check_refused("import x --chunk-size 99", ErrorKind::ValueValidation);
    check_refused("completions tcl", ErrorKind::InvalidValue);
}
