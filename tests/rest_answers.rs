//! What `/api/search` makes of a question: names, times, phrases, operators, slips of the pen, and
//! what was said around an answer.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::rest::{contents, import, search, store, store_text};

fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    (server, client)
}

/// Turns of a conversation, half a minute apart.
fn say(client: &Client, start: f64, session: Option<&str>, turns: &[&str]) {
    let memories: Vec<Value> = turns
        .iter()
        .zip(0..)
        .map(|(text, place)| {
            let metadata = session.map_or(json!({}), |session| json!({"session_id": session}));
            json!({"content": text, "created_at": start + 30.0 * f64::from(place),
                "metadata": metadata})
        })
        .collect();
    import(client, &memories);
}

const MAY_8: f64 = 1_683_540_000.0;
const JUNE_9: f64 = 1_686_304_800.0;

fn two_friends(client: &Client) {
    say(
        client,
        MAY_8,
        Some("1"),
        &[
            "Caroline: Hey Mel! Good to see you. How have you been?",
            "Melanie: Hey Caroline! I'm swamped with the kids and work. What's up with you?",
            "Caroline: I went to a support group yesterday and it was so powerful.",
            "Melanie: Wow, that's cool, Caroline! What happened that was so awesome?",
            "Caroline: The stories were so inspiring, I felt accepted.",
        ],
    );
    say(
        client,
        JUNE_9,
        Some("2"),
        &[
            "Melanie: I painted that lake sunrise last year, see?",
            "Caroline: Thanks, Melanie! That's really sweet. Is this your own painting?",
            "Melanie: Yeah, I did it with oils! It's special to me.",
            "Melanie: I went camping with my family in the mountains.",
            "Caroline: That sounds fun. I went to a school event, Melanie.",
        ],
    );
}

fn check_first(client: &Client, query: &str, expected: &str) {
    for mode in ["hybrid", "keyword"] {
        let found = search(client, json!({"query": query, "mode": mode, "n_results": 3}));
        let contents = contents(&found);
        let first = contents.first().map(String::as_str).unwrap_or_default();
        assert!(first.contains(expected), "{mode} {query}: {contents:?}");
    }
}

#[test]
fn names_lead_to_those_who_speak() {
    let (_server, client) = serve();
    two_friends(&client);
    check_first(&client, "When did Caroline go to the support group?", "support group yesterday");
    check_first(&client, "What did Melanie paint?", "lake sunrise");
    check_first(&client, "Where did Melanie go?", "camping");
    check_first(&client, "Which event did Caroline go to?", "school event");
}

#[test]
fn an_answer_is_found_by_the_question_before_it() {
    let (_server, client) = serve();
    say(
        &client,
        MAY_8,
        None,
        &["Ann: What is the name of your new parrot?", "Bob: Mango! It just fit.", "Ann: Lovely."],
    );
    (0..60).for_each(|n| drop(store_text(&client, &format!("Note {n} on fruit such as mangos"))));
    let found = search(&client, json!({"query": "name of the parrot", "n_results": 2}));
    let found_contents = contents(&found);
    assert_eq!(found_contents[1], "Bob: Mango! It just fit.", "{found}");
    assert!(found["results"][1]["score"]["context"].as_f64() > Some(0.0), "{found}");
    // Nothing is lent across conversations, and nothing that a filter leaves out.
    let alone = json!({"query": "name of the parrot", "n_results": 2, "before": "2023-05-01"});
    assert_eq!(search(&client, alone)["results"], json!([]));
}

#[test]
fn a_time_in_the_question_is_evidence_and_no_condition() {
    let (_server, client) = serve();
    let at = |text: &str, time: f64| json!({"content": text, "created_at": time});
    import(
        &client,
        &[
            at("the standup decided to ship the parser", MAY_8),
            at("the standup decided to ship the lexer", JUNE_9),
        ],
    );
    check_first(&client, "what did the standup decide in May 2023?", "parser");
    check_first(&client, "what did the standup decide in June 2023?", "lexer");
    let found = search(&client, json!({"query": "what did the standup decide in June 2023?"}));
    assert_eq!(found["total_found"], 2, "{found}");
}

#[test]
fn operators_in_the_text_are_conditions_in_every_mode() {
    let (_server, client) = serve();
    store(&client, json!({"content": "paint the fence", "tags": ["home"], "memory_type": "task"}));
    store(&client, json!({"content": "paint the office", "tags": ["work", "big plan"]}));
    import(&client, &[json!({"content": "paint the old shed", "created_at": MAY_8})]);
    for mode in ["semantic", "keyword", "hybrid"] {
        let check = |query: &str, expected: &[&str]| {
            let mut found = contents(&search(&client, json!({"query": query, "mode": mode})));
            found.sort_unstable();
            assert_eq!(found, expected, "{mode} {query}");
        };
        check("tag:home paint", &["paint the fence"]);
        check("paint tag:\"big plan\" tag:work", &["paint the office"]);
        check("type:task paint", &["paint the fence"]);
        check("paint before:2023-06-01", &["paint the old shed"]);
        check("paint after:2023-06-01 tag:nothing", &[]);
        check("tag:home", &["paint the fence"]);
    }
    let both = json!({"query": "tag:home paint", "tags": ["work", "garden"]});
    client.post("/api/search", both).expect_problem(422, "contradicting_tags");
    let types = json!({"query": "type:task paint", "memory_type": "note"});
    client.post("/api/search", types).expect_problem(422, "contradicting_types");
}

#[test]
fn a_quoted_phrase_comes_first() {
    let (_server, client) = serve();
    store_text(&client, "chances are that the second try works; a second of many chances");
    store_text(&client, "A talk about second chances and other things that one says of life");
    check_first(&client, "\"second chances\"", "A talk about");
    check_first(&client, "what was that about \"second chances\" again", "A talk about");
}

#[test]
fn slips_and_parts_of_names_are_forgiven() {
    let (_server, client) = serve();
    store_text(&client, "call getUserName before saveSession, see src/store/words.rs");
    store_text(&client, "Caroline prefers tea");
    store_text(&client, "the weather is nice");
    check_first(&client, "Carolin", "tea");
    check_first(&client, "Caorline", "tea");
    check_first(&client, "getUserNam", "getUserName");
    check_first(&client, "words.rs", "words.rs");
    check_first(&client, "Acroline", "tea");
    check_first(&client, "egtUserName", "getUserName");
    let found = search(&client, json!({"query": "user name", "mode": "keyword"}));
    assert_eq!(contents(&found).len(), 1, "{found}");
    let found = search(&client, json!({"query": "zzzzzz", "mode": "keyword"}));
    assert_eq!(found["results"], json!([]));
}

#[test]
fn scores_of_hybrid_searches_are_shares_in_the_order_of_the_results() {
    let (_server, client) = serve();
    two_friends(&client);
    for query in ["What did Melanie paint?", "\"support group\"", "mountains", "\u{1f3d4}"] {
        let found = search(&client, json!({"query": query}));
        let results = found["results"].as_array().expect("results");
        let scores: Vec<f64> = results
            .iter()
            .map(|result| result["similarity_score"].as_f64().expect("a score"))
            .collect();
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{query}: {scores:?}");
        assert!(scores.is_sorted_by(|a, b| a >= b), "{query}: {scores:?}");
        assert!(!scores.is_empty(), "{query}");
    }
}

#[test]
fn fresh_memories_come_first_where_that_is_asked_for() {
    let (_server, client) = serve();
    import(&client, &[json!({"content": "the door code is 4711", "created_at": MAY_8})]);
    store_text(&client, "the code of the door is now something else, ask Ann about it");
    let ask = |boost: bool| {
        let body = json!({"query": "the door code is", "recency_boost": boost,
            "recency_weight": 0.5});
        search(&client, body)
    };
    assert_eq!(contents(&ask(false))[0], "the door code is 4711");
    let fresh = ask(true);
    assert_eq!(contents(&fresh)[1], "the door code is 4711");
    assert!(fresh["results"][0]["score"]["recency"].as_f64() > Some(0.99), "{fresh}");
    let body = json!({"query": "x", "recency_weight": 2});
    client.post("/api/search", body).expect_problem(422, "invalid_body");
}

#[test]
fn an_empty_query_lists_the_newest() {
    let (_server, client) = serve();
    two_friends(&client);
    for query in ["", " \n\u{3000}"] {
        for mode in ["semantic", "keyword", "hybrid"] {
            let found = search(&client, json!({"query": query, "mode": mode, "n_results": 2}));
            assert_eq!(found["search_type"], "newest");
            assert!(contents(&found)[0].contains("school event"), "{found}");
            assert_eq!(found["total_found"], 2);
        }
    }
    let tagged = json!({"query": "", "tags": ["none"]});
    assert_eq!(search(&client, tagged)["results"], json!([]));
}

#[test]
fn odd_queries_are_answered_or_refused_at_once() {
    let (_server, client) = serve();
    two_friends(&client);
    for mode in ["semantic", "keyword", "hybrid"] {
        let ask = |query: &str| client.post("/api/search", json!({"query": query, "mode": mode}));
        ask(&"x ".repeat(50_000)).expect_problem(422, "query_too_long");
        for query in [
            "what is the of and",
            "\"unbalanced AND (NOT",
            "\"\"\"\"",
            "tag: type: before: after:",
            "before:never after:ever",
            "\u{1f600}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{5de}\u{5d4} \u{5e7}\u{5e8}\u{5d4} \u{5d0}\u{5ea}\u{5de}\u{5d5}\u{5dc}?",
            "\u{202e}\u{627}\u{644}\u{633}\u{644}\u{627}\u{645} \u{639}\u{644}\u{64a}\u{643}",
            &"ab ".repeat(5_000),
            &"a".repeat(16_000),
            &"\"a b\" ".repeat(2_000),
            &"tag:x ".repeat(2_000),
            "in 9999-12-31 and 0001-01-01",
        ] {
            ask(query).expect(200);
        }
    }
    let tags: Vec<String> = (0..10_000).map(|n| format!("t{n}")).collect();
    for mode in ["semantic", "keyword", "hybrid"] {
        let body = json!({"query": "x", "mode": mode, "tags": tags});
        assert_eq!(client.post("/api/search", body).status, 422);
    }
}

/// Memories of few words, so that many hold some of a question's, with labels of all kinds.
fn labelled(count: usize) -> Vec<Value> {
    const WORDS: [&str; 12] = [
        "paper", "printer", "ink", "office", "garden", "tomato", "water", "fence", "bill", "bank",
        "visit", "doctor",
    ];
    let mut state = 20_261_123_u64;
    let mut draw = move |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut memory = |number: usize| {
        let words: Vec<&str> = (0..3 + draw(6)).map(|_| WORDS[draw(WORDS.len())]).collect();
        json!({"content": format!("{} {number}", words.join(" ")),
            "tags": [format!("t{}", draw(3)), format!("u{}", draw(8))],
            "memory_type": if draw(2) == 0 { "note" } else { "task" },
            "metadata": {"n": draw(4)},
            "created_at": 1_700_000_000 + draw(1_000)})
    };
    (0..count).map(&mut memory).collect()
}

#[test]
fn a_filter_leaves_of_the_answer_what_it_leaves_of_the_memories() {
    let (_server, client) = serve();
    let memories = labelled(90);
    import(&client, &memories);
    let tags = |memory: &Value| memory["tags"].to_string();
    let has = |memory: &Value, tag: &str| tags(memory).contains(&format!("\"{tag}\""));
    let time = |memory: &Value| memory["created_at"].as_f64().expect("a time");
    type Test<'t> = Box<dyn Fn(&Value) -> bool + 't>;
    let filters: Vec<(Value, Test<'_>)> = vec![
        (json!({"tags": ["t1"]}), Box::new(|memory| has(memory, "t1"))),
        (json!({"tags": ["u1", "u2"]}), Box::new(|one| has(one, "u1") || has(one, "u2"))),
        (
            json!({"tags": ["t0", "u3"], "tag_match": "all"}),
            Box::new(|memory| has(memory, "t0") && has(memory, "u3")),
        ),
        (json!({"memory_type": "task"}), Box::new(|memory| memory["memory_type"] == "task")),
        (json!({"metadata": {"n": 2}}), Box::new(|memory| memory["metadata"]["n"] == 2)),
        (json!({"after": "1700000500"}), Box::new(|memory| time(memory) >= 1_700_000_500.0)),
        (
            json!({"before": "1700000300", "memory_type": "note", "tags": ["t2"]}),
            Box::new(|memory| {
                time(memory) < 1_700_000_300.0
                    && memory["memory_type"] == "note"
                    && has(memory, "t2")
            }),
        ),
    ];
    for mode in ["keyword", "hybrid"] {
        for query in ["water the tomato", "paper for the printer", "bank", "docter's bill"] {
            let ask = |filter: &Value| {
                let mut body = json!({"query": query, "mode": mode, "n_results": 100});
                body.as_object_mut()
                    .expect("an object")
                    .extend(filter.as_object().cloned().unwrap());
                let found = search(&client, body);
                found["results"].as_array().expect("results").clone()
            };
            let all = ask(&json!({}));
            for (filter, holds) in &filters {
                let expected = all.iter().filter(|result| holds(&result["memory"]));
                let expected: Vec<_> = expected
                    .map(|result| (&result["memory"]["content"], &result["score"]))
                    .collect();
                let found = ask(filter);
                let found: Vec<_> =
                    found.iter().map(|one| (&one["memory"]["content"], &one["score"])).collect();
                assert_eq!(found, expected, "{mode} {query} {filter}");
            }
        }
    }
}
