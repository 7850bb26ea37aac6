//! Prometheus as the judge of what nodes show: its own rules engine, fed with scrapes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::client::Client;
use super::skip;

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/observability/alerts.yml");
/// Fires for every disk that has less than 1 GB, such as that of many a machine of tests.
pub const DISK_LOW: &str = "MemnodeDiskLow";

/// What one node showed, one scrape after the other.
pub struct Course {
    /// How long it is from one sample to the next.
    step: &'static str,
    /// Each with how many samples it stands for; `None` where the node did not answer.
    scrapes: Vec<(Option<String>, usize)>,
}

impl Course {
    /// Samples a minute apart, as `prometheus.yml` has it within a factor.
    pub fn new() -> Self {
        Course { step: "1m", scrapes: Vec::new() }
    }

    /// Samples as far apart as Prometheus allows, for what takes days.
    pub fn of_days() -> Self {
        Course { step: "5m", scrapes: Vec::new() }
    }

    /// Adds a scrape: so many samples in which nothing changed.
    pub fn then(mut self, scrape: impl Into<String>, count: usize) -> Self {
        self.scrapes.push((Some(scrape.into()), count));
        self
    }

    /// Scrapes a node that is not there.
    pub fn then_none_of(mut self, client: &Client, count: usize) -> Self {
        let answer = client.try_send("GET", "/metrics", &[], Vec::new());
        assert!(answer.is_err(), "the node is there");
        self.scrapes.push((None, count));
        self
    }

    /// Lets Prometheus judge: at the end exactly these alerts fire. False where there is no
    /// Prometheus. How full the disk of this machine is, is judged only when that is asked.
    #[track_caller]
    pub fn fires(&self, alerts: &[&str]) -> bool {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("case.yml");
        std::fs::write(&path, self.case(alerts)).expect("a file");
        let Some(told) = promtool(&path) else { return false };
        assert!(told.is_empty(), "{told}");
        true
    }

    fn case(&self, alerts: &[&str]) -> String {
        let (step, count) = (self.step, self.scrapes.iter().map(|(_, count)| count).sum::<usize>());
        let minutes = (count - 1) * step.trim_end_matches('m').parse::<usize>().expect("minutes");
        let judged = if alerts.contains(&DISK_LOW) { "" } else { DISK_LOW };
        let sample = |name: &&str| {
            format!("          - labels: '{{alertname=\"{name}\"}}'\n            value: 1\n")
        };
        let expected: String = alerts.iter().map(sample).collect();
        let expected = if expected.is_empty() { " []".to_owned() } else { format!("\n{expected}") };
        format!(
            "rule_files: ['{RULES}']\nevaluation_interval: {step}\ntests:\n  \
             - interval: {step}\n    \
             input_series:\n{}    promql_expr_test:\n      - expr: 'group by (alertname) \
             (ALERTS{{alertstate=\"firing\",alertname!=\"{judged}\"}})'\n        \
             eval_time: {minutes}m\n        exp_samples:{expected}\n",
            self.series(),
        )
    }

    /// The scrapes as Prometheus keeps them, in the notation of its tests.
    fn series(&self) -> String {
        let mut all: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
        for (index, (scrape, _)) in self.scrapes.iter().enumerate() {
            let up = ("up".to_owned(), f64::from(u8::from(scrape.is_some())));
            for (name, value) in samples(scrape.as_deref().unwrap_or_default()).chain([up]) {
                all.entry(name).or_insert_with(|| vec![None; self.scrapes.len()])[index] =
                    Some(value);
            }
        }
        all.iter().map(|(name, values)| self.one_series(name, values)).collect()
    }

    fn one_series(&self, name: &str, values: &[Option<f64>]) -> String {
        let (name, labels) = match name.split_once('{') {
            Some((name, labels)) => (name, format!(",{labels}")),
            None => (name, "}".to_owned()),
        };
        let values = values.iter().zip(&self.scrapes).map(|(value, (_, count))| match value {
            // A value and how often it comes again; without an exponent, which would not be read.
            Some(value) => format!("{value}x{}", count - 1),
            None => format!("_x{count}"),
        });
        let values: Vec<String> = values.collect();
        let values = values.join(" ");
        format!(
            "      - series: '{name}{{instance=\"a\",job=\"memnode\"{labels}'\n        \
             values: '{values}'\n"
        )
    }
}

/// The names, with labels, and values of a scrape.
fn samples(scrape: &str) -> impl Iterator<Item = (String, f64)> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    })
}

/// What is wrong with a case; `None`, after `skip`, where there is no Prometheus.
fn promtool(path: &Path) -> Option<String> {
    let Ok(output) = Command::new("promtool").args(["test", "rules"]).arg(path).output() else {
        skip("promtool, of Debian's package prometheus, is not here");
        return None;
    };
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() { String::new() } else { told })
}

/// What a node shows.
pub fn scrape(client: &Client) -> String {
    client.get("/metrics").expect(200).text()
}

/// Waits until a node shows all of these lines.
#[track_caller]
pub fn scrape_with(client: &Client, lines: &[&str]) -> String {
    super::eventually(&format!("the node shows {lines:?}"), || {
        let text = scrape(client);
        let shows = |line: &&str| text.lines().any(|shown| shown == *line);
        lines.iter().all(shows).then_some(text)
    })
}
