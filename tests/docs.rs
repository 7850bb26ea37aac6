//! Holds the documents to the program: no setting undocumented, no link into nothing.

use std::fs;
use std::path::{Path, PathBuf};

const DEFAULTS: &str = include_str!("../src/config.default.toml");
/// Of the picture in the README: whoever opens the page loads it.
const PICTURE_BYTES_MAX: u64 = 150_000;

#[test]
fn the_settings_page_shows_every_setting_as_the_defaults_do() {
    let page = read(&root().join("docs/settings.md"));
    let rows = setting_rows();
    assert!(rows.len() >= 30, "the defaults are readable");
    for row in &rows {
        assert!(page.contains(row.as_str()), "docs/settings.md lacks:\n{row}");
    }
    let shown = page.lines().filter(|line| line.starts_with("| `") && line.contains("<br>"));
    assert_eq!(shown.count(), rows.len(), "docs/settings.md shows a setting that is gone");
}

#[test]
fn every_link_of_the_documents_leads_to_a_file() {
    let docs = fs::read_dir(root().join("docs")).expect("there are docs");
    let pages = docs.map(|entry| entry.expect("readable").path()).chain([root().join("README.md")]);
    for page in pages.filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let directory = page.parent().expect("a file lies in a directory").to_owned();
        for link in links(&read(&page)) {
            let target = link.split('#').next().unwrap_or_default();
            let exists = target.is_empty() || directory.join(target).exists();
            assert!(exists, "{}: {link} leads nowhere", page.display());
        }
    }
}

#[test]
fn the_picture_of_the_readme_is_there_and_small() {
    let picture =
        fs::metadata(root().join("docs/dashboard.webp")).expect("`make picture` takes it");
    assert!(picture.len() < PICTURE_BYTES_MAX, "{} bytes", picture.len());
    assert!(read(&root().join("README.md")).contains("](docs/dashboard.webp)"));
}

/// A row for each setting: its three names, its default, the comment above it.
fn setting_rows() -> Vec<String> {
    let (mut rows, mut section, mut comment) = (Vec::new(), "", Vec::new());
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some(text) = line.strip_prefix("# ") {
            comment.push(text);
            continue;
        } else if let Some((key, value)) = line.split_once(" = ") {
            let names = comment.pop().expect("a setting has names");
            let (variable, flag) = names.split_once(", ").expect("a variable and a flag");
            let value = match value.trim_matches('"') {
                "" => "not set".to_owned(),
                "[]" => "none".to_owned(),
                value => format!("`{value}`"),
            };
            let meaning = comment.join(" ");
            rows.push(format!(
                "| `{section}.{key}`<br>`{variable}`<br>`{flag}` | {value} | {meaning} |"
            ));
        }
        comment.clear();
    }
    rows
}

/// The relative targets of Markdown links.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains("://"))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
