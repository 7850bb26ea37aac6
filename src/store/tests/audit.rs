//! The audit log in the file: kept, found, and cut to its bounds.

use super::super::audit::AuditOrder;
use super::*;
use crate::memory::{AuditEntry, AuditFilter};

fn entry(at: f64, operation: &str, namespaces: &[&str]) -> AuditEntry {
    AuditEntry {
        at,
        principal: Some("ada".to_owned()),
        key_id: Some("k-1".to_owned()),
        operation: operation.to_owned(),
        namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        address: Some("192.0.2.7".to_owned()),
        status: Some(200),
        outcome: "ok".to_owned(),
        is_refused: false,
        trace_id: None,
    }
}

#[test]
fn entries_come_back_as_they_were_by_every_filter() {
    let mut file = File::new("a");
    let refused = AuditEntry { is_refused: true, principal: None, ..entry(3.0, "GET /c", &["*"]) };
    let entries = [entry(1.0, "POST /a", &["team"]), entry(2.0, "PUT /b", &["te", "m"]), refused];
    file.write(|writer| writer.add_audit(&entries)).unwrap();
    let check = |filter: AuditFilter, expected: &[usize]| {
        let found = file.reader().audit(&filter, AuditOrder::OldestAfter(0), 10).unwrap();
        let found: Vec<AuditEntry> = found.into_iter().map(|(_, entry)| entry).collect();
        let expected: Vec<AuditEntry> = expected.iter().map(|at| entries[*at].clone()).collect();
        assert_eq!(found, expected, "{filter:?}");
    };
    let all = AuditFilter::default;
    let text = |text: &str| Some(text.to_owned());
    check(all(), &[0, 1, 2]);
    check(AuditFilter { after: Some(2.0), ..all() }, &[1, 2]);
    check(AuditFilter { before: Some(2.0), ..all() }, &[0]);
    check(AuditFilter { principal: text("ada"), ..all() }, &[0, 1]);
    check(AuditFilter { principal: text("k-1"), ..all() }, &[0, 1, 2]);
    check(AuditFilter { operation: text("PUT /b"), ..all() }, &[1]);
    check(AuditFilter { namespace: text("te"), ..all() }, &[1]);
    check(AuditFilter { is_refused: Some(true), ..all() }, &[2]);
    let newest = file.reader().audit(&all(), AuditOrder::NewestBefore(i64::MAX), 2).unwrap();
    assert_eq!(newest.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [3, 2]);
    let rest = file.reader().audit(&all(), AuditOrder::NewestBefore(2), 2).unwrap();
    assert_eq!(rest.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1]);
}

#[test]
fn what_is_old_or_too_much_goes_first_and_bit_by_bit() {
    let mut file = File::new("a");
    let entries: Vec<AuditEntry> = (0..10).map(|at| entry(f64::from(at), "x", &[])).collect();
    file.write(|writer| writer.add_audit(&entries)).unwrap();
    assert_eq!(file.write(|writer| writer.prune_audit(4.0, 100, 3)).unwrap(), 3);
    assert_eq!(file.write(|writer| writer.prune_audit(4.0, 100, 3)).unwrap(), 1);
    assert_eq!(file.write(|writer| writer.prune_audit(0.0, 2, 100)).unwrap(), 4);
    let all = AuditFilter::default();
    let left = file.reader().audit(&all, AuditOrder::OldestAfter(0), 100).unwrap();
    assert_eq!(left.iter().map(|(_, entry)| entry.at).collect::<Vec<_>>(), [8.0, 9.0]);
}
