"""Builds the image of a node and tries docker-compose.yml the way its users would.

Started by ./run, which says what is needed.
"""

import json
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import engine

SOURCE = Path(__file__).resolve().parents[2]
NODES = ("node-1", "node-2", "node-3")
SERVERS = ("nats-1", "nats-2", "nats-3")
IMAGE = "memnode"
PROGRAM = "/usr/local/bin/memnode"
# Above the base. A program that is built for tests is twice as large as a released one, so there
# the rest alone is held to what it may have.
LAYER_BYTES_MAX = 80_000_000
REST_BYTES_MAX = 25_000_000
SETTLE_SECONDS = 60
KEY = secrets.token_hex(32)


def say(text):
    print(f"  {text}", flush=True)


def eventually(what, condition):
    """Waits until `condition` gives something true."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {SETTLE_SECONDS} s: {what}"
        time.sleep(0.2)


def call(node, path, body=None, key=KEY):
    """Calls a node through its published port; its status, 0 for none, and its answer."""
    url = f"http://127.0.0.1:{8001 + NODES.index(node)}{path}"
    headers = {"content-type": "application/json"} | ({"x-api-key": key} if key else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as got:
            return got.status, json.load(got)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)
    except OSError:
        return 0, {}


def remember(node, text):
    status, answer = call(node, "/api/memories", {"content": text})
    assert status == 200 and answer["success"], (status, answer)
    return answer["content_hash"]


def arrives(content_hash, nodes=NODES):
    for node in nodes:
        eventually(
            f"{node} has {content_hash}",
            lambda: call(node, f"/api/memories/{content_hash}")[0] == 200,
        )


def become_equal():
    def roots():
        return {call(node, "/api/cluster/digest")[1].get("root") for node in NODES}

    eventually("equal digests", lambda: len(found := roots()) == 1 and None not in found)


def become_healthy(docker, services):
    def state(service):
        container = docker.compose("ps", "-q", service).strip()
        return docker.inspect(container)["State"]["Health"]["Status"]

    for service in services:
        eventually(f"{service} is healthy", lambda: state(service) == "healthy")


def build(docker, memnode):
    """Builds with the program and the model that are there, with the older and the newer builder
    of the engine."""
    shown = subprocess.run([memnode, "--json", "model", "show"], check=True, capture_output=True)
    model = json.loads(shown.stdout)["directory"]
    ready = SOURCE / "target/image"
    shutil.rmtree(ready, ignore_errors=True)
    shutil.copytree(model, ready / "model")
    try:
        subprocess.run(["strip", "-o", ready / "memnode", memnode], check=True)
        docker.compose("build")
        docker.run(
            "build", "-f", "deploy/Dockerfile", "--build-arg", f"BUILDER={engine.DEBIAN}",
            "-t", f"{IMAGE}:newer", ".", DOCKER_BUILDKIT="1",
        )
    finally:
        shutil.rmtree(ready)


def check_image(docker, image, is_release):
    found = docker.inspect(image)
    added = found["Size"] - docker.inspect(engine.DEBIAN)["Size"]
    program = int(docker.run("run", "--rm", "--entrypoint", "stat", image, "-c%s", PROGRAM))
    rest = added - program
    assert 0 < rest < REST_BYTES_MAX, f"{rest} bytes besides the program"
    assert added < LAYER_BYTES_MAX or not is_release, f"{added} bytes above the base"
    assert found["Config"]["User"] == "memnode", found["Config"]
    # Open to other machines and no key: the node says what it needs instead of starting.
    assert "MCP_API_KEY" in docker.run("run", "--rm", image, code=64)
    docker.run("run", "--rm", image, "model", "verify")
    say(f"{image}: {rest / 1e6:.0f} MB above the base and the program of {program / 1e6:.0f} MB")


def check_keys():
    for node in NODES:
        for key, expected in ((None, 401), ("wrong", 401), (KEY, 200)):
            status, answer = call(node, "/api/memories", key=key)
            assert status == expected, (node, key, status, answer)
    say("nodes refuse a missing and a wrong key, and take the right one")


def check_replication(docker):
    arrives(remember("node-1", "The backup of the garden camera runs at four"))
    become_equal()
    say("what one node stored is on all three")
    docker.compose("stop", "node-2")
    missed = remember("node-3", "The ladder is lent to the neighbours")
    docker.compose("start", "node-2")
    become_healthy(docker, ["node-2"])
    arrives(missed)
    say("a node that was away has what it missed")
    docker.compose("stop", "nats-1")
    arrives(remember("node-2", "Two of three servers are enough"))
    docker.compose("start", "nats-1")
    become_healthy(docker, SERVERS)
    become_equal()
    say("one NATS server of three may be away")
    return missed


def check_volumes(docker, content_hash):
    docker.compose("restart", "node-1")
    become_healthy(docker, ["node-1"])
    arrives(content_hash)
    docker.compose("down")
    docker.compose("up", "-d")
    become_healthy(docker, NODES + SERVERS)
    arrives(content_hash)
    become_equal()
    say("memories outlive restarts and containers")


def main(memnode, nats_server, debian, work):
    work = Path(work)
    settings = work / "env"
    project = [
        "--project-name", "memnode", "--env-file", str(settings),
        "-f", "docker-compose.yml", "-f", "tests/compose/builder.yml",
    ]
    with engine.running(work, SOURCE, project) as docker:
        engine.make_debian(docker, debian)
        engine.make_nats(docker, nats_server, work)
        settings.write_text("MCP_API_KEY=\n", encoding="utf-8")
        assert ".env.example" in docker.compose("config", code=1)
        settings.write_text(f"MCP_API_KEY={KEY}\n", encoding="utf-8")
        build(docker, memnode)
        for image in (IMAGE, f"{IMAGE}:newer"):
            check_image(docker, image, Path(memnode).parent.name == "release")
        try:
            docker.compose("up", "-d")
            become_healthy(docker, NODES + SERVERS)
            say("three nodes and three NATS servers are healthy")
            check_keys()
            check_volumes(docker, check_replication(docker))
        except AssertionError:
            print(docker.compose("logs", "--no-color", "--tail", "40"))
            raise
        finally:
            docker.compose("down", "--volumes")
        assert not docker.run("ps", "-aq") and not docker.run("volume", "ls", "-q")
        say("nothing is left behind")


if __name__ == "__main__":
    main(*sys.argv[1:])
