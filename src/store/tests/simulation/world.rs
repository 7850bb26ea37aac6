//! Nodes, a server between them, and time.
//!
//! Nothing here waits: what will happen stands in a queue by its time, and whatever a node wants
//! done is done a little later, in no certain order.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use memnode_cluster::NodeName;
use memnode_cluster::replicator::{AlarmKind, Effect, Identity, Input, PeerKey, Replicator};
use memnode_cluster::wire::Request;

use super::defect::Defect;
use super::disk::{Disk, Shelf};
use super::history::History;
use super::log::Log;
use super::plan::Plan;
use super::random::Random;
use super::{CLUSTER, START_MS};

/// Time between two ticks of a node.
const TICK_MS: u64 = 250;
/// How often a node looks at the stream.
const LOOK_MS: u64 = 10_000;
/// Nodes that one run may come to.
const NODE_COUNT_MAX: usize = 7;

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) defect: Option<Defect>,
    pub(super) random: Random,
    /// Milliseconds since the beginning.
    pub(super) now: u64,
    pub(super) log: Log,
    pub(super) nodes: Vec<Node>,
    pub(super) history: History,
    /// Percent of the messages beside the stream that get lost, until when.
    pub(super) lossy: (u64, u64),
    pub(super) server_down_until: u64,
    /// Nodes that the administrator told the others to forget.
    pub(super) forgotten: BTreeSet<NodeName>,
    pub(super) is_healed: bool,
    /// Months that passed beside the plan.
    pub(super) skipped_ms: u64,
    /// Whether a record changed by itself. No roots are told then, as if no vectors were ever
    /// equal: only the comparison of single records can find it.
    pub(super) is_altered: bool,
    /// Whether numbers of the stream were used again: readers may pass over what has them.
    pub(super) was_set_back: bool,
    shelf: Rc<Shelf>,
    queue: BTreeMap<(u64, u64), Event>,
    event_count: u64,
    /// What went wrong, first.
    pub(super) failure: Option<String>,
}

pub(super) struct Node {
    pub(super) name: NodeName,
    pub(super) disk: Disk,
    pub(super) process: Option<Process>,
    pub(super) backup: Option<Disk>,
    /// How far its clock is off.
    pub(super) skew_ms: i64,
    pub(super) major: u64,
    pub(super) unlinked_until: u64,
    pub(super) full_until: u64,
    pub(super) refused_until: u64,
    pub(super) paused_until: u64,
    /// The next op that it reads is damaged.
    pub(super) is_damaging: bool,
}

pub(super) struct Process {
    pub(super) run: u64,
    pub(super) replicator: Replicator,
    pub(super) reader: Option<StreamReader>,
    pub(super) is_connected: bool,
}

pub(super) struct StreamReader {
    pub(super) number: u64,
    pub(super) next: u64,
    /// The stream that it was made for; it says nothing of any other.
    pub(super) created: String,
    pub(super) is_silent: bool,
}

/// Something that will happen to a process, named by its run, or to the world.
pub(super) enum Event {
    Step(usize),
    Heal,
    Start(usize),
    /// Faults that last may be over.
    Links,
    Tick(u64),
    Look(u64),
    Pump(u64, u64),
    Input(u64, Input),
    Effect(u64, Effect),
    Asked(Question),
    /// By now the process must have raised an alarm.
    Expect(u64, AlarmKind),
}

/// A request on its way.
pub(super) struct Question {
    pub(super) to: PeerKey,
    pub(super) from_run: u64,
    pub(super) ask: memnode_cluster::replicator::AskId,
    pub(super) request: Request,
}

impl World {
    pub(super) fn new(plan: Plan, defect: Option<Defect>) -> World {
        let mut world = World {
            random: Random::new(!plan.seed),
            defect,
            now: 0,
            log: Log::new(),
            nodes: Vec::new(),
            history: History::default(),
            lossy: (0, 0),
            server_down_until: 0,
            forgotten: BTreeSet::new(),
            is_healed: false,
            skipped_ms: 0,
            is_altered: false,
            was_set_back: false,
            shelf: Shelf::new(),
            queue: BTreeMap::new(),
            event_count: 0,
            failure: None,
            plan,
        };
        for _ in 0..world.plan.node_count {
            world.add_node();
        }
        let steps = world.plan.steps.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        for (number, at) in steps.into_iter().enumerate() {
            world.at(at, Event::Step(number));
        }
        let end_ms = world.plan.end_ms;
        world.at(end_ms, Event::Heal);
        world
    }

    /// A new node with an empty file.
    pub(super) fn add_node(&mut self) {
        let name = NodeName::new(&format!("n{}", self.nodes.len())).unwrap();
        let disk = Disk::new(&self.shelf, &name);
        self.add(name, disk, 1);
    }

    pub(super) fn add(&mut self, name: NodeName, disk: Disk, major: u64) {
        if self.nodes.len() >= NODE_COUNT_MAX {
            return;
        }
        let node = Node {
            name,
            disk,
            process: None,
            backup: None,
            skew_ms: 0,
            major,
            unlinked_until: 0,
            full_until: 0,
            refused_until: 0,
            paused_until: 0,
            is_damaging: false,
        };
        self.nodes.push(node);
        let delay = self.random.below(2_000);
        self.after(delay, Event::Start(self.nodes.len() - 1));
    }

    pub(super) fn fail(&mut self, what: impl Into<String>) {
        if self.failure.is_none() {
            self.failure = Some(format!("at {} ms: {}", self.now, what.into()));
        }
    }

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.event_count += 1;
        self.queue.insert((at, self.event_count), event);
    }

    pub(super) fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    /// What one computer needs for a short step: mostly little.
    pub(super) fn any_delay(&mut self) -> u64 {
        match self.random.below(100) {
            0..3 if !self.is_healed => self.random.below(3_000),
            3..15 => self.random.below(200),
            _ => self.random.below(15),
        }
    }

    /// A node's time of day.
    pub(super) fn wall(&self, node: usize) -> u64 {
        START_MS.saturating_add_signed(self.nodes[node].skew_ms) + self.now
    }

    pub(super) fn node_of(&self, run: u64) -> Option<usize> {
        let is_it = |node: &Node| node.process.as_ref().is_some_and(|process| process.run == run);
        self.nodes.iter().position(is_it)
    }

    pub(super) fn process(&mut self, node: usize) -> Option<&mut Process> {
        self.nodes[node].process.as_mut()
    }

    /// Days go by in which nobody does anything. The server keeps no message for longer than 30.
    pub(super) fn let_days_pass(&mut self, days: u64) {
        let passed_ms = days * 24 * 3_600_000;
        let queue = std::mem::take(&mut self.queue);
        self.queue = queue.into_iter().map(|((at, n), e)| ((at + passed_ms, n), e)).collect();
        self.now += passed_ms;
        self.skipped_ms += passed_ms;
        self.lossy.1 += passed_ms;
        self.server_down_until += passed_ms;
        for place in &mut self.nodes {
            place.unlinked_until += passed_ms;
            place.full_until += passed_ms;
            place.refused_until += passed_ms;
            place.paused_until += passed_ms;
        }
        if days >= 30 {
            self.log.truncate(u64::MAX);
        }
    }

    /// Lets time pass, no further than to `until`, as long as nothing goes wrong.
    pub(super) fn run_until(&mut self, until: u64) {
        while self.failure.is_none()
            && let Some(next) = self.queue.first_entry()
            && next.key().0 <= until
        {
            let ((at, _), event) = next.remove_entry();
            self.now = at;
            self.take(event);
        }
        self.now = self.now.max(until);
    }

    fn take(&mut self, event: Event) {
        let run = match &event {
            Event::Tick(run)
            | Event::Look(run)
            | Event::Pump(run, _)
            | Event::Input(run, _)
            | Event::Effect(run, _)
            | Event::Expect(run, _) => *run,
            Event::Asked(question) => question.to.run,
            Event::Step(number) => return self.step(*number),
            Event::Heal => return self.heal(),
            Event::Start(node) => return self.start(*node),
            Event::Links => return self.update_links(),
        };
        // What was meant for a process that is gone never happens.
        let Some(node) = self.node_of(run) else { return };
        if self.now < self.nodes[node].paused_until {
            let until = self.nodes[node].paused_until;
            return self.at(until, event);
        }
        match event {
            Event::Tick(_) => {
                self.after(TICK_MS, Event::Tick(run));
                self.feed(node, Input::Tick);
                self.check_claims(node);
                if self.random.chance(2) {
                    self.check_disk(node);
                }
            }
            Event::Look(_) => {
                self.after(LOOK_MS, Event::Look(run));
                self.look(node, run);
            }
            Event::Pump(_, reader) => self.pump(node, run, reader),
            Event::Input(_, input) => self.feed(node, input),
            Event::Effect(_, effect) => self.carry_out(node, run, effect),
            Event::Asked(question) => self.answer(node, question),
            Event::Expect(_, kind) => self.check_alarm(node, kind),
            Event::Step(_) | Event::Heal | Event::Start(_) | Event::Links => {}
        }
    }

    /// Tells a replicator and takes what it wants done.
    pub(super) fn feed(&mut self, node: usize, input: Input) {
        let now = self.now;
        let Some(process) = self.process(node) else { return };
        let run = process.run;
        let effects = process.replicator.handle(now, input);
        for effect in effects {
            let delay = self.any_delay();
            self.after(delay, Event::Effect(run, effect));
        }
        // A reader that had to wait may go on.
        if let Some(process) = self.process(node)
            && let Some(reader) = &process.reader
            && process.replicator.has_room()
        {
            let number = reader.number;
            self.wake(node, number);
        }
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.nodes[node].process = None;
        self.nodes[node].paused_until = 0;
    }

    /// Starts a node's process, if none runs.
    fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        let (run, mut epoch) = (self.random.next(), self.random.next());
        let (wall, now) = (self.wall(node), self.now);
        self.take_in_what_the_version_can(node);
        let place = &mut self.nodes[node];
        if self.defect == Some(Defect::EpochReused) && place.disk.epoch() != 0 {
            epoch = place.disk.epoch();
        }
        let start = place.disk.start(epoch, wall);
        let identity = Identity { cluster: CLUSTER, node: place.name.clone(), run };
        let replicator = Replicator::new(identity, start, now);
        place.process = Some(Process { run, replicator, reader: None, is_connected: false });
        let delay = self.random.below(TICK_MS);
        self.after(delay, Event::Tick(run));
        self.after(LOOK_MS, Event::Look(run));
        self.decide(node);
        self.update_links();
        self.check_disk(node);
    }

    /// Tells a node what the administrator decided.
    pub(super) fn decide(&mut self, node: usize) {
        let forgotten = self.forgotten.iter().cloned().collect();
        let (_, voided) = self.nodes[node].disk.reader().decisions().unwrap();
        self.feed(node, Input::Decided { forgotten, voided });
    }

    /// Who can reach the server; told when it changes.
    pub(super) fn update_links(&mut self) {
        for node in 0..self.nodes.len() {
            let is_up = self.now >= self.server_down_until.max(self.nodes[node].unlinked_until);
            let Some(process) = self.process(node).filter(|p| p.is_connected != is_up) else {
                continue;
            };
            process.is_connected = is_up;
            let run = process.run;
            let input = if is_up { Input::Connected } else { Input::Disconnected };
            if !is_up {
                process.reader = None;
            }
            self.feed(node, input);
            if is_up {
                self.look(node, run);
            }
        }
    }

    pub(super) fn is_connected(&self, node: usize) -> bool {
        self.nodes[node].process.as_ref().is_some_and(|process| process.is_connected)
    }

    /// Asks the server how the stream is; the answer takes a while and may be old by then.
    fn look(&mut self, node: usize, run: u64) {
        if self.is_connected(node) {
            let info = self.log.info();
            let delay = self.random.below(30);
            self.after(delay, Event::Input(run, Input::Stream(info)));
        }
    }

    /// All faults end: every node runs, reaches the others and knows the newest version.
    fn heal(&mut self) {
        self.is_healed = true;
        self.lossy = (0, 0);
        self.server_down_until = 0;
        for node in 0..self.nodes.len() {
            let place = &mut self.nodes[node];
            (place.unlinked_until, place.full_until, place.refused_until) = (0, 0, 0);
            (place.paused_until, place.skew_ms, place.is_damaging) = (0, 0, false);
            if place.major == 1 {
                place.major = 2;
                self.kill(node);
            }
            if let Some(reader) = self.process(node).and_then(|process| process.reader.as_mut()) {
                reader.is_silent = false;
            }
            self.start(node);
        }
        self.update_links();
    }
}
