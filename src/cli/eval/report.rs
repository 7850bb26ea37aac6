//! What was measured, as a table and as JSON.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::output::{counted, grouped, table};
use super::measure::{GAIN_DEPTH, Measures};
use super::resample::{Estimate, estimate};

/// All questions, whatever their class.
const ALL: &str = "all";

/// How one mode did.
pub(super) struct Measured {
    /// Its name.
    pub(super) mode: &'static str,
    /// One for each question, in their order.
    pub(super) of_queries: Vec<Measures>,
}

/// What was measured.
pub(super) struct Report {
    /// The name of the set.
    pub(super) name: String,
    /// Its memories.
    pub(super) document_count: usize,
    /// Which questions were asked.
    pub(super) half: &'static str,
    /// Where recall was taken.
    pub(super) cuts: Vec<usize>,
    /// The class of each question.
    pub(super) classes: Vec<String>,
    /// The group of each question.
    pub(super) groups: Vec<String>,
    /// The modes.
    pub(super) measured: Vec<Measured>,
}

/// The lines of one class.
struct Part {
    class: String,
    query_count: usize,
    modes: Vec<(&'static str, Vec<Estimate>)>,
    /// What hybrid is compared with in each column, and by how much it is better.
    gains: Vec<(&'static str, Estimate)>,
}

impl Report {
    fn columns(&self) -> Vec<String> {
        let recall = self.cuts.iter().map(|cut| format!("recall@{cut}"));
        recall.chain(["MRR".to_owned(), format!("nDCG@{GAIN_DEPTH}")]).collect()
    }

    fn parts(&self) -> Vec<Part> {
        let classes: BTreeSet<&str> = self.classes.iter().map(String::as_str).collect();
        let mut parts = vec![self.part(ALL)];
        if classes.len() > 1 {
            parts.extend(classes.into_iter().map(|class| self.part(class)));
        }
        parts
    }

    fn part(&self, class: &str) -> Part {
        let places: Vec<usize> = (0..self.classes.len())
            .filter(|place| class == ALL || self.classes[*place] == class)
            .collect();
        let groups: Vec<&str> = places.iter().map(|place| self.groups[*place].as_str()).collect();
        let columns = self.columns().len();
        let values = |measured: &Measured, column: usize| -> Vec<f64> {
            let of_query = |place: &usize| measured.of_queries[*place].columns().nth(column);
            places.iter().filter_map(of_query).collect()
        };
        let modes = self.measured.iter().map(|measured| {
            let estimates =
                (0..columns).map(|column| estimate(&values(measured, column), &groups)).collect();
            (measured.mode, estimates)
        });
        let modes: Vec<(&'static str, Vec<Estimate>)> = modes.collect();
        let gains = (0..columns).filter_map(|column| {
            let hybrid = self.measured.iter().find(|measured| measured.mode == "hybrid")?;
            let (single, other) = self
                .measured
                .iter()
                .zip(&modes)
                .filter(|(measured, _)| measured.mode != "hybrid")
                .max_by(|(_, a), (_, b)| a.1[column].mean.total_cmp(&b.1[column].mean))?;
            let pairs = values(hybrid, column).into_iter().zip(values(single, column));
            let differences: Vec<f64> = pairs.map(|(a, b)| a - b).collect();
            Some((other.0, estimate(&differences, &groups)))
        });
        let gains = gains.collect();
        Part { class: class.to_owned(), query_count: places.len(), modes, gains }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{}: {}, {} ({})\n",
            self.name,
            counted(self.document_count as u64, "memory", "memories"),
            counted(self.classes.len() as u64, "question", "questions"),
            self.half
        );
        for part in self.parts() {
            let mut header = vec![format!("{} ({})", part.class, grouped(part.query_count as u64))];
            header.extend(self.columns());
            let mut rows = vec![header];
            for (mode, estimates) in &part.modes {
                let mut row = vec![(*mode).to_owned()];
                row.extend(estimates.iter().map(shown));
                rows.push(row);
            }
            if !part.gains.is_empty() {
                let mut row = vec!["hybrid - best single".to_owned()];
                row.extend(part.gains.iter().map(|(_, gain)| difference(gain)));
                rows.push(row);
            }
            text.push('\n');
            text.push_str(&table(&rows));
        }
        text
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        let columns = self.columns();
        let object = |estimates: &mut dyn Iterator<Item = Value>| -> Value {
            columns.iter().cloned().zip(estimates).collect::<serde_json::Map<_, _>>().into()
        };
        let parts: Vec<Value> = self
            .parts()
            .iter()
            .map(|part| {
                let modes = part.modes.iter().map(|(mode, estimates)| {
                    ((*mode).to_owned(), object(&mut estimates.iter().map(numbers)))
                });
                let gains = part.gains.iter().map(|(single, gain)| {
                    let mut gain = numbers(gain);
                    gain["over"] = json!(single);
                    gain
                });
                let mut gains = gains;
                json!({"class": part.class, "queries": part.query_count,
                    "modes": modes.collect::<serde_json::Map<_, _>>(),
                    "hybrid_minus_best_single": object(&mut gains)})
            })
            .collect();
        json!({"dataset": self.name, "documents": self.document_count, "half": self.half,
            "queries": self.classes.len(), "classes": parts})
    }
}

fn shown(estimate: &Estimate) -> String {
    format!("{:.3} [{:.3}, {:.3}]", estimate.mean, estimate.low, estimate.high)
}

fn difference(estimate: &Estimate) -> String {
    format!("{:+.3} [{:+.3}, {:+.3}]", estimate.mean, estimate.low, estimate.high)
}

fn numbers(estimate: &Estimate) -> Value {
    json!({"mean": estimate.mean, "low": estimate.low, "high": estimate.high})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let of = |gain: f64| Measures { recall: vec![gain], reciprocal_rank: gain, gain };
        let measured = |mode, gains: [f64; 3]| Measured {
            mode,
            of_queries: gains.into_iter().map(of).collect(),
        };
        Report {
            name: "a.jsonl".to_owned(),
            document_count: 1_200,
            half: "all",
            cuts: vec![5],
            classes: ["x", "y", "y"].map(str::to_owned).to_vec(),
            groups: ["1", "2", "3"].map(str::to_owned).to_vec(),
            measured: vec![
                measured("semantic", [0.0, 0.5, 0.5]),
                measured("keyword", [0.0, 1.0, 1.0]),
                measured("hybrid", [1.0, 1.0, 1.0]),
            ],
        }
    }

    #[test]
    fn hybrid_is_held_against_the_better_of_the_others() {
        let text = report().text();
        assert!(
            text.starts_with("a.jsonl: 1,200 memories, 3 questions (all)\n\nall (3)"),
            "{text}"
        );
        assert!(text.contains("keyword               0.667 [0.000, 1.000]"), "{text}");
        assert!(text.contains("hybrid - best single  +0.333 [+0.000, +1.000]"), "{text}");
        assert!(text.contains("\n\ny (2)"), "{text}");
    }

    #[test]
    fn the_document_holds_every_class_and_mode() {
        let document = report().document();
        assert_eq!(document["documents"], 1_200);
        let y = &document["classes"][2];
        assert_eq!((&y["class"], &y["queries"]), (&json!("y"), &json!(2)));
        assert_eq!(y["modes"]["hybrid"]["recall@5"]["mean"], 1.0);
        let gain = &document["classes"][0]["hybrid_minus_best_single"]["nDCG@10"];
        assert_eq!(gain["over"], "keyword");
    }
}
