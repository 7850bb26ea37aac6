//! The nodes of the cluster as this one remembers them.

use std::str::FromStr;

use memnode_cluster::{NodeName, Vector};
use rusqlite::{Connection, params};

use super::super::error::StoreError;
use super::super::reader::{Reader, damaged};
use super::super::writer::Writer;

/// Whether a node counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// It does.
    Joined,
    /// It was forgotten: nothing waits for it.
    Forgotten,
}

impl MemberState {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            MemberState::Joined => "joined",
            MemberState::Forgotten => "forgotten",
        }
    }
}

impl FromStr for MemberState {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [MemberState::Joined, MemberState::Forgotten]
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| format!("`{name}` is not the state of a member"))
    }
}

/// A node of the cluster, this one or another.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name.
    pub node: NodeName,
    /// When it was last heard of, in Unix seconds.
    pub seen_at: f64,
    /// Whether it counts.
    pub state: MemberState,
    /// What it was last known to have applied.
    pub vector: Vector,
}

impl Reader<'_> {
    /// All that are remembered, by name.
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        members(self.connection())
    }
}

pub(super) fn members(connection: &Connection) -> Result<Vec<Member>, StoreError> {
    let sql = "SELECT node, seen_at, state, applied FROM roster ORDER BY node";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let vector: Vec<u8> = row.get(3)?;
        found.push(Member {
            node: NodeName::new(text(0)?).map_err(damaged)?,
            seen_at: row.get(1)?,
            state: text(2)?.parse().map_err(damaged)?,
            vector: Vector::decode(&vector).map_err(damaged)?,
        });
    }
    Ok(found)
}

impl Writer<'_> {
    /// Remembers a node, or what is new of it.
    ///
    /// # Errors
    /// Those of the file.
    pub fn remember_member(&mut self, member: &Member) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO roster (node, seen_at, state, applied) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                member.node.as_str(),
                member.seen_at,
                member.state.name(),
                member.vector.encode()
            ])?;
        Ok(())
    }
}
