//! The join of a record with an op or with another record.
//!
//! A record is a function of the *set* of registers ever written to it. Written down for a set S:
//!
//! 1. era = the greatest of the erase clocks and of the eras of all registers in S;
//! 2. `erased` is the register with the greatest clock; of all other parts only registers of that
//!    era stay, resets among them;
//! 3. `reset` is the register with the greatest reset clock; of all other parts only registers
//!    with a later clock stay;
//! 4. of each remaining part the greatest register stays.
//!
//! [`Record::put`] takes one register at a time to the same result, whatever the order and the
//! repetitions: a register that is dropped is dropped because of one that stays, or because of one
//! that was itself dropped for something greater. In particular the era survives: either `erased`
//! carries it, or a register of that era does, since what a reset takes leaves the reset. This is
//! why a register of a newer era takes effect even before the erasure that it saw has arrived.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::op::Op;
use crate::origin::Dot;
use crate::part::Part;
use crate::record::{Record, Register, Stamp};
use crate::value;
use crate::vector::Vector;

/// How far an op's context reaches back: origins that were silent for longer are not listed.
const CONTEXT_MILLIS: u64 = 30 * 24 * 3600 * 1000;

/// What a join did to a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The parts whose register is another than before, or gone: their values may be the same.
    pub changed: BTreeSet<Part>,
    /// The values that lost, on either side.
    pub replaced: Vec<Replaced>,
    /// Dots that came with another value for a part than the one known from the same dot: two
    /// writes share a name, which only a copied file or a defect can bring about.
    pub contradictions: BTreeSet<Dot>,
}

/// A value that lost against another, or against a delete.
///
/// Lost resets and values that an erasure took are not among them: the first say nothing that
/// the winner does not say, the second must leave no trace. Nor are values that the winner
/// repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The part that was fought for.
    pub part: Part,
    /// The register that is gone, or was never taken in.
    pub loser: Register,
    /// The register that stands: of the same part, or of [`Part::Reset`].
    pub winner: Register,
}

/// What is known of what the winning side had seen.
#[derive(Clone, Copy, Debug)]
pub enum Witness<'a> {
    /// The context of the op that wrote the winner.
    Context(&'a Vector),
    /// The whole vectors of both sides, in a state transfer. A loser is in that of its own side
    /// anyway; if it is in the other too, that side had decided before.
    Transfer {
        /// What this node has applied.
        ours: &'a Vector,
        /// What the other side's state was read at.
        theirs: &'a Vector,
    },
    /// Nothing: the op is pruned.
    Gone,
}

impl Replaced {
    /// Whether the winner's author may not have known the loser: a case for the conflict log.
    ///
    /// An op's context leaves out origins that did not change on its author's node in the 30 days
    /// before. A loser of an origin that is not listed is therefore unseen if it is younger than
    /// that, by the clocks of both ops, and counts as seen if it is older.
    pub fn is_conflict(&self, witness: Witness<'_>) -> bool {
        let (loser, winner) = (&self.loser.stamp, &self.winner.stamp);
        if loser.dot.origin == winner.dot.origin && loser.dot.oseq <= winner.dot.oseq {
            return false;
        }
        match witness {
            Witness::Transfer { ours, theirs } => {
                !(ours.contains(&loser.dot) && theirs.contains(&loser.dot))
            }
            Witness::Context(context) => match context.get(&loser.dot.origin) {
                Some(seen) => !seen.contains(loser.dot.oseq),
                None => {
                    loser.clock.millis().saturating_add(CONTEXT_MILLIS) >= winner.clock.millis()
                }
            },
            Witness::Gone => true,
        }
    }
}

impl Outcome {
    /// Whether the record is another than before.
    pub fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The values lost in [`Record::apply`] that their winner's author did not know.
    ///
    /// `context_of` gives the context of an op by its dot, `None` when the op is pruned. The winner
    /// may be the applied op, or the author of a register that stood before.
    pub fn conflicts<'v>(
        &self,
        mut context_of: impl FnMut(&Dot) -> Option<Cow<'v, Vector>>,
    ) -> Vec<&Replaced> {
        let is_conflict = |replaced: &&Replaced| match context_of(&replaced.winner.stamp.dot) {
            Some(context) => replaced.is_conflict(Witness::Context(&context)),
            None => replaced.is_conflict(Witness::Gone),
        };
        self.replaced.iter().filter(is_conflict).collect()
    }

    /// The values lost in [`Record::merge`] of a state transfer that the other side did not know.
    ///
    /// `ours` and `theirs` are the whole vectors of both sides before the transfer.
    pub fn conflicts_in_transfer(&self, ours: &Vector, theirs: &Vector) -> Vec<&Replaced> {
        let witness = Witness::Transfer { ours, theirs };
        self.replaced.iter().filter(|replaced| replaced.is_conflict(witness)).collect()
    }

    fn lose(&mut self, part: Part, loser: Register, winner: Register) {
        if !matches!(part, Part::Reset | Part::Erased) && loser.value != winner.value {
            self.replaced.push(Replaced { part, loser, winner });
        }
    }
}

impl Record {
    /// Joins what an op writes. Applying an op again changes nothing.
    ///
    /// # Panics
    /// For an op whose clocks or values [`Op::validate`] refuses: a record that took them in could
    /// never be read again. Decoded ops have passed; authors validate or encode before they apply.
    pub fn apply(&mut self, op: &Op) -> Outcome {
        if let Err(invalid) = op.check_registers() {
            panic!("op {} was applied without being validated: {invalid}", op.dot);
        }
        let stamp = op.stamp();
        let register = |value: &Vec<u8>| Register { stamp: stamp.clone(), value: value.clone() };
        self.join(op.parts.iter().map(|(part, value)| (part.clone(), register(value))))
    }

    /// Joins all of another record.
    pub fn merge(&mut self, other: &Record) -> Outcome {
        self.join(other.parts().map(|(part, register)| (part.clone(), register.clone())))
    }

    /// Resets go last, so that a value which both a newer value and a reset replace is reported as
    /// lost to the value.
    fn join(&mut self, parts: impl Iterator<Item = (Part, Register)>) -> Outcome {
        let mut outcome = Outcome::default();
        let (resets, others): (Vec<_>, Vec<_>) = parts.partition(|(part, _)| *part == Part::Reset);
        for (part, register) in others.into_iter().chain(resets) {
            self.offer(part, register, &mut outcome);
        }
        outcome
    }

    /// Joins one register.
    pub(crate) fn put(&mut self, part: Part, register: Register) {
        self.offer(part, register, &mut Outcome::default());
    }

    fn offer(&mut self, part: Part, register: Register, outcome: &mut Outcome) {
        if part == Part::Erased {
            let era = register.stamp.clock;
            self.settle(part, register, outcome);
            self.drop_older_eras(era, outcome);
            return;
        }
        match register.stamp.era.cmp(&self.era()) {
            Ordering::Less => return,
            Ordering::Equal => {}
            Ordering::Greater => self.drop_older_eras(register.stamp.era, outcome),
        }
        if part == Part::Reset {
            let reset = register.reset_clock();
            self.settle(part, register, outcome);
            self.drop_reset(reset, outcome);
            return;
        }
        match self.get(&Part::Reset) {
            Some(reset) if register.stamp.clock <= reset.reset_clock() => {
                let winner = self.get(&part).unwrap_or(reset).clone();
                outcome.lose(part, register, winner);
            }
            _ => self.settle(part, register, outcome),
        }
    }

    /// Keeps the greater of two registers of one part.
    fn settle(&mut self, part: Part, register: Register, outcome: &mut Outcome) {
        let Some(present) = self.parts.get_mut(&part) else {
            outcome.changed.insert(part.clone());
            self.parts.insert(part, register);
            return;
        };
        if register.stamp == present.stamp && register.value != present.value {
            outcome.contradictions.insert(present.stamp.dot.clone());
        }
        let (loser, winner) = match compare(&part, &register, present) {
            Ordering::Equal => return,
            Ordering::Less => (register, present.clone()),
            Ordering::Greater => {
                outcome.changed.insert(part.clone());
                (std::mem::replace(present, register.clone()), register)
            }
        };
        outcome.lose(part, loser, winner);
    }

    fn drop_older_eras(&mut self, era: Clock, outcome: &mut Outcome) {
        let is_older = |part: &Part, register: &mut Register| {
            *part != Part::Erased && register.stamp.era < era
        };
        outcome.changed.extend(self.parts.extract_if(.., is_older).map(|(part, _)| part));
    }

    fn drop_reset(&mut self, reset: Clock, outcome: &mut Outcome) {
        let is_reset = |part: &Part, register: &mut Register| {
            !matches!(part, Part::Erased | Part::Reset) && register.stamp.clock <= reset
        };
        let dropped: Vec<_> = self.parts.extract_if(.., is_reset).collect();
        for (part, loser) in dropped {
            let winner = self.parts[&Part::Reset].clone();
            outcome.changed.insert(part.clone());
            outcome.lose(part, loser, winner);
        }
    }
}

/// The order of registers of one part.
fn compare(part: &Part, a: &Register, b: &Register) -> Ordering {
    let by_rule = match part {
        // The erase clock makes the era, so it cannot come second to one.
        Part::Erased => a.stamp.clock.cmp(&b.stamp.clock),
        Part::Reset => a.reset_clock().cmp(&b.reset_clock()),
        // A tag that one adds while another removes it stays.
        Part::Tag(_) => by_time(&a.stamp, &b.stamp).then_with(|| presence(a).cmp(&presence(b))),
        _ => Ordering::Equal,
    };
    by_rule
        .then_with(|| by_time(&a.stamp, &b.stamp))
        .then_with(|| a.stamp.dot.origin.cmp(&b.stamp.dot.origin))
        .then_with(|| Sha256::digest(&a.value).cmp(&Sha256::digest(&b.value)))
        .then_with(|| a.stamp.dot.oseq.cmp(&b.stamp.dot.oseq))
}

fn by_time(a: &Stamp, b: &Stamp) -> Ordering {
    (a.era, a.clock).cmp(&(b.era, b.clock))
}

fn presence(register: &Register) -> Option<bool> {
    value::read_bool(&register.value)
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
