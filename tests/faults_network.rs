//! Networks that drop, delay and swallow, around one node, two nodes and all of them.

use std::time::Duration;

use crate::common::nats::Version;
use crate::common::proxy::Mode;
use crate::common::trial::Trial;

/// Nodes that are cut off: one, a pair, everyone.
const CUT_OFF: [&[usize]; 3] = [&[0], &[1, 2], &[0, 1, 2]];

fn the_network_is_broken(fault: &str, mode: Mode, version: Version) {
    let Some(mut trial) = Trial::start(fault, version) else { return };
    for nodes in CUT_OFF {
        trial.cluster.network(nodes, mode);
        if mode == Mode::Drop {
            trial.expect_disconnected(nodes[0]);
        }
        trial.go_on();
        trial.cluster.network(nodes, Mode::Pass);
        trial.go_on();
    }
    trial.finish();
}

#[test]
fn nodes_that_are_cut_off_catch_up() {
    the_network_is_broken("partition: connections dropped", Mode::Drop, Version::Newer);
}

#[test]
fn nodes_that_are_cut_off_catch_up_older() {
    the_network_is_broken("partition: connections dropped", Mode::Drop, Version::Older);
}

#[test]
fn nodes_on_a_slow_network_catch_up() {
    let slow = Mode::Delay(Duration::from_millis(400));
    the_network_is_broken("partition: 0.4 s of delay each way", slow, Version::Newer);
}

#[test]
fn nodes_on_half_open_connections_catch_up() {
    the_network_is_broken("partition: half-open connections", Mode::HalfOpen, Version::Newer);
}
