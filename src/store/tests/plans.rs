//! Lists are read off an index in their order, whatever the filter: SQLite says how it goes about
//! a query, and its plans do not depend on how much the file holds (it keeps no statistics).

use rusqlite::params_from_iter;

use super::super::filter::{Conditions, Sql};
use super::super::ranges::Ranges;
use super::conditions::{SPACES, TAGS, TYPES};
use super::*;
use crate::memory::time_phrase::TimeRange;
use crate::memory::{PageEnd, TagMatch, normalise_tags};

/// Memories with every tag and type in both namespaces.
fn filled() -> File {
    let mut file = File::new("a");
    for name in SPACES {
        for kind in TYPES {
            let tags = TAGS.map(str::to_owned).to_vec();
            let text = format!("text {kind}");
            let memory_type = Some(kind.to_owned());
            let values = CreateValues { tags, memory_type, ..values(&text) };
            let created = file.write(|writer| {
                writer.create(&space(name), &values, OpKind::Create, meaning(&text))
            });
            created.unwrap();
        }
    }
    file
}

fn plan(file: &File, sql: Sql) -> String {
    let text = format!("EXPLAIN QUERY PLAN {}", sql.text);
    let mut statement = file.connection.prepare(&text).unwrap();
    let rows = statement.query_map(params_from_iter(sql.parameters), |row| row.get(3)).unwrap();
    rows.collect::<Result<Vec<String>, _>>().unwrap().join("\n")
}

/// The plan of a first or later page, after holding that nothing is sorted or scanned.
fn page_plan(file: &File, filter: &Filter, after: Option<PageEnd>) -> String {
    let conditions = Conditions::of(&file.connection, filter).unwrap();
    let mut sql = Ranges::of(&file.connection, &conditions).unwrap().page(after);
    sql.push("", [10_i64.into(), 0_i64.into()]);
    let plan = plan(file, sql);
    assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
    for line in plan.lines().filter(|line| line.contains("SCAN")) {
        // Only a list of more namespaces than can be merged goes through everything by time.
        assert!(line.contains("USING INDEX memory_by_time"), "{filter:?}: {plan}");
    }
    plan
}

fn check(filter: &Filter, index: &str) {
    let file = filled();
    let lower = if filter.created.after.is_some() { " AND created_at>?" } else { "" };
    let upper = if filter.created.before.is_some() { " AND created_at<?" } else { "" };
    let plan = page_plan(&file, filter, None);
    assert!(plan.contains(&format!("{index}{lower}{upper})")), "{filter:?}: {plan}");
    // A later page starts where the one before ended, not at the bound of the time range.
    let after = Some(PageEnd { created_at: 1000.0, row: 1 });
    let plan = page_plan(&file, filter, after);
    let ends = ["(created_at,row)<(?,?)", "created_at<?"];
    let seeks = |end: &&str| plan.contains(&format!("{index}{lower} AND {end})"));
    assert!(ends.iter().any(seeks), "{filter:?}: {plan}");
}

fn within(names: &[&str]) -> Filter {
    let names = names.iter().map(|name| space(name)).collect();
    Filter { namespaces: NamespaceSet::Only(names), ..Filter::default() }
}

fn tagged(tags: &[&str], tag_match: TagMatch) -> Filter {
    Filter { tags: normalise_tags(tags.iter().copied()).unwrap(), tag_match, ..within(&["other"]) }
}

fn typed(filter: Filter) -> Filter {
    Filter { memory_type: Some("note".to_owned()), ..filter }
}

fn timed(filter: Filter) -> Filter {
    Filter { created: TimeRange { after: Some(5.0), before: Some(2000.0) }, ..filter }
}

#[test]
fn every_list_is_read_off_its_index() {
    let by_namespace = "INDEX memory_by_namespace (namespace=?";
    let by_type = "INDEX memory_by_type (namespace=? AND memory_type=?";
    let by_tag = "SEARCH o USING PRIMARY KEY (tag_id=?";
    for filter in [within(&["other"]), within(&SPACES), everything()] {
        check(&filter, by_namespace);
        check(&timed(filter.clone()), by_namespace);
        check(&typed(filter.clone()), by_type);
        check(&timed(typed(filter)), by_type);
    }
    for tag_match in [TagMatch::Any, TagMatch::All] {
        for tags in [&["one"][..], &["one", "two"], &TAGS] {
            check(&tagged(tags, tag_match), by_tag);
            let everywhere = Filter { namespaces: NamespaceSet::All, ..tagged(tags, tag_match) };
            check(&everywhere, by_tag);
            check(&timed(everywhere), by_tag);
        }
    }
    // There are fewer memories of the type than with the tag.
    check(&typed(tagged(&["one"], TagMatch::Any)), by_type);
}

#[test]
fn more_namespaces_than_can_be_merged_are_read_in_order_of_time() {
    let mut file = filled();
    let names: Vec<String> = (0..40).map(|number| format!("space-{number:02}")).collect();
    for name in &names {
        let created = file.write(|writer| {
            writer.create(&space(name), &values("text"), OpKind::Create, meaning("text"))
        });
        created.unwrap();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let some_tags = Filter { tags: normalise_tags(["all"]).unwrap(), ..within(&names) };
    for filter in [everything(), within(&names), typed(within(&names)), some_tags] {
        let plan = page_plan(&file, &filter, None);
        assert!(plan.contains("memory_by_time"), "{filter:?}: {plan}");
        let expected = if filter == everything() { 46 } else { 40 };
        assert_eq!(file.reader().count(&filter).unwrap(), expected, "{filter:?}");
        assert_eq!(file.reader().rows(&filter).unwrap().len() as u64, expected, "{filter:?}");
        assert_eq!(file.reader().list(&filter, None, 0, 100).unwrap().len() as u64, expected);
    }
}

#[test]
fn counts_and_rows_do_not_touch_the_memories() {
    let file = filled();
    let two = tagged(&["one", "two"], TagMatch::Any);
    let both = tagged(&["one", "two"], TagMatch::All);
    for filter in [timed(everything()), timed(typed(everything())), two, both] {
        let conditions = Conditions::of(&file.connection, &filter).unwrap();
        let ranges = Ranges::of(&file.connection, &conditions).unwrap();
        for sql in [ranges.count(), ranges.rows()] {
            let plan = plan(&file, sql);
            for line in plan.lines().filter(|line| line.contains(" m ")) {
                assert!(line.contains("COVERING INDEX"), "{filter:?}: {plan}");
            }
        }
    }
}

#[test]
fn one_memory_is_found_by_its_key_and_exports_go_by_row() {
    let file = filled();
    let by_id = Sql::new("SELECT * FROM memory m WHERE m.id = x'00'");
    assert!(plan(&file, by_id).contains("(id=?)"));
    let mut export = Sql::new("SELECT m.row FROM memory m NOT INDEXED WHERE m.row > 5");
    let filter = typed(timed(tagged(&["one"], TagMatch::All)));
    export.append(Conditions::of(&file.connection, &filter).unwrap().tests());
    export.push(" ORDER BY m.row LIMIT 5", []);
    let plan = plan(&file, export);
    assert!(plan.contains("SEARCH m USING INTEGER PRIMARY KEY (rowid>?)"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}
