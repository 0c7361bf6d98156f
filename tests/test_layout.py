"""Imports point one way: a package uses only what stands below it (see shared/README.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [  # from the bottom up; what stands in one line does not import each other
    ("errors", "sampling_params", "scores", "solution", "threads", "files", "sandbox", "book"),
    ("decoder", "text", "grading"),
    ("engine", "loading"),
    ("llm",),
    ("rewards", "backends"),
    ("evaluation",),
    ("tiny", "tour"),
]
ALLOWED = {
    name: {lower for below in LAYERS[:i] for lower in below}
    for i, layer in enumerate(LAYERS)
    for name in layer
}
CHAPTERS = sorted(path.name for path in ROOT.glob("ch0*") if path.is_dir())
LAST_CHAPTER = "ch07_combine"  # the one that combines the others


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, with their full names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "shared":
                found |= {f"shared.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def part_of(module: str) -> str:
    """shared.text.tokenizer -> text; what `from shared import ...` gives, by where it stands."""
    name = module.split(".")[1]
    return PUBLIC.get(name, name)


def public_names() -> dict[str, str]:
    """The names that `shared` itself offers, each with the part that it comes from."""
    tree = ast.parse((ROOT / "shared" / "__init__.py").read_text(encoding="utf-8"))
    return {
        alias.name: node.module.split(".")[1]
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


PUBLIC = public_names()
SHARED = sorted(path for path in (ROOT / "shared").rglob("*.py") if path.name != "__init__.py")


def test_every_module_of_shared_has_a_place_among_the_layers():
    names = {path.relative_to(ROOT / "shared").parts[0].removesuffix(".py") for path in SHARED}
    assert len(SHARED) > 40 and names == ALLOWED.keys()


@pytest.mark.parametrize("path", SHARED, ids=lambda path: str(path.relative_to(ROOT / "shared")))
def test_imports_point_downwards(path):
    own = path.relative_to(ROOT / "shared").parts[0].removesuffix(".py")
    for module in imports_of(path):
        if module.startswith(("ch0", "tests")):
            pytest.fail(f"{path} imports {module}: nothing in shared knows the chapters")
        if module.startswith("shared."):
            part = part_of(module)
            assert part == own or part in ALLOWED[own], f"{own} must not import {module}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapters_do_not_import_each_other(chapter):
    files = list((ROOT / chapter).glob("*.py"))
    assert files or chapter == LAST_CHAPTER
    for path in files:
        for module in imports_of(path):
            other = module.split(".")[0]
            if other in CHAPTERS and other != chapter:
                assert chapter == LAST_CHAPTER, f"{path} imports {module}"
                assert "study" not in module, f"{path} imports {module}: a study is nobody else's"
            assert not module.startswith("shared.tiny"), f"{path} imports training code: {module}"


def test_the_textbook_decoder_knows_nothing_else():
    for path in (ROOT / "shared/decoder").glob("*.py"):
        allowed = ("shared.decoder", "shared.files", "shared.sampling_params")
        foreign = [
            m for m in imports_of(path) if m.startswith("shared") and not m.startswith(allowed)
        ]
        assert not foreign, f"{path} imports {foreign}"


def test_evaluation_does_not_load_ray_or_openai():
    for name in ("evaluate", "records", "pool", "problems"):
        modules = imports_of(ROOT / f"shared/evaluation/{name}.py")
        assert not [m for m in modules if "ray" in m or "remote" in m or "openai" in m]
