"""Every script is a command of its own, whatever folder it is called in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import run_script

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path
    for pattern in ("ch0*/*.py", "benchmarks/*.py", "shared/**/*.py")
    for path in ROOT.glob(pattern)
    if "argparse.ArgumentParser" in (text := path.read_text(encoding="utf-8"))
    and "__main__" in text
)


def name_of(script: Path) -> str:
    return str(script.relative_to(ROOT))


def test_the_scripts_are_found():
    names = {script.stem for script in SCRIPTS}
    assert names >= {"cot", "self_consistency", "best_of_n", "rejection", "code_rejection"}
    assert names >= {"refine", "search", "study", "game24", "ladder"}
    assert names >= {"pool", "report", "train", "reward", "vocabulary", "generation_speed"}


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_a_script_starts_in_a_process_of_its_own_in_any_folder(script, tmp_path):
    command = [sys.executable, str(script), "--help"]
    if script.is_relative_to(ROOT / "shared"):
        module = ".".join(script.relative_to(ROOT).with_suffix("").parts)
        command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ") and done.stderr == ""


def test_a_script_that_runs_here_behaves_as_in_a_process_of_its_own(tmp_path):
    """The stand-in of the other tests: output, folder, flags, exit code and error are the same."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, os, helper\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv[1:], os.path.basename(os.getcwd()), helper.name)\n"
        "    print('odd', file=sys.stderr)\n"
        "    if sys.argv[1] == 'crash': 1 / 0\n"
        "    sys.exit({'number': 3, 'text': 'no luck', 'nothing': None}[sys.argv[1]])\n",
        encoding="utf-8",
    )
    (tmp_path / "helper.py").write_text("name = 'beside'", encoding="utf-8")
    (tmp_path / "inner").mkdir()
    before = sys.argv, list(sys.path), os.getcwd()
    for ending in ("number", "text", "nothing", "crash"):
        here = run_script(script, ending, cwd=tmp_path / "inner")
        command = [sys.executable, str(script), ending]
        there = subprocess.run(command, cwd=tmp_path / "inner", capture_output=True, text=True)
        assert (here.returncode, here.stdout) == (there.returncode, there.stdout)
        assert here.stderr.splitlines()[0] == there.stderr.splitlines()[0] == "odd"
        assert here.stderr.splitlines()[-1] == there.stderr.splitlines()[-1]
    assert (sys.argv, list(sys.path), os.getcwd()) == before
    sys.modules.pop("helper")
