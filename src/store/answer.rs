//! Answers that were given under an idempotency key.

use rusqlite::{OptionalExtension, params};

use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use crate::Error;
use crate::memory::{IDEMPOTENCY_SECONDS, Idempotency};

impl Reader<'_> {
    /// The answer that a principal was given under a key, `now` being Unix seconds.
    ///
    /// # Errors
    /// `Refused` when the key was used for another request.
    pub fn answer_given(
        &self,
        principal: &str,
        once: &Idempotency,
        now: f64,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT request_hash, answer FROM idempotency \
                   WHERE principal = ?1 AND key = ?2 AND at >= ?3";
        let found: Option<([u8; 32], String)> = self
            .connection()
            .prepare_cached(sql)?
            .query_row(params![principal, once.key, now - IDEMPOTENCY_SECONDS], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        match found {
            None => Ok(None),
            Some((request_hash, answer)) if request_hash == once.request_hash => Ok(Some(answer)),
            Some(_) => Err(Error::invalid("the idempotency key was used for another request")
                .reason("idempotency_key_reused")
                .into()),
        }
    }
}

impl Writer<'_> {
    /// Keeps an answer under its key, in the transaction of the write it answers.
    pub fn keep_answer(
        &mut self,
        principal: &str,
        once: &Idempotency,
        answer: &str,
    ) -> Result<(), StoreError> {
        let connection = self.connection();
        connection
            .prepare_cached("DELETE FROM idempotency WHERE at < ?1")?
            .execute([self.now() - IDEMPOTENCY_SECONDS])?;
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO idempotency (principal, key, request_hash, answer, at) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![principal, once.key, once.request_hash, answer, self.now()])?;
        Ok(())
    }
}
