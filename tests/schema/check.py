#!/usr/bin/env python3
"""Holds a running node against its OpenAPI document, with requests that schemathesis makes up.

    check.py MEMNODE SCHEMATHESIS

Every check, and examples, coverage, fuzzing and stateful sequences, from a fixed seed; what is left
out is left out here, and why.
"""

import json
import os
import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

SEED = "1"
EXAMPLE_COUNT = "25"
READY_SECONDS = 60
RUN_SECONDS = 600

# An answer without an end is none that a check could look at; tests/events*.rs do.
STREAMS = "^/events$|^/api/events$|^/api/ws$"
# A line that is not valid is told in the answer, and does not stop the others.
BY_LINE = "^/api/memories/batch$|^/api/import$"
# Of phrases of time, zones, cursors, tags and the two names of a namespace a schema can say less
# than what they must be, so some of what it allows is refused.
LOOSE = "positive_data_acceptance"


def without_positions(document):
    """No request waits for writes that somebody made up: that ends with 503, as it must."""
    for item in document["paths"].values():
        for operation in item.values():
            parameters = operation.get("parameters", [])
            kept = [one for one in parameters if one["name"] != "Memnode-After"]
            if len(kept) < len(parameters):
                operation["parameters"] = kept
    return document


def start(memnode, directory, key):
    """A node on its own, and its URL."""
    settings = {
        "MCP_API_KEY": key,
        "MCP_HTTP_PORT": "0",
        "MCP_MEMORY_BASE_DIR": str(directory / "data"),
        "XDG_CONFIG_HOME": str(directory / "config"),
    }
    names = ("HOME", "PATH", "XDG_CACHE_HOME")
    environment = {name: os.environ[name] for name in names if name in os.environ} | settings
    node = subprocess.Popen(
        [memnode, "serve", "--log", "warn"], env=environment, stdout=subprocess.PIPE, text=True
    )
    for line in node.stdout:
        if found := re.match(r"REST and MCP\s+(\S+)", line):
            return node, found[1]
    sys.exit("the node did not start")


def wait_ready(url):
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return urllib.request.urlopen(f"{url}/readyz").close()
        except urllib.error.HTTPError:
            if time.monotonic() > deadline:
                sys.exit("the node was not ready in time")
            time.sleep(0.05)


def run(schemathesis, document, url, key, *options):
    here = pathlib.Path(__file__).parent
    command = [
        schemathesis, "run", str(document), "--url", url, "--header", f"X-API-Key: {key}",
        "--phases", "examples,coverage,fuzzing,stateful", "--seed", SEED,
        "--max-examples", EXAMPLE_COUNT, "--request-timeout", "20", "--continue-on-failure",
        *options,
    ]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(here)}
    done = subprocess.run(command, env=environment, timeout=RUN_SECONDS, cwd=document.parent)
    return done.returncode


def main():
    memnode, schemathesis = map(os.path.abspath, sys.argv[1:3])
    key = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="memnode-schema-") as name:
        directory = pathlib.Path(name)
        node, url = start(memnode, directory, key)
        try:
            wait_ready(url)
            with urllib.request.urlopen(f"{url}/api/openapi.json") as answer:
                document = without_positions(json.load(answer))
            file = directory / "openapi.json"
            file.write_text(json.dumps(document))
            codes = [
                run(schemathesis, file, url, key, "--exclude-checks", LOOSE,
                    "--exclude-path-regex", f"{STREAMS}|{BY_LINE}"),
                run(schemathesis, file, url, key, "--include-path-regex", BY_LINE,
                    "--exclude-checks", f"{LOOSE},negative_data_rejection"),
            ]
            if node.poll() is not None:
                sys.exit("the node ended")
        finally:
            node.terminate()
            node.wait(30)
    sys.exit(max(codes))


if __name__ == "__main__":
    main()
