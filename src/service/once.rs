//! Writes that happen at most once: the original answer is kept with them and given again.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Service;
use crate::auth::Principal;
use crate::memory::{Idempotency, Written};
use crate::store::{StoreError, Writer};
use crate::{Error, Result};

/// An idempotency key and whose it is, to be taken into a write.
#[derive(Clone)]
pub(super) struct Once {
    principal: String,
    key: Idempotency,
}

impl Once {
    pub(super) fn new(who: &Principal, key: Option<Idempotency>) -> Option<Self> {
        key.map(|key| Once { principal: who.name().to_owned(), key })
    }
}

impl Service {
    /// The answer that was given before, looked up before any work is spent.
    pub(super) async fn answered<T: DeserializeOwned + Send + 'static>(
        &self,
        once: &Option<Once>,
    ) -> Result<Option<Written<T>>> {
        let Some(once) = once.clone() else { return Ok(None) };
        let now = crate::clock::now_seconds();
        let answer =
            self.read(move |reader| reader.answer_given(&once.principal, &once.key, now)).await?;
        answer.map(|answer| parse(&answer)).transpose()
    }
}

/// Runs a write unless it was answered before, and keeps its answer, position included, in the
/// same transaction.
pub(super) fn at_most_once<T: Serialize + DeserializeOwned>(
    writer: &mut Writer<'_>,
    once: &Option<Once>,
    work: impl FnOnce(&mut Writer<'_>) -> Result<Written<T>, StoreError>,
) -> Result<Written<T>, StoreError> {
    let Some(once) = once else { return work(writer) };
    if let Some(answer) = writer.answer_given(&once.principal, &once.key, writer.now())? {
        return Ok(parse(&answer)?);
    }
    let value = work(writer)?;
    let answer = serde_json::to_string(&value)
        .map_err(|error| Error::internal("an answer cannot be kept", error))?;
    writer.keep_answer(&once.principal, &once.key, &answer)?;
    Ok(value)
}

fn parse<T: DeserializeOwned>(answer: &str) -> Result<T> {
    serde_json::from_str(answer)
        .map_err(|error| Error::internal("a kept answer cannot be read", error))
}
