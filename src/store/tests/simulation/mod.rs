//! Several nodes in a simulated world: the replicator and the store as they are, everything
//! around them made up and following from one number, the seed.
//!
//! `SEED=7` plays one seed and tells what happens, `SEEDS=100000` plays so many. A seed that
//! fails is printed with the shortest history that still fails.

mod check;
mod defect;
mod disk;
mod effects;
mod history;
mod log;
mod plan;
mod random;
mod shrink;
mod steps;
mod wire;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use memnode_cluster::ClusterId;
use memnode_cluster::replicator::AlarmKind;

use defect::Defect;
use plan::Plan;
use world::World;

const CLUSTER: ClusterId = ClusterId([1; 16]);
/// 2026-11-22T15:26:24Z.
const START_MS: u64 = 1_795_361_184_000;
/// Seeds that an ordinary test run plays.
const SEED_COUNT: u64 = 2_000;
/// Seeds within which a planted mistake must be found.
const DEFECT_SEED_COUNT: u64 = 200;

/// The text that clients leave alone in a run of [`Plan::altered`].
const LAST_TEXT: &str = plan::TEXTS[plan::TEXTS.len() - 1];

/// What one run came to.
struct Run {
    failure: Option<String>,
    /// Time from the end of all faults until all nodes were equal.
    converged_ms: u64,
}

fn play(plan: Plan, defect: Option<Defect>) -> Run {
    let end_ms = plan.end_ms;
    let mut world = World::new(plan, defect);
    while world.failure.is_none() && !world.is_healed {
        let until = end_ms + world.skipped_ms;
        world.run_until(until);
    }
    let converged_ms = world.check_healed();
    Run { failure: world.failure, converged_ms }
}

/// Fails with everything that is needed to look into a seed.
fn report(seed: u64, failure: &str) -> ! {
    let shortest = shrink::shrink(seed);
    panic!("seed {seed}: {failure}\n\nthe shortest history that fails:\n{shortest}");
}

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "seeds are chosen where the tests are started")]
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn equal_writes_make_equal_nodes_whatever_happens() {
    if let Some(seed) = number("SEED") {
        let plan = Plan::new(seed);
        println!("{plan}");
        match play(plan, None) {
            Run { failure: Some(failure), .. } => report(seed, &failure),
            run => println!("equal {} ms after the last fault", run.converged_ms),
        }
        return;
    }
    let count = number("SEEDS").unwrap_or(SEED_COUNT);
    let first = number("FIRST").unwrap_or(0);
    let (next, slowest) = (AtomicU64::new(first), AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let run = play(Plan::new(seed), None);
                    if let Some(failure) = run.failure {
                        next.store(first + count, Ordering::Relaxed);
                        report(seed, &failure);
                    }
                    slowest.fetch_max(run.converged_ms, Ordering::Relaxed);
                }
            });
        }
    });
    println!("{count} seeds; equal at most {} ms after the last fault", slowest.into_inner());
}

#[test]
fn a_record_that_changed_by_itself_is_found_and_mended_while_clients_write() {
    for seed in 0..6 {
        let plan = Plan::altered(seed);
        let end_ms = plan.end_ms;
        let mut world = World::new(plan, None);
        let is_found = |world: &World| world.history.alarms.contains(&AlarmKind::Divergence);
        let is_mended = |world: &World| {
            let record = |node: usize| world.nodes[node].disk.record(&steps::id_of(LAST_TEXT));
            (1..3).all(|node| record(node) == record(0))
        };
        while !(is_found(&world) && is_mended(&world)) && world.now < end_ms {
            world.run_until(world.now + 1_000);
        }
        assert_eq!(world.failure, None, "seed {seed}");
        assert!(world.now < end_ms, "seed {seed}: nobody found it, or nobody mended it");
    }
}

#[test]
fn every_planted_mistake_is_noticed() {
    for defect in Defect::ALL {
        let failure = |seed| play(Plan::new(seed), Some(defect)).failure.map(|why| (seed, why));
        let Some((seed, why)) = (0..DEFECT_SEED_COUNT).find_map(failure) else {
            panic!("{defect:?} goes unnoticed");
        };
        println!("{defect:?} is noticed by seed {seed}: {why}");
    }
}
