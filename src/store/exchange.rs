//! Snapshots of a whole store: written beside its work, taken in between its writes.

use std::path::Path;

use memnode_cluster::RecordId;
use rusqlite::Connection;

use super::error::StoreError;
use super::feed;
use super::replication::snapshot;
use super::{Installed, Snapshot, Store};

impl Store {
    /// Writes all replicated state into a new file, as of one moment. Blocks, for about a second
    /// per 50,000 memories; writes and reads go on meanwhile.
    ///
    /// # Errors
    /// `CannotCreate` when something is there already; those of both files.
    pub fn snapshot_to(&self, path: &Path) -> Result<Snapshot, StoreError> {
        snapshot::write(&self.path, path)
    }

    /// Takes a snapshot in: copies it into a fresh store, joins it with what is in any other. The
    /// snapshot file is the caller's own and may be changed. `now`: in Unix seconds.
    ///
    /// # Errors
    /// `Refused` for a file that is no snapshot or not whole; those of both files.
    pub async fn install_snapshot(&self, path: &Path, now: f64) -> Result<Installed, StoreError> {
        let (target, source) = (self.path.clone(), path.to_owned());
        let copied = self.writer.alone(move |connection| {
            let (opened, snapshot) = snapshot::open(&source)?;
            if !snapshot::is_fresh(connection)? {
                return Ok(Err((opened, snapshot)));
            }
            drop(opened);
            snapshot::install(&target, &source, &snapshot, now)?;
            feed::note_gap(connection, crate::clock::now_seconds())?;
            Ok(Ok(snapshot))
        });
        match copied.await? {
            Ok(snapshot) => Ok(Installed { snapshot, is_copied: true, refused: Vec::new() }),
            Err((opened, snapshot)) => self.join_snapshot(opened, snapshot).await,
        }
    }

    /// Joins page by page, so that other writes take their turns in between.
    async fn join_snapshot(
        &self,
        mut opened: Connection,
        snapshot: Snapshot,
    ) -> Result<Installed, StoreError> {
        let theirs = snapshot.vector.clone();
        let ours = self.write(|writer| writer.vector()).await?;
        let (mut after, mut refused) = (None::<RecordId>, Vec::new());
        loop {
            let (ours, theirs) = (ours.clone(), theirs.clone());
            let joined = self.write(move |writer| {
                let (records, more) = snapshot::records(&opened, after)?;
                let outcome = writer.merge_records(&records, &ours, &theirs)?;
                let last = records.last().map(|record| record.id());
                Ok((opened, outcome.refused, last.filter(|_| more)))
            });
            let (page, last);
            (opened, page, last) = joined.await?;
            refused.extend(page);
            after = last;
            if after.is_none() {
                break;
            }
        }
        if refused.is_empty() {
            self.write(move |writer| writer.adopt(&theirs)).await?;
        }
        Ok(Installed { snapshot, is_copied: false, refused })
    }
}
