"""`RayCluster`: one `LLM` on every device of a Ray cluster, for `evaluate`.

    cluster = RayCluster("Qwen/Qwen3-0.6B", address="auto")
    evaluation = evaluate(technique, cluster, problems, out="run.jsonl")

A problem is worked on by one of the models from question to grade, so a technique finds the same
`LLM` as on one machine. Every machine needs this project installed where its Python finds it, and
the model under the same name.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from shared.llm import LLM
from shared.loading.checkpoint import resolve_folder
from shared.threads import do_nothing, run_threads

log = logging.getLogger(__name__)
RELEASE_SECONDS = 15.0  # seconds in which a run that just ended gives its devices back
THREADS = 64  # problems that a worker has under way at most; more wait at its door


class Worker:
    """What an actor does: it holds a model and works with it."""

    def __init__(self, model: str, options: dict) -> None:
        self.llm = LLM(model, **options)

    def do(self, work: Callable[[LLM, Any], Any], item: Any) -> Any:
        """work(llm, item)"""
        return work(self.llm, item)

    def cancel(self) -> None:
        """Give up on what is being generated."""
        self.llm.cancel()


class RayCluster:
    """A model on every free GPU of a cluster, or on every free CPU core where it has no GPU.

    `workers` are the actors that live, each with the number of problems that it is at. One that
    dies is not replaced; its problems are worked on by the others.
    """

    def __init__(self, model: str = "tiny", *, address: str = "auto", **llm_options: Any) -> None:
        """Start the workers; they load `model` as LLM(model, **llm_options) would.

        `address` is "auto", which takes a cluster that runs on this machine and starts one if there
        is none, or "HOST:PORT". Raises ModuleNotFoundError without the package ray, ConnectionError
        where no cluster answers or no device of it is free, and what `resolve_folder` raises.
        """
        resolve_folder(model)  # a wrong name is better noticed here than by every worker
        ray = connect(address)
        self.name = str(model)
        on_gpus = "GPU" in ray.cluster_resources() and llm_options.get("device") != "cpu"
        deadline = time.monotonic() + RELEASE_SECONDS
        while not (count := int(ray.available_resources().get("GPU" if on_gpus else "CPU", 0))):
            if time.monotonic() > deadline:
                raise ConnectionError("no device of the Ray cluster is free: see `ray status`")
            time.sleep(0.2)
        share = {"num_gpus": 1, "num_cpus": 0} if on_gpus else {"num_cpus": 1}
        actor = ray.remote(**share, max_concurrency=THREADS, concurrency_groups={"cancel": 1})
        start = partial(actor(Worker).remote, self.name, llm_options)
        self.workers = {start(): 0 for _ in range(count)}
        self._lock = threading.Lock()  # guards the workers
        self._last_death = ""

    def run(
        self,
        work: Callable[[LLM, Any], Any],
        items: list,
        num_threads: int,
        keep: Callable[[Any], None],
        tick: Callable[[], None] = do_nothing,
    ) -> None:
        """Call `keep(work(llm, item))` for each item, as `run_threads` does; `work` is done by the
        workers, `num_threads` items at the same time each.

        An item whose worker dies is worked on again by another one. Raises ConnectionError when
        none is left.
        """
        num_threads *= max(1, len(self.workers))
        run_threads(partial(self._do, work), items, num_threads, keep, tick)

    def identity(self) -> dict[str, str]:
        """The fingerprint of the model's weights, as one of the workers has loaded them."""
        return self._do(identity_of, None)

    def cancel(self) -> None:
        """Give up on everything that is being generated."""
        for worker in list(self.workers):
            worker.cancel.options(concurrency_group="cancel").remote()

    def _do(self, work: Callable[[LLM, Any], Any], item: Any) -> Any:
        """Have one item worked on by the least busy worker, again if that dies on the way."""
        from ray import exceptions, get

        died = exceptions.RayActorError, exceptions.NodeDiedError, exceptions.OutOfMemoryError
        while True:
            worker = self._least_busy()
            try:
                return get(worker.do.remote(work, item))
            except died as error:
                self._drop_worker(worker, error)
            finally:  # also after an error of the work itself
                with self._lock:
                    if worker in self.workers:  # else it has died
                        self.workers[worker] -= 1

    def _least_busy(self) -> Any:
        """The worker with the fewest problems, which now has one more."""
        with self._lock:
            if not self.workers:
                raise ConnectionError(
                    f"every worker of the Ray cluster has died; the last said: {self._last_death}"
                )
            worker = min(self.workers, key=self.workers.get)
            self.workers[worker] += 1
            return worker

    def _drop_worker(self, worker: Any, error: Exception) -> None:
        """Give a dead worker nothing more to do."""
        with self._lock:
            if self.workers.pop(worker, None) is not None:
                self._last_death = str(error).strip().splitlines()[-1]
                log.warning("a worker died, %d are left: %s", len(self.workers), error)


def identity_of(llm: LLM, _: None) -> dict[str, str]:
    """What `RayCluster.identity` asks of a worker."""
    return llm.identity()


def connect(address: str) -> Any:
    """The package ray, connected to a cluster; a connection that exists already is kept."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a Ray cluster needs the package ray: pip install ray") from error
    if not ray.is_initialized():
        if address == "auto":
            found = None if running_here(ray) else "local"
        else:
            check_reachable(address)
            found = address
        ray.init(found, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    return ray


def running_here(ray: Any) -> bool:
    """Is there a cluster that Ray would find by itself, and does it answer?

    Ray reads RAY_ADDRESS and then its note of the last cluster of this machine. The note outlives a
    cluster that was killed. Only a private function reads it, so a test calls that function.
    """
    if "RAY_ADDRESS" in os.environ:
        return True
    noted = ray._private.utils.read_ray_address()
    if noted is None:
        return False
    try:
        check_reachable(noted)
    except ConnectionError:
        return False
    return True


def check_reachable(address: str) -> None:
    """Raise ConnectionError if nothing listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f'the address of a Ray cluster is "auto" or HOST:PORT, not {address!r}')
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ConnectionError(f"no Ray cluster answers at {address}: {error}") from error
