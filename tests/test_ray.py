"""Evaluation on a real Ray cluster of two workers on this machine, one of which is killed."""

import argparse
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from shared import Cost, SamplingParams, Solution, load_problems, prompts
from shared.backends.ray_cluster import RayCluster, check_reachable, running_here
from shared.evaluation import cli
from shared.evaluation.evaluate import evaluate

PROBLEMS = load_problems("word", limit=8)
CHAT = prompts.ask("1 + 1 =")
PARAMS = SamplingParams(n=2, temperature=0.8, max_tokens=24, seed=1)


def sample(llm, problem, *, n=2, params=PARAMS):
    """Two begun solutions to a problem; what matters here is their texts."""
    (output,) = llm.chat(prompts.ask(problem.question), params)
    return Solution("0", output.completions, output.cost)


def sample_and_log(llm, problem, *, log: Path):
    """As `sample`; writes down which process works on which problem."""
    with log.open("a") as file:
        file.write(f"{os.getpid()} {problem.id}\n")
    return sample(llm, problem)


def die_once(llm, problem, *, log: Path, victim: str):
    """As above; the process that works on the victim first dies of it."""
    is_first = not log.exists() or victim not in log.read_text()
    solution = sample_and_log(llm, problem, log=log)
    if problem.id == victim and is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    return solution


def always_die(llm, problem):
    """Kills whoever works on it."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail(llm, item):
    """Raises an error that is the work's own, not the worker's."""
    raise ValueError(f"{item} cannot be done")


def never_end(llm, problem, *, log: Path):
    """Goes on for minutes unless it is cancelled, which it writes down."""
    log.write_text("started")
    try:
        llm.chat(CHAT, SamplingParams(n=400, max_tokens=1900, ignore_eos=True))
    except CancelledError:
        log.write_text("cancelled")
        raise


def wait_for(log: Path, word: str) -> None:
    """Wait until a word is all that is in a file; AssertionError if that takes a minute."""
    for _ in range(600):
        if log.exists() and log.read_text() == word:
            return
        time.sleep(0.1)
    raise AssertionError(f"{log} never said {word!r}")


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_by_all(cost: Cost) -> Cost:
    """A cost without what was reused, which depends on who worked on what before."""
    return replace(cost, reused_tokens=0)


def texts(records) -> list[list[str]]:
    return [[completion["text"] for completion in record.completions] for record in records]


@pytest.fixture(scope="module")
def two_cores(tmp_path_factory):
    """A Ray cluster on this machine with room for two workers, which find this file's techniques.

    Ray gives up if its own processes take more than 15 seconds to start. On a busy machine they do
    where Jupyter brought rfc3987_syntax, an option of jsonschema that takes a second to import, so
    here they do not find it.
    """
    ray = pytest.importorskip("ray", reason="a Ray cluster needs the package ray: pip install ray")
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "rfc3987_syntax.py").write_text("raise ImportError")
    path = os.pathsep.join([str(hidden), os.path.dirname(__file__), *sys.path])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        patch.setenv("PYTHONPATH", path)
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def alone(tiny):
    """What one machine makes of the problems."""
    return evaluate(sample, tiny, PROBLEMS, num_threads=4)


def test_a_killed_workers_problems_are_done_by_the_other(two_cores, alone, tmp_path, caplog):
    cluster = RayCluster("tiny")
    assert len(cluster.workers) == 2
    asked, out, victim = tmp_path / "asked.txt", tmp_path / "run.jsonl", PROBLEMS[3].id
    technique = partial(die_once, log=asked, victim=victim)
    with caplog.at_level(logging.WARNING):
        run = evaluate(technique, cluster, PROBLEMS, out=out, num_threads=2)

    pids = [line.split() for line in asked.read_text().splitlines()]
    assert len({pid for pid, _ in pids}) == 2
    assert len({pid for pid, problem in pids if problem == victim}) == 2
    assert str(os.getpid()) not in {pid for pid, _ in pids}
    assert [record.message[:15] for record in caplog.records] == ["a worker died, "]
    assert len(cluster.workers) == 1

    assert sorted(line["index"] for line in lines_of(out)) == list(range(8))
    assert run.num_errors == 0
    assert texts(run.records) == texts(alone.records)
    assert read_by_all(run.cost) == read_by_all(alone.cost)

    # The survivor goes on with a file of which half is there, and asks only for the rest.
    kept = lines_of(out)[:4]
    out.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    asked.write_text(victim)
    again = evaluate(technique, cluster, PROBLEMS, out=out, num_threads=2)
    done = {line["id"] for line in kept}
    repeated = [line.split()[1] for line in asked.read_text().removeprefix(victim).splitlines()]
    assert sorted(repeated) == sorted({problem.id for problem in PROBLEMS} - done)
    assert texts(again.records) == texts(alone.records)
    with pytest.raises(ValueError, match="under other settings: victim"):
        evaluate(partial(die_once, log=asked, victim="x"), cluster, PROBLEMS, out=out)

    with pytest.raises(ConnectionError, match="every worker of the Ray cluster has died"):
        evaluate(always_die, cluster, PROBLEMS, num_threads=2)
    with pytest.raises(ConnectionError, match="every worker of the Ray cluster has died"):
        evaluate(sample, cluster, PROBLEMS)


def test_a_worker_whose_work_failed_is_free_again(two_cores):
    cluster = RayCluster("tiny")
    for _ in range(3):
        with pytest.raises(ValueError, match="this cannot be done"):
            cluster.run(fail, ["this"], 1, print)
    assert set(cluster.workers.values()) == {0}


def test_ctrl_c_stops_what_the_workers_are_at(two_cores, alone, ctrl_c_works, tmp_path):
    cluster, log = RayCluster("tiny"), tmp_path / "log.txt"

    def press_ctrl_c() -> None:
        wait_for(log, "started")
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=press_ctrl_c, daemon=True).start()
    with pytest.raises(KeyboardInterrupt, match="1 problems to go"):
        evaluate(partial(never_end, log=log), cluster, PROBLEMS[:1])
    wait_for(log, "cancelled")
    after = evaluate(sample, cluster, PROBLEMS[:2])
    assert texts(after.records) == texts(alone.records[:2])


def test_a_script_runs_on_a_cluster_and_goes_on_here(two_cores, alone, tmp_path, capsys):
    parser = argparse.ArgumentParser()
    cli.add_common_flags(parser)
    out = str(tmp_path / "run.jsonl")
    flags = ["--limit", "8", "--out", out, "--n", "2", "--max-tokens", "24", "--seed", "1"]
    flags += ["--temperature", "0.8", "--threads", "2"]
    there = cli.run(sample, parser.parse_args([*flags, "--ray", "auto"]))
    assert texts(there.records) == texts(alone.records)
    assert capsys.readouterr().out.splitlines()[-1] == there.summary_line()
    here = cli.run(sample, parser.parse_args(flags))
    assert here.records == there.records  # nothing about the cluster is a setting
    assert there.settings["weights"] == here.settings["weights"] == alone.settings["weights"]


def test_a_wrong_model_is_noticed_before_any_worker_starts():
    with pytest.raises(ValueError, match="no/such/folder.*neither a folder"):
        RayCluster("./no/such/folder")


def test_without_a_cluster_the_address_is_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"  # bound, but nothing listens
        with pytest.raises(ConnectionError, match=f"no Ray cluster answers at {address}"):
            check_reachable(address)
    with pytest.raises(ValueError, match="HOST:PORT, not 'here'"):
        check_reachable("here")


@pytest.mark.parametrize("listens", [True, False])
def test_a_note_of_a_cluster_that_was_killed_is_not_believed(monkeypatch, tmp_path, listens):
    ray = pytest.importorskip("ray", reason="a Ray cluster needs the package ray: pip install ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where Ray keeps its note
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen()
        utils = ray._private.utils
        note = Path(utils.get_ray_address_file(None))
        assert note.is_relative_to(tmp_path)
        assert not running_here(ray)
        note.parent.mkdir(parents=True, exist_ok=True)
        utils.write_ray_address(f"127.0.0.1:{server.getsockname()[1]}")
        assert note.exists()
        assert running_here(ray) == listens


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(ModuleNotFoundError, match="pip install ray"):
        RayCluster("tiny")


def test_a_cluster_and_a_server_exclude_each_other(capsys):
    parser = argparse.ArgumentParser()
    cli.add_common_flags(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--ray", "auto", "--base-url", "http://127.0.0.1:1/v1"])
    assert "not allowed with argument --ray" in capsys.readouterr().err
