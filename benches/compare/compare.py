"""memnode beside ChromaDB and LanceDB, on the same vectors and machine.

    compare.py --memnode PROGRAM [--count 100000] [--work DIRECTORY]

Prints a Markdown table. Each system stores the same texts, tags and vectors, and is asked the same
questions, none of which is stored. memnode is a server that is asked over HTTP and has every write
on the disk before it answers; the others are libraries, each in a Python process of its own, and
get the vector with the question. What recall is measured against is sqlite-vec's exact KNN.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import node
from corpus import TAGS, nearest, prepare
from measure import LIMIT
from process import disk_mib

HERE = Path(__file__).parent
EMBEDDED = {
    "chroma": f"ChromaDB {version('chromadb')}",
    "lance": f"LanceDB {version('lancedb')}",
    "lance-indexed": "LanceDB, indexed",
}


class Vectors:
    """The service that gives memnode its vectors, in a process of its own."""

    def __init__(self, corpus):
        command = [sys.executable, "-B", str(HERE / "service.py"), str(corpus.directory)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def of_memnode(program, directory, corpus):
    with Vectors(corpus) as url:
        filled = node.fill(program, directory, url, corpus)
        return filled | node.ask(program, directory, url, corpus)


def of_embedded(system, directory, corpus):
    def run(work):
        started = time.perf_counter()
        command = [sys.executable, "-B", str(HERE / "embedded.py"), system, work,
                   str(directory), str(corpus.directory)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lines = []
        for line in process.stdout:
            lines.append((time.perf_counter() - started, line))
        if process.wait() != 0:
            raise SystemExit(f"{system} {work} failed")
        return lines[0][0], json.loads(lines[-1][1])
    _, filled = run("fill")
    start, asked = run("ask")
    return filled | asked | {"start_seconds": start}


def recall(found, expected):
    """The share of the nearest that were found."""
    hits = sum(len(set(one) & nearest) for one, nearest in zip(found, expected))
    return hits / sum(len(nearest) for nearest in expected)


def rows(measured, oracle):
    """The table, a row a measure."""
    def each(name, of):
        return [name, *(of(one) for one in measured.values())]

    def timed(value):
        return f"{value['p50_ms']:.2f} / {value['p95_ms']:.2f} ms, {value['cpu_ms']:.2f} ms"

    yield ["", *measured]
    yield each("store one, wall p50 / p95, CPU", lambda m: timed(m["single"]))
    yield each("bulk insert, memories a second, CPU each",
               lambda m: f"{m['bulk']['rate']:,.0f}, {m['bulk']['cpu_ms']:.2f} ms")
    for tag in ["all", *TAGS]:
        name = "no filter" if tag == "all" else f"a tag of {100 / TAGS[tag]:.0f} %"
        yield each(f"search, {name}, wall p50 / p95, CPU", lambda m: timed(m["searches"][tag]))
        yield each(f"recall@{LIMIT}, {name}",
                   lambda m: f"{recall(m['searches'][tag]['found'], oracle[tag]):.3f}")
    yield each("memory, resident / anonymous",
               lambda m: "{resident:.0f} / {anonymous:.0f} MiB".format(**m["memory"]))
    yield each("start of the process to the first answer",
               lambda m: f"{m['start_seconds']:.2f} s")
    yield each("disk", lambda m: f"{m['disk_mib']:.0f} MiB")


def main():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memnode", required=True, help="the program")
    parser.add_argument("--count", type=int, default=100_000, help="how many memories")
    parser.add_argument("--work", type=Path, default=cache / "memnode/compare", help="where")
    arguments = parser.parse_args()

    corpus = prepare(arguments.work, arguments.memnode, arguments.count)
    oracle = {tag or "all": nearest(corpus, tag, LIMIT) for tag in [None, *TAGS]}
    measured = {}
    for system, name in {"memnode": "memnode", **EMBEDDED}.items():
        print(f"measuring {name}", file=sys.stderr, flush=True)
        directory = arguments.work / system
        shutil.rmtree(directory, ignore_errors=True)
        if system == "memnode":
            one = of_memnode(arguments.memnode, directory, corpus)
        else:
            one = of_embedded(system, directory, corpus)
        measured[name] = one | {"disk_mib": disk_mib(directory)}
        shutil.rmtree(directory)
    table = list(rows(measured, oracle))
    table.insert(1, ["---"] * len(table[0]))
    print(f"\n{arguments.count:,} memories\n")
    for row in table:
        print(f"| {' | '.join(row)} |")
    print(f"\nOf each search and store by memnode, {measured['memnode']['embedding_ms']:.2f} ms on "
          "average were spent on asking the service for the vector.")


if __name__ == "__main__":
    main()
