"""The benchmarks run, and a table can be printed again from the file that was written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(script: str, *flags: str) -> str:
    """What a benchmark prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "benchmarks" / script), *flags]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


@pytest.mark.slow
def test_it_times_an_engine_and_prints_the_table_again(tmp_path):
    file = tmp_path / "results.json"
    sizes = ("--prompts", "2", "--samples", "2", "--new-tokens", "4", "--runs", "2")
    shown = run("generation_speed.py", "--engines", "ours", *sizes, "--json", str(file))
    (record,) = json.loads(file.read_text(encoding="utf-8"))
    assert [run["engine"] for run in record["runs"]] == ["ours", "ours"]
    assert all(run["seconds"] > record["least_seconds"] > 0 for run in record["runs"])
    table = run("generation_speed.py", "--table", str(file))
    assert table.strip() in shown
    assert "| ours | " in table and "| roofline (" in table


def test_reuse_across_calls_reads_less_and_finds_the_same():
    shown = run("prefix_reuse.py", "--prompts=2", "--steps=3", "--step-tokens=4", "--runs=1")
    assert "| without reuse | " in shown and "| with reuse | " in shown
    assert "Reuse spares 0.0% of the prompt tokens" not in shown
    assert "4 of 4 kept paths are the same" in shown
