//! `memnode model`: the files of the embedding model.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Call;
use super::args::ModelCommand;
use super::exit::Failure;
use super::output::{size, table};
use crate::config::EmbedderConfig;
use crate::embed::builtin::{self, FileState, FileStatus, ModelStatus};
use crate::embed::fetch::{self, FetchError, Progress};
use crate::embed::{EmbedError, EmbedderChoice};

pub(super) async fn run(call: &Call, command: ModelCommand) -> Result<(), Failure> {
    let directory = call.config.embed.model_dir.clone();
    match command {
        ModelCommand::Fetch { from } => {
            let status =
                call.until_stopped(blocking(move || fetch_files(from, &directory))).await?;
            report(call, &status, "the model is not whole yet")
        }
        ModelCommand::Show => show(call).await,
        ModelCommand::Verify => match call.config.embed.embedder {
            EmbedderConfig::Builtin => {
                let status = blocking(move || Ok(builtin::verify(&directory)?)).await?;
                report(
                    call,
                    &status,
                    "the model is not the published one; run `memnode model fetch`",
                )
            }
            EmbedderConfig::Onnx(_) | EmbedderConfig::OpenAi(_) => {
                let choice = EmbedderChoice::from(&call.config.embed);
                let model = blocking(move || Ok(choice.model_id()?)).await?;
                print_other(
                    call,
                    json!({"model": model.name, "dimension": model.dimension, "whole": true}),
                    &format!("{}, {} dimensions: loads", model.name, model.dimension),
                )
            }
        },
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.expect("the work neither panics nor is aborted")
}

fn fetch_files(from: Option<PathBuf>, directory: &Path) -> Result<ModelStatus, Failure> {
    let bar = ProgressBar::new(0);
    let style =
        ProgressStyle::with_template("{bar:28} {percent:>3}%  {bytes} of {total_bytes}  {msg}");
    bar.set_style(style.expect("a fixed template"));
    let mut progress = |step: Progress| match step {
        Progress::MakingEnvironment => bar.set_message("making a Python environment with pip"),
        Progress::Downloading { bytes, bytes_total } => {
            bar.set_length(bytes_total);
            bar.set_position(bytes);
            bar.set_message("downloading");
        }
        Progress::Unpacking(file) => bar.set_message(format!("checking {}", file.name)),
        Progress::Installed(file) => bar.set_message(format!("{} is in place", file.name)),
    };
    let fetched = match &from {
        Some(path) => fetch::fetch_from(path, directory, &mut progress),
        None => fetch::fetch(directory, &mut progress),
    };
    bar.finish_and_clear();
    Ok(fetched?)
}

async fn show(call: &Call) -> Result<(), Failure> {
    let config = &call.config.embed;
    match &config.embedder {
        EmbedderConfig::Builtin => {
            let status = builtin::show(&config.model_dir);
            print(call, &status)
        }
        EmbedderConfig::Onnx(onnx) => {
            let choice = EmbedderChoice::from(config);
            let found = choice.check_present().is_ok();
            let text = if found { "present" } else { "missing" };
            let directory = onnx.dir.display();
            print_other(
                call,
                json!({"embedder": "onnx", "directory": onnx.dir, "present": found}),
                &format!("ONNX model in {directory}: {text}"),
            )
        }
        EmbedderConfig::OpenAi(service) => print_other(
            call,
            json!({"embedder": "openai", "url": service.url, "model": service.model,
                "dimension": service.dimension}),
            &format!("{} at {}, {} dimensions", service.model, service.url, service.dimension),
        ),
    }
}

fn print_other(call: &Call, document: Value, text: &str) -> Result<(), Failure> {
    if call.output.json { call.output.document(&document) } else { call.output.line(text) }
}

fn report(call: &Call, status: &ModelStatus, otherwise: &str) -> Result<(), Failure> {
    print(call, status)?;
    if status.is_whole() {
        return Ok(());
    }
    Err(Failure::Model(otherwise.to_owned()))
}

fn print(call: &Call, status: &ModelStatus) -> Result<(), Failure> {
    if call.output.json {
        let files: Vec<Value> = status.files.iter().map(file_json).collect();
        return call.output.document(&json!({
            "embedder": "builtin",
            "model": builtin::NAME,
            "dimension": builtin::DIMENSION,
            "directory": status.directory,
            "whole": status.is_whole(),
            "files": files,
        }));
    }
    let rows: Vec<Vec<String>> = status.files.iter().map(file_row).collect();
    call.output.line(format!(
        "{}, {} dimensions, in {}",
        builtin::NAME,
        builtin::DIMENSION,
        status.directory.display()
    ))?;
    call.output.write(table(&rows).as_bytes())
}

fn file_row(status: &FileStatus) -> Vec<String> {
    let state = match &status.state {
        FileState::Missing => "missing".to_owned(),
        FileState::WrongSize { bytes } => format!("wrong: has {}", size(*bytes)),
        FileState::WrongHash { found } => format!("wrong: sha256 is {found}"),
        FileState::Present => "present".to_owned(),
        FileState::Verified => "verified".to_owned(),
    };
    vec![status.file.name.to_owned(), size(status.file.bytes), state]
}

fn file_json(status: &FileStatus) -> Value {
    let state = match status.state {
        FileState::Missing => "missing",
        FileState::WrongSize { .. } => "wrong_size",
        FileState::WrongHash { .. } => "wrong_hash",
        FileState::Present => "present",
        FileState::Verified => "verified",
    };
    json!({"name": status.file.name, "path": status.path, "sha256": status.file.sha256,
        "bytes": status.file.bytes, "state": state})
}

/// One sentence on the model, for `memnode doctor`; the error says what to do.
pub(super) fn check(config: &crate::config::EmbedConfig) -> Result<String, String> {
    let choice = EmbedderChoice::from(config);
    choice.check_present().map_err(|error: EmbedError| error.to_string())?;
    match &config.embedder {
        EmbedderConfig::Builtin => {
            let status = builtin::verify(&config.model_dir).map_err(|error| error.to_string())?;
            if status.is_whole() {
                Ok(format!("{}, every byte checked", builtin::NAME))
            } else {
                Err("not the published files; run `memnode model fetch`".to_owned())
            }
        }
        EmbedderConfig::Onnx(onnx) => Ok(format!("ONNX model in {}", onnx.dir.display())),
        EmbedderConfig::OpenAi(service) => Ok(format!("{} at {}", service.model, service.url)),
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Failure::Fetch(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_of_a_file_is_told() {
        let status = |state| FileStatus { file: &builtin::NETWORK, path: "x".into(), state };
        for (state, text, name) in [
            (FileState::Missing, "missing", "missing"),
            (FileState::WrongSize { bytes: 1024 }, "wrong: has 1.0 KiB", "wrong_size"),
            (FileState::WrongHash { found: "ab".into() }, "wrong: sha256 is ab", "wrong_hash"),
            (FileState::Present, "present", "present"),
            (FileState::Verified, "verified", "verified"),
        ] {
            let status = status(state);
            assert_eq!(file_row(&status)[2], text);
            assert_eq!(file_json(&status)["state"], name);
        }
    }
}
