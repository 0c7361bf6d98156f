"""Notebooks run, and what they show is the code that runs.

    python tests/test_notebooks.py --write     # paste the scripts' definitions into the notebooks

A chapter's script is the source. Each of its top-level functions, classes and constants stands
exactly once in the chapter's notebook, to the letter; `main` and `parse_args` do not. What only
the notebook defines is called plot_... or ..._draft.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
SCRIPTS = [path for path in sorted(ROOT.glob("ch0*/*.py")) if path.with_suffix(".ipynb").exists()]
NOTEBOOKS = sorted(ROOT.glob("ch0*/*.ipynb"))
NOT_SHOWN = {"main", "parse_args"}
SMALL = 12  # problems in a test, instead of the NUM_PROBLEMS of a notebook's first cell


def definitions(source: str) -> dict[str, str]:
    """The top-level functions, classes and CONSTANTS of some code, each as it is written."""
    lines, found = source.splitlines(), {}
    for node in ast.parse(source).body:
        name, first = None, node.lineno
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = node.name
            first = min([first, *(decorator.lineno for decorator in node.decorator_list)])
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id if node.targets[0].id.isupper() else None
        if name is not None:
            found[name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_shows_the_code_of_the_script(script):
    ours = {k: v for k, v in definitions(script.read_text("utf-8")).items() if k not in NOT_SHOWN}
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    shown = [item for cell in code_cells(notebook)[1:] for item in definitions(cell.source).items()]
    for name, text in shown:
        is_own = name.startswith("plot_") or name.endswith("_draft")
        assert name in ours or is_own, f"{name} is in the notebook only"
        assert is_own or text == ours[name], f"{name} differs: run this file with --write"
    names = [name for name, _ in shown]
    assert {name for name in ours if names.count(name) != 1} == set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    first = code_cells(notebook)[0]
    assert "exercises" in path.stem or "NUM_PROBLEMS = " in first.source
    first.source += f"\nNUM_PROBLEMS = {SMALL}"
    allow_errors = path.stem == "exercises"  # its checks fail until the learner has solved them
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", allow_errors=allow_errors)
    client.execute(cwd=str(path.parent))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_notebook_keeps_outputs_without_errors_and_is_not_large(path):
    assert path.stat().st_size < 1_500_000
    if path.stem == "exercises":
        return
    for cell in code_cells(nbformat.read(path, as_version=4)):
        assert cell.execution_count, "a cell was not run: run the notebook from top to bottom"
        assert not [output for output in cell.outputs if output.output_type == "error"]


def write() -> None:
    """Paste each script's definitions into the cells that show them."""
    for script in SCRIPTS:
        ours = definitions(script.read_text("utf-8"))
        path = script.with_suffix(".ipynb")
        notebook = nbformat.read(path, as_version=4)
        for cell in code_cells(notebook)[1:]:
            for name, text in definitions(cell.source).items():
                if name in ours:
                    cell.source = cell.source.replace(text, ours[name])
        nbformat.write(notebook, path)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    write()
