"""The main job, once through, as a person would do it: a node, REST, the commands of the README,
MCP over stdio beside it, and a restart."""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 20
TEXT = "The spare key hangs behind the fridge"


@contextmanager
def serving(program, environment):
    """A node on a free port; gives its URL, and stops it in the end."""
    command = [program, "--json", "serve", "--http-port", "0"]
    node = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        announcement = node.stdout.readline()
        assert announcement, f"{command} ended with {node.wait(STOP_SECONDS)}"
        yield json.loads(announcement)["url"]
    finally:
        node.terminate()
        code = node.wait(STOP_SECONDS)
    assert code == 0, f"the node ended with {code}"


def call(url, body=None):
    request = urllib.request.Request(url, headers={"content-type": "application/json"})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data) as answer:
        return json.load(answer)


def find_the_key(url):
    found = call(f"{url}/api/search", {"query": "where is the extra key"})
    first = found["results"][0]
    assert first["memory"]["content"] == TEXT, found
    print(f"found with {first['similarity_score']:.3f}: {TEXT}")


def run_readme(program, environment, url):
    """Runs the blocks of the README that are marked as `sh run`, against this node."""
    readme = Path("README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh run\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert blocks, "the README has commands to run"
    path = f"{Path(program).resolve().parent}{os.pathsep}{environment['PATH']}"
    for block in blocks:
        block = block.replace("http://127.0.0.1:8000", url)
        print(f"$ {block.rstrip()}", flush=True)
        script = ["bash", "-euo", "pipefail", "-c", block]
        subprocess.run(script, check=True, env=environment | {"PATH": path})
        print(flush=True)


def list_tools(program, environment):
    client = {"name": "main-job", "version": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    messages = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
    ]
    bridge = subprocess.Popen(
        [program, "mcp"], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    for message in messages:
        bridge.stdin.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
    bridge.stdin.flush()
    answers = [json.loads(bridge.stdout.readline()) for _ in range(2)]
    bridge.stdin.close()
    assert bridge.wait(STOP_SECONDS) == 0
    names = [tool["name"] for tool in answers[1]["result"]["tools"]]
    assert {"memory_store", "memory_search"} <= set(names), names
    print(f"MCP over stdio: {', '.join(names)}", flush=True)


def main(program):
    with tempfile.TemporaryDirectory() as directory:
        environment = os.environ | {"MCP_MEMORY_BASE_DIR": directory}
        with serving(program, environment) as url:
            stored = call(f"{url}/api/memories", {"content": TEXT, "tags": ["home"]})
            assert stored["success"], stored
            find_the_key(url)
            run_readme(program, environment, url)
            list_tools(program, environment)
        with serving(program, environment) as url:
            find_the_key(url)
        list_tools(program, environment)


if __name__ == "__main__":
    main(sys.argv[1])
