"""Two layers that a Linux process enters by itself and cannot leave: Landlock and seccomp.

Landlock restricts which files a process may open, seccomp which system calls it may make. Python
has no functions for them, so the C library is called directly.

Sources: the manual pages landlock(7), seccomp(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SYS_LANDLOCK_CREATE, SYS_LANDLOCK_ADD, SYS_LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_EXECUTE, LANDLOCK_READ = 1 << 0, 1 << 2 | 1 << 3  # a file's content, a folder's names
SECCOMP_FILTER, SECCOMP_ALLOW, SECCOMP_ERROR, SECCOMP_KILL = 2, 0x7FFF0000, 0x50000, 0x80000000
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
BPF_LOAD, BPF_JUMP_IF_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> int:
    """The result of a C function. Raises OSError where it failed."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def end_with_parent() -> None:
    """Let the kernel kill this process as soon as its parent ends."""
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def enter_landlock() -> list[str]:
    """From here on only the libraries of Python and the system can be read, and only the working
    folder can be written. Returns the layer's name, or nothing where the kernel has no Landlock."""
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
    """From here on every system call fails that is not among the ALLOWED. Returns the layer's name,
    or nothing on a processor whose call numbers are not listed here."""
    machine = platform.machine()
    if machine not in AUDIT_ARCH:
        return []
    column = list(AUDIT_ARCH).index(machine)
    fcntl = FCNTL[column]
    numbers = [each[column] for each in ALLOWED.values() if each[column] is not None]

    def jumps(values: list[int], beyond: int) -> list[tuple]:
        """One line per value: if it is equal, jump `beyond` lines past the last of these lines."""
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
