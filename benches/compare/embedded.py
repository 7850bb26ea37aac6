"""ChromaDB or LanceDB as programs use them in their own process, on ready vectors.

    embedded.py SYSTEM fill|ask DIRECTORY CORPUS

`fill` makes the collection, `ask` opens it in a new process. Prints what was measured as JSON; the
first line of `ask` says that the first search is answered.
"""

import json
import sys
import time
from pathlib import Path

from corpus import DIMENSION, TAGS, Corpus, tags_of
from measure import LIMIT, Meter
from process import cpu_seconds, memory_mib

COLLECTION = "memories"
# What LanceDB answers with.
COLUMNS = ["number", "content", "tags", "_distance"]
# ChromaDB takes no more at once.
BATCH_COUNT = 5_000


class Chroma:
    """A collection with tags as metadata keys, which is how they can be filtered by."""

    def __init__(self, directory):
        import chromadb
        settings = chromadb.Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(str(directory), settings=settings)
        self.collection = self.client.get_or_create_collection(
            COLLECTION, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None)

    def add(self, first, texts, vectors):
        numbers = range(first, first + len(texts))
        metadatas = [{"number": n} | {tag: True for tag in tags_of(n)} for n in numbers]
        self.collection.add(ids=[str(n) for n in numbers], documents=texts,
                            embeddings=vectors, metadatas=metadatas)

    def finish(self):
        """The index grows with every write."""

    def settle(self):
        """Nothing is left behind."""

    def search(self, vector, tag):
        found = self.collection.query(
            query_embeddings=[vector], n_results=LIMIT, where={tag: True} if tag else None,
            include=["documents", "metadatas", "distances"])
        return [int(number) for number in found["ids"][0]]


class Lance:
    """A table as it is made: every search looks at every vector."""

    def __init__(self, directory):
        import lancedb
        import pyarrow
        self.arrow = pyarrow
        self.schema = pyarrow.schema([
            ("number", pyarrow.int64()), ("content", pyarrow.string()),
            ("tags", pyarrow.list_(pyarrow.string())),
            ("vector", pyarrow.list_(pyarrow.float32(), DIMENSION))])
        database = lancedb.connect(str(directory))
        self.table = database.create_table(COLLECTION, schema=self.schema, exist_ok=True)

    def add(self, first, texts, vectors):
        numbers = range(first, first + len(texts))
        flat = self.arrow.array(vectors.reshape(-1))
        columns = [numbers, texts, [tags_of(n) for n in numbers],
                   self.arrow.FixedSizeListArray.from_arrays(flat, DIMENSION)]
        arrays = [self.arrow.array(column, type=field.type)
                  if not isinstance(column, self.arrow.Array) else column
                  for column, field in zip(columns, self.schema)]
        self.table.add(self.arrow.Table.from_arrays(arrays, schema=self.schema))

    def finish(self):
        """Nothing is needed."""

    def settle(self):
        """Joins the files that each write has made, as its manual says to do now and then."""
        self.table.optimize()

    def query(self, vector):
        return self.table.search(vector).distance_type("cosine")

    def search(self, vector, tag):
        query = self.query(vector).limit(LIMIT).select(COLUMNS)
        if tag:
            query = query.where(f"array_has(tags, '{tag}')", prefilter=True)
        return [row["number"] for row in query.to_list()]


class LanceIndexed(Lance):
    """The same with the index that LanceDB makes unless told otherwise, and one of the tags."""

    def finish(self):
        from lancedb.index import IvfPq, LabelList
        self.table.create_index("vector", config=IvfPq(distance_type="cosine"))
        self.table.create_index("tags", config=LabelList())

    def query(self, vector):
        # Without a second look at the vectors themselves its recall is far lower.
        return super().query(vector).refine_factor(10)


SYSTEMS = {"chroma": Chroma, "lance": Lance, "lance-indexed": LanceIndexed}


def fill(system, directory, corpus):
    store = SYSTEMS[system](directory)
    cpu, started = cpu_seconds(), time.perf_counter()
    for first in range(0, corpus.bulk_count, BATCH_COUNT):
        last = min(first + BATCH_COUNT, corpus.bulk_count)
        store.add(first, corpus.texts[first:last], corpus.vectors[first:last])
    store.finish()
    seconds = time.perf_counter() - started
    bulk = {"rate": corpus.bulk_count / seconds,
            "cpu_ms": (cpu_seconds() - cpu) * 1e3 / corpus.bulk_count}
    single = Meter(cpu_seconds)
    for number in range(corpus.bulk_count, corpus.stored_count):
        texts, vectors = corpus.texts[number:number + 1], corpus.vectors[number:number + 1]
        single.time(lambda: store.add(number, texts, vectors))
    filled = {"bulk": bulk, "single": single.result()}
    store.settle()
    return filled


def ask(system, directory, corpus):
    store = SYSTEMS[system](directory)
    _, queries = corpus.queries()
    store.search(queries[0], None)
    print("answered", flush=True)
    searches = {}
    for tag in [None, *TAGS]:
        meter = Meter(cpu_seconds)
        found = [meter.time(lambda: store.search(query, tag)) for query in queries]
        searches[tag or "all"] = meter.result() | {"found": found}
    return {"searches": searches, "memory": memory_mib()}


if __name__ == "__main__":
    work = {"fill": fill, "ask": ask}[sys.argv[2]]
    print(json.dumps(work(sys.argv[1], Path(sys.argv[3]), Corpus(Path(sys.argv[4])))))
