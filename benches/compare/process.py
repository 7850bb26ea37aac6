"""What a process takes of the machine, read off /proc (Linux)."""

import os

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid="self"):
    """User and system time that all its threads have used."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid="self"):
    """Resident memory, and what of it is anonymous: no page of a file."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        kib = {line.split(":")[0]: line.split()[1] for line in status if line.endswith("kB\n")}
    return {"resident": int(kib["VmRSS"]) / 1024, "anonymous": int(kib["RssAnon"]) / 1024}


def disk_mib(directory):
    """Room that the files below a directory take."""
    sizes = (path.stat().st_blocks for path in directory.rglob("*") if path.is_file())
    return sum(sizes) * 512 / 2**20
