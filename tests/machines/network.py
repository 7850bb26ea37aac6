"""Two machines with a cable between them: network namespaces, each with a home of its own."""

import os
import subprocess
import time
from pathlib import Path

ADDRESSES = {"server": "10.73.0.1", "laptop": "10.73.0.2"}
STOP_SECONDS = 30
SETTLE_SECONDS = 60


def eventually(what, condition):
    """Waits until `condition` gives something true, and gives it."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {SETTLE_SECONDS} s: {what}"
        time.sleep(0.1)
    return result


class Machine:
    """A home on a machine, to run commands in, with programs that stay."""

    def __init__(self, name, work, programs, model, namespace=None):
        self.name = name
        self.namespace = namespace or name
        self.home = work / name
        self.home.mkdir()
        self.environment = {
            "HOME": str(self.home),
            "MEMNODE_MODEL_DIR": model,
            "PATH": f"{programs}:{os.environ['PATH']}",
        }
        self.staying = []

    def command(self, script):
        return ["ip", "netns", "exec", self.namespace, "bash", "-euo", "pipefail", "-c", script]

    def run(self, script, source, code=0):
        """Runs shell commands, which must end with `code`; gives what they wrote."""
        finished = subprocess.run(
            self.command(script), cwd=source, env=self.environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        ended = f"{self.name}$ {script}\nended with {finished.returncode}:\n{finished.stdout}"
        assert finished.returncode == code, ended
        return finished.stdout

    def stay(self, script, source):
        """Starts a program that goes on; gives the file with what it writes."""
        log = self.home / f"{script.split()[0]}-{len(list(self.home.glob('*.log')))}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                self.command(f"exec {script}"), cwd=source, env=self.environment,
                stdout=output, stderr=output,
            )
        self.staying.append((script, child))
        return log

    def stop_first(self):
        """Stops what was started first; gives how it was started."""
        return self._stop(0)

    def stop(self):
        """Stops all programs, the last first."""
        while self.staying:
            self._stop(-1)

    def _stop(self, position):
        script, child = self.staying.pop(position)
        child.terminate()
        code = child.wait(STOP_SECONDS)
        # The older NATS server never ends with 0.
        assert code == 0 or script.startswith("nats"), f"{script} ended with {code}"
        return script

    def plug(self, state):
        """Sets the machine's end of the cable `up` or `down`."""
        subprocess.run(["ip", "-n", self.name, "link", "set", "cable", state], check=True)


def connect():
    """Makes the namespaces and the cable; the name `server.lan` leads to the server."""
    # Names of namespaces lie in /run, and this one is seen by nobody else.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    for name in ADDRESSES:
        subprocess.run(["ip", "netns", "add", name], check=True)
    ends = ["cable", "netns", "server", "type", "veth", "peer", "cable", "netns", "laptop"]
    subprocess.run(["ip", "link", "add", *ends], check=True)
    for name, address in ADDRESSES.items():
        for line in (f"addr add {address}/24 dev cable", "link set cable up", "link set lo up"):
            subprocess.run(["ip", "-n", name, *line.split()], check=True)


def name_server(work):
    hosts = work / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ADDRESSES['server']} server.lan\n", encoding="utf-8")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


def programs(work, memnode, nats_server):
    """A directory for the path: the programs, and an `scp` for machines that share a disk."""
    directory = work / "bin"
    directory.mkdir()
    (directory / "memnode").symlink_to(memnode)
    (directory / "nats-server").symlink_to(nats_server)
    scp = directory / "scp"
    scp.write_text(f'#!/bin/sh\n[ "$1" != -r ] || shift\ncp -r {work}/server/${{1#*:}} "$2"\n', encoding="utf-8")
    scp.chmod(0o755)
    return directory


def read_blocks(page):
    """The shell blocks of a page that are for a machine: (machine, whether it stays, script)."""
    blocks, lines = [], iter(Path(page).read_text(encoding="utf-8").splitlines())
    for line in lines:
        words = line.removeprefix("```sh ").split() if line.startswith("```sh ") else []
        if words and words[0] in ADDRESSES:
            script = "\n".join(iter(lambda: next(lines), "```"))
            blocks.append((words[0], words[1:] == ["stays"], script))
    return blocks
