//! Three clients at once on one file, beside a server, while its owner is killed over and over:
//! nothing that was acknowledged is missing, nothing is there twice, and every client gets its
//! own answer once.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::common::eventually;
use crate::common::node::{Place, Server};
use crate::common::window::{Window, text};

/// Stores of each client.
const STORE_COUNT: usize = 300;
/// Requests that a client has under way at once.
const WINDOW_COUNT: usize = 8;
/// How often the owner is killed.
const KILL_COUNT: usize = 8;
/// Answers between two kills; fewer than a client's stores, so that every kill hits work.
const ANSWERS_BETWEEN_KILLS: usize = 60;

fn seed() -> u64 {
    let seed = rand::random();
    println!("seed {seed}");
    seed
}

/// What a client got.
struct Outcome {
    /// By content: the answer's result.
    answers: BTreeMap<String, Value>,
}

/// Stores distinct texts, several at a time, and checks every answer.
fn store_all(window: &mut Window, name: &str, on_answer: &(dyn Fn() + Sync)) -> Outcome {
    let mut under_way = std::collections::VecDeque::new();
    let mut answers = BTreeMap::new();
    let mut next = 0;
    while next < STORE_COUNT || !under_way.is_empty() {
        while next < STORE_COUNT && under_way.len() < WINDOW_COUNT {
            let content = format!("client {name} remembers number {next}");
            let id = window.begin_call("memory_store", &json!({"content": content}));
            under_way.push_back((id, content));
            next += 1;
        }
        let (id, content) = under_way.pop_front().expect("something is under way");
        let mut answer = window.answer(id);
        assert!(answer["result"].is_object(), "{name}: {answer}");
        answers.insert(content, answer["result"].take());
        on_answer();
    }
    Outcome { answers }
}

/// Each answer is the original one: stored, never a duplicate, never an error.
fn check_answers(outcome: &Outcome) {
    assert_eq!(outcome.answers.len(), STORE_COUNT);
    for (content, result) in &outcome.answers {
        let said = text(result);
        assert!(said.starts_with("Memory stored successfully (hash: "), "{content}: {said}");
        assert_eq!(result["structuredContent"]["memory"]["content"], *content);
    }
}

/// Every memory of the file, by content, from the command line.
fn stored(place: &Place) -> BTreeMap<String, Vec<Value>> {
    let exported = place.run(&["export"]).ok();
    let mut stored: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in exported.stdout.lines() {
        let memory: Value = serde_json::from_str(line).expect("JSON");
        let content = memory["content"].as_str().expect("a text").to_owned();
        stored.entry(content).or_default().push(memory);
    }
    stored
}

fn check_stored(place: &Place, outcomes: &[Outcome]) {
    place.run(&["verify"]).ok();
    let stored = stored(place);
    let expected: HashSet<&String> =
        outcomes.iter().flat_map(|outcome| outcome.answers.keys()).collect();
    for (content, result) in outcomes.iter().flat_map(|outcome| &outcome.answers) {
        let found = stored.get(content).map_or(&[][..], Vec::as_slice);
        assert_eq!(found.len(), 1, "{content}");
        let hash = &result["structuredContent"]["content_hash"];
        assert_eq!(&found[0]["content_hash"], hash, "{content}");
        let created = &result["structuredContent"]["memory"]["created_at"];
        assert_eq!(&found[0]["created_at"], created, "the answer is not of this memory");
    }
    let surplus: Vec<_> = stored.keys().filter(|content| !expected.contains(content)).collect();
    assert!(surplus.is_empty(), "{surplus:?}");
}

/// A process that may own the file and be killed for it.
enum Victim {
    Server(Server),
    Window(Window),
}

impl Victim {
    fn pid(&self) -> u32 {
        match self {
            Victim::Server(server) => server.pid(),
            Victim::Window(window) => window.pid(),
        }
    }

    fn kill(self) {
        match self {
            Victim::Server(server) => drop(server.kill()),
            Victim::Window(window) => drop(window.kill()),
        }
    }
}

fn answer_counter() -> (std::sync::Arc<std::sync::atomic::AtomicUsize>, impl Fn() + Sync + Clone) {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    (count, move || {
        counted.fetch_add(1, Ordering::SeqCst);
    })
}

/// The clients' own processes are never killed; the owner always is another one: a server, that
/// takes the file over from whichever client got it.
#[test]
fn three_clients_lose_nothing_while_the_server_is_killed_over_and_over() {
    let mut random = StdRng::seed_from_u64(seed());
    let place = Place::new();
    let mut server = place.serve();
    let mut windows = [place.mcp_ready(), place.mcp_ready(), place.mcp_ready()];
    let (count, on_answer) = answer_counter();
    let mut kills = 0;
    let (outcomes, server) = std::thread::scope(|scope| {
        let clients: Vec<_> = windows
            .iter_mut()
            .zip(["a", "b", "c"])
            .map(|(window, name)| {
                let on_answer = on_answer.clone();
                scope.spawn(move || store_all(window, name, &on_answer))
            })
            .collect();
        while kills < KILL_COUNT {
            let until =
                count.load(Ordering::SeqCst) + random.random_range(1..ANSWERS_BETWEEN_KILLS);
            eventually("answers or the end", || {
                let done = clients.iter().all(|client| client.is_finished());
                (done || count.load(Ordering::SeqCst) >= until).then_some(())
            });
            server.kill();
            kills += 1;
            server = place.serve();
        }
        let join = |client: std::thread::ScopedJoinHandle<'_, Outcome>| match client.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        (clients.into_iter().map(join).collect::<Vec<_>>(), server)
    });
    outcomes.iter().for_each(check_answers);
    for window in &windows {
        // One answer to each request, the handshake included.
        assert_eq!(window.answered_count(), STORE_COUNT + 1);
        for id in 1..=STORE_COUNT + 1 {
            assert_eq!(window.answers_to(&json!(id)).len(), 1);
        }
        assert_eq!(window.garbage(), [""; 0]);
    }
    check_stored(&place, &outcomes);
    server.kill();
    check_stored(&place, &outcomes);
}

/// Whoever owns the file is killed, be it a server or the process of a client; only one client is
/// spared. A killed client's requests without an answer may or may not have happened; all that
/// were answered have.
#[test]
fn a_client_that_is_spared_loses_nothing_while_every_other_owner_is_killed() {
    let mut random = StdRng::seed_from_u64(seed());
    let place = Place::new();
    let mut victims = vec![Victim::Window(place.mcp_ready())];
    let mut spared = place.mcp_ready();
    let (count, on_answer) = answer_counter();
    let done = AtomicBool::new(false);
    let mut acknowledged: Vec<(String, Value)> = Vec::new();
    let mut kills = 0;
    let outcome = std::thread::scope(|scope| {
        let spared = &mut spared;
        let done = &done;
        let client = scope.spawn(move || {
            let outcome = store_all(spared, "spared", &on_answer);
            done.store(true, Ordering::SeqCst);
            outcome
        });
        while kills < KILL_COUNT {
            // Others store too, without waiting, and die with it.
            let mut begun = Vec::new();
            for (number, victim) in victims.iter_mut().enumerate() {
                let Victim::Window(window) = victim else { continue };
                for n in 0..5 {
                    let content = format!("victim {number} in round {kills} says {n}");
                    let id = window.begin_call("memory_store", &json!({"content": content}));
                    begun.push((window.pid(), id, content));
                }
            }
            let until =
                count.load(Ordering::SeqCst) + random.random_range(1..ANSWERS_BETWEEN_KILLS);
            eventually("answers or the end", || {
                (done.load(Ordering::SeqCst) || count.load(Ordering::SeqCst) >= until).then_some(())
            });
            for (pid, id, content) in begun {
                let window = victims.iter().find_map(|victim| match victim {
                    Victim::Window(window) if window.pid() == pid => Some(window),
                    _ => None,
                });
                let answers = window.expect("not killed yet").answers_to(&json!(id));
                acknowledged.extend(answers.into_iter().map(|answer| (content.clone(), answer)));
            }
            let place_in_line = random.random_range(0..victims.len());
            let victim = victims.swap_remove(place_in_line);
            println!("kill {kills}: process {}", victim.pid());
            victim.kill();
            kills += 1;
            if random.random() {
                victims.push(Victim::Window(place.mcp_ready()));
                victims.push(Victim::Window(place.mcp_ready()));
            } else if !victims.iter().any(|victim| matches!(victim, Victim::Server(_))) {
                victims.push(Victim::Server(place.serve()));
            }
            if victims.is_empty() {
                victims.push(Victim::Window(place.mcp_ready()));
            }
        }
        match client.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    check_answers(&outcome);
    assert_eq!(spared.answered_count(), STORE_COUNT + 1);
    drop(victims);
    place.run(&["verify"]).ok();
    let stored = stored(&place);
    for content in outcome.answers.keys() {
        assert_eq!(stored.get(content).map(Vec::len), Some(1), "{content}");
    }
    for (content, answer) in acknowledged {
        let said = text(&answer["result"]).to_owned();
        assert!(said.starts_with("Memory stored successfully"), "{content}: {said}");
        assert_eq!(stored.get(&content).map(Vec::len), Some(1), "{content}");
    }
}
