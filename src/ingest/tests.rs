use proptest::prelude::*;

use super::*;

fn options(chunk_chars: usize, overlap_chars: usize) -> IngestOptions {
    IngestOptions { chunk_chars, overlap_chars, ..IngestOptions::default() }
}

/// The contents of a file, errors as `! message`.
fn contents(name: &str, bytes: &[u8], options: &IngestOptions) -> Vec<String> {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).expect("file");
    let shown = |error: IngestError| {
        format!("! {error}").replace(&format!("{}/", directory.path().display()), "")
    };
    read_path(&path, options)
        .map(|item| item.map_or_else(shown, |item| item.memory.content))
        .collect()
}

fn check(name: &str, text: &str, expected: &[&str]) {
    assert_eq!(contents(name, text.as_bytes(), &options(100, 0)), expected, "{text:?}");
}

#[test]
fn markdown_is_cut_at_headings_which_stay_as_context() {
    check(
        "a.md",
        "intro\n\n# Guide #\n\n## Install\nRun it.\n\nThen look.\n\nLinux\n-----\npart\n# End\n",
        &["intro", "Guide > Install\n\nRun it.\n\nThen look.", "Guide > Linux\n\npart", "End"],
    );
    check("a.md", "#no heading\n\n    # neither\n", &["#no heading\n\n    # neither"]);
    check("a.rst", "Title\n=====\n\nA\n~~~\ntext\n", &["Title > A\n\ntext"]);
    check("a.txt", "# plain\ntext\n----\n", &["# plain\ntext\n----"]);
    check("a.md", "---\na: b\nc: d\n---\ntext\n", &["---\na: b\nc: d\n---\ntext"]);
    let long = "x".repeat(130);
    let parts = contents("a.md", format!("# {long}\n").as_bytes(), &options(1000, 0));
    assert_eq!(parts, [format!("# {long}")]);
}

#[test]
fn code_stays_whole_where_it_fits() {
    let code = "```sh\n# not a heading\n\nls\n```\n";
    let before = "word ".repeat(15);
    check(
        "a.md",
        &format!("{before}\n\n{code}after\n"),
        &[before.trim_end(), "```sh\n# not a heading\n\nls\n```\nafter"],
    );
    let line = "let a = 1; let b = 2;\n";
    let parts =
        contents("a.md", format!("~~~\n{}~~~\n", line.repeat(9)).as_bytes(), &options(100, 0));
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| part.lines().all(|l| l == line.trim_end() || l == "~~~")));
}

#[test]
fn an_open_fence_ends_with_the_file() {
    check("a.md", "```\n# x\n", &["```\n# x"]);
    check("a.md", "````\n```\n# x\n````\n# y\nz", &["````\n```\n# x\n````", "y\n\nz"]);
}

#[test]
fn newlines_marks_and_empty_files_do_not_matter() {
    check("a.md", "\u{feff}# T\r\n\r\na\r\nb\r\n", &["T\n\na\nb"]);
    check("a.txt", "", &[]);
    check("a.txt", " \n\r\n\t\n", &[]);
    check("a.txt", "\u{feff}x", &["x"]);
}

#[test]
fn a_long_paragraph_is_cut_at_sentences() {
    let text = "This sentence has forty characters in it. ".repeat(5);
    let parts = contents("a.txt", text.as_bytes(), &options(100, 0));
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| part.ends_with("it.")));
}

#[test]
fn metadata_tells_where_a_part_comes_from() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a.md");
    let text = "\u{feff}# T\nfirst\n# Ü\r\nsecond\n";
    std::fs::write(&path, text).expect("file");
    let options = IngestOptions { namespace: Some("n".parse().expect("valid")), ..options(100, 0) };
    let items: Vec<ImportItem> =
        read_path(&path, &options).map(|item| item.expect("readable")).collect();
    let memory = &items[1].memory;
    assert_eq!(memory.metadata["source"], path.display().to_string());
    assert_eq!(memory.metadata["position"], 1);
    assert_eq!(memory.metadata["heading"], "Ü");
    let at = |key: &str| memory.metadata[key].as_u64().expect("a number") as usize;
    assert_eq!(&text[at("byte_start")..at("byte_end")], "second");
    assert_eq!(memory.memory_type.as_deref(), Some("document"));
    assert_eq!(memory.namespace.as_str(), "n");
}

#[test]
fn bytes_that_are_no_text_are_named() {
    assert_eq!(contents("a.txt", b"a\0b", &options(100, 0)), ["! a.txt: not a text file"]);
    let bad = "! a.txt:3: not UTF-8; convert the file with `iconv -t utf-8` first";
    assert_eq!(contents("a.txt", b"one\n\n\xff\ntwo", &options(100, 0)), ["one", bad]);
    let cut = [b"x".repeat(16 * 1024 - 1), "é".as_bytes().to_vec(), b"\xc3".to_vec()].concat();
    let parts = contents("a.txt", &cut, &options(16_000, 0));
    assert!(parts.last().is_some_and(|part| part.starts_with("! a.txt:1: not UTF-8")));
}

#[test]
fn a_late_nul_refuses_its_part_only() {
    let text = format!("{}\n\na\0b\n\n{}", "x".repeat(70_000), "y".repeat(90));
    let parts = contents("a.txt", text.as_bytes(), &options(100, 0));
    let refused = parts.iter().filter(|part| part.starts_with("! a.txt: part 700:")).count();
    assert_eq!((parts.len(), refused), (702, 1));
}

#[test]
fn jsonl_is_known_by_name_or_by_its_first_byte() {
    let line = "{\"content\":\"a\"}\n{\n{\"content\":\"b\"}\n";
    for name in ["a.jsonl", "a.NDJSON", "a", "a.dump"] {
        let found = contents(name, line.as_bytes(), &options(100, 0));
        assert_eq!((&*found[0], &*found[2]), ("a", "b"), "{name}");
        let problem = "EOF while parsing an object (column 1)";
        assert_eq!(found[1], format!("! {name}:2: {problem}"));
    }
    assert_eq!(contents("a.json", b"[{\"content\":\"a\"}]", &options(100, 0)), ["a"]);
    let mut from_stdin = read_stream(Box::new(line.as_bytes()), "-", &options(100, 0));
    let first = from_stdin.next().expect("a line").expect("valid");
    assert_eq!(from_stdin.place(&first), "-:1");
    assert_eq!(from_stdin.count(), 2);
}

#[test]
fn a_directory_is_read_file_by_file() {
    let directory = tempfile::tempdir().expect("directory");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(directory.path().join(name), bytes).expect("file");
    };
    write("a.txt", b"one");
    write("b.txt", b"\0\x01");
    write("c.md", b"# T\ntwo");
    let mut reader = read_path(directory.path(), &options(100, 0));
    let texts: Vec<String> =
        reader.by_ref().map(|item| item.expect("readable").memory.content).collect();
    assert_eq!(texts, ["one", "T\n\ntwo"]);
    assert_eq!((reader.skipped().binary, reader.file_count()), (1, 2));
    assert!(reader.file().ends_with("c.md"));
    assert_eq!(total_bytes(directory.path(), &options(100, 0)), 12);
    assert_eq!(reader.bytes_read(), 10);

    let few = IngestOptions { files_max: 1, ..options(100, 0) };
    let found: Vec<_> = read_path(directory.path(), &few).collect();
    assert!(matches!(found[1], Err(IngestError::TooManyFiles { files_max: 1, .. })));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_missing_file_is_one_error() {
    let found: Vec<_> = read_path(Path::new("/nonexistent/x"), &options(100, 0)).collect();
    assert!(matches!(found[..], [Err(IngestError::Io { .. })]));
}

#[test]
fn a_sqlite_file_is_known_by_its_start() {
    let file = tempfile::NamedTempFile::new().expect("file");
    assert!(!is_sqlite(file.path()).expect("readable"));
    std::fs::write(file.path(), b"SQLite format 3\0rest").expect("file");
    assert!(is_sqlite(file.path()).expect("readable"));
}

/// Text with what cutting looks at: headings, fences, blank lines, long words, wide characters.
fn markdown() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zé]{1,9}",
        Just(" ".to_owned()),
        Just(". ".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\n# ".to_owned()),
        Just("\n### ".to_owned()),
        Just("\n---\n".to_owned()),
        Just("\n```\n".to_owned()),
        Just("\n- ".to_owned()),
        Just("。".to_owned()),
        "[日本😀x]{60,150}",
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn parts_cover_the_text_in_order(text in markdown(), overlap in 0_usize..120) {
        for name in ["a.md", "a.txt"] {
            let options = options(100, overlap);
            let markup = match name {
                "a.md" => chunk::Markup::Markdown,
                _ => chunk::Markup::Plain,
            };
            let parts = text::TextParts::new(
                Box::new(io::Cursor::new(text.clone().into_bytes())), name.into(), markup, &options,
            );
            let mut covered = vec![false; text.len()];
            let mut start_before = 0;
            let mut titles = String::new();
            for item in parts {
                let memory = item.expect("valid text").memory;
                let at = |key: &str| memory.metadata[key].as_u64().expect("a number") as usize;
                let (start, end) = (at("byte_start"), at("byte_end"));
                let body = text.get(start..end).expect("cut between characters");
                prop_assert!(body.chars().count() <= 100);
                prop_assert!(start >= start_before, "{start} comes after {start_before}");
                start_before = start;
                let heading = memory.metadata.get("heading").and_then(|text| text.as_str());
                let heading = heading.unwrap_or_default();
                titles.push_str(heading);
                let expected = [heading, &body.replace("\r\n", "\n")]
                    .into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n");
                prop_assert_eq!(&memory.content, &expected);
                covered[start..end].fill(true);
            }
            // What no part covers is white space, or a heading and its marks.
            let mut line_start = 0;
            for line in text.split_inclusive('\n') {
                let left: String = line.char_indices()
                    .filter(|(at, c)| !covered[line_start + at] && !c.is_whitespace())
                    .map(|(_, c)| c).collect();
                let title = line.trim().trim_matches('#').trim();
                let is_mark = title.chars().all(|c| c == '-');
                prop_assert!(
                    left.is_empty() || (name == "a.md" && (is_mark || titles.contains(title))),
                    "lost {left:?}"
                );
                line_start += line.len();
            }
        }
    }
}
