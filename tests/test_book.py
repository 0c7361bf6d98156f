"""The website of the book: every page is in it, and `make book` finds broken links."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "shared" / "book"
sys.path.insert(0, str(BOOK))

from check import check_site  # noqa: E402


def listed(node: object) -> list[str]:
    """All files of the table of contents."""
    if isinstance(node, list):
        return [name for item in node for name in listed(item)]
    if not isinstance(node, dict):
        return []
    own = [node[key] for key in ("root", "file") if key in node]
    return own + [name for value in node.values() for name in listed(value)]


def test_every_notebook_and_readme_is_a_page_of_the_book() -> None:
    pages = listed(yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8")))
    expected = [*ROOT.glob("ch0*/*.ipynb"), *ROOT.glob("shared/*.ipynb"), *ROOT.glob("ch0*/*.md")]
    assert expected
    assert {str(path.relative_to(ROOT).with_suffix("")) for path in expected} <= set(pages)
    assert len(pages) == len(set(pages))
    for page in pages:
        assert any((ROOT / f"{page}{suffix}").exists() for suffix in (".md", ".ipynb")), page


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('<a href="missing.html">x</a>', "index.html: broken link missing.html"),
        ('<a href="other.html#no">x</a>', "index.html: no heading for the link other.html#no"),
        ('<img src="missing.png">', "index.html: misses missing.png"),
        (
            '<script src="https://example.org/a.js"></script>',
            "index.html: loads https://example.org/a.js from the web",
        ),
        ('<a href="other.html#yes">x</a><a href="https://example.org">y</a>', None),
    ],
)
def test_check_site_names_each_fault(tmp_path: Path, content: str, fault: str | None) -> None:
    (tmp_path / "index.html").write_text(content, encoding="utf-8")
    (tmp_path / "other.html").write_text('<h1 id="yes">y</h1>', encoding="utf-8")
    assert check_site(tmp_path) == ([] if fault is None else [fault])


@pytest.mark.slow
def test_the_book_builds_without_a_broken_link(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "."]
    command += ["--config", "shared/book/_config.yml", "--toc", "shared/book/_toc.yml"]
    command += ["--path-output", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(BOOK)}  # for the book's own Sphinx extension
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env, timeout=600)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    assert check_site(tmp_path / "_build" / "html") == []
    formulas = (tmp_path / "_build/html/ch04_rejection/rejection.html").read_text(encoding="utf-8")
    assert "_static/mathjax/MathJax.js" in formulas
