//! Keeps work short when more comes than can be done.
//!
//! Embedding is what a single store or search costs most, and cores bound it. So few texts are at
//! it at a time, and the others wait here in the order in which they came, for as long as a burst
//! may take. When the line grows, the newest goes first: if more comes than can be done, those who
//! get an answer then get it soon, and not all of them late. When it has grown for long, or the
//! oldest has waited for long while more arrive, it is no burst: until that has passed, whoever has
//! waited for more than a moment is turned away when another arrives.
//! This is adaptive LIFO with controlled delay ("Fail at Scale", Maurer, ACM Queue 13(8), 2015).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{Code, Error, Result};

/// Waiting at most; beyond, the oldest is turned away.
const WAITING_COUNT_MAX: usize = 4_096;
/// A wait longer than this, with others arriving, is not that of a burst.
const BURST_WAIT: Duration = Duration::from_secs(15);
/// The longest wait when it is none.
const OVERLOAD_WAIT: Duration = Duration::from_millis(50);
/// How long it stays so after somebody was turned away.
const CALM: Duration = Duration::from_secs(2);
/// How often it is seen whether the line grows.
const WINDOW: Duration = Duration::from_millis(250);
/// In so many windows one after the other it grows before the newest goes first. Callers who all
/// come at once and then one for each answer make it grow in one, and none of them is passed by.
const GROWING_COUNT_MIN: u32 = 2;
/// How long the newest goes first after the line has grown.
const GROWN: Duration = WINDOW.saturating_mul(2);
/// A line that grows in so many of them more than it does not is not that of a burst.
const GROWTH_COUNT_MAX: u32 = 20;

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
    /// As many may be at it as the model can use.
    limit: usize,
    at_it_count: usize,
    waiting: VecDeque<Waiting<T>>,
    flow: Flow,
    /// Until when more comes than can be done.
    overloaded_until: Option<Instant>,
}

/// Whether more arrive than leave.
struct Flow {
    since: Instant,
    arrived_count: u32,
    left_count: u32,
    /// In how many more windows the line has grown than not.
    growth_count: u32,
    /// In how many of the last windows, one after the other, it has grown.
    growing_count: u32,
    /// When it was seen to grow for long enough.
    grew_at: Option<Instant>,
}

struct Waiting<T> {
    since: Instant,
    turn: oneshot::Sender<T>,
}

/// How many may be at it and in line, for how long, and how it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateView {
    /// As many may be at it at a time.
    pub at_once_max: usize,
    /// As many may wait; beyond, the oldest is turned away.
    pub waiting_count_max: usize,
    /// The longest wait while a burst is worked off.
    pub burst_wait: Duration,
    /// The longest wait while more comes than can be done.
    pub overload_wait: Duration,
    /// Who waits now.
    pub waiting_count: usize,
    /// Whether more comes now than can be done.
    pub is_overloaded: bool,
}

impl Gate {
    /// With nobody at it.
    pub(super) fn new() -> Self {
        Gate { line: Mutex::new(Line::new(Instant::now())) }
    }

    /// How it is, where `limit` may be at it.
    pub(super) fn view(&self, limit: usize) -> GateView {
        let line = self.line.lock();
        let in_line = line.waiting.iter().filter(|waiting| !waiting.turn.is_closed());
        GateView {
            at_once_max: limit,
            waiting_count_max: WAITING_COUNT_MAX,
            burst_wait: BURST_WAIT,
            overload_wait: OVERLOAD_WAIT,
            waiting_count: in_line.count(),
            is_overloaded: line.is_overloaded(Instant::now()),
        }
    }

    /// Waits for a turn. `limit`: how many may be at it from now on.
    ///
    /// # Errors
    /// `Unavailable` when too much is asked of this node.
    pub(super) async fn enter(self: &Arc<Self>, limit: usize) -> Result<Pass> {
        let turn = self.line.lock().arrive(limit, Instant::now());
        match turn {
            None => Ok(Pass { gate: Some(Arc::clone(self)) }),
            Some(turn) => turn.await.map_err(|_| overloaded()),
        }
    }

    /// Gives a place to the next in line. A caller who left meanwhile leaves it to the one after.
    fn give_on(self: &Arc<Self>) {
        loop {
            // Not under the lock: a pass that reaches nobody would take it once more.
            let next = self.line.lock().leave(Instant::now());
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
    fn new(now: Instant) -> Self {
        Line {
            limit: 0,
            at_it_count: 0,
            waiting: VecDeque::new(),
            flow: Flow::new(now),
            overloaded_until: None,
        }
    }

    /// Takes a place, or gives what to wait for. Its end without a turn is the refusal.
    fn arrive(&mut self, limit: usize, now: Instant) -> Option<oneshot::Receiver<T>> {
        self.limit = limit;
        self.flow.look(now);
        self.flow.arrived_count += 1;
        if self.at_it_count < limit {
            self.at_it_count += 1;
            return None;
        }
        self.waiting.retain(|waiting| !waiting.turn.is_closed());
        let waited = |waiting: &Waiting<T>| now.duration_since(waiting.since);
        let longest = self.waiting.front().map_or(Duration::ZERO, waited);
        if longest > BURST_WAIT || self.flow.growth_count > GROWTH_COUNT_MAX {
            self.overloaded_until = Some(now + CALM);
        }
        if self.is_overloaded(now) {
            // Those in front came first.
            let late = self.waiting.partition_point(|waiting| waited(waiting) > OVERLOAD_WAIT);
            if self.waiting.drain(..late).next().is_some() {
                self.overloaded_until = Some(now + CALM);
            }
        }
        if self.waiting.len() >= WAITING_COUNT_MAX {
            self.waiting.pop_front();
        }
        let (turn, receiver) = oneshot::channel();
        self.waiting.push_back(Waiting { since: now, turn });
        Some(receiver)
    }

    /// The next who waits, to whom the place goes; without one, the place is free.
    fn leave(&mut self, now: Instant) -> Option<oneshot::Sender<T>> {
        self.flow.look(now);
        self.flow.left_count += 1;
        let is_newest_first = self.flow.grew_lately(now) || self.is_overloaded(now);
        if self.at_it_count > self.limit {
            // The model gave way to one that can use fewer.
            self.at_it_count -= 1;
            return None;
        }
        let next = if is_newest_first { self.waiting.pop_back() } else { self.waiting.pop_front() };
        if next.is_none() {
            self.at_it_count -= 1;
            self.flow.settle();
        }
        next.map(|next| next.turn)
    }

    fn is_overloaded(&self, now: Instant) -> bool {
        self.overloaded_until.is_some_and(|until| now < until)
    }
}

impl Flow {
    fn new(now: Instant) -> Self {
        Flow {
            since: now,
            arrived_count: 0,
            left_count: 0,
            growth_count: 0,
            growing_count: 0,
            grew_at: None,
        }
    }

    /// The line is empty.
    fn settle(&mut self) {
        (self.growth_count, self.growing_count, self.grew_at) = (0, 0, None);
    }

    /// Ends a window that is over. A tenth more arrivals than departures is chance.
    fn look(&mut self, now: Instant) {
        if now.duration_since(self.since) < WINDOW {
            return;
        }
        let grows = self.arrived_count * 10 > self.left_count * 11;
        let count = self.growth_count;
        let growing_count = if grows { self.growing_count + 1 } else { 0 };
        let has_grown = growing_count >= GROWING_COUNT_MIN;
        *self = Flow {
            growth_count: if grows { count + 1 } else { count.saturating_sub(1) },
            growing_count,
            grew_at: if has_grown { Some(now) } else { self.grew_at },
            ..Flow::new(now)
        };
    }

    fn grew_lately(&self, now: Instant) -> bool {
        self.grew_at.is_some_and(|at| now.duration_since(at) < GROWN)
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

    fn line() -> (Line<()>, Instant) {
        let now = Instant::now();
        (Line::new(now), now)
    }

    /// One arrives where one may be at it.
    fn arrive(line: &mut Line<()>, now: Instant) -> Turn {
        line.arrive(1, now)
    }

    fn leave(line: &mut Line<()>, now: Instant) {
        if let Some(next) = line.leave(now) {
            next.send(()).expect("somebody waits");
        }
    }

    /// Three arrive, and one leaves, in each of `count` windows. Gives when the last one ends.
    fn grow(line: &mut Line<()>, start: Instant, count: u32) -> (Vec<Turn>, Instant) {
        let mut turns = Vec::new();
        for window in 0..count {
            let now = start + WINDOW * window;
            turns.extend((0..3).map(|_| arrive(line, now)));
            leave(line, now);
        }
        (turns, start + WINDOW * count)
    }

    #[test]
    fn turns_come_in_order_and_in_a_growing_line_the_newest_is_first() {
        let (mut line, now) = line();
        let mut turns: Vec<Turn> = (0..4).map(|_| arrive(&mut line, now)).collect();
        assert!(turns[0].is_none() && !has_turn(&mut turns[1]));
        leave(&mut line, now);
        assert!(has_turn(&mut turns[1]) && !has_turn(&mut turns[3]));
        let later = now + WINDOW;
        turns.push(arrive(&mut line, later));
        leave(&mut line, later);
        assert!(has_turn(&mut turns[2]), "one window may be that of a burst");
        turns.push(arrive(&mut line, later));
        let later = later + WINDOW;
        for expected in [5, 4, 3] {
            leave(&mut line, later);
            assert!(has_turn(&mut turns[expected]), "{expected}");
        }
        leave(&mut line, later);
        assert_eq!(line.at_it_count, 0);
        let mut turns: Vec<Turn> = (0..3).map(|_| arrive(&mut line, later)).collect();
        leave(&mut line, later);
        assert!(has_turn(&mut turns[1]), "the line was empty: it did not grow");
    }

    #[test]
    fn callers_who_come_back_after_each_answer_all_have_their_turns() {
        let (mut line, start) = line();
        let mut turns: Vec<Turn> = (0..8).map(|_| arrive(&mut line, start)).collect();
        let mut answered_in = [0; 8];
        for round in 0..800 {
            let now = start + WINDOW * round / 20;
            let next = turns.iter_mut().position(has_turn).expect("one is at it");
            assert!(round - answered_in[next] <= 8, "{next} was passed by until round {round}");
            answered_in[next] = round;
            leave(&mut line, now);
            turns[next] = arrive(&mut line, now);
        }
    }

    #[test]
    fn a_burst_is_waited_out_however_long_it_takes() {
        let (mut line, now) = line();
        let mut turns: Vec<Turn> = (0..1_000).map(|_| arrive(&mut line, now)).collect();
        for second in 0..1_000 {
            leave(&mut line, now + Duration::from_secs(second));
        }
        assert!(turns.iter_mut().all(has_turn));
    }

    #[test]
    fn a_line_that_grows_for_long_is_kept_short_until_that_has_passed() {
        let (mut line, start) = line();
        let (mut turns, end) = grow(&mut line, start, GROWTH_COUNT_MAX);
        assert!(!turns.iter_mut().any(is_refused), "it may be a burst");
        let (_more, end) = grow(&mut line, end, 2);
        assert!(line.is_overloaded(end) && line.waiting.len() <= 4, "{}", line.waiting.len());
        assert!(turns.iter_mut().filter(|turn| turn.is_some()).any(is_refused));
        while line.at_it_count > 0 {
            leave(&mut line, end);
        }
        let mut newest: Vec<Turn> = (0..3).map(|_| arrive(&mut line, end)).collect();
        leave(&mut line, end);
        assert!(has_turn(&mut newest[2]), "an empty line does not end it");
        let late = arrive(&mut line, end + OVERLOAD_WAIT * 2);
        assert!(is_refused(&mut newest[1]), "nor does a short one");
        leave(&mut line, end);
        assert!(has_turn(&mut { late }));
        leave(&mut line, end);
        let calm = end + OVERLOAD_WAIT * 2 + CALM;
        let mut patient: Vec<Turn> = (0..3).map(|_| arrive(&mut line, calm)).collect();
        let _next = arrive(&mut line, calm + BURST_WAIT);
        assert!(!patient.iter_mut().any(is_refused), "it is a burst again");
    }

    #[test]
    fn a_line_that_stands_while_more_arrive_is_no_burst_either() {
        let (mut line, start) = line();
        let mut old: Vec<Turn> = (0..10).map(|_| arrive(&mut line, start)).collect();
        let late = start + BURST_WAIT + Duration::from_millis(1);
        let mut new = arrive(&mut line, late);
        // One of the ten is at it, the others were turned away; who came a moment ago was not.
        assert_eq!(old.iter_mut().filter_map(|turn| is_refused(turn).then_some(())).count(), 9);
        assert!(!is_refused(&mut new));
    }

    #[test]
    fn a_line_has_an_end() {
        let (mut line, now) = line();
        let mut turns: Vec<Turn> = (0..=WAITING_COUNT_MAX).map(|_| line.arrive(0, now)).collect();
        assert_eq!(line.waiting.len(), WAITING_COUNT_MAX);
        assert!(is_refused(&mut turns[0]) && !is_refused(&mut turns[1]));
    }

    #[test]
    fn a_model_that_can_use_fewer_gets_fewer() {
        let (mut line, now) = line();
        let mut turns: Vec<Turn> = (0..4).map(|_| line.arrive(3, now)).collect();
        assert_eq!(turns.iter_mut().filter_map(|turn| has_turn(turn).then_some(())).count(), 3);
        turns.push(arrive(&mut line, now));
        for expected in [3, 3, 4] {
            leave(&mut line, now);
            let count = turns.iter_mut().filter_map(|turn| has_turn(turn).then_some(())).count();
            assert_eq!(count, expected);
        }
    }

    #[tokio::test]
    async fn a_pass_is_given_on_past_those_who_left() {
        let gate = Arc::new(Gate::new());
        let pass = gate.enter(1).await.expect("room");
        let mut patient = Box::pin(gate.enter(1));
        let mut hasty = Box::pin(gate.enter(1));
        assert!(futures::poll!(&mut patient).is_pending());
        assert!(futures::poll!(&mut hasty).is_pending());
        drop(hasty);
        drop(pass);
        drop(patient.await.expect("a turn"));
        assert_eq!(gate.line.lock().at_it_count, 0);
    }

    #[tokio::test]
    async fn a_turn_that_nobody_takes_up_is_not_lost() {
        let gate = Arc::new(Gate::new());
        let pass = gate.enter(1).await.expect("room");
        let mut waiting = Box::pin(gate.enter(1));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(pass);
        // Its turn has come, and it leaves without having looked.
        drop(waiting);
        assert_eq!(gate.line.lock().at_it_count, 0);
    }
}
