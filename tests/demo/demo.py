"""Imports real texts into a fresh file and asks questions about them.

Without --file: package descriptions of Debian and the ten questions of questions.json, whose
answers were decided before anyone saw a ranking. With --file: your texts, your questions.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import descriptions

FIRST = 5


class Memnode:
    """The program, on a file of its own."""

    def __init__(self, program, directory):
        self.command = [program, "--base-dir", str(directory)]

    def import_file(self, path):
        start = time.monotonic()
        subprocess.run([*self.command, "import", str(path)], check=True)
        print(f"imported in {time.monotonic() - start:.1f} s\n", flush=True)

    def search(self, question):
        command = [*self.command, "--json", "search", "-n", str(FIRST), "--", question]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        return json.loads(answer)["results"]


def show(question, hits, expected=frozenset()):
    """Prints one answer; `*` marks an expected package. Says whether there was one."""
    print(question)
    found = False
    for hit in hits:
        memory = hit["memory"]
        is_expected = memory["metadata"].get("package") in expected
        found = found or is_expected
        mark = "*" if is_expected else " "
        line = " ".join(memory["content"].split())
        print(f"  {mark} {hit['similarity_score']:.3f}  {line[:82]}")
    print(flush=True)
    return found


def ask_about_packages(memnode, work, count, at_least):
    questions = json.loads((descriptions.HERE / "questions.json").read_text(encoding="utf-8"))
    wanted = {name for question in questions for name in question["packages"]}
    texts = work / "descriptions.jsonl"
    descriptions.write(texts, work / "apt", wanted, count)
    memnode.import_file(texts)
    hits = 0
    for question in questions:
        answer = memnode.search(question["question"])
        hits += show(question["question"], answer, set(question["packages"]))
    print(f"an expected package (*) among the first {FIRST}: {hits} of {len(questions)} questions")
    return hits >= at_least


def ask_about_file(memnode, path, questions):
    memnode.import_file(path)
    for question in questions or typed():
        show(question, memnode.search(question))
    return True


def typed():
    """Questions from the keyboard or a pipe, to the end of input or an empty line."""
    while True:
        try:
            question = input("question (empty to end): " if sys.stdin.isatty() else "").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if not question:
            return
        yield question


def main():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memnode", required=True, help="the program")
    parser.add_argument("--work", type=Path, default=cache / "memnode/demo", help="where to work")
    parser.add_argument("--count", type=int, default=10_000, help="how many descriptions")
    parser.add_argument("--at-least", type=int, default=0, help="hits below which this fails")
    parser.add_argument("--file", type=Path, help="a text, JSONL file or directory of your own")
    parser.add_argument("questions", nargs="*", help="questions about FILE; none: asks for them")
    arguments = parser.parse_args()

    node = arguments.work / "node"
    shutil.rmtree(node, ignore_errors=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    memnode = Memnode(arguments.memnode, node)
    if arguments.file:
        enough = ask_about_file(memnode, arguments.file, arguments.questions)
    else:
        enough = ask_about_packages(memnode, arguments.work, arguments.count, arguments.at_least)
    print(f"ask more: {' '.join(memnode.command)} search 'your question'")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
