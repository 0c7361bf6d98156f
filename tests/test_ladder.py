"""The ladder script, run for real at a small size."""

import json
from pathlib import Path

import pytest
from scripts import run_script, start_script

ROOT = Path(__file__).parents[1]
LADDER = ROOT / "ch07_combine" / "ladder.py"


def run(*arguments, cwd):
    return run_script(LADDER, *arguments, cwd=cwd)


def test_the_ladder_climbs_draws_and_resumes(tmp_path):
    small = ("--limit", "4", "--n", "4", "--out", str(tmp_path / "run"))
    done = start_script(LADDER, *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "run" / "ladder.json").read_text())["rungs"]
    assert [row["name"] for row in rows] == [
        "direct answer",
        "chain of thought",
        "gated refinement",
        "self-consistency of 1",
        "beam search of 1",
        "rejection, up to 4 draws",
        "self-consistency of 4",
        "weighted best of 4",
    ]
    direct, thought, _, _, _, rejection, vote, best = rows
    assert direct["tokens_per_problem"] < thought["tokens_per_problem"] < vote["tokens_per_problem"]
    assert rejection["tokens_per_problem"] < vote["tokens_per_problem"]  # it stops when it can
    assert best["tokens_per_problem"] == vote["tokens_per_problem"]  # they are the same samples
    assert thought["accuracy"] > direct["accuracy"]
    assert thought["gain"] == 0
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)
    assert (tmp_path / "run" / "ladder.png").read_bytes().startswith(b"\x89PNG")
    assert "against chain of thought" in done.stdout
    again = run(*small, cwd=tmp_path)
    assert again.returncode == 0
    once_more = json.loads((tmp_path / "run" / "ladder.json").read_text())["rungs"]
    for row, same in zip(rows, once_more):
        # Not those of the second call; what a busy machine does after the last answer is not kept.
        assert row.pop("seconds") == pytest.approx(same.pop("seconds"), rel=0.2)
    assert once_more == rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "no/such/place/at all"), "neither a folder"),
        (("--problems", "nonsense"), "nonsense"),
        (("--limit", "0"), "limit"),
        (("--temperature", "-1"), "temperature"),
        (("--n", "0"), "n must be at least 1"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(tmp_path, arguments, message):
    done = run(*arguments, "--out", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
