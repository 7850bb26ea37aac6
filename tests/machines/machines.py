"""Follows docs/two-machines.md on two machines and then breaks what can break between them.

Started by ./run, which says what is needed.
"""

import hashlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import network
from network import Machine, eventually

SOURCE = Path(__file__).resolve().parents[2]
PAGE = SOURCE / "docs/two-machines.md"
# From 5,000 on a node that joins may take a snapshot.
NOTE_COUNT = 5_100
PERMISSIONS_PAGE = SOURCE / "docs/nats-permissions.md"
# What the laptop's user must not do, as lines of the NATS protocol.
FORBIDDEN = (
    "PUB mem.memnode.ev.server.0000000000000001",
    "PUB mem.memnode.hb.server",
    "PUB mem.memnode.ack.server",
    "PUB mem.other.ev.laptop.0000000000000001",
    "PUB _INBOX.server.answer",
    "PUB $JS.API.STREAM.UPDATE.memnode-memnode",
    "PUB $JS.API.STREAM.DELETE.memnode-memnode",
    "PUB $JS.API.STREAM.PURGE.memnode-memnode",
    "PUB $JS.API.STREAM.MSG.DELETE.other",
    "PUB $JS.API.STREAM.CREATE.other",
    "PUB $JS.API.CONSUMER.CREATE.other.reader",
    "SUB > 1",
    "SUB mem.memnode.ev.> 2",
    "SUB mem.memnode.rq.server.* 3",
    "SUB _INBOX.> 4",
    "SUB $SYS.> 5",
)


def say(text):
    print(f"  {text}", flush=True)


def follow(page, machines):
    """Runs the commands of the page in order, waiting for each program that stays."""
    blocks = network.read_blocks(page)
    assert len(blocks) >= 6, "the page has commands"
    for name, stays, script in blocks:
        machine = machines[name]
        print(f"  {name}$ {script}", flush=True)
        if not stays:
            wait_for_what_it_looks_for(machine, script)
        elif script.startswith("memnode"):
            machine.stay(script, SOURCE)
            eventually(f"{name} is ready", lambda: is_ready(machine))
        else:
            start_nats(machine, script)


def start_nats(machine, script):
    log = machine.stay(script, SOURCE)
    eventually("NATS is ready", lambda: "Server is ready" in log.read_text("utf-8"))


def wait_for_what_it_looks_for(machine, script):
    """Runs commands once; a search, until it finds something."""
    if "memnode search" in script:
        eventually("the search finds it", lambda: "fridge" in machine.run(script, SOURCE))
    else:
        machine.run(script, SOURCE)


def is_ready(machine):
    return "ready" == machine.run("memnode ready || true", SOURCE).strip()


def remember(machine, text):
    machine.run(f"memnode add '{text}'", SOURCE)


def knows(machine, text):
    return text in machine.run("memnode list -n 100", SOURCE)


def digest(machine, port=8000):
    url = f"http://127.0.0.1:{port}/api/cluster/digest"
    return json.loads(machine.run(f"curl -sf {url}", SOURCE))["root"]


def become_equal(machines):
    eventually("equal digests", lambda: len({digest(each) for each in machines.values()}) == 1)


def check_unplugged(machines):
    server, laptop = machines["server"], machines["laptop"]
    laptop.plug("down")
    remember(laptop, "Written on the train")
    remember(server, "Written at home")
    assert not knows(server, "Written on the train")
    laptop.plug("up")
    for machine in machines.values():
        for text in ("Written on the train", "Written at home"):
            eventually(f"{machine.name} knows {text}", lambda: knows(machine, text))
    become_equal(machines)
    say("unplugged and plugged in again: both have what the other wrote")


def check_permissions(machines):
    logs = sorted(machines["server"].home.glob("nats-server-*.log"))
    lines = [line for log in logs for line in log.read_text("utf-8").splitlines()]
    violations = [line for line in lines if "Violation" in line]
    assert not violations, "\n".join(violations)
    say("NATS refused the nodes nothing that they tried")
    users = (machines["server"].home / "memnode-hub/users.conf").read_text("utf-8")
    user = re.search(r'  {\n    user: "laptop"\n.*?\n  }\n', users, re.DOTALL)[0]
    shown = re.sub(r"    password: .*\n", "", user)
    assert shown in PERMISSIONS_PAGE.read_text("utf-8"), f"the page does not show\n{shown}"
    password = re.search(r'password: "(.*)"', user)[1]
    refused = probe(machines["laptop"], password, FORBIDDEN)
    unrefused = [line for line in FORBIDDEN if f'"{line.split()[1].lower()}"' not in refused]
    assert not unrefused, f"permitted: {unrefused}\n{refused}"
    assert probe(machines["laptop"], password, ["PUB mem.memnode.hb.laptop"]) == ""
    assert "authorization violation" in probe(machines["laptop"], "wrong", [])
    say("and the laptop's password permits nothing else")


def add_node(server):
    """Adds a user to the server while nodes are connected."""
    settings = server.home / "memnode-hub/laptop/memnode.toml"
    before = settings.read_text("utf-8")
    for wrong in ("server.lan 'a b'", "server.lan ../x", "'no host' tablet", "server.lan"):
        server.run(f"deploy/nats/hub ~/memnode-hub {wrong}", SOURCE, code=64)
    server.run("deploy/nats/hub ~/memnode-hub server.lan tablet", SOURCE)
    server.run("nats-server --signal reload", SOURCE)
    assert settings.read_text("utf-8") == before, "the laptop's settings changed"


def lose_the_stream(server):
    """NATS forgets all it had: the nodes make the stream again, and it holds no old write."""
    script = server.stop_first()
    server.run("rm -r ~/memnode-hub/jetstream", SOURCE)
    start_nats(server, script)


def check_late_node(machines, tablet):
    """Lets a node join that may take a snapshot, as it has that much to fetch."""
    server = machines["server"]
    notes = server.home / "notes.jsonl"
    lines = (json.dumps({"content": f"Note {number}"}) for number in range(NOTE_COUNT))
    notes.write_text("\n".join(lines), encoding="utf-8")
    server.run("memnode import ~/notes.jsonl", SOURCE)
    add_node(server)
    become_equal(machines)
    lose_the_stream(server)
    tablet.run("mkdir -p ~/.config; scp -r server.lan:memnode-hub/tablet ~/.config/memnode", SOURCE)
    tablet.stay("memnode serve --http-port 8010", SOURCE)
    eventually("the tablet is ready", lambda: is_ready(tablet))
    eventually("the tablet is level", lambda: digest(tablet, 8010) == digest(server))
    say(f"a node that came later has all {NOTE_COUNT} notes, although NATS had lost them")


def check_erased(machines):
    """Erases a memory that a snapshot holds."""
    post(machines["server"], "/api/cluster/snapshot")
    content_hash = hashlib.sha256(b"note 7").hexdigest()
    erase = f"/api/memories/{content_hash}/purge"
    eventually("all have confirmed", lambda: post(machines["laptop"], erase)["done"])
    say("what was erased is erased on all nodes, and gone from NATS")


def post(machine, path):
    return json.loads(machine.run(f"curl -sf -X POST http://127.0.0.1:8000{path}", SOURCE))


def probe(machine, password, lines):
    """What the server refuses to the laptop's user, in lower case."""
    words = [
        "python3", "-B", str(SOURCE / "tests/machines/probe.py"), "server.lan",
        str(machine.home / ".config/memnode/nats.pem"), "laptop", password, *lines,
    ]
    return machine.run(shlex.join(words), SOURCE).lower()


def main(memnode, nats_server, work):
    work = Path(work)
    shown = subprocess.run([memnode, "--json", "model", "show"], check=True, capture_output=True)
    model = json.loads(shown.stdout)["directory"]
    programs = network.programs(work, memnode, nats_server)
    network.connect()
    network.name_server(work)
    machines = {name: Machine(name, work, programs, model) for name in network.ADDRESSES}
    tablet = Machine("tablet", work, programs, model, namespace="laptop")
    try:
        follow(PAGE, machines)
        become_equal(machines)
        check_unplugged(machines)
        check_late_node(machines, tablet)
        check_erased(machines)
        check_permissions(machines)
    except AssertionError:
        for machine in (*machines.values(), tablet):
            for log in sorted(machine.home.glob("*.log")):
                lines = log.read_text(encoding="utf-8").splitlines()[-25:]
                print("\n".join([f"--- {machine.name} {log.name}", *lines]))
        raise
    finally:
        for machine in (tablet, machines["laptop"], machines["server"]):
            machine.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
