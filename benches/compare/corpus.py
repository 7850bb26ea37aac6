"""Real texts and their vectors, made once by memnode's own model and kept.

The texts are sentences of the descriptions of Debian packages: `count` for the bulk, some that are
stored one by one, and some that are only asked for.
"""

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import numpy
import sqlite_vec

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/demo"))
import descriptions  # noqa: E402

SEED = 20261123
SINGLE_COUNT = 200
QUERY_COUNT = 200
DIMENSION = 384
# Of how many memories each tag marks one.
TAGS = {"one-in-100": 100, "one-in-10": 10}
# A sentence without quoted phrases, and without what memnode reads as a condition.
PLAIN = re.compile(r"(?!.*\b(tag|type|after|before):)[A-Za-z0-9(][ !#-~]{28,198}")


def sentences(directory):
    """Every different sentence of the descriptions, in an order of chance."""
    found = {}
    for path in descriptions.fetch(directory):
        for _, text in descriptions.read(path):
            for paragraph in re.split(r"\n\n+", text.partition("\n")[2]):
                for sentence in re.split(r"(?<=[.!?]) ", " ".join(paragraph.split())):
                    if PLAIN.fullmatch(sentence):
                        found.setdefault(sentence.lower(), sentence)
    ordered = [found[key] for key in sorted(found)]
    random.Random(SEED).shuffle(ordered)
    return ordered


def tags_of(number):
    return [name for name, share in TAGS.items() if number % share == 0]


class Corpus:
    """Texts and vectors: what is stored, then what is only asked for."""

    def __init__(self, directory):
        self.directory = directory
        self.texts = json.loads((directory / "texts.json").read_text(encoding="utf-8"))
        self.vectors = numpy.load(directory / "vectors.npy", mmap_mode="r")
        self.stored_count = len(self.texts) - QUERY_COUNT
        self.bulk_count = self.stored_count - SINGLE_COUNT

    def queries(self):
        """Texts and vectors that are not stored."""
        return self.texts[self.stored_count:], numpy.array(self.vectors[self.stored_count:])

    def stored_with(self, tag):
        """Numbers of what is stored with a tag; of everything without one."""
        share = TAGS.get(tag, 1)
        return numpy.arange(0, self.stored_count, share)


def prepare(work, memnode, count):
    """The corpus of `count` memories, made unless it is there."""
    directory = work / f"corpus-{count}"
    if not (directory / "vectors.npy").exists():
        directory.mkdir(parents=True, exist_ok=True)
        texts = sentences(work / "apt")[:count + SINGLE_COUNT + QUERY_COUNT]
        if len(texts) < count + SINGLE_COUNT + QUERY_COUNT:
            raise SystemExit(f"there are only {len(texts)} different sentences: ask for fewer")
        (directory / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        vectors = embed(directory / "node", memnode, texts)
        write_json(directory, vectors)
        numpy.save(directory / "vectors.npy", vectors)
    return Corpus(directory)


def embed(node, memnode, texts):
    """The vectors as memnode's model makes them, read from its file by sqlite-vec."""
    print(f"embedding {len(texts)} sentences once", file=sys.stderr, flush=True)
    shutil.rmtree(node, ignore_errors=True)
    lines = "\n".join(json.dumps({"content": text}) for text in texts)
    command = [memnode, "--base-dir", str(node), "import", "-"]
    subprocess.run(command, input=lines.encode(), check=True, stdout=sys.stderr)
    file = apsw.Connection(str(node / "memnode.db"), flags=apsw.SQLITE_OPEN_READONLY)
    load_sqlite_vec(file)
    numbers = {text: number for number, text in enumerate(texts)}
    place = {row: numbers[text] for row, text in file.execute("SELECT row, content FROM memory")}
    vectors = numpy.zeros((len(texts), DIMENSION), dtype=numpy.float32)
    for row, vector in file.execute("SELECT rowid, embedding FROM memory_embeddings"):
        vectors[place[row]] = numpy.frombuffer(vector, dtype=numpy.float32)
    file.close()
    shutil.rmtree(node)
    return vectors


def write_json(directory, vectors):
    """The vectors as JSON, one behind the other, and where each begins: service.py sends them."""
    offsets = [0]
    with (directory / "vectors.json").open("wb") as out:
        for vector in vectors:
            # Nine digits tell every number of 32 bits from its neighbours.
            numbers = ",".join(["%.9g"] * len(vector)) % tuple(vector)
            offsets.append(offsets[-1] + out.write(f"[{numbers}]".encode()))
    numpy.save(directory / "offsets.npy", numpy.array(offsets))


def load_sqlite_vec(connection):
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())


def nearest(corpus, tag, limit):
    """The nearest to each query among what is stored with a tag: sqlite-vec's exact KNN."""
    oracle = apsw.Connection(":memory:")
    load_sqlite_vec(oracle)
    oracle.execute("CREATE VIRTUAL TABLE stored "
                   f"USING vec0 (vector FLOAT[{DIMENSION}] distance_metric=cosine)")
    with oracle:
        rows = ((int(n), corpus.vectors[n].tobytes()) for n in corpus.stored_with(tag))
        oracle.executemany("INSERT INTO stored (rowid, vector) VALUES (?, ?)", rows)
    knn = "SELECT rowid FROM stored WHERE vector MATCH ? AND k = ? ORDER BY distance"
    _, queries = corpus.queries()
    return [{row for (row,) in oracle.execute(knn, (q.tobytes(), limit))} for q in queries]
