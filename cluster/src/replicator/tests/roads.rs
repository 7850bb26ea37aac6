//! Own ops into the stream, those of others out of it.

use super::*;

fn committed(head: u64) -> Input {
    Input::Committed { origin: origin("me", 1), head, is_awaited: false }
}

fn published(lo: u64, hi: u64) -> Input {
    Input::Published { origin: origin("me", 1), lo, hi, seq: Some(hi), hashes: vec![] }
}

fn failed(lo: u64, hi: u64, refused: Option<&str>) -> Input {
    let refused = refused.map(str::to_owned);
    Input::PublishFailed { origin: origin("me", 1), lo, hi, refused }
}

/// The runs that are to be published.
fn sent(effects: &[Effect]) -> Vec<(u64, u64)> {
    let publish = |effect: &Effect| match effect {
        Effect::Publish { lo, hi, .. } => Some((*lo, *hi)),
        _ => None,
    };
    effects.iter().filter_map(publish).collect()
}

#[test]
fn own_ops_wait_for_the_stream_and_go_out_in_runs() {
    let mut node = Node::new(Start { unpublished: vector(&[("me", 3, 3)]), ..Start::default() });
    assert!(node.feed(committed(70)).is_empty());
    assert!(sent(&node.feed(Input::Connected)).is_empty(), "what is the stream like?");
    let out = sent(&node.feed(Input::Stream(stream(1, 0))));
    assert_eq!(out, [(1, 64), (65, 70)]);
    assert!(!node.replicator.is_logged(&dot("me", 70)));
    node.feed(published(65, 70));
    assert!(node.replicator.is_logged(&dot("me", 70)) && !node.replicator.is_logged(&dot("me", 3)));
    let marks = node.wait(1_000);
    assert!(marks.contains(&Effect::MarkPublished(vec![(origin("me", 1), 65, 70, Some(70))])));
}

#[test]
fn a_connection_that_breaks_sends_what_was_under_way_again() {
    let mut node = Node::connected(Start::default());
    assert_eq!(sent(&node.feed(committed(2))), [(1, 2)]);
    node.feed(Input::Disconnected);
    node.feed(published(1, 1));
    node.feed(Input::Connected);
    assert_eq!(sent(&node.feed(Input::Stream(stream(1, 1)))), [(2, 2)]);
}

#[test]
fn writes_in_quick_succession_share_a_message_unless_somebody_waits() {
    let mut node = Node::connected(Start::default());
    assert_eq!(sent(&node.feed(committed(1))), [(1, 1)]);
    let quick = node.feed(committed(2));
    assert!(sent(&quick).is_empty() && !node.replicator.is_logged(&dot("me", 2)));
    let due = node.replicator.wakes_at().expect("something rests");
    assert!(sent(&node.feed(committed(3))).is_empty());
    assert_eq!(node.replicator.wakes_at(), Some(due), "company does not put it off");
    assert_eq!(sent(&node.wait(5)), [(2, 3)]);
    assert_eq!(node.replicator.wakes_at(), None);
    let awaited = Input::Committed { origin: origin("me", 1), head: 4, is_awaited: true };
    assert_eq!(sent(&node.feed(awaited)), [(4, 4)]);
    assert_eq!(sent(&node.feed(committed(68))), [(5, 68)], "a full run waits for nothing");
    assert!(sent(&node.feed(committed(69))).is_empty());
    node.feed(Input::Disconnected);
    assert_eq!(node.replicator.wakes_at(), None, "no timer while there is no server");
}

#[test]
fn a_failure_of_ops_that_were_sent_twice_leaves_none_behind() {
    let mut node = Node::connected(Start::default());
    node.feed(committed(4));
    node.feed(Input::Outbox(vector(&[("me", 3, 4)])));
    node.feed(published(1, 3));
    node.feed(failed(3, 4, None));
    assert_eq!(sent(&node.wait(1_000)), [(4, 4)]);
}

#[test]
fn what_the_server_refuses_is_parked_while_the_rest_goes_on() {
    let mut node = Node::connected(Start::default());
    node.feed(committed(1));
    for _ in 0..3 {
        node.feed(failed(1, 1, Some("too large")));
        node.wait(2_000);
    }
    assert_eq!(node.alarms(), [AlarmKind::PublishRefused]);
    assert_eq!(sent(&node.feed(committed(2))), [(2, 2)]);
    assert_eq!(node.replicator.outbox_count(), 2);
    assert_eq!(sent(&node.wait(60_000)), [(1, 1)], "it is tried again much later");
}

#[test]
fn reading_goes_on_where_the_store_is() {
    let cursor = |created: &str, seq| Some(Position { created: created.to_owned(), seq });
    for (cursor, info, from, alarm) in [
        (None, stream(4, 9), 4, None),
        (cursor("first", 6), stream(4, 9), 7, None),
        (cursor("first", 9), stream(4, 9), 10, None),
        (cursor("first", 2), stream(4, 9), 4, Some(AlarmKind::StreamTruncated)),
        (cursor("first", 10), stream(4, 9), 4, Some(AlarmKind::StreamReplaced)),
        (cursor("other", 6), stream(4, 9), 4, Some(AlarmKind::StreamReplaced)),
    ] {
        let mut node = Node::new(Start { cursor, ..Start::default() });
        node.feed(Input::Connected);
        let effects = node.feed(Input::Stream(info));
        assert_eq!(reads(&effects), [(1, from)]);
        assert_eq!(node.alarms(), alarm.as_slice());
        let refills = effects.contains(&Effect::LoadOutbox);
        assert_eq!(refills, alarm == Some(AlarmKind::StreamReplaced));
    }
}

#[test]
fn only_the_servers_own_numbers_tell_that_a_stream_was_set_back() {
    let mut node = Node::connected(Start::default());
    node.read(1, 7, batch("a", 1, 1));
    assert!(reads(&node.feed(Input::Stream(stream(1, 6)))).is_empty(), "an old answer");
    assert!(reads(&node.feed(Input::Stream(stream(1, 9)))).is_empty());
    assert_eq!(reads(&node.feed(Input::Stream(stream(1, 8)))), [(2, 1)]);
    assert!(node.alarms().contains(&AlarmKind::StreamReplaced));
}

#[test]
fn a_reader_that_falls_silent_is_replaced_once() {
    let mut node = Node::connected(Start::default());
    node.read(1, 2, batch("a", 1, 1));
    node.feed(Input::Stream(stream(1, 5)));
    assert_eq!(reads(&node.wait(11_000)), [(2, 3)]);
    assert!(reads(&node.wait(30_000)).is_empty(), "messages may be deleted one by one");
    assert_eq!(node.replicator.status().stream_behind_count, 0);
    node.feed(Input::Stream(stream(1, 6)));
    assert_eq!(reads(&node.wait(11_000)), [(3, 6)]);
}

#[test]
fn each_op_is_applied_once_and_the_position_after_all_before_it() {
    let mut node = Node::connected(Start::default());
    let first = node.read(1, 1, batch("a", 1, 2));
    assert_eq!(applies(&first), [(vector(&[("a", 1, 2)]), Some(1))]);
    assert!(applies(&node.read(1, 2, batch("a", 2, 3))).is_empty(), "one batch at a time");
    assert!(applies(&node.read(1, 3, batch("a", 1, 1))).is_empty());
    let second = node.applies(&first);
    assert_eq!(applies(&second), [(vector(&[("a", 3, 3)]), Some(3))]);
    node.applies(&second);
    assert!(applies(&node.wait(20_000)).is_empty(), "nothing is left");
    assert_eq!(node.replicator.vector(), &vector(&[("a", 1, 3)]));
}

#[test]
fn a_position_without_ops_is_kept_after_a_while() {
    let mut node = Node::connected(Start { vector: vector(&[("a", 1, 1)]), ..Start::default() });
    let noise = |seq| Input::Message { reader: 1, seq, batch: Err("noise".to_owned()) };
    let effects = node.feed(noise(8));
    assert_eq!(applies(&effects), [(Vector::default(), Some(8))]);
    assert_eq!(node.alarms(), [AlarmKind::Undecodable]);
    node.applies(&effects);
    node.feed(noise(9));
    assert!(applies(&node.wait(4_000)).is_empty());
    assert_eq!(applies(&node.wait(2_000)), [(Vector::default(), Some(9))]);
}

#[test]
fn a_batch_that_is_rolled_back_comes_again_a_second_later() {
    let mut node = Node::connected(Start::default());
    let first = node.read(1, 1, batch("a", 1, 2));
    let Some(Effect::Apply { number, .. }) = first.first() else { panic!("{first:?}") };
    let effects = node.feed(Input::Applied { number: *number, outcome: None });
    assert!(applies(&effects).is_empty());
    assert_eq!(node.alarms(), [AlarmKind::ApplyFailing]);
    let again = node.wait(1_250);
    assert_eq!(applies(&again), [(vector(&[("a", 1, 2)]), Some(1))]);
    node.applies(&again);
    assert!(node.alarms().is_empty());
}

#[test]
fn messages_of_another_reader_cluster_or_kind_are_not_taken_in() {
    let mut node = Node::connected(Start::default());
    assert!(applies(&node.read(0, 1, batch("a", 1, 1))).is_empty(), "an old reader");
    let foreign = Batch { cluster: ClusterId([8; 16]), ..batch("a", 1, 1) };
    assert!(ops(&node.read(1, 1, foreign)).is_empty());
    let empty = Batch { ops: vec![], ..batch("a", 1, 1) };
    assert!(ops(&node.read(1, 2, empty)).is_empty());
    assert_eq!(node.alarms(), [AlarmKind::OtherCluster, AlarmKind::Undecodable]);
}

#[test]
fn a_full_inbox_stops_the_reader() {
    let mut node = Node::connected(Start::default());
    let mut seq = 0;
    while node.replicator.has_room() {
        seq += 1;
        node.read(1, seq, batch("a", seq * 100 - 99, seq * 100));
        assert!(seq < 100);
    }
    node.feed(Input::Stream(stream(1, 100)));
    assert!(reads(&node.wait(30_000)).is_empty(), "its silence is wanted");
}

#[test]
fn whoever_waits_for_an_ack_gets_intervals() {
    let mut node = Node::connected(Start::default());
    let wanted = Batch { wants_ack: true, ..batch("a", 3, 3) };
    let effects = node.read(1, 1, wanted.clone());
    let effects = node.applies(&effects);
    assert!(effects.contains(&Effect::Ack(vector(&[("a", 3, 3)]))), "no head, no hole filled");
    let effects = node.read(1, 2, wanted);
    assert!(effects.contains(&Effect::Ack(vector(&[("a", 3, 3)]))), "it is known already");
}
