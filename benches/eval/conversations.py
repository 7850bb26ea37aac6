"""Made-up conversations as a data set for `memnode eval`: people's memories, a turn each.

    python3 benches/eval/conversations.py [--seed 1] > conversations.jsonl

Pairs of friends talk in sessions over a year, and one person talks with an assistant. Every turn is
a memory (`Name: text`), dated, with its session as metadata. The texts come from the lists in
conversation_texts.py: few enough that people share topics, so that only the name, the date or the
turn before tells two memories apart. The queries, by class:
- `detail`: a detail of what somebody told, asked in words of the turn;
- `fact`: what somebody told, asked in other words;
- `when`: when something happened; relevant is the turn that tells it;
- `month`: what somebody did in a month that only the date of the turn knows;
- `reply`: what an answer says whose topic only the question before it names;
- `list`: everything of a kind that somebody told over the year;
- `self`: what the person who asks told the assistant.
"""

import argparse
import json
import random
from datetime import datetime, timedelta, timezone

import conversation_texts as texts

SESSION_COUNT = 14
PAIR_COUNT = 10
WHENS = [("yesterday", 1), ("last Friday", 4), ("last weekend", 3), ("two days ago", 2),
         ("last week", 7), ("this morning", 0), ("on Tuesday", 3), ("", 0)]


class Dialogue:
    """The turns of one conversation, in order."""

    def __init__(self, name, generator):
        self.name, self.generator, self.turns = name, generator, []
        self.moment, self.session = None, 0

    def begin(self, session, moment):
        self.session, self.moment = session, moment

    def say(self, speaker, text):
        self.moment += timedelta(seconds=self.generator.randrange(15, 90))
        number = f"{self.name}:{self.session}:{len(self.turns)}"
        self.turns.append({
            "document": number, "content": f"{speaker}: {text}",
            "memory_type": "turn", "created_at": self.moment.timestamp(),
            "metadata": {"session_id": f"{self.name}-{self.session}"}})
        return number


def chat(dialogue, speakers, generator, count):
    for at in range(count):
        line = generator.choice(texts.SMALL_TALK)
        if generator.random() < 0.6:
            mention = generator.choice(generator.choice(texts.TOPICS)["mentions"])
            line = generator.choice([mention, f"{line} {mention}", f"{mention} {line}"])
        dialogue.say(speakers[at % 2], line.format(other=speakers[(at + 1) % 2]))


def tell(dialogue, teller, listener, topic, generator):
    """One topic: it is told, asked about and answered. Gives its queries."""
    slots = {name: generator.choice(choices) for name, choices in topic["slots"].items()}
    when = generator.choice(WHENS)[0]
    told = generator.choice(topic["told"]).format(**slots, when=when).replace("  ", " ")
    told = told.replace(" .", ".").replace(" !", "!").replace(" ,", ",")
    opening = generator.choice(texts.OPENINGS).format(other=listener)
    asks = []
    if generator.random() < 0.7:
        clause, asked = topic["detail"]
        slots |= {name: generator.choice(choices) for name, choices in topic["extra"].items()}
        told = f"{told} {clause.format(**slots)}"
        asks.append(("detail", asked))
    parts = [opening, told]
    if generator.random() < 0.5:
        parts.append(generator.choice(texts.SMALL_TALK).format(other=listener))
    if generator.random() < 0.3:
        parts.insert(1, generator.choice(texts.SMALL_TALK).format(other=listener))
    evidence = dialogue.say(teller, " ".join(parts).strip())
    asks = [(kind, asked, evidence) for kind, asked in asks]
    for text in topic["fact"]:
        asks.append(("fact", text, evidence))
    for text in topic.get("when", []):
        asks.append(("when", text, evidence))
    if generator.random() < 0.75:
        question, answer, asked = generator.choice(topic["reply"])
        reaction = generator.choice(texts.REACTIONS).format(other=teller)
        dialogue.say(listener, f"{reaction} {question}".format(**slots))
        reply = dialogue.say(teller, answer.format(**slots))
        asks.append(("reply", asked, reply))
    dialogue.say(listener, generator.choice(texts.REACTIONS).format(other=teller))
    theirs = {name: text.replace("my ", "their ") for name, text in slots.items()}
    return [(kind, text.format(name=teller, **theirs), number) for kind, text, number in asks]


def friends(pair, generator, queries):
    dialogue = Dialogue("-".join(pair).lower(), generator)
    moment = datetime(2023, 1, 8, 10, tzinfo=timezone.utc) + timedelta(days=generator.randrange(20))
    told = {}
    topics = generator.sample(texts.TOPICS, len(texts.TOPICS)) * 2
    asked = []
    for session in range(SESSION_COUNT):
        moment += timedelta(days=generator.randrange(12, 33), minutes=generator.randrange(600))
        dialogue.begin(session, moment)
        speakers = list(pair)
        generator.shuffle(speakers)
        dialogue.say(speakers[0], generator.choice(texts.GREETINGS).format(other=speakers[1]))
        chat(dialogue, speakers[::-1], generator, generator.randrange(2, 7))
        for teller, listener in [speakers, speakers[::-1], speakers][:generator.randrange(2, 4)]:
            topic = topics.pop()
            asks = tell(dialogue, teller, listener, topic, generator)
            asked += asks
            month = (teller, dialogue.moment.strftime("%B %Y"))
            told.setdefault(month, []).append((topic["kind"], asks[0][2]))
            chat(dialogue, [teller, listener], generator, generator.randrange(2, 8))
    numbers = {}
    for kind, text, number in asked:
        numbers.setdefault((kind, text), []).append(number)
    for (kind, text), relevant in numbers.items():
        queries.append((kind, text, relevant, dialogue.name))
    kinds = {}
    for (name, month), evidence in told.items():
        for kind, number in evidence:
            kinds.setdefault((name, kind), []).append(number)
            same = [n for k, n in evidence if k == kind]
            text = generator.choice(texts.MONTH_QUESTIONS[kind]).format(name=name, month=month)
            queries.append(("month", text, same, dialogue.name))
    for (name, kind), evidence in kinds.items():
        if len(evidence) > 1:
            text = generator.choice(texts.LIST_QUESTIONS[kind]).format(name=name)
            queries.append(("list", text, evidence, dialogue.name))
    return dialogue.turns


def with_assistant(generator, queries):
    dialogue = Dialogue("assistant", generator)
    moment = datetime(2023, 2, 1, 9, tzinfo=timezone.utc)
    for session, fact in enumerate(generator.sample(texts.OWN_FACTS, len(texts.OWN_FACTS))):
        moment += timedelta(days=generator.randrange(2, 12))
        dialogue.begin(session, moment)
        told, question, advice = fact
        if generator.random() < 0.5:
            dialogue.say("user", generator.choice(texts.OWN_REQUESTS))
            dialogue.say("assistant", generator.choice(texts.ADVICE))
        number = dialogue.say("user", told)
        dialogue.say("assistant", advice)
        dialogue.say("user", generator.choice(texts.OWN_REQUESTS))
        dialogue.say("assistant", generator.choice(texts.ADVICE))
        queries.append(("self", question, [number], "assistant"))
    for turn in dialogue.turns:
        speaker, _, text = turn["content"].partition(": ")
        turn["content"] = f"[{speaker}] {text}"
    return dialogue.turns


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    generator = random.Random(parser.parse_args().seed)
    queries, turns = [], []
    names = generator.sample(texts.NAMES, 2 * PAIR_COUNT)
    for pair in zip(names[::2], names[1::2]):
        turns += friends(pair, generator, queries)
    turns += with_assistant(generator, queries)
    seen = set()
    for turn in turns:
        # Equal texts are one memory; who says it and when it is said first is what stays.
        if turn["content"].lower() not in seen:
            seen.add(turn["content"].lower())
            print(json.dumps(turn))
            continue
        for _, _, relevant, _ in queries:
            if turn["document"] in relevant:
                relevant.remove(turn["document"])
    for number, (kind, text, relevant, group) in enumerate(queries):
        if relevant:
            print(json.dumps({"query": f"{kind}-{number}", "text": text, "class": kind,
                              "relevant": sorted(set(relevant)), "group": f"{group}-{number // 8}"}))


main()
