"""A Docker engine of our own, and images under the names of those that cannot be pulled."""

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 30
DEBIAN = "debian:bookworm-slim"
NATS = "nats:2.15-alpine"


class Docker:
    """The programs `docker` and `docker-compose` of Debian, bound to one engine."""

    def __init__(self, socket, source, compose_options):
        self.environment = {
            "DOCKER_HOST": f"unix://{socket}",
            "HOME": str(socket.parent),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        self.source = source
        self.compose_options = compose_options

    def run(self, *arguments, **more):
        """Runs `docker`; see `_run`."""
        return self._run(["docker", *arguments], **more)

    def compose(self, *arguments, **more):
        """Runs `docker-compose` on the project; see `_run`."""
        return self._run(["docker-compose", *self.compose_options, *arguments], **more)

    def inspect(self, *arguments):
        return json.loads(self.run("inspect", *arguments))[0]

    def _run(self, command, code=0, **environment):
        """Runs a command in the source, which must end with `code`; gives what it wrote."""
        finished = subprocess.run(
            command, cwd=self.source, env=self.environment | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
        ended = f"{' '.join(command)} ended with {finished.returncode}:\n{finished.stdout}"
        assert finished.returncode == code, ended
        return finished.stdout


@contextmanager
def running(work, source, compose_options):
    """An engine that keeps every file below `work`; stopped in the end."""
    socket, log = work / "docker.sock", work / "dockerd.log"
    command = [
        "dockerd", f"--host=unix://{socket}", f"--data-root={work / 'data'}",
        f"--exec-root={work / 'exec'}", f"--pidfile={work / 'dockerd.pid'}",
    ]
    # Ports are published on this interface, and a new network namespace has it down.
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with log.open("w", encoding="utf-8") as output:
        engine = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not socket.exists():
            in_time = time.monotonic() < deadline
            assert in_time and engine.poll() is None, log.read_text(encoding="utf-8")[-3000:]
            time.sleep(0.1)
        yield Docker(socket, source, compose_options)
    finally:
        engine.terminate()
        engine.wait(START_SECONDS)


def make_debian(docker, archive):
    docker.run("import", str(archive), DEBIAN)


def make_nats(docker, nats_server, work):
    """Of the published image what we use: the server and wget, on the path."""
    root, archive = work / "nats", work / "nats.tar"
    (root / "tmp").mkdir(parents=True)
    (root / "bin").mkdir()
    shutil.copy(nats_server, root / "bin/nats-server")
    shutil.copy(Path(shutil.which("busybox")).resolve(), root / "bin/busybox")
    (root / "bin/wget").symlink_to("busybox")
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    docker.run("import", "--change", 'CMD ["nats-server"]', str(archive), NATS)
