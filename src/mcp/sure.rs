//! How sure a write is to be before its tool answers, and which writes a tool must see: what the
//! headers `Memnode-Ack` and `Memnode-After` say over HTTP, as arguments.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arguments::Whole;
use super::call::Call;
use crate::memory::{AckLevel, Position};
use crate::service::AckWait;
use crate::{Error, Result};

/// How long to wait when nothing else is asked.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// The longest wait that can be asked for, in seconds.
const TIMEOUT_S_MAX: usize = 60;
/// Longest text of writes to see.
const AFTER_BYTES_MAX: usize = 16 * 1024;

/// Arguments of every tool that stores or changes.
#[derive(Default, Deserialize, JsonSchema)]
pub(super) struct AckArguments {
    /// How sure the write is to be before this answers: `local` (on disk here; always so),
    /// `logged` (in the log of the cluster too), `replicated:K` (on disk on K other nodes too).
    #[schemars(regex(pattern = "^(local|logged|replicated:[0-9]{1,2})$"))]
    ack: Option<String>,
    /// Most seconds to wait for that; 5 when left out. What is not reached in time is stored all
    /// the same, and `acknowledged` says how sure it is.
    ack_timeout: Option<Whole<0, TIMEOUT_S_MAX>>,
}

/// The argument of every tool that searches or lists.
#[derive(Default, Deserialize, JsonSchema)]
pub(super) struct AfterArgument {
    /// Writes that must be seen, as the `position` of earlier answers names them, of any node;
    /// several with commas between.
    after_position: Option<String>,
}

/// A write that is to be made, and how sure it is to be.
pub(super) struct Expected {
    /// `None` when the caller did not ask.
    wait: Option<AckWait>,
    asked: AckLevel,
    until: Instant,
}

/// How sure a write is.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Acknowledged {
    /// So sure it is by now.
    level: String,
    /// So sure it was to be.
    asked: String,
    /// Whether that was reached in time; if not, `position` says what to ask for later.
    reached: bool,
}

impl Call<'_> {
    /// Gets ready for a write; refuses what this node cannot reach before anything is written.
    pub(super) fn expect(&self, arguments: &AckArguments) -> Result<Expected> {
        let level: Option<AckLevel> = arguments.ack.as_deref().map(str::parse).transpose()?;
        let wait = level.map(|level| self.service.expect_ack(level)).transpose()?;
        let asked = arguments.ack_timeout.map(|seconds| Duration::from_secs(seconds.0 as u64));
        // A write that is on disk must be answered before the time of its request is over.
        let deadline = self.service.deadline();
        let spare = (deadline / 10).min(Duration::from_secs(1));
        let within = asked.unwrap_or(TIMEOUT_DEFAULT).min(deadline - spare);
        Ok(Expected {
            wait,
            asked: level.unwrap_or(AckLevel::Local),
            until: Instant::now() + within,
        })
    }

    /// Waits a moment for writes that must be seen.
    pub(super) async fn see(&self, argument: &AfterArgument) -> Result<()> {
        let Some(text) = &argument.after_position else { return Ok(()) };
        if text.len() > AFTER_BYTES_MAX {
            return Err(
                Error::invalid("after_position names too many writes").reason("invalid_position")
            );
        }
        let position: Position = text.parse()?;
        if position.is_empty() {
            return Ok(());
        }
        self.service.await_position(&position).await
    }
}

impl Expected {
    /// Waits until the write is as sure as was asked; `None` when nothing was.
    pub(super) async fn acknowledged(self, position: &Position) -> Option<Acknowledged> {
        let within = self.until.saturating_duration_since(Instant::now());
        let level = self.wait?.reached(position, within).await;
        Some(Acknowledged {
            level: level.to_string(),
            asked: self.asked.to_string(),
            reached: level >= self.asked,
        })
    }
}

/// What the text of an answer says of it; nothing where nothing was asked.
pub(super) fn told(acknowledged: Option<&Acknowledged>, position: Option<&str>) -> String {
    let Some(Acknowledged { level, asked, reached }) = acknowledged else { return String::new() };
    let not_yet = if *reached { String::new() } else { format!(" (not yet {asked})") };
    let position = position.map(|position| format!("\n   Position: {position}"));
    format!("\n   Acknowledged: {level}{not_yet}{}", position.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_how_sure_a_write_is_where_that_was_asked() {
        assert_eq!(told(None, Some("a~0:1")), "");
        let acknowledged = |level: &str, reached| Acknowledged {
            level: level.to_owned(),
            asked: "replicated:1".to_owned(),
            reached,
        };
        let all = told(Some(&acknowledged("replicated:1", true)), Some("a~0:1"));
        assert_eq!(all, "\n   Acknowledged: replicated:1\n   Position: a~0:1");
        let some = told(Some(&acknowledged("logged", false)), None);
        assert_eq!(some, "\n   Acknowledged: logged (not yet replicated:1)");
    }
}
