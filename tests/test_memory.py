"""Free memory, with made-up trees of cgroups in the place of /sys/fs/cgroup."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from shared import LLM
from shared.loading import memory
from shared.loading.memory import free_memory, total_memory

GB = 1 << 30
CPU = torch.device("cpu")
UNLIMITED = 9223372036854771712  # what version 1 writes for "no limit"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 64 GB, 40 of them free, and no cgroups yet."""
    free = SimpleNamespace(available=40 * GB, total=64 * GB)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def own(machine: Path, *lines: str) -> None:
    """Write what /proc/self/cgroup says."""
    (machine / "own").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def group(machine: Path, path: str, **files: object) -> None:
    """Make a cgroup; `memory_max` stands for memory.max, and so on."""
    folder = machine / "cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{content}\n", encoding="utf-8")


def stat(inactive: int, name: str = "inactive_file") -> str:
    """A memory.stat with other lines around the one that counts."""
    return f"anon 123\nactive_file {GB}\n{name} {inactive}\nfile_dirty 0"


def test_without_cgroups_it_is_what_the_machine_has_free(machine: Path) -> None:
    assert (free_memory(CPU), total_memory()) == (40 * GB, 64 * GB)
    own(machine, "0::/user.slice")  # a tree without limits, as on most desktops
    assert (free_memory(CPU), total_memory()) == (40 * GB, 64 * GB)


def test_version_2_limit_less_what_is_used_but_not_the_old_pages_of_files(machine: Path) -> None:
    own(machine, "0::/")
    group(machine, "", memory_max=GB, memory_current=GB // 2, memory_stat=stat(GB // 8))
    assert free_memory(CPU) == GB - GB // 2 + GB // 8
    assert total_memory() == GB


def test_the_tightest_of_nested_groups_counts(machine: Path) -> None:
    own(machine, "0::/kubepods/pod7/box")
    group(machine, "", memory_stat=stat(GB))  # the root has no limit
    group(machine, "kubepods", memory_max=50 * GB, memory_current=20 * GB, memory_stat=stat(0))
    group(machine, "kubepods/pod7", memory_max=8 * GB, memory_current=7 * GB, memory_stat=stat(0))
    group(machine, "kubepods/pod7/box", memory_max="max", memory_current=GB, memory_stat=stat(0))
    assert (free_memory(CPU), total_memory()) == (GB, 8 * GB)
    group(machine, "kubepods/pod7/box", memory_max=2 * GB, memory_current=GB + GB // 2)
    assert (free_memory(CPU), total_memory()) == (GB // 2, 2 * GB)
    group(machine, "kubepods/other", memory_max=1, memory_current=0)  # a neighbor
    assert free_memory(CPU) == GB // 2


def test_memory_high_is_a_limit_too(machine: Path) -> None:
    own(machine, "0::/a")
    group(machine, "a", memory_max="max", memory_high=3 * GB, memory_current=GB)
    assert (free_memory(CPU), total_memory()) == (2 * GB, 3 * GB)


def test_a_machine_with_less_than_the_limit(machine: Path) -> None:
    own(machine, "0::/")
    group(machine, "", memory_max=100 * GB, memory_current=GB)
    assert (free_memory(CPU), total_memory()) == (40 * GB, 64 * GB)


def test_a_group_beyond_its_limit_has_nothing_free(machine: Path) -> None:
    own(machine, "0::/")
    group(machine, "", memory_max=GB, memory_current=2 * GB, memory_stat=stat(GB // 2))
    assert free_memory(CPU) == 0


def test_old_pages_of_files_free_no_more_than_the_limit(machine: Path) -> None:
    own(machine, "0::/")
    group(machine, "", memory_max=GB, memory_current=GB // 2, memory_stat=stat(3 * GB))
    assert free_memory(CPU) == GB


@pytest.mark.parametrize("path", ["/docker/4f2a", "/../sibling", "/"])
def test_in_a_container_the_path_may_be_the_one_outside(machine: Path, path: str) -> None:
    own(machine, f"0::{path}")
    group(machine, "", memory_max=2 * GB, memory_current=GB)
    assert free_memory(CPU) == GB


def test_version_1(machine: Path) -> None:
    own(machine, "12:cpu,cpuacct:/", "5:memory:/batch/job", "1:name=systemd:/batch", "0::/")
    used = {"memory_usage_in_bytes": 3 * GB, "memory_stat": stat(GB, "total_inactive_file")}
    group(machine, "memory", memory_limit_in_bytes=UNLIMITED, **used)
    group(machine, "memory/batch", memory_limit_in_bytes=16 * GB, **used)
    group(machine, "memory/batch/job", memory_limit_in_bytes=4 * GB, **used)
    assert (free_memory(CPU), total_memory()) == (2 * GB, 4 * GB)
    own(machine, "5:memory:/docker/not-here", "0::/")
    group(machine, "memory", memory_limit_in_bytes=GB, memory_usage_in_bytes=0)
    assert free_memory(CPU) == GB


def test_the_default_caches_stay_within_the_limit(machine: Path, random_folder: Path) -> None:
    own(machine, "0::/")
    group(machine, "", memory_max=1 << 28, memory_current=0)
    llm = LLM(str(random_folder), device="cpu")
    assert llm._batch.admission.cache_bytes == 1 << 27
    assert llm._prefixes.max_bytes == 1 << 25


def test_a_model_that_no_memory_can_hold_is_refused(machine: Path, random_folder: Path) -> None:
    own(machine, "0::/")
    group(machine, "", memory_max=30_000, memory_current=0)
    with pytest.raises(ValueError, match="weights take 0.0 GB as torch.bfloat16, but this machine"):
        LLM(str(random_folder), device="cpu", dtype=torch.bfloat16)
    LLM(str(random_folder), device="cpu", cache_bytes=1 << 24)  # used where it lies
