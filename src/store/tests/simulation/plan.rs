//! What will happen in a run, drawn from its seed before it begins.
//!
//! Every plan leaves most kinds of faults out: a few that meet often find more than all of them
//! that meet seldom.

use std::fmt;

use super::random::Random;

/// Different texts: few, so that writes meet.
pub(super) const TEXTS: [&str; 6] = ["alpha", "Alpha ", "beta", "gamma", "delta", "epsilon"];
const TAGS: [&str; 3] = ["one", "two", "three"];
const KINDS: [&str; 3] = ["note", "fact", "idea"];

/// What a client or another program does to a memory.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Create {
        tags: Vec<&'static str>,
        kind: &'static str,
    },
    Update {
        tags: Vec<&'static str>,
        kind: Option<&'static str>,
        key: Option<u64>,
    },
    Delete,
    Purge,
    /// By a program of the next minor version: parts and fields that this one does not know.
    NextMinor,
    /// By a program of the next major version.
    NextMajor,
}

/// One thing that happens. Nodes are counted by those that there are by then.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Write {
        node: usize,
        text: usize,
        write: Write,
    },
    /// The process is killed and started again.
    Crash {
        node: usize,
        down_ms: u64,
    },
    /// It starts again with the next major version.
    Upgrade {
        node: usize,
    },
    /// A node that is new.
    Join,
    /// The file is copied aside.
    Backup {
        node: usize,
    },
    /// The process is killed; it starts again on the copy, if there is one.
    Restore {
        node: usize,
        down_ms: u64,
    },
    /// The file is copied to a second machine and runs there under the same name.
    Clone {
        node: usize,
    },
    /// The node is forgotten by the others while it is away.
    Forget {
        node: usize,
        down_ms: u64,
    },
    /// It cannot reach the server.
    Unlink {
        node: usize,
        for_ms: u64,
    },
    /// Nobody can.
    ServerDown {
        for_ms: u64,
    },
    /// Messages that are no part of the stream get lost.
    Lossy {
        percent: u64,
        for_ms: u64,
    },
    /// The process stands still.
    Pause {
        node: usize,
        for_ms: u64,
    },
    FullDisk {
        node: usize,
        for_ms: u64,
    },
    /// The server refuses what the node publishes.
    Refuse {
        node: usize,
        for_ms: u64,
    },
    /// Its clock is set to so many hours off.
    SetClock {
        node: usize,
        hours: i64,
    },
    /// Old messages of the stream are gone.
    Truncate {
        count: u64,
    },
    /// One message of the stream is gone.
    LoseMessage,
    /// The stream is made anew.
    MakeAnew,
    /// The stream is set back to an older state of itself.
    SetBack {
        count: u64,
    },
    /// The reader of a node falls silent for ever.
    Silence {
        node: usize,
    },
    /// The next op that a node reads is damaged on its way.
    Damage {
        node: usize,
    },
    /// The node is away while months pass for everyone; what the server kept is too old by then.
    Months {
        node: usize,
        days: u64,
        down_ms: u64,
    },
    /// An administrator gives up what lies in quarantine on a node.
    Void {
        node: usize,
    },
    /// The node keeps no more for others than so much.
    Cap {
        node: usize,
        bytes: u64,
    },
    /// A node's record loses a tag without any write. Only for a run of its own: what must hold
    /// does not hold then, and it is for the nodes to find it out.
    Alter {
        node: usize,
        text: usize,
    },
    /// Messages that no memnode would send.
    Poison {
        kind: u64,
    },
}

pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) node_count: usize,
    pub(super) steps: Vec<(u64, Step)>,
    /// When all faults end, months that pass not counted.
    pub(super) end_ms: u64,
    /// Whether nodes that join take a snapshot first, as they do from many records on.
    pub(super) has_snapshots: bool,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Plan {
        let random = &mut Random::new(seed);
        let end_ms = random.between(20_000, 70_000);
        let count = random.between(10, 60);
        let likely: Vec<u64> = (0..FAULT_COUNT).filter(|_| random.chance(25)).collect();
        let fault_percent = random.between(5, 40);
        let mut steps = Vec::new();
        for _ in 0..count {
            let at = random.below(end_ms);
            let step = if !likely.is_empty() && random.chance(fault_percent) {
                let kind = *random.pick(&likely);
                fault(kind, random)
            } else {
                Step::Write {
                    node: random.index(12),
                    text: any_text(random),
                    write: any_write(random),
                }
            };
            steps.push((at, step));
        }
        steps.sort_by_key(|(at, _)| *at);
        let node_count = random.between(2, 5) as usize;
        Plan { seed, node_count, steps, end_ms, has_snapshots: random.chance(50) }
    }
}

impl Plan {
    /// Clients write all the time; on one node a record that they leave alone changes by itself.
    pub(super) fn altered(seed: u64) -> Plan {
        const LAST: usize = TEXTS.len() - 1;
        let random = &mut Random::new(seed);
        let any = |random: &mut Random| Write::Create { tags: any_tags(random), kind: KINDS[0] };
        let first = Write::Create { tags: TAGS.to_vec(), kind: KINDS[0] };
        let mut steps = vec![(2_000, Step::Write { node: 0, text: LAST, write: first })];
        for at in (3_000..ALTERED_END_MS).step_by(500) {
            let write = if random.chance(50) { any(random) } else { Write::Delete };
            steps
                .push((at, Step::Write { node: random.index(3), text: random.index(LAST), write }));
        }
        steps.push((15_000, Step::Alter { node: random.index(3), text: LAST }));
        steps.sort_by_key(|(at, _)| *at);
        Plan { seed, node_count: 3, steps, end_ms: ALTERED_END_MS, has_snapshots: false }
    }
}

/// How long clients write in a run of [`Plan::altered`].
const ALTERED_END_MS: u64 = 300_000;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "SEED={}: {} nodes", self.seed, self.node_count)?;
        for (at, step) in &self.steps {
            writeln!(f, "{at:>8} ms  {step:?}")?;
        }
        write!(f, "{:>8} ms  all faults end", self.end_ms)
    }
}

fn any_text(random: &mut Random) -> usize {
    random.index(TEXTS.len())
}

fn any_tags(random: &mut Random) -> Vec<&'static str> {
    TAGS.into_iter().filter(|_| random.chance(40)).collect()
}

fn any_write(random: &mut Random) -> Write {
    match random.below(100) {
        0..40 => Write::Create { tags: any_tags(random), kind: KINDS[random.index(KINDS.len())] },
        40..70 => Write::Update {
            tags: any_tags(random),
            kind: random.chance(50).then(|| *random.pick(&KINDS)),
            key: random.chance(50).then(|| random.below(3)),
        },
        70..88 => Write::Delete,
        88..92 => Write::Purge,
        92..96 => Write::NextMinor,
        _ => Write::NextMajor,
    }
}

const FAULT_COUNT: u64 = 25;

fn fault(kind: u64, random: &mut Random) -> Step {
    let node = random.index(12);
    let short_ms = random.between(50, 3_000);
    let for_ms = *random.pick(&[short_ms, 5_000, 15_000, 30_000]);
    match kind {
        0..=2 => Step::Crash { node, down_ms: for_ms },
        3 => Step::Upgrade { node },
        4 => Step::Join,
        5 => Step::Backup { node },
        6 if random.chance(50) => Step::Backup { node },
        6 => Step::Restore { node, down_ms: for_ms },
        7 => Step::Clone { node },
        8 => Step::Forget { node, down_ms: for_ms },
        9 => Step::Unlink { node, for_ms },
        10 => Step::ServerDown { for_ms },
        11 => Step::Lossy { percent: random.between(5, 95), for_ms },
        12 => Step::Pause { node, for_ms },
        13 => Step::FullDisk { node, for_ms },
        14 => Step::Refuse { node, for_ms },
        15 => Step::SetClock { node, hours: *random.pick(&[-9, -1, 0, 1, 9, 24, 8_760]) },
        16 => Step::Truncate { count: random.between(1, 30) },
        17 => Step::LoseMessage,
        18 => Step::MakeAnew,
        19 => Step::SetBack { count: random.between(1, 10) },
        20 if random.chance(50) => Step::Silence { node },
        20 => Step::Damage { node },
        21 => Step::Months { node, days: random.between(20, 200), down_ms: for_ms },
        22 => Step::Void { node },
        23 => Step::Cap { node, bytes: random.below(4_000) },
        _ => Step::Poison { kind: random.below(3) },
    }
}
