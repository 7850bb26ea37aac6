"""memnode as strangers use it: a server process, asked over HTTP on one connection."""

import http.client
import json
import os
import subprocess
import time

from corpus import DIMENSION, TAGS, tags_of
from measure import LIMIT, Meter
from process import cpu_seconds, memory_mib

READY_SECONDS = 60


class Node:
    """A node on a file of its own; its vectors come from a service."""

    def __init__(self, memnode, directory, vectors_url):
        names = ("HOME", "PATH", "XDG_CACHE_HOME")
        environment = {name: os.environ[name] for name in names if name in os.environ} | {
            "MCP_BACKUP_ENABLED": "false",
            "MCP_HTTP_PORT": "0",
            "MCP_MEMORY_BASE_DIR": str(directory / "data"),
            "MEMNODE_EMBEDDER": "openai",
            "MEMNODE_EMBEDDER_DIMENSION": str(DIMENSION),
            "MEMNODE_EMBEDDER_MODEL": "ready-vectors",
            "MEMNODE_EMBEDDER_URL": vectors_url,
            "XDG_CONFIG_HOME": str(directory / "config"),
        }
        command = [memnode, "serve", "--log", "error"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        line = next(line for line in self.process.stdout if line.startswith("REST and MCP"))
        address = line.split()[3].removeprefix("http://").rstrip("/")
        self.connection = http.client.HTTPConnection(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.process.terminate()
        self.process.wait()

    def send(self, method, path, body=None, kind="application/json"):
        """Status and text of an answer."""
        headers = {"content-type": kind} if body is not None else {}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def call(self, method, path, body=None, kind="application/json"):
        status, text = self.send(method, path, body, kind)
        if status != 200:
            raise SystemExit(f"{method} {path}: {status} {text}")
        return text

    def wait(self, path, is_there):
        """Asks until an answer is as it should be."""
        deadline = time.monotonic() + READY_SECONDS
        while not is_there(*self.send("GET", path)):
            if time.monotonic() > deadline:
                raise SystemExit(f"{path} was not as it should be within {READY_SECONDS} s")
            time.sleep(0.002)

    def wait_ready(self):
        self.wait("/readyz", lambda status, _: status == 200)

    def wait_indexed(self, count):
        def is_whole(_, text):
            index = json.loads(text)
            return index["status"] == "ready" and index["rows"] == count
        self.wait("/api/index", is_whole)

    def store(self, text, tags):
        self.call("POST", "/api/memories", json.dumps({"content": text, "tags": tags}))

    def search(self, text, tag):
        """The texts that were found."""
        request = {"query": text, "n_results": LIMIT, "mode": "semantic"}
        filters = {"tags": [tag]} if tag else {}
        answer = self.call("POST", "/api/search", json.dumps(request | filters))
        return [result["memory"]["content"] for result in json.loads(answer)["results"]]

    def embedding_seconds(self):
        """How long texts waited for their vectors so far, and how often."""
        name = "memnode_embed_duration_seconds"
        lines = self.call("GET", "/metrics").splitlines()
        value = {line.split()[0].split("{")[0]: float(line.split()[-1])
                 for line in lines if line.startswith(name)}
        return value.get(f"{name}_sum", 0.0), value.get(f"{name}_count", 0.0)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)


def fill(memnode, directory, vectors_url, corpus):
    def memory(number):
        return {"content": corpus.texts[number], "tags": tags_of(number)}
    bulk = "\n".join(json.dumps(memory(n)) for n in range(corpus.bulk_count)).encode()
    with Node(memnode, directory, vectors_url) as node:
        node.wait_ready()
        cpu, started = node.cpu_seconds(), time.perf_counter()
        answer = node.call("POST", "/api/import?results=failed", bulk, "application/x-ndjson")
        seconds = time.perf_counter() - started
        summary = json.loads(answer.splitlines()[-1])
        if summary["stored"] != corpus.bulk_count:
            raise SystemExit(f"the import stored less than it was given: {summary}")
        imported = {"rate": corpus.bulk_count / seconds,
                    "cpu_ms": (node.cpu_seconds() - cpu) * 1e3 / corpus.bulk_count}
        single = Meter(node.cpu_seconds)
        for number in range(corpus.bulk_count, corpus.stored_count):
            text, tags = corpus.texts[number], tags_of(number)
            single.time(lambda: node.store(text, tags))
        filled = {"bulk": imported, "single": single.result()}
        node.wait_indexed(corpus.stored_count)
    return filled


def ask(memnode, directory, vectors_url, corpus):
    texts, _ = corpus.queries()
    numbers = {text: number for number, text in enumerate(corpus.texts)}
    started = time.perf_counter()
    with Node(memnode, directory, vectors_url) as node:
        node.wait_ready()
        node.search(texts[0], None)
        start = time.perf_counter() - started
        node.wait_indexed(corpus.stored_count)
        waited, count = node.embedding_seconds()
        searches = {}
        for tag in [None, *TAGS]:
            meter = Meter(node.cpu_seconds)
            found = [meter.time(lambda: node.search(text, tag)) for text in texts]
            found = [[numbers[content] for content in contents] for contents in found]
            searches[tag or "all"] = meter.result() | {"found": found}
        waited_after, count_after = node.embedding_seconds()
        memory = memory_mib(node.process.pid)
    embedding_ms = (waited_after - waited) * 1e3 / (count_after - count)
    return {"searches": searches, "memory": memory, "start_seconds": start,
            "embedding_ms": embedding_ms}
