"""Call functions that a model wrote, in a process that can do no harm with them.

    call_function("def twice(x): return 2 * x", "twice", [[1], ["a"]])    # -> [2, "aa"]

    caller --job--> supervisor --fork--> candidate (the model's code) --JSON lines--> caller

The caller gets values back and compares them itself. The candidate is never told which values are
expected, so nothing that it prints, patches or writes into its reply makes a wrong function pass.
(Where it can read your files, without Landlock, it could look the expected values up.)

What holds it, as far as the system has it (`layers()`; `not_contained()` says what is missing):

    limits      memory of each process, CPU seconds, size of a file, open files; on every system a
                wall clock, which starts when the layers are entered
    namespaces  (Linux) no network; its processes end with it
    mounts      (Linux 5.12, in namespaces) every file system is read-only but a small one of its
                own, in memory, which vanishes with it
    landlock    (Linux 5.13) no file can be opened but Python's own and the system's libraries
    seccomp     (Linux on x86-64 or arm64) no system calls but those that computing a value takes:
                none for new processes, threads, sockets, signals, or a file's owner and mode

Not contained even then: mistakes in the kernel, and one core and MEMORY_BYTES until the time is up.
Run what a person wrote to attack you in a virtual machine. On macOS and Windows only the wall clock
holds (and on macOS CPU seconds): there the code can do whatever you can do.

Sources: the manual pages seccomp(2), landlock(7), user_namespaces(7), pid_namespaces(7).
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import lru_cache

WALL_SECONDS = 4.0
CPU_SECONDS = 3
MEMORY_BYTES = 512 << 20
FILE_BYTES = 1 << 20  # of one file, and of the reply
FOLDER_BYTES = 16 << 20
START_SECONDS = 60.0  # for Python to start and the layers to be entered, on a busy machine
GRACE_SECONDS = 6.0  # for the supervisor to keep the wall clock itself
IS_LINUX = sys.platform == "linux"
NO_VALUE = object()  # the call raised, took too long, or returned what JSON cannot hold

_cores = threading.BoundedSemaphore(os.cpu_count() or 1)  # more at once and the clock is unfair


# --- The caller -----------------------------------------------------------------------------------


def call_function(
    code: str, name: str, calls: list[list], *, wall_seconds: float = WALL_SECONDS
) -> list[object]:
    """Run `code` in the sandbox and call its function `name` with each list of arguments.

    Returns one value per call, as JSON gives it back (a tuple comes as a list), or NO_VALUE.
    Raises ValueError for arguments that are not JSON values, RuntimeError where it does not start.
    """
    job = {"code": code, "name": name, "calls": calls, "wall_seconds": wall_seconds}
    values = [NO_VALUE] * len(calls)
    for line in run_job(job)[1]:
        with suppress(ValueError, TypeError, KeyError, IndexError, RecursionError):
            reply = json.loads(line)  # a candidate may have written anything
            # abs: not a number is a TypeError, and a negative index would count from the end
            values[abs(reply["call"])] = reply["value"]
    return values


def run_job(job: dict) -> tuple[list[str], list[str]]:
    """Run a job in a new process: the layers that held it, and the lines that it replied.

    Raises ValueError for a job that is not JSON, and RuntimeError, with what went wrong, where it
    does not get as far as the model's code.
    """
    try:
        text = json.dumps(job)
    except TypeError as error:
        raise ValueError(f"the arguments of a call must be JSON values: {error}") from error
    with (
        _cores,
        tempfile.TemporaryDirectory(prefix="sandbox-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as asked,
        tempfile.TemporaryFile() as reply,
    ):
        asked.write(text.encode())
        asked.seek(0)
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", os.path.abspath(__file__)],
            stdin=asked,
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
                entered = process.stderr.read()  # to its end: the layers are entered, or it failed
                seconds = time.monotonic() - start
                too_slow.cancel()
                process.wait(job["wall_seconds"] + (GRACE_SECONDS if IS_LINUX else 0))
            finally:
                too_slow.cancel()
                end(process)
        reply.seek(0)
        lines = reply.read(FILE_BYTES).decode(errors="replace").split("\n")
    if not entered.startswith(b"["):
        why = entered.decode(errors="replace").strip()
        why = why or f"it ended without a word after {seconds:.1f} of {START_SECONDS:g} seconds"
        raise RuntimeError(f"the sandbox did not start: {why}")
    return json.loads(entered), lines


def end(process: subprocess.Popen) -> None:
    """End a process with its process group, where there are such: some of it may have outlived the
    first of them."""
    if os.name != "posix":
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # nobody is left (on macOS: but zombies)
        os.killpg(process.pid, signal.SIGKILL)


@lru_cache
def layers() -> frozenset[str]:
    """The layers that hold a candidate on this machine, found out by starting one."""
    empty = {"code": "", "name": "", "calls": [], "wall_seconds": WALL_SECONDS}
    return frozenset(run_job(empty)[0])


def not_contained(has: frozenset[str] | None = None) -> list[str]:
    """What a candidate could do where only these layers hold it (None: those of this machine), a
    sentence each. Say it before code runs."""
    has = layers() if has is None else has
    closed_by = {
        "It can fill the memory.": {"limits"},
        "It can read every file that you can read, the tests that grade it too.": {"landlock"},
        "It can write and delete your files.": {"landlock", "mounts"},
        "It can change the mode and times of your files.": {"mounts", "seccomp"},
        "It can fill the disk.": {"mounts"},
        "It can use the network.": {"namespaces", "seccomp"},
        "It can talk to services through sockets in your files (Docker, D-Bus).": {"seccomp"},
        "It can start many processes, and fill the memory with them, until its time is up.": {
            "seccomp"
        },
        "It can signal your processes, and leave its own behind.": {"namespaces", "seccomp"},
    }
    return [sentence for sentence, closing in closed_by.items() if not closing & has]


# --- The supervisor and the candidate -------------------------------------------------------------


def main() -> None:
    """The other end: read the job, run the model's code behind every door shut, end it in time."""
    job = json.loads(sys.stdin.buffer.read())
    if not IS_LINUX:
        run_candidate(job, [])
        return
    names = enter_namespaces()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # to be waited for below
    ready, entered = os.pipe()
    child = os.fork()
    if child == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        if names:
            os.setsid()  # what it sends to its own group must not reach the supervisor
            names += shut_file_systems()
        run_candidate(job, names, entered)
        os._exit(0)
    os.close(entered)
    os.close(2)  # from here on only the candidate has something to say
    select.select([ready], [], [], START_SECONDS)  # closed when the layers are entered
    signal.sigtimedwait({signal.SIGCHLD}, job["wall_seconds"])
    os.kill(child, signal.SIGKILL)  # the first of its namespace: all others in it die with it
    os.waitpid(child, 0)


def run_candidate(job: dict, names: list[str], entered: int | None = None) -> None:
    """Shut the other doors, close `entered`, define what the code defines and call its function.
    Nowhere else is a model's text executed."""
    reply = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    if os.name == "posix":
        names = names + limit_resources()
    if IS_LINUX:
        names = names + enter_landlock() + enter_seccomp()
    print(json.dumps(names), file=sys.stderr, flush=True)
    os.dup2(nowhere, 2)
    if entered is not None:
        os.close(entered)
    module: dict = {"__name__": "candidate"}
    with suppress(BaseException):  # where an example after the function fails, the function counts
        exec(compile(job["code"], "candidate.py", "exec"), module)
    for i, arguments in enumerate(job["calls"]):
        with suppress(BaseException):  # SystemExit is no better than other exceptions
            value = module[job["name"]](*arguments)
            print(json.dumps({"call": i, "value": value}), file=reply, flush=True)


def limit_resources() -> list[str]:
    """Bound CPU time and files, and on Linux memory."""
    import resource  # not on Windows

    bounds = {
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_CORE: 0,
    }
    if IS_LINUX:  # macOS refuses the first, and counts all processes of the user for the second
        bounds |= {resource.RLIMIT_AS: MEMORY_BYTES, resource.RLIMIT_NPROC: 64}
    for kind, bound in bounds.items():
        most = resource.getrlimit(kind)[1]
        bound = bound if most == resource.RLIM_INFINITY else min(bound, most)
        resource.setrlimit(kind, (bound, bound))
    return ["limits"] if IS_LINUX else []


# --- Linux: namespaces, Landlock, seccomp ---------------------------------------------------------

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x8000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
MOUNT_ATTR_RDONLY, AT_FDCWD, AT_RECURSIVE = 1, -100, 0x8000
CAPABILITY_VERSION_3 = 0x20080522
SYS_MOUNT_SETATTR = 442
SYS_LANDLOCK_CREATE, SYS_LANDLOCK_ADD, SYS_LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_EXECUTE, LANDLOCK_READ = 1 << 0, 1 << 2 | 1 << 3  # a file's content, a folder's names
SECCOMP_FILTER, SECCOMP_ALLOW, SECCOMP_ERROR, SECCOMP_KILL = 2, 0x7FFF0000, 0x50000, 0x80000000
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
BPF_LOAD, BPF_JUMP_IF_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
libc = ctypes.CDLL(None, use_errno=True) if IS_LINUX else None


def check(result: int) -> int:
    """The result of a C function. Raises OSError where it failed."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def enter_namespaces() -> list[str]:
    """Leave the network and the processes of the system; nothing where it does not let users do
    that (in most containers, say)."""
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET) < 0:
        return []
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    try:
        for name, text in maps.items():
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except PermissionError:  # AppArmor lets users in, but gives them no rights there
        return []
    return ["namespaces"]


def shut_file_systems() -> list[str]:
    """Make all mounts read-only and put an empty file system in memory where we are; nothing where
    the kernel cannot (before Linux 5.12). Then give up every right in the namespace."""
    here, names = os.getcwd(), []
    read_only = struct.pack("QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)  # set, clear, propagation, user
    options = f"size={FOLDER_BYTES},nr_inodes=1000".encode()
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    with suppress(OSError):
        check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
        check(
            libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, read_only, len(read_only))
        )
        check(libc.mount(b"tmpfs", here.encode(), b"tmpfs", flags, options))
        names = ["mounts"]
    os.chdir(here)
    check(libc.capset(struct.pack("Ii", CAPABILITY_VERSION_3, 0), bytes(24)))
    return names


def enter_landlock() -> list[str]:
    """Open no file any more but Python's and the system's libraries, and those in the working
    folder; nothing where the kernel has no Landlock."""
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    version = libc.syscall(SYS_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return []
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1  # the kinds of access it knows
    ports, scopes = 3 * (version >= 4), 3 * (version >= 6)  # bind and connect; sockets, signals
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = check(
        libc.syscall(SYS_LANDLOCK_CREATE, struct.pack("QQQ", files, ports, scopes), size, 0)
    )
    libraries = [*sys.path, f"{sys.base_prefix}/lib", "/lib", "/lib64", "/usr/lib", "/usr/lib64"]
    allowed = dict.fromkeys(libraries, LANDLOCK_READ)
    allowed[os.getcwd()] = files & ~LANDLOCK_EXECUTE
    for path, access in allowed.items():
        if os.path.isdir(path):
            folder = os.open(path, os.O_PATH)
            rule = struct.pack("=Qi", access, folder)
            check(libc.syscall(SYS_LANDLOCK_ADD, rules, 1, rule, 0))
            os.close(folder)
    check(libc.syscall(SYS_LANDLOCK_RESTRICT, rules, 0))
    os.close(rules)
    return ["landlock"]


def enter_seccomp() -> list[str]:
    """Let every system call fail that is not among the ALLOWED; nothing on other processors."""
    machine = platform.machine()
    if machine not in AUDIT_ARCH:
        return []
    column = list(AUDIT_ARCH).index(machine)
    fcntl = FCNTL[column]
    numbers = [each[column] for each in ALLOWED.values() if each[column] is not None]

    def jumps(values: list[int], beyond: int) -> list[tuple]:
        """If it is one of these values, jump over the rest of them and as many lines more."""
        last = len(values) - 1
        return [(BPF_JUMP_IF_EQUAL, last - i + beyond, 0, v) for i, v in enumerate(values)]

    commands = [
        (BPF_LOAD, 0, 0, 24),  # the second argument
        *jumps(FCNTL_COMMANDS, 1),
        (BPF_RETURN, 0, 0, SECCOMP_ERROR | 1),  # "operation not permitted"
        (BPF_RETURN, 0, 0, SECCOMP_ALLOW),
    ]
    program = [
        (BPF_LOAD, 0, 0, 4),  # the architecture
        *jumps([AUDIT_ARCH[machine]], 1),
        (BPF_RETURN, 0, 0, SECCOMP_KILL),
        (BPF_LOAD, 0, 0, 0),  # the number of the call
        *jumps(numbers, len(commands)),
        (BPF_JUMP_IF_EQUAL, 0, len(commands) - 2, fcntl),  # another: the error
        *commands,
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter_ = struct.pack("HP", len(program), ctypes.addressof(code))
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_FILTER, filter_, 0, 0))
    return ["seccomp"]


# What computing a value and reading a library takes; numbers on x86-64 and on arm64.
ALLOWED = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "open": (2, None), "openat": (257, 56), "close": (3, 57), "lseek": (8, 62), "dup": (32, 23),
    "dup2": (33, None), "dup3": (292, 24),
    "stat": (4, None), "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79),
    "statx": (332, 291), "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "readlink": (89, None), "readlinkat": (267, 78), "getdents64": (217, 61), "getcwd": (79, 17),
    "ftruncate": (77, 46), "mkdir": (83, None), "mkdirat": (258, 34),
    "unlink": (87, None), "rmdir": (84, None), "unlinkat": (263, 35), "rename": (82, None),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216),
    "madvise": (28, 233), "brk": (12, 214), "futex": (202, 98), "sched_yield": (24, 124),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "restart_syscall": (219, 128), "getrandom": (318, 278),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101), "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153),
    "getpid": (39, 172), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getrusage": (98, 165), "uname": (63, 160),
    "sysinfo": (99, 179), "sched_getaffinity": (204, 123), "exit": (60, 93),
    "exit_group": (231, 94),
}  # fmt: skip
# fcntl has commands of its own: these copy a file's number, and see and set its flags. Others make
# the kernel send a signal to any process (F_SETOWN, F_SETSIG, F_NOTIFY).
FCNTL = (72, 25)
FCNTL_COMMANDS = [0, 1, 2, 3, 4, 1030]  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, _CLOEXEC


if __name__ == "__main__":
    main()
