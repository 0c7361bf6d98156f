"""Plain words: phrases and names that readers stumbled over do not come back."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXTS = sorted(
    path
    for pattern in ("*.md", "ch0*/*.*", "shared/**/*.*", "benchmarks/*.*")
    for path in ROOT.glob(pattern)
    if path.suffix in (".py", ".md", ".ipynb")
)
UNIT = r"(?:problem|question|sample|row|round|prompt|layer|task|path|search|solution|step)"
PHRASES = {
    rf"\b(?:tokens|samples|draws|passes|rows|rounds|bytes) an? {UNIT}\b": "per ...",
    r"\b(?:gone|go|goes|going|went) on (?:from|with|where)\b": "continue, resume",
    r"\bof equals\b": "ties",
    r"\b(?:cannot|can't|could not) be told (?:apart )?from\b": "statistically indistinguishable",
    r"\bfor want of\b": "because there was no",
    r"\bfrom cheap to dear\b": "from cheap to expensive",
}
NAMES = {
    *("echoed", "farewell", "go_on", "going_on", "looked_at", "made_of", "seat", "seat_of"),
    *("shared_out", "told"),
}


def prose(path: Path) -> str:
    """What a reader reads: Markdown, comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    if path.suffix == ".ipynb":
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    comments = re.findall(r"#(.*)", text)
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kinds)
    ]
    return "\n".join(comments + docstrings)


def found_in(text: str) -> list[str]:
    """The phrases of PHRASES in a text, each with what to say instead."""
    flat = " ".join(text.split())
    return [
        f"{match[0]!r}: say {better}"
        for pattern, better in PHRASES.items()
        for match in re.finditer(pattern, flat, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_phrase_that_readers_stumbled_over(path):
    assert found_in(prose(path)) == []


def test_the_phrases_would_be_found():
    text = "It takes 30 tokens a problem, and the\nsearch goes on from there; the first of equals wins."
    assert len(found_in(text)) == 3
    assert found_in("per problem; it continues; ties go to the first; a sample a day") == []


def names_in(path: Path) -> set[str]:
    """The names of functions, arguments, variables and attributes that a file defines."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


def test_no_private_names():
    files = [path for path in TEXTS if path.suffix == ".py"]
    assert len(files) > 100 and "names_in" in names_in(Path(__file__))
    wrong = {str(path.relative_to(ROOT)): names_in(path) & NAMES for path in files}
    assert {name: words for name, words in wrong.items() if words} == {}
