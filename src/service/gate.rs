//! Keeps work short when more comes than can be done.
//!
//! Embedding is what a single store or search costs most, and cores bound it. So few texts are at
//! it at a time, and the others wait here, the newest first in line: when more comes than can be
//! done, those who get an answer get it soon, and not all of them late. A burst is waited out. But
//! when the oldest has waited long and still more arrive, it is no burst: from then on, until
//! nobody waits, whoever has waited for more than a moment is turned away when another arrives.
//! This is adaptive LIFO with controlled delay ("Fail at Scale", Maurer, ACM Queue 13(8), 2015).

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{Code, Error, Result};

/// At it for each core: enough that none is idle while another text is on its way.
const PER_CORE: usize = 3;
/// Waiting at most; beyond, the oldest is turned away.
const WAITING_COUNT_MAX: usize = 4_096;
/// A wait longer than this, with others arriving, is not that of a burst.
const BURST_WAIT: Duration = Duration::from_secs(15);
/// The longest wait from then on.
const OVERLOAD_WAIT: Duration = Duration::from_millis(500);

/// Where work waits for its turn.
pub(super) struct Gate {
    line: Mutex<Line<Pass>>,
}

/// The right to be at it, given on when dropped.
pub(super) struct Pass {
    /// Taken out by what gives it on.
    gate: Option<Arc<Gate>>,
}

struct Line<T> {
    room: usize,
    waiting: VecDeque<Waiting<T>>,
    /// More comes than can be done, and has for a while.
    is_overloaded: bool,
}

struct Waiting<T> {
    since: Instant,
    turn: oneshot::Sender<T>,
}

impl Gate {
    /// With room for a few on each core.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Gate { line: Mutex::new(Line::new(cores * PER_CORE)) }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// `Unavailable` when too much is asked of this node.
    pub(super) async fn enter(self: &Arc<Self>) -> Result<Pass> {
        let turn = self.line.lock().arrive(Instant::now());
        match turn {
            None => Ok(Pass { gate: Some(Arc::clone(self)) }),
            Some(turn) => turn.await.map_err(|_| overloaded()),
        }
    }

    /// Gives a place to the next in line. A caller who left meanwhile leaves it to the one after.
    fn give_on(self: &Arc<Self>) {
        loop {
            // Not under the lock: a pass that reaches nobody would take it once more.
            let next = self.line.lock().leave();
            let Some(next) = next else { return };
            match next.send(Pass { gate: Some(Arc::clone(self)) }) {
                Ok(()) => return,
                Err(mut unused) => unused.gate = None,
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.give_on();
        }
    }
}

impl<T> Line<T> {
    fn new(room: usize) -> Self {
        Line { room, waiting: VecDeque::new(), is_overloaded: false }
    }

    /// Takes a place, or gives what to wait for. Its end without a turn is the refusal.
    fn arrive(&mut self, now: Instant) -> Option<oneshot::Receiver<T>> {
        if self.room > 0 {
            self.room -= 1;
            return None;
        }
        self.waiting.retain(|waiting| !waiting.turn.is_closed());
        let waited = |waiting: &Waiting<T>| now.duration_since(waiting.since);
        self.is_overloaded |=
            self.waiting.front().is_some_and(|oldest| waited(oldest) > BURST_WAIT);
        if self.is_overloaded {
            // Those in front came first.
            let late = self.waiting.partition_point(|waiting| waited(waiting) > OVERLOAD_WAIT);
            self.waiting.drain(..late);
        }
        if self.waiting.len() >= WAITING_COUNT_MAX {
            self.waiting.pop_front();
        }
        let (turn, receiver) = oneshot::channel();
        self.waiting.push_back(Waiting { since: now, turn });
        Some(receiver)
    }

    /// The newest who waits, to whom the place goes; without one, the place is free.
    fn leave(&mut self) -> Option<oneshot::Sender<T>> {
        let newest = self.waiting.pop_back();
        if newest.is_none() {
            self.room += 1;
            self.is_overloaded = false;
        }
        newest.map(|newest| newest.turn)
    }
}

fn overloaded() -> Error {
    Error::new(Code::Unavailable, "more is asked of this node than it can do: try again soon")
        .reason("overloaded")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Turn = Option<oneshot::Receiver<()>>;

    fn has_turn(turn: &mut Turn) -> bool {
        turn.as_mut().is_none_or(|turn| turn.try_recv().is_ok())
    }

    fn is_refused(turn: &mut Turn) -> bool {
        use oneshot::error::TryRecvError::Closed;
        turn.as_mut().is_some_and(|turn| turn.try_recv() == Err(Closed))
    }

    fn leave(line: &mut Line<()>) {
        if let Some(next) = line.leave() {
            next.send(()).expect("somebody waits");
        }
    }

    #[test]
    fn the_newest_goes_first() {
        let (mut line, now) = (Line::new(1), Instant::now());
        let mut turns: Vec<Turn> = (0..4).map(|_| line.arrive(now)).collect();
        assert!(turns[0].is_none() && !has_turn(&mut turns[3]));
        for expected in [3, 2, 1] {
            leave(&mut line);
            assert!(has_turn(&mut turns[expected]), "{expected}");
        }
        leave(&mut line);
        assert_eq!(line.room, 1);
    }

    #[test]
    fn a_burst_is_waited_out_however_long_it_takes() {
        let (mut line, now) = (Line::new(1), Instant::now());
        let mut turns: Vec<Turn> = (0..1_000).map(|_| line.arrive(now)).collect();
        for _ in 0..1_000 {
            leave(&mut line);
        }
        assert!(turns.iter_mut().all(has_turn));
    }

    #[test]
    fn a_line_that_stands_while_more_arrive_is_kept_short_until_it_is_empty() {
        let (mut line, start) = (Line::new(1), Instant::now());
        let mut old: Vec<Turn> = (0..10).map(|_| line.arrive(start)).collect();
        let patient = line.arrive(start + BURST_WAIT);
        assert_eq!(line.waiting.len(), 10, "a burst may take so long");
        let late = start + BURST_WAIT + Duration::from_millis(1);
        let mut new: Vec<Turn> = (0..3).map(|_| line.arrive(late)).collect();
        // One of the ten is at it, the others were turned away; who came a moment ago was not.
        assert_eq!(old.iter_mut().filter_map(|turn| is_refused(turn).then_some(())).count(), 9);
        assert_eq!(line.waiting.len(), 4);
        let later = late + OVERLOAD_WAIT + Duration::from_millis(1);
        let mut newest = line.arrive(later);
        assert!(new.iter_mut().all(is_refused) && is_refused(&mut { patient }));
        leave(&mut line);
        assert!(has_turn(&mut newest));
        leave(&mut line);
        assert!(line.arrive(later).is_none());
        let mut next = [line.arrive(later), line.arrive(later + BURST_WAIT)];
        assert!(!is_refused(&mut next[0]), "it is a burst again");
    }

    #[test]
    fn a_line_has_an_end() {
        let (mut line, now) = (Line::new(0), Instant::now());
        let mut turns: Vec<Turn> = (0..=WAITING_COUNT_MAX).map(|_| line.arrive(now)).collect();
        assert_eq!(line.waiting.len(), WAITING_COUNT_MAX);
        assert!(is_refused(&mut turns[0]) && !is_refused(&mut turns[1]));
    }

    fn gate(room: usize) -> Arc<Gate> {
        Arc::new(Gate { line: Mutex::new(Line::new(room)) })
    }

    #[tokio::test]
    async fn a_pass_is_given_on_past_those_who_left() {
        let gate = gate(1);
        let pass = gate.enter().await.expect("room");
        let mut patient = Box::pin(gate.enter());
        let mut hasty = Box::pin(gate.enter());
        assert!(futures::poll!(&mut patient).is_pending());
        assert!(futures::poll!(&mut hasty).is_pending());
        drop(hasty);
        drop(pass);
        drop(patient.await.expect("a turn"));
        assert_eq!(gate.line.lock().room, 1);
    }

    #[tokio::test]
    async fn a_turn_that_nobody_takes_up_is_not_lost() {
        let gate = gate(1);
        let pass = gate.enter().await.expect("room");
        let mut waiting = Box::pin(gate.enter());
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(pass);
        // Its turn has come, and it leaves without having looked.
        drop(waiting);
        assert_eq!(gate.line.lock().room, 1);
    }
}
