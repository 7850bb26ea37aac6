"""The package descriptions of Debian as memories: real English texts that any Debian has.

`apt-get update` fetches them into a directory of our own, so this needs no root and changes
nothing of the machine's.
"""

import json
import random
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SEED = 20261122


def fetch(directory):
    """The description lists below the directory, fetched unless they are there."""
    found = sorted(directory.glob("lists/*Translation-en"))
    if found:
        return found
    if shutil.which("apt-get") is None:
        raise SystemExit("the demo's texts come with apt-get; elsewhere: make demo FILE=a-text")
    print("fetching the package descriptions of Debian (7 MB)", flush=True)
    for part in ["lists/partial", "cache/archives/partial"]:
        (directory / part).mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "-q", "-q", "-c", str(HERE / "apt.conf")]
    for key, value in [("Dir::State", directory), ("Dir::Cache", directory / "cache")]:
        command += ["-o", f"{key}={value}"]
    subprocess.run([*command, "update"], check=True, stdin=subprocess.DEVNULL)
    found = sorted(directory.glob("lists/*Translation-en"))
    if not found:
        raise SystemExit("apt-get fetched no English descriptions; see its messages above")
    return found


def read(path):
    """Each package of one list as (name, text); see deb-control(5) for the format."""
    for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
        name, lines = None, None
        for line in paragraph.splitlines():
            if line.startswith("Package: "):
                name = line.removeprefix("Package: ").strip()
            elif line.startswith("Description-en: "):
                lines = [f"{name}: {line.removeprefix('Description-en: ')}"]
            elif line.startswith(" ") and lines is not None:
                lines.append("" if line == " ." else line[1:])
        if name and lines:
            yield name, "\n".join(lines)


def choose(texts, wanted, count):
    """The wanted packages and a random rest, the same at every run, in random order."""
    wanted = sorted(wanted & texts.keys())
    rest = sorted(texts.keys() - set(wanted))
    generator = random.Random(SEED)
    chosen = wanted + generator.sample(rest, min(len(rest), max(0, count - len(wanted))))
    generator.shuffle(chosen)
    return chosen


def write(path, directory, wanted, count):
    """Writes `count` descriptions as JSONL that `memnode import` reads."""
    texts = {}
    for listed in fetch(directory):
        for name, text in read(listed):
            texts.setdefault(name, text)
    chosen = choose(texts, wanted, count)
    with path.open("w", encoding="utf-8") as out:
        for name in chosen:
            memory = {
                "content": texts[name],
                "tags": ["debian"],
                "memory_type": "description",
                "metadata": {"package": name},
            }
            out.write(json.dumps(memory, ensure_ascii=False) + "\n")
    print(f"{len(chosen)} of {len(texts)} descriptions chosen, seed {SEED}", flush=True)
