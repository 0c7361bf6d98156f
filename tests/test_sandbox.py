"""The sandbox: each attack is a test that shows it contained, with all layers and without each."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from ch04_rejection import code_tasks
from shared.sandbox import candidate
from shared.sandbox import run as sandbox

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")


# --- It works -------------------------------------------------------------------------------------


def test_values_come_back():
    code = "def f(a, b=2):\n    return (a, [b, None, True, 2.5], {'k': a})\n"
    assert sandbox.call_function(code, "f", [[1], ["x", 3]]) == [
        [1, [2, None, True, 2.5], {"k": 1}],
        ["x", [3, None, True, 2.5], {"k": "x"}],
    ]


def test_a_call_that_fails_has_no_value_and_spoils_no_other():
    code = "import sys\ndef f(x):\n    return {0: 1, 1: 1 / 0 if x else 0}[x] if x < 2 else sys.exit()\n"
    values = sandbox.call_function(code, "f", [[0], [1], [2], [0]])
    assert values == [1, sandbox.NO_VALUE, sandbox.NO_VALUE, 1]
    assert sandbox.call_function("def f(:", "f", [[0]]) == [sandbox.NO_VALUE]
    for strange in ("", "\ud800", "\0", "f = 1", "(" * 10**5):
        assert sandbox.call_function(strange, "f", [[0]]) == [sandbox.NO_VALUE]
    assert sandbox.call_function("def f(x): return {1}", "f", [[0]]) == [sandbox.NO_VALUE]


def test_a_failing_example_after_the_function_does_no_harm():
    assert sandbox.call_function("def f(): return 1\nassert f() == 2", "f", [[]]) == [1]


def test_the_standard_library_can_be_imported():
    modules = "collections, datetime, decimal, fractions, functools, hashlib, heapq, itertools"
    code = f"import {modules}, json, math, random, re, statistics, string, typing, bisect, copy\n"
    code += "def f(): return [str(decimal.Decimal(1) / 4), hashlib.md5(b'').hexdigest()[:4]]\n"
    assert sandbox.call_function(code, "f", [[]]) == [["0.25", "d41d"]]


# --- It holds -------------------------------------------------------------------------------------

LAYERS = {  # how to leave one out, to see that the others hold without it
    "bubblewrap": ("run.py", 'shutil.which("bwrap") is None', "True"),
    "landlock": ("linux.py", "libc.syscall(SYS_LANDLOCK_CREATE, None, 0, 1)", "0"),
    "seccomp": ("linux.py", "if machine not in AUDIT_ARCH:", "if True:"),
}


def changed_sandbox(folder: Path, *changes: tuple[str, str, str]) -> ModuleType:
    """A copy of the sandbox in which some texts of its files are replaced. Its processes can be
    told from others by its path."""
    copy = Path(shutil.copytree(Path(sandbox.__file__).parent, folder / "copy"))
    for name, old, new in changes:
        source = (copy / name).read_text("utf-8")
        assert old in source, old
        (copy / name).write_text(source.replace(old, new), "utf-8")
    spec = importlib.util.spec_from_file_location("sandbox_copy", copy / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_sandbox(folder: Path, *without: str) -> ModuleType:
    """A copy of the sandbox that lacks some layers."""
    return changed_sandbox(folder, *(LAYERS[layer] for layer in without))


@pytest.fixture(params=["all", "no bubblewrap", "no landlock", "no seccomp"])
def box(request, tmp_path) -> ModuleType:
    """The sandbox with all its layers, and without each of them."""
    return load_sandbox(tmp_path, *request.param.removeprefix("no ").replace("all", "").split())


def needs(box: ModuleType, *any_of: str) -> None:
    """Skip where the system (or the sandbox under test) has none of the layers that close a door."""
    if not set(any_of) & box.layers():
        pytest.skip(f"none of {any_of} here: not_contained() says so")


def survivors(box: ModuleType) -> list[psutil.Process]:
    """Processes of this sandbox that are still there."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        is_ours = str(box.CANDIDATE) in (process.info["cmdline"] or [])
        if is_ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


KILL = "os.kill({0}, signal.SIGKILL)\nreturn 1"
KILL_BY_FCNTL = """import fcntl
here = os.open('.', os.O_RDONLY)
fcntl.fcntl(here, 10, signal.SIGKILL)  # F_SETSIG: this signal,
fcntl.fcntl(here, 8, {0})  # F_SETOWN: to this process,
fcntl.fcntl(here, 1026, 4)  # F_NOTIFY: when a file is made
open('a', 'w').close()
time.sleep(0.5)
return 1"""


@contextmanager
def victim() -> Iterator[subprocess.Popen]:
    """A process that does nothing, for others to signal."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        try:
            yield process
        finally:
            process.kill()


def attempt(box: ModuleType, body: str, wall_seconds: float = 3.0) -> object:
    """What an attack, the body of a function, returns; then nothing of it may be left."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    code = f"import ctypes, os, signal, socket, subprocess, sys, time\ndef f():\n{lines}"
    start = time.monotonic()
    (value,) = box.call_function(code, "f", [[]], wall_seconds=wall_seconds)
    assert time.monotonic() - start < wall_seconds + 30  # on a busy machine
    deadline = time.monotonic() + 5
    while survivors(box) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not survivors(box)
    return sandbox.NO_VALUE if value is box.NO_VALUE else value


@ONLY_LINUX
def test_the_layers_of_this_machine_are_told(box):
    expected = {"limits", "bubblewrap", "landlock", "seccomp"}
    assert "limits" in box.layers() and box.layers() <= expected
    if box.layers() == expected:
        assert box.not_contained() == []


@ONLY_LINUX
def test_without_layers_the_attacks_would_succeed(tmp_path):
    # Else the tests below would prove nothing.
    box = load_sandbox(tmp_path, "bubblewrap", "landlock", "seccomp")
    assert box.layers() == {"limits"} and len(box.not_contained()) == 8
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    assert attempt(box, f"return open({str(secret)!r}).read()") == "secret"
    attempt(box, f"os.chmod({str(secret)!r}, 0o600)\nopen({str(secret)!r}, 'w').write('gone')")
    assert secret.read_text() == "gone" and secret.stat().st_mode & 0o777 == 0o600
    shell = (
        "return subprocess.run(['/bin/sh', '-c', 'echo 1'], capture_output=True).stdout.decode()"
    )
    assert attempt(box, shell) == "1\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        body = f"socket.create_connection(('127.0.0.1', {port}), timeout=1)\nreturn 1"
        assert attempt(box, body) == 1
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "service"))
        server.listen()
        body = f"socket.socket(socket.AF_UNIX).connect({str(tmp_path / 'service')!r})\nreturn 1"
        assert attempt(box, body) == 1
    forks = "pids = []\nfor _ in range(5):\n    pids.append(os.fork())\n    if not pids[-1]: os._exit(0)\n"
    assert attempt(box, f"{forks}return len([os.waitpid(pid, 0) for pid in pids])") == 5
    for body in (KILL, KILL_BY_FCNTL):
        with victim() as process:
            attempt(box, body.format(process.pid))
            assert process.wait(5) == -signal.SIGKILL, body
    box = changed_sandbox(
        tmp_path / "unlimited",
        ("candidate.py", "limit_resources() if os.name", "[] if os.name"),
        *LAYERS.values(),
    )
    assert "limits" not in box.layers()
    size = candidate.MEMORY_BYTES + (64 << 20)
    assert attempt(box, f"import mmap\nreturn len(mmap.mmap(-1, {size}))") == size


@ONLY_LINUX
def test_sockets_in_the_file_system_cannot_be_reached(box, tmp_path):
    needs(box, "seccomp")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "service"))
        server.listen()
        body = f"socket.socket(socket.AF_UNIX).connect({str(tmp_path / 'service')!r})\nreturn 1"
        assert attempt(box, body) is sandbox.NO_VALUE


@ONLY_LINUX
def test_a_file_can_be_duplicated_and_looked_at(box):
    body = "import fcntl\nfd = os.dup(1)\nfcntl.fcntl(fd, fcntl.F_SETFD, 0)\n"
    body += "fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)\n"
    body += (
        "return [fcntl.fcntl(fd, fcntl.F_GETFD), fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK]"
    )
    assert attempt(box, body) == [0, os.O_NONBLOCK]


@ONLY_LINUX
def test_a_fork_bomb(box):
    needs(box, "bubblewrap", "seccomp")
    endless = "while True:\n    try: os.fork()\n    except OSError: pass"
    a_hundred = "for _ in range(7): os.fork()\ntime.sleep(60)"  # nothing stops their birth
    body = endless if "seccomp" in box.layers() else a_hundred
    assert attempt(box, body, wall_seconds=1) is sandbox.NO_VALUE


@ONLY_LINUX
def test_a_process_that_leaves_its_group_and_stays(box):
    needs(box, "bubblewrap", "seccomp")
    body = "libc = ctypes.CDLL(None)\nlibc.prctl(1, 0, 0, 0, 0)\nif os.fork(): return 1\n"
    attempt(box, body + "os.setsid()\nif os.fork(): os._exit(0)\ntime.sleep(60)")


@ONLY_LINUX
def test_another_program(box):
    needs(box, "landlock", "seccomp")
    body = "return subprocess.run(['/bin/sh', '-c', 'echo 1'], capture_output=True).stdout.decode()"
    assert attempt(box, body) is sandbox.NO_VALUE
    assert attempt(box, "os.execv('/bin/true', ['true'])\nreturn 1") is sandbox.NO_VALUE


def test_an_endless_loop_and_a_long_sleep(tmp_path):
    box = load_sandbox(tmp_path)
    assert attempt(box, "while True: pass", wall_seconds=1) is sandbox.NO_VALUE
    assert attempt(box, "time.sleep(60)", wall_seconds=1) is sandbox.NO_VALUE
    patient = "def quiet(*_): pass\nfor s in (2, 15, 14, 24): signal.signal(s, quiet)\n"
    assert attempt(box, patient + "while True: pass", wall_seconds=1) is sandbox.NO_VALUE


@ONLY_LINUX
def test_cpu_seconds_are_counted_apart_from_the_wall_clock(tmp_path):
    box = load_sandbox(tmp_path)
    start = time.monotonic()
    used = attempt(box, "while True: pass", wall_seconds=60)
    assert used is sandbox.NO_VALUE and time.monotonic() - start < 40
    waited = attempt(box, "time.sleep(4)\nreturn 1", wall_seconds=60)
    assert waited == 1 and candidate.CPU_SECONDS < 4  # who sleeps uses none


def test_endless_output(tmp_path):
    box = load_sandbox(tmp_path)
    before = psutil.Process().memory_info().rss
    body = "line = b'x' * 1000\nwhile True:\n    print(line)\n    sys.stderr.write('e' * 1000)"
    assert attempt(box, body, wall_seconds=1) is sandbox.NO_VALUE
    flood = "while True:\n    for fd in range(32):\n        try: os.write(fd, b'x' * 4096)\n"
    flood += "        except OSError: pass"
    assert attempt(box, flood, wall_seconds=1) is sandbox.NO_VALUE
    assert psutil.Process().memory_info().rss - before < 100 << 20


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "quit()", "raise KeyboardInterrupt"])
def test_an_early_end_is_no_success(tmp_path, end):
    box = load_sandbox(tmp_path)
    assert attempt(box, end) is sandbox.NO_VALUE
    code = f"import os, sys\ndef f(): return 1\n{end}"
    leaves_no_way = end.startswith("os._exit")  # other ends are exceptions: the function counts
    assert box.call_function(code, "f", [[]]) == [box.NO_VALUE if leaves_no_way else 1]


@ONLY_LINUX
def test_huge_allocations(tmp_path):
    box = load_sandbox(tmp_path)
    assert attempt(box, "return len('x' * 10**11)") is sandbox.NO_VALUE
    assert attempt(box, "a = [0]\nwhile True: a = a + a") is sandbox.NO_VALUE
    grown = "a = []\ntry:\n    while True: a.append(bytearray(1 << 20))\nexcept MemoryError:\n"
    assert attempt(box, grown + "    return len(a)") < candidate.MEMORY_BYTES >> 20


@ONLY_LINUX
def test_a_crash_of_the_interpreter(tmp_path):
    box = load_sandbox(tmp_path)
    assert attempt(box, "ctypes.string_at(0)") is sandbox.NO_VALUE
    deep = "a = []\nfor _ in range(10**6): a = [a]\nreturn a"
    assert attempt(box, deep) is sandbox.NO_VALUE


@ONLY_LINUX
def test_files_outside_cannot_be_read(box, tmp_path):
    needs(box, "landlock")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    for path in (secret, code_tasks.TASKS_FILE, "/etc/passwd", "/proc/self/environ"):
        assert attempt(box, f"return open({str(path)!r}).read()") is sandbox.NO_VALUE
    assert attempt(box, f"return os.listdir({str(tmp_path)!r})") is sandbox.NO_VALUE
    by_hand = f"fd = ctypes.CDLL(None).open({str(secret)!r}.encode(), 0)\nreturn fd"
    assert attempt(box, by_hand) == -1


@ONLY_LINUX
def test_files_outside_cannot_be_changed(box, tmp_path):
    needs(box, "landlock", "bubblewrap")
    kept = tmp_path / "kept.txt"
    kept.write_text("as it was")
    kept.chmod(0o640)
    for change in (
        "open({0!r}, 'w')",
        "open({0!r}, 'a').write('more')",
        "os.remove({0!r})",
        "os.rename({0!r}, {0!r} + '.moved')",
        "os.truncate({0!r}, 0)",
        "os.link({0!r}, {0!r} + '.link')",
        "os.symlink({0!r}, {0!r} + '.link')",
        "os.mkdir({0!r} + '.folder')",
    ):
        assert attempt(box, f"return {change.format(str(kept))} or 1") is sandbox.NO_VALUE, change
    assert kept.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir() if "kept" in path.name) == ["kept.txt"]


@ONLY_LINUX
def test_a_file_s_mode_and_owner_cannot_be_changed(box, tmp_path):
    needs(box, "bubblewrap", "seccomp")
    kept = tmp_path / "kept.txt"
    kept.touch(0o640)
    before = kept.stat()
    for change in ("os.chmod({!r}, 0o777)", "os.utime({!r}, (1, 1))", "os.chown({!r}, 1, 1)"):
        attempt(box, change.format(str(kept)))
    after = kept.stat()
    assert (after.st_mode, after.st_mtime, after.st_uid) == (
        before.st_mode,
        before.st_mtime,
        before.st_uid,
    )


@ONLY_LINUX
def test_its_folder_is_small_and_goes_away(box, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    write = "open('a.txt', 'w').write('x')\nreturn open('a.txt').read()"
    assert attempt(box, write) == "x"
    big = "with open('big', 'wb') as file:\n    return file.write(b'x' * (2 << 20))"
    assert attempt(box, big) is sandbox.NO_VALUE
    if "bubblewrap" in box.layers():
        many = "n = 0\ntry:\n    while True:\n        with open(str(n), 'wb') as file:\n"
        many += "            file.write(b'x' * 10**6)\n        n += 1\nexcept OSError: return n"
        assert attempt(box, many) < 20
    assert list((tmp_path / "temporary").iterdir()) == []


@ONLY_LINUX
def test_the_network_is_not_there(box):
    needs(box, "bubblewrap", "seccomp")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        port = server.getsockname()[1]
        body = f"socket.create_connection(('127.0.0.1', {port}), timeout=1)\nreturn 1"
        assert attempt(box, body) is sandbox.NO_VALUE
        with pytest.raises(TimeoutError):
            server.accept()


@ONLY_LINUX
def test_other_processes_get_no_signal(box):
    needs(box, "bubblewrap", "seccomp")
    with victim() as process:
        for body in (KILL, KILL_BY_FCNTL):
            assert attempt(box, body.format(process.pid)) is sandbox.NO_VALUE
        time.sleep(0.2)
        assert process.poll() is None


@ONLY_LINUX
def test_its_parent_survives(box):
    needs(box, "bubblewrap", "seccomp")
    body = "try: os.kill(os.getppid(), signal.SIGKILL)\nexcept OSError: pass\n"
    # Were it gone, the candidate would end with it and return nothing.
    assert attempt(box, f"{body}time.sleep(0.5)\nreturn 'still here'") == "still here"


@ONLY_LINUX
def test_seccomp_alone_lets_the_kernel_send_no_signal(tmp_path):
    box = load_sandbox(tmp_path, "bubblewrap", "landlock")
    needs(box, "seccomp")
    with victim() as process:
        assert attempt(box, KILL_BY_FCNTL.format(process.pid)) is sandbox.NO_VALUE
        time.sleep(0.2)
        assert process.poll() is None


@ONLY_LINUX
def test_bubblewrap_alone_leaves_no_process_behind(tmp_path):
    box = load_sandbox(tmp_path, "landlock", "seccomp")
    needs(box, "bubblewrap")
    body = "if os.fork() == 0:\n    time.sleep(0.3)\n    os.kill(0, signal.SIGKILL)\n"
    body += "ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\ntry: os.setsid()\nexcept OSError: pass\n"
    assert attempt(box, body + "time.sleep(60)", wall_seconds=2) is sandbox.NO_VALUE


@ONLY_LINUX
def test_doors_cannot_be_opened_again(box):
    needs(box, "bubblewrap", "seccomp")
    has_all = len(box.layers()) == 4
    body = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))\nreturn 1"
    assert attempt(box, body) is sandbox.NO_VALUE
    libc = "libc = ctypes.CDLL(None)\n"
    remount = "return libc.mount(None, b'/', None, 32 | 4096, None)"
    assert attempt(box, libc + remount) in (-1, sandbox.NO_VALUE)
    if has_all:
        assert attempt(box, libc + "return libc.unshare(0x10000000)") == -1


def test_the_environment_is_not_handed_on(tmp_path, monkeypatch):
    if os.name != "posix":
        pytest.skip("Windows needs some of it")
    monkeypatch.setenv("SECRET_KEY", "12345")
    found = attempt(load_sandbox(tmp_path), "return dict(os.environ)")
    assert "SECRET_KEY" not in found


# --- Its verdict cannot be forged -----------------------------------------------------------------

TESTS = [{"args": [3], "expected": 8001}, {"args": [4], "expected": 8002}]
FORGERIES = {
    "prints a reply": "for fd in range(3, 20):\n    try:\n        os.write(fd, b'{\"call\": 0, \"value\": 1}\\n')\n    except OSError: pass",
    "patches json": "import json\njson.dumps = lambda *_: '{\"call\": 0, \"value\": true}'",
    "patches builtins": "import builtins\nbuiltins.print = builtins.all = lambda *_, **__: True",
    "is equal to all": "class Same(int):\n    __eq__ = lambda *_: True\n    __hash__ = None\nresult = Same(3)",
    "no JSON, but equal": "class Same:\n    __eq__ = lambda *_: True\nresult = Same()",
    "ends well": "os._exit(0)",
    "empties the reply": "for fd in range(3, 20):\n    try:\n        os.ftruncate(fd, 0)\n    except OSError: pass",
    "breaks the reply": "for fd in range(3, 20):\n    try:\n        os.write(fd, b'{\"call\": 10**9}\\n[]\\n{}\\n\\xff' + b'[' * 10**5 + b'\\n')\n    except OSError: pass",
    "wrong indices": "for fd in range(3, 20):\n    try:\n        os.write(fd, b'{\"call\": -7, \"value\": 1}\\n{\"call\": \"0\", \"value\": 1}\\n{\"call\": 1e9}\\n')\n    except OSError: pass",
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_wrong_function_passes_no_test(forgery):
    body = "".join(f"    {line}\n" for line in FORGERIES[forgery].splitlines())
    code = f"import os\ndef f(x):\n    result = 1\n{body}    return result\n"
    assert code_tasks.share_passed(code, "f", TESTS) == 0
    at_once = f"import os\nresult = 1\n{FORGERIES[forgery]}\ndef f(x): return result\n"
    assert code_tasks.share_passed(at_once, "f", TESTS) == 0


def test_the_expected_values_never_reach_the_candidate(monkeypatch):
    jobs = []

    def run_job(job, wall_seconds):
        jobs.append(json.dumps(job))
        return [], []

    monkeypatch.setattr(sandbox, "run_job", run_job)
    assert code_tasks.share_passed("def f(x): return x", "f", TESTS) == 0
    assert len(jobs) == 1 and "8001" not in jobs[0] and "8002" not in jobs[0]


SEARCH = """
import gc, re, sys
def f(pattern):
    frame, found = sys._getframe().f_back, ""
    while frame:
        found += repr(frame.f_locals) + repr(frame.f_globals)
        frame = frame.f_back
    found += repr([o for o in gc.get_objects() if isinstance(o, dict) and len(o) < 50])
    match = re.search(pattern, found)
    return match and match[0]
"""


def test_a_search_through_the_interpreter_finds_nothing():
    (found,) = sandbox.call_function(SEARCH, "f", [["'lay[e]rs'"]])
    assert found == "'layers'"  # it does see its job...
    tests = [{"args": ["only[ ]the grader"], "expected": "only the grader"}]
    assert code_tasks.share_passed(SEARCH, "f", tests) == 0  # ...in which no expected value is


# --- Elsewhere, and when things go wrong ----------------------------------------------------------


def test_what_is_not_contained_is_said():
    everything = sandbox.not_contained(frozenset())
    assert len(everything) == 9 and all(s.startswith("It can ") for s in everything)
    only_seccomp = sandbox.not_contained(frozenset({"limits", "seccomp"}))
    assert not any("network" in s or "process" in s for s in only_seccomp)
    assert any("read every file" in s for s in only_seccomp)
    no_seccomp = sandbox.not_contained(frozenset({"limits", "bubblewrap", "landlock"}))
    assert any("many processes, and fill the memory" in s for s in no_seccomp)
    assert any("Docker" in s for s in no_seccomp)
    no_landlock = sandbox.not_contained(frozenset({"limits", "bubblewrap", "seccomp"}))
    assert len(no_landlock) == 1 and "tests that grade it" in no_landlock[0]


def test_other_systems_keep_the_wall_clock(tmp_path):
    is_linux, is_other = 'sys.platform == "linux"', "False"
    box = changed_sandbox(
        tmp_path,
        ("run.py", 'sys.platform != "linux"', "True"),
        ("candidate.py", is_linux, is_other),
    )
    assert box.layers() == frozenset() and len(box.not_contained()) == 9
    assert box.call_function("def f(x): return x + 1", "f", [[1]], wall_seconds=30) == [2]
    start = time.monotonic()
    assert attempt(box, "time.sleep(60)", wall_seconds=0.5) is sandbox.NO_VALUE
    assert time.monotonic() - start < 30
    if os.name == "posix":  # a child that the candidate leaves in its group ends with it
        orphan = "if os.fork() == 0: time.sleep(60)\nreturn 1"
        assert attempt(box, orphan, wall_seconds=30) == 1


def test_a_slow_start_is_not_the_candidate_s_time(tmp_path):
    before = "    reply = os.fdopen(os.dup(1)"
    wait = f"    import time; time.sleep(2)\n{before}"
    box = changed_sandbox(tmp_path, ("candidate.py", before, wait))
    assert box.call_function("def f(): return 1", "f", [[]], wall_seconds=1) == [1]
    box = changed_sandbox(
        tmp_path / "too_slow",
        ("candidate.py", before, wait.replace("2", "60")),
        ("run.py", "START_SECONDS = 60.0", "START_SECONDS = 1.0"),
    )
    with pytest.raises(RuntimeError, match=r"without a word after \d+\.\d of 1 seconds"):
        box.call_function("def f(): return 1", "f", [[]])
    assert not survivors(box)


def test_arguments_that_json_cannot_hold_are_an_error():
    with pytest.raises(ValueError, match="must be JSON values"):
        sandbox.call_function("def f(x): return 1", "f", [[{1, 2}]])


def test_a_sandbox_that_does_not_start_is_an_error(tmp_path):
    start = "    print(json.dumps(names), file=sys.stderr, flush=True)\n"
    box = changed_sandbox(tmp_path, ("candidate.py", start, '    raise OSError("no such door")\n'))
    with pytest.raises(RuntimeError, match="no such door"):
        box.call_function("def f(): return 1", "f", [[]])


@ONLY_LINUX
def test_ctrl_c_leaves_nothing_behind(tmp_path):
    box = load_sandbox(tmp_path)
    program = "import run, signal\n"  # a background job is started with SIGINT ignored
    program += (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\nprint('begun', flush=True)\n"
    )
    program += "run.call_function('while True: pass', 'f', [[]], wall_seconds=30)\n"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=box.CANDIDATE.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "begun\n"
        deadline = time.monotonic() + 10
        while not survivors(box) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert survivors(box)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert "KeyboardInterrupt" in errors
    time.sleep(0.5)
    assert not survivors(box)
