"""How much memory there is to use: the machine's, or the container's where that is less.

Linux bounds the memory of a container (and of a batch job) with a control group, "cgroup": a
process that outgrows it is killed, however much memory the machine has. Groups are folders within
folders, and the tightest limit on the way up counts. Version 2 is one tree, version 1 a tree for
each resource; their files mean the same under other names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")  # a line of ID:RESOURCES:PATH for each tree


class Files(NamedTuple):
    """What a version of cgroups calls the files of a group, and an entry of its memory.stat."""

    limits: tuple[str, ...]
    used: str
    cache: str  # pages of files that were not used for long: given back before anything is killed


VERSION_1 = Files(("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file")
VERSION_2 = Files(("memory.max", "memory.high"), "memory.current", "inactive_file")


def free_memory(device: torch.device) -> int:
    """Bytes that are free where a device's tensors live."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min([psutil.virtual_memory().available, *(room for _, room in cgroup_limits())])


def total_memory() -> int:
    """Bytes that this process can have on the CPU if all others end."""
    return min([psutil.virtual_memory().total, *(limit for limit, _ in cgroup_limits())])


def cgroup_limits() -> list[tuple[int, int]]:
    """(limit, what of it is free) in bytes of every cgroup that bounds this process."""
    limits = []
    for folder, files in own_cgroups():
        bounds = [read_number(folder / name) for name in files.limits]
        used = read_number(folder / files.used)
        if used is None or all(bound is None for bound in bounds):
            continue
        limit = min(bound for bound in bounds if bound is not None)
        unused = max(0, limit - used + read_stat(folder / "memory.stat", files.cache))
        limits.append((limit, min(unused, limit)))
    return limits


def own_cgroups() -> Iterator[tuple[Path, Files]]:
    """The folders of this process's cgroup and of all above it, with what their files are called.

    Inside a container the path may be the one outside of it: then only the tree's root is there.
    """
    if not OWN_CGROUPS.is_file():  # not Linux
        return
    for line in OWN_CGROUPS.read_text(encoding="utf-8").splitlines():
        _, resources, path = line.split(":", 2)
        if resources == "":
            root, files = CGROUPS, VERSION_2
        elif "memory" in resources.split(","):
            root, files = CGROUPS / "memory", VERSION_1
        else:
            continue
        inner = root / path.lstrip("/")
        while inner != root and ".." not in path:
            yield inner, files
            inner = inner.parent
        yield root, files


def read_number(path: Path) -> int | None:
    """The number in a file; None where there is no such file or it says "max": no limit."""
    text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    return int(text) if text.isdecimal() else None


def read_stat(path: Path, entry: str) -> int:
    """An entry of a file with lines of NAME NUMBER; 0 where it has none."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    numbers = dict(line.split(" ", 1) for line in lines if " " in line)
    return int(numbers.get(entry, 0))
