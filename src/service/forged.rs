//! Changes of API keys that prove nothing: somebody who may publish to the servers between the
//! nodes tries to make a key.

use super::{AlarmView, Service};
use crate::store::{ForgedKeys, StoreError};

/// The stable name of the alarm.
pub(super) const ALARM: &str = "forged_key";

/// The alarm, while such changes lie in quarantine and were not given up.
pub(super) fn alarm(found: Option<ForgedKeys>) -> Option<AlarmView> {
    let ForgedKeys { count, dot, first_at, last_at } = found?;
    Some(AlarmView {
        kind: ALARM,
        subject: dot.origin.to_string(),
        detail: format!(
            "{count} writes change API keys without proof that their author knows the cluster's \
             secret, first: `{dot}`; they do nothing here: see who may publish to NATS, and give \
             them up with `memnode cluster quarantine void`"
        ),
        since: first_at,
        last: last_at,
    })
}

impl Service {
    /// The stable names of the alarms that the file knows of.
    pub(super) async fn alarms_of_file(&self) -> Result<Vec<&'static str>, StoreError> {
        let forged = self.read(|reader| reader.forged_keys()).await?;
        let alarms = [self.file_alarm(), alarm(forged)];
        Ok(alarms.into_iter().flatten().map(|alarm| alarm.kind).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_says_who_and_what_to_do() {
        assert!(alarm(None).is_none());
        let dot: memnode_cluster::Dot = "node-9~00c0ffee00c0ffee:7".parse().expect("a dot");
        let found = ForgedKeys { count: 2, dot, first_at: 10.0, last_at: 20.0 };
        let alarm = alarm(Some(found)).expect("an alarm");
        assert_eq!((alarm.kind, alarm.since, alarm.last), (ALARM, 10.0, 20.0));
        assert!(alarm.subject.starts_with("node-9"), "{}", alarm.subject);
        assert!(alarm.detail.contains("2 writes"), "{}", alarm.detail);
    }
}
