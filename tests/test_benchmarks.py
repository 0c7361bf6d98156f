"""The benchmark runs, and its table can be printed again from the file that it wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "generation_speed.py"


def run(*flags: str) -> str:
    """Its standard output."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SCRIPT), *flags]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


def test_it_times_an_engine_and_prints_the_table_again(tmp_path):
    file = tmp_path / "results.json"
    sizes = ("--prompts", "2", "--samples", "2", "--new-tokens", "4", "--runs", "2")
    shown = run("--engines", "ours", *sizes, "--json", str(file))
    (record,) = json.loads(file.read_text(encoding="utf-8"))
    assert [run["engine"] for run in record["runs"]] == ["ours", "ours"]
    assert all(run["seconds"] > record["least_seconds"] > 0 for run in record["runs"])
    table = run("--table", str(file))
    assert table.strip() in shown
    assert "| ours | " in table and "| roofline (" in table
