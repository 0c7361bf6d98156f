"""What the README files show runs, what they name exists, and their commands have these flags."""

import argparse
import os
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("ch0*/README.md")),
    ROOT / "benchmarks" / "README.md",
    *sorted(ROOT.glob("shared/**/README.md")),
]
NOT_OURS = {"venv", "pip", "pytest"}  # python -m ...


def links(text: str) -> list[str]:
    """The files that a page links to, relative to its folder."""
    return re.findall(r"\]\((?!http|#)([^)#]+)[^)]*\)", text)


def commands(text: str) -> list[list[str]]:
    """The words after `python` of each command, without the comment behind it.

    A command is a line of a block (fenced or indented) or stands between backticks in a sentence.
    """
    blocks = re.findall(r"^(?:    )?(?:\.venv/bin/)?python (.+)$", text, re.MULTILINE)
    in_sentences = re.findall(r"`(?:\.venv/bin/)?python ([^`]+)`", text)
    found = [shlex.split(command, comments=True) for command in blocks + in_sentences]
    return [words for words in found if words[0] != "-m" or words[1] not in NOT_OURS]


COMMANDS = [
    pytest.param(words, id=" ".join(words))
    for page in PAGES
    for words in commands(page.read_text(encoding="utf-8"))
]


class Parsed(Exception):
    """The command line was understood; nothing is run."""


def parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """What a script makes of its flags; SystemExit if it does not know them."""
    understood = []
    original = argparse.ArgumentParser.parse_args

    def stop_here(parser, *args, **options):
        understood.append(original(parser, *args, **options))
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop_here)
    flags = words[2:] if words[0] == "-m" else words[1:]
    monkeypatch.setattr(sys, "argv", [words[0], *flags])
    with pytest.raises(Parsed):
        if words[0] == "-m":
            runpy.run_module(words[1], run_name="__main__")
        else:
            script = ROOT / words[0]
            monkeypatch.syspath_prepend(script.parent)  # as Python does
            runpy.run_path(str(script), run_name="__main__")
    return understood[0]


def test_the_python_in_the_readme_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.count(" -> ") == 4


def test_files_in_the_tree_exist():
    page = (ROOT / "shared" / "README.md").read_text(encoding="utf-8")
    tree = page.split("```")[1]
    named = [ROOT / "shared" / line.split()[0] for line in tree.strip().splitlines()]
    assert len(named) > 14
    here = {path for path in (ROOT / "shared").iterdir() if path.suffix in ("", ".py")}
    hidden = {"__init__.py", "__pycache__"}
    assert set(named) == {path for path in here if path.name not in hidden}


def test_the_path_of_a_prompt_leads_through_files_that_exist():
    page = (ROOT / "shared" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| \d+ \| `([^`]+)`", page, re.MULTILINE)
    assert len(named) == 12
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "shared" / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    found = links(page.read_text(encoding="utf-8"))
    assert [link for link in found if not (page.parent / link).exists()] == []


def test_links_and_commands_are_found():
    """The patterns above find what they are meant for; a page without any passes unseen else."""
    assert len(links(README)) >= 9  # the picture, six chapters, benchmarks, the model card
    assert len(COMMANDS) >= 20
    pages = {page.parent.name for page in PAGES if commands(page.read_text(encoding="utf-8"))}
    assert pages >= {path.parent.name for path in ROOT.glob("ch0*/README.md")} | {"benchmarks"}
    page = "Run `python a.py --b 1`, or\n\n    python -m c.d  # why\n.venv/bin/python e.py\n"
    assert commands(page) == [["-m", "c.d"], ["e.py"], ["a.py", "--b", "1"]]
    assert commands("A python is a snake.\npython -m pip install x\n") == []


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_name_existing_scripts_and_flags(words, monkeypatch):
    parse(words, monkeypatch)


def test_a_command_with_an_unknown_flag_or_script_is_noticed(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        parse(["ch07_combine/ladder.py", "--no-such-flag"], monkeypatch)
    assert "--no-such-flag" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        parse(["ch07_combine/no_such_script.py"], monkeypatch)


@pytest.mark.skipif(os.name != "posix", reason="make is not at home on Windows")
def test_targets_of_make_exist():
    targets = re.findall(r"\bmake ([a-z-]+)", README, re.MULTILINE)
    assert set(targets) >= {"demo", "test", "test-all"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = re.findall(r"^([\w-]+):", makefile, re.MULTILINE)
    assert set(targets) <= set(rules)
