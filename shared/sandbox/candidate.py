"""The other end of run.py: read one job, give up every right, run the model's code, reply.

Started by path in a process of its own, so it imports nothing of this project but linux.py.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

CPU_SECONDS = 3
MEMORY_BYTES = 512 << 20
FILE_BYTES = 1 << 20  # of each file, and of the reply


def main() -> None:
    """Enter the layers, write their names to the standard error as one line of JSON, close it, and
    run the job. The job's `layers` are those that the caller has already put around us."""
    job = json.loads(sys.stdin.buffer.read())
    reply = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    names = job["layers"] + enter_layers()
    print(json.dumps(names), file=sys.stderr, flush=True)
    os.dup2(nowhere, 2)
    run(job, reply)


def run(job: dict, reply) -> None:
    """Define what the code defines and call its function, with one line of JSON per call that
    returns a value. A model's text is executed nowhere else."""
    module: dict = {"__name__": "candidate"}
    with suppress(BaseException):  # where an example after the function fails, the function counts
        exec(compile(job["code"], "candidate.py", "exec"), module)
    for i, arguments in enumerate(job["calls"]):
        with suppress(BaseException):  # SystemExit is no better than other exceptions
            value = module[job["name"]](*arguments)
            print(json.dumps({"call": i, "value": value}), file=reply, flush=True)


def enter_layers() -> list[str]:
    """Give up what this system lets a process give up. Returns the names of the layers."""
    names = limit_resources() if os.name == "posix" else []
    if sys.platform == "linux":
        folder = os.path.dirname(os.path.abspath(__file__))
        sys.path.insert(0, folder)
        import linux

        sys.path.remove(folder)  # what stays on the path stays readable
        linux.end_with_parent()
        names += linux.enter_landlock() + linux.enter_seccomp()
    return names


def limit_resources() -> list[str]:
    """Bound CPU time and files, and on Linux memory."""
    import resource  # not on Windows

    bounds = {
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # macOS refuses the first, and the second counts all of a user's
        bounds |= {resource.RLIMIT_AS: MEMORY_BYTES, resource.RLIMIT_NPROC: 64}
    for kind, bound in bounds.items():
        most = resource.getrlimit(kind)[1]
        bound = bound if most == resource.RLIM_INFINITY else min(bound, most)
        resource.setrlimit(kind, (bound, bound))
    return ["limits"] if sys.platform == "linux" else []


if __name__ == "__main__":
    main()
