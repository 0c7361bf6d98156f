"""Call functions that a model wrote, in a process that cannot do any harm with them.

    call_function("def twice(x): return 2 * x", "twice", [[1], ["a"]])    # -> [2, "aa"]

    run.py --job--> candidate.py (runs the model's code) --JSON lines--> run.py

The caller gets values back and compares them itself. The candidate never learns which values are
expected, so nothing that it prints, patches or writes into its reply makes a wrong function pass.
(Where it can read your files, without Landlock, it could look the expected values up.)

What contains it, where the system has it (`layers()`; `not_contained()` says what is missing):

    limits      memory of each process, CPU seconds, size of a file, number of open files; on every
                system a wall clock, which starts when the layers are entered
    bubblewrap  (Linux, where `bwrap` is installed) no network, no other processes; every file
                system is read-only except a small one in memory, which vanishes with it
    landlock    (Linux 5.13) no file can be opened except the libraries of Python and the system
    seccomp     (Linux on x86-64 or arm64) only the system calls that computing a value needs: none
                for new processes, threads, sockets, signals, or a file's owner and mode

Not contained even then: bugs in the kernel, and one core and MEMORY_BYTES until the time is up.
Use a virtual machine for code that a person wrote to attack you. On macOS and Windows only the wall
clock holds (and on macOS CPU seconds): there the code can do whatever you can do.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

WALL_SECONDS = 4.0
REPLY_BYTES = 1 << 20
FOLDER_BYTES = 16 << 20  # with bubblewrap
START_SECONDS = 60.0  # for Python to start and the layers to be entered, on a busy machine
CANDIDATE = Path(__file__).with_name("candidate.py")
NO_VALUE = object()  # the call raised, took too long, or returned what JSON cannot hold

_cores = threading.BoundedSemaphore(os.cpu_count() or 1)  # with more at once, the clock is unfair


def call_function(
    code: str, name: str, calls: list[list], *, wall_seconds: float = WALL_SECONDS
) -> list[object]:
    """Run `code` in the sandbox and call its function `name` with each list of arguments.

    Returns one value per call, as JSON gives it back (a tuple comes as a list), or NO_VALUE.
    Raises ValueError for arguments that are not JSON values, RuntimeError where it does not start.
    """
    values = [NO_VALUE] * len(calls)
    for line in run_job({"code": code, "name": name, "calls": calls}, wall_seconds)[1]:
        with suppress(ValueError, TypeError, KeyError, IndexError, RecursionError):
            reply = json.loads(line)  # a candidate may have written anything
            # abs: not a number is a TypeError, and a negative index would count from the end
            values[abs(reply["call"])] = reply["value"]
    return values


def run_job(job: dict, wall_seconds: float) -> tuple[list[str], list[str]]:
    """Run a job in a new process: the layers that contained it, and the lines of its reply.

    Raises ValueError for a job that is not JSON, and RuntimeError, with what went wrong, where it
    does not get as far as the model's code.
    """
    wrapped = bubblewrap_works()
    try:
        text = json.dumps(job | {"layers": ["bubblewrap"] if wrapped else []})
    except TypeError as error:
        raise ValueError(f"the arguments of a call must be JSON values: {error}") from error
    with (
        _cores,
        tempfile.TemporaryDirectory(prefix="sandbox-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as question,
        tempfile.TemporaryFile() as reply,
    ):
        question.write(text.encode())
        question.seek(0)
        start = time.monotonic()
        process = subprocess.Popen(
            [*(bubblewrap(folder) if wrapped else []), *PYTHON, str(CANDIDATE)],
            stdin=question,
            stdout=reply,
            stderr=subprocess.PIPE,  # closed before the model's code runs: this can be believed
            cwd=folder,
            env={} if os.name == "posix" else None,
            start_new_session=True,
        )
        too_slow = threading.Timer(START_SECONDS, end, [process])
        too_slow.start()
        with process, suppress(subprocess.TimeoutExpired):
            try:
                entered = process.stderr.readline()  # the layers, or the start of an error
                if not entered.startswith(b"["):
                    entered += process.stderr.read()
                seconds = time.monotonic() - start
                too_slow.cancel()
                process.wait(wall_seconds)
            finally:
                too_slow.cancel()
                end(process)
        reply.seek(0)
        lines = reply.read(REPLY_BYTES).decode(errors="replace").split("\n")
    if not entered.startswith(b"["):
        why = entered.decode(errors="replace").strip()
        why = why or f"it ended without a word after {seconds:.1f} of {START_SECONDS:g} seconds"
        raise RuntimeError(f"the sandbox did not start: {why}")
    return json.loads(entered), lines


PYTHON = [sys.executable, "-I", "-S"]


def bubblewrap(folder: str) -> list[str]:
    """The command that runs another one with no network, no other processes, and `folder` as the
    only place to write to. See bwrap(1)."""
    return [
        "bwrap",
        *("--unshare-all", "--unshare-user", "--die-with-parent", "--cap-drop", "ALL"),
        *("--ro-bind", "/", "/", "--dev-bind", "/dev/null", "/dev/null"),
        *("--size", str(FOLDER_BYTES), "--tmpfs", folder, "--chdir", folder),
    ]


@lru_cache
def bubblewrap_works() -> bool:
    """Whether `bwrap` is installed and allowed to do its work, which many containers forbid."""
    if sys.platform != "linux" or shutil.which("bwrap") is None:
        return False
    with tempfile.TemporaryDirectory(prefix="sandbox-") as folder:
        trial = [*bubblewrap(folder), *PYTHON, "-c", ""]
        return subprocess.run(trial, capture_output=True).returncode == 0


def end(process: subprocess.Popen) -> None:
    """Kill a process and its process group, of which some may have outlived it."""
    if os.name != "posix":
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # nobody is left (on macOS: only zombies)
        os.killpg(process.pid, signal.SIGKILL)


@lru_cache
def layers() -> frozenset[str]:
    """The layers that contain a candidate on this machine, found out by starting one."""
    return frozenset(run_job({"code": "", "name": "", "calls": []}, WALL_SECONDS)[0])


def not_contained(has: frozenset[str] | None = None) -> list[str]:
    """What a candidate could do if only these layers contain it (None: those of this machine), one
    sentence each. Print it before code runs."""
    has = layers() if has is None else has
    closed_by = {
        "It can fill the memory.": {"limits"},
        "It can read every file that you can read, including the tests that grade it.": {
            "landlock"
        },
        "It can write and delete your files.": {"landlock", "bubblewrap"},
        "It can change the mode and times of your files.": {"bubblewrap", "seccomp"},
        "It can fill the disk (install bubblewrap).": {"bubblewrap"},
        "It can use the network.": {"bubblewrap", "seccomp"},
        "It can talk to services through sockets in your files (Docker, D-Bus).": {"seccomp"},
        "It can start many processes, and fill the memory with them, until its time is up.": {
            "seccomp"
        },
        "It can signal your processes, and leave its own behind.": {"bubblewrap", "seccomp"},
    }
    return [sentence for sentence, closing in closed_by.items() if not closing & has]
