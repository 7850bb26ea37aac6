"""Descriptions of Debian packages with their debtags as a data set for `memnode eval`.

    python3 benches/eval/debian.py [--count 3000] PACKAGES TRANSLATION > debian.jsonl

PACKAGES and TRANSLATION are two indexes of one release, unpacked: `Packages` with the field Tag,
and `Translation-en` with the long descriptions. A memory is a package's name and long description.
The queries, by class:
- `facets`: two facets of debtags in words; relevant is what carries both of them;
- `purpose`: a package's short description, which its memory does not hold;
- `name`: a package's name, or its parts without one of them;
- `misspelt`: a name with a letter lost, doubled or swapped with the next;
- `misspelt-start`: the same among its first two letters.
"""

import argparse
import json
import random
import re
from collections import defaultdict
from pathlib import Path

SEED = 20261123
# Facets that say what a package is for; the others say how it was made.
TOLD = {"accessibility", "admin", "biology", "culture", "field", "game", "hardware", "junior",
        "mail", "network", "office", "protocol", "science", "security", "sound", "use", "web",
        "works-with", "works-with-format"}
RELEVANT_MAX = 40
QUERY_COUNT = {"facets": 300, "purpose": 300, "name": 120, "misspelt": 120,
               "misspelt-start": 120}


def paragraphs(path):
    for paragraph in Path(path).read_text(encoding="utf-8").split("\n\n"):
        fields, name = {}, None
        for line in paragraph.splitlines():
            if line.startswith(" "):
                fields[name] += "\n" + line.strip()
            else:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        yield fields


def read(packages, translation):
    """Every package that has both tags and a long description."""
    long = {}
    for fields in paragraphs(translation):
        _, _, text = fields.get("Description-en", "").partition("\n")
        long[fields.get("Package")] = "\n".join(
            "" if line == "." else line for line in text.splitlines())
    for fields in paragraphs(packages):
        name, tags = fields.get("Package"), fields.get("Tag", "").replace("\n", " ")
        if tags and len(long.get(name, "")) > 80:
            tags = [tag.strip() for tag in tags.split(",")]
            yield name, {"short": fields["Description"], "long": long[name], "tags": tags}


def told(tags):
    """Facets as words: `works-with::image:raster` is "image raster"."""
    for tag in tags:
        facet, _, value = tag.partition("::")
        if facet in TOLD and value not in ("", "TODO", "special"):
            yield tag, re.sub(r"[:+-]+", " ", value).strip()


def facets(chosen, generator):
    by_tag, words = defaultdict(set), {}
    for name, package in chosen.items():
        for tag, text in told(package["tags"]):
            by_tag[tag].add(name)
            words[tag] = text
    pairs = set()
    for package in chosen.values():
        tags = sorted({tag for tag, _ in told(package["tags"])})
        if len(tags) >= 2:
            pairs.add(tuple(sorted(generator.sample(tags, 2))))
    for pair in sorted(pairs):
        both = by_tag[pair[0]] & by_tag[pair[1]]
        text = " ".join(dict.fromkeys(" ".join(words[tag] for tag in pair).split()))
        if 2 <= len(both) <= RELEVANT_MAX and len(text.split()) > 1:
            yield text, sorted(both)


def misspelt(name, generator, places):
    at = generator.choice(places)
    return generator.choice([
        name[:at] + name[at + 1:],
        name[:at] + name[at] + name[at:],
        name[:at] + name[at + 1] + name[at] + name[at + 2:],
    ])


def queries(chosen, generator):
    names = sorted(chosen)
    # Of its own, so that the other questions stay what they were.
    starts = random.Random(SEED)
    for text, relevant in facets(chosen, generator):
        yield "facets", text, relevant
    for name in names:
        yield "purpose", chosen[name]["short"], [name]
        parts = name.split("-")
        if len(parts) >= 3:
            kept = parts[:-1] if generator.random() < 0.5 else parts[1:]
            same = [other for other in names if set(kept) <= set(other.split("-"))]
            yield "name", "-".join(kept), same
        if re.fullmatch(r"[a-z]{6,14}", name):
            yield "misspelt", misspelt(name, generator, range(2, len(name) - 1)), [name]
            yield "misspelt-start", misspelt(name, starts, range(2)), [name]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("packages")
    parser.add_argument("translation")
    arguments = parser.parse_args()
    generator = random.Random(SEED)
    found = dict(read(arguments.packages, arguments.translation))
    names = generator.sample(sorted(found), min(arguments.count, len(found)))
    chosen = {name: found[name] for name in names}
    for name, package in chosen.items():
        content = f"{name}\n{package['long']}"
        print(json.dumps({"document": name, "content": content, "memory_type": "package"}))
    by_class = defaultdict(list)
    for kind, text, relevant in queries(chosen, generator):
        by_class[kind].append((text, relevant))
    for kind, count in QUERY_COUNT.items():
        generator.shuffle(by_class[kind])
        for number, (text, relevant) in enumerate(by_class[kind][:count]):
            line = {"query": f"{kind}-{number}", "text": text, "class": kind, "relevant": relevant}
            print(json.dumps(line))


main()
