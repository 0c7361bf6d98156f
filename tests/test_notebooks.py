"""Notebooks run, what they show is the code that runs, and exercises can be failed and solved.

    python tests/test_notebooks.py --write     # paste the scripts' definitions into the notebooks

The modules of a chapter are the source. What its notebook shows of their functions, classes and
constants stands there to the letter, and once. Every function of the chapter's script (NAME.py) is
shown, or imported from it. A cell that defines something else has the tag "notebook-only". After a
change of a module, run the command above: it copies the new text into the cell that has the old
one, and keeps the stored outputs.

`exercises.ipynb` and `solutions.ipynb` have the same cells, except for what a student fills in.
The test does as a student does: it runs each cell of the exercises, then fills in the solution
and runs the check again. Before that a check must fail, because of what is missing; after it,
nothing may.
"""

from __future__ import annotations

import argparse
import ast
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[1]
SCRIPTS = [path for path in sorted(ROOT.glob("ch0*/*.py")) if path.with_suffix(".ipynb").exists()]
NOTEBOOKS = sorted(ROOT.glob("ch0*/*.ipynb"))
CHAPTERS = [script.with_suffix(".ipynb") for script in SCRIPTS]
EXERCISES = [path for path in NOTEBOOKS if path.stem == "exercises"]
NOT_SHOWN = {"main", "parse_args"}
OWN = "notebook-only"  # the tag of a cell that defines what no module does
# In a small run, what the first cell of a notebook sets (or imports) becomes this instead.
SMALL = {"NUM_PROBLEMS": 4, "NUM_DRAWN": 2, "N": 4, "ROUNDS": 2, "POOL_SIZE": 8}
# What a notebook shows besides the modules of its own folder.
ALSO_SHOWN = {"ch04_rejection": [ROOT / "shared" / "rewards" / "verifiers.py"]}
SMALL_EXERCISES = {"NUM_PROBLEMS": 4}  # their checks need as many samples as they have


def name_of(path: Path) -> str:
    """The id of a notebook's test, as ch01_cot/cot."""
    return f"{path.parent.name}/{path.stem}"


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


def statements(source: str) -> dict[str, str]:
    """Every name that some code sets or imports at its top level, with the statement that does."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and is_set(n)]
        else:
            continue
        found |= dict.fromkeys(names, ast.unparse(node))
    return found


def is_set(name: ast.Name) -> bool:
    """Whether the name stands where it is given a value."""
    return isinstance(name.ctx, ast.Store)


def names_read(source: str) -> set[str]:
    """Every name that some code uses, in its functions as well."""
    nodes = ast.walk(ast.parse(source))
    return {node.id for node in nodes if isinstance(node, ast.Name) and not is_set(node)}


def errors_of(cell: NotebookNode) -> list[NotebookNode]:
    """The exceptions that ended a cell that was run: one or none."""
    return [output for output in cell.get("outputs", []) if output.output_type == "error"]


def make_small(cells: list[NotebookNode], constants: dict[str, int]) -> None:
    """Let the first cell end with smaller numbers, of the constants that it has."""
    known = statements(cells[0].source)
    lines = [f"{name} = {value}" for name, value in constants.items() if name in known]
    cells[0].source = "\n".join([cells[0].source, *lines])


def run(cells: list[NotebookNode], chapter: Path, tmp_path: Path, allow_errors: bool) -> None:
    """Run cells in a new kernel, in a copy of the chapter's folder: some save their pictures.

    Raises CellExecutionError at the first error unless these are allowed.
    """
    folder = shutil.copytree(chapter, tmp_path / chapter.name)
    client = NotebookClient(
        new_notebook(cells=cells),
        timeout=3600,
        startup_timeout=600,
        kernel_name="python3",
        allow_errors=allow_errors,
    )
    client.execute(cwd=str(folder))


# --- A student's way through the exercises --------------------------------------------------------


def students_path(exercises: list[NotebookNode], solutions: list[NotebookNode]) -> list:
    """The cells in the order in which a student runs them, each tagged with what is expected.

    "runs": the cell must not fail. "function missing", "value missing": a check whose exercise has
    not been solved yet, so it must fail. Solutions are filled in after that, and the check follows
    again. Raises ValueError if the notebooks do not correspond, or if no check uses an exercise.
    """
    if len(exercises) != len(solutions):
        raise ValueError(f"{len(exercises)} cells of exercises, {len(solutions)} of solutions")
    path, missing, filled_in = [], {}, []
    for given, solved in zip(exercises, solutions):
        before, after = statements(given.source), statements(solved.source)
        if given.source != solved.source:
            path.append(tagged(given, "runs"))
            missing |= {name: text for name, text in before.items() if after.get(name) != text}
            filled_in.append(tagged(solved, "runs"))
        elif used := missing.keys() & names_read(given.source):
            is_function = any(missing[name].startswith(("def ", "class ", "@")) for name in used)
            path.append(tagged(given, f"{'function' if is_function else 'value'} missing"))
            path += [*filled_in, tagged(solved, "runs")]
            missing, filled_in = {}, []
        else:
            path.append(tagged(given, "runs"))
    if missing:
        raise ValueError(f"no check uses {', '.join(missing)}")
    return path + filled_in


def tagged(cell: NotebookNode, expected: str) -> NotebookNode:
    """A copy of a code cell that says what is expected of it."""
    return new_code_cell(cell.source, metadata={"expected": expected})


def unexpected(path: list[NotebookNode]) -> list[str]:
    """What went otherwise than expected in a student's path that was run, in its order."""
    complaints = []
    for cell in path:
        expected, errors = cell.metadata.expected, errors_of(cell)
        what = f"{errors[0].ename}: {errors[0].evalue}" if errors else ""
        if expected == "runs" and errors:
            complaints.append(f"{what}\n{cell.source}")
        elif expected != "runs" and not errors:
            complaints.append(f"this check passes, though nothing was filled in\n{cell.source}")
        elif expected == "function missing" and "NotImplementedError" not in what:
            complaints.append(f"not the error of an unsolved exercise: {what}\n{cell.source}")
        elif expected == "value missing" and errors[0].ename != "AssertionError":
            complaints.append(f"not the error of an unsolved exercise: {what}\n{cell.source}")
    return complaints


SLOW_EXERCISES = {
    "ch05_refine",
    "ch06_search",
}  # half a minute each: the model revises and searches


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, marks=pytest.mark.slow if p.parent.name in SLOW_EXERCISES else ())
        for p in EXERCISES
    ],
    ids=name_of,
)
def test_exercises_fail_where_they_are_unsolved_and_pass_when_solved(path, tmp_path):
    exercises, solutions = (
        code_cells(nbformat.read(path.with_stem(stem), as_version=4))
        for stem in ("exercises", "solutions")
    )
    steps = students_path(exercises, solutions)
    assert sum(step.metadata.expected != "runs" for step in steps) >= 5, "exercises are missing"
    make_small(steps, SMALL_EXERCISES)
    run(steps, path.parent, tmp_path, allow_errors=True)
    assert unexpected(steps) == []


STUB = "def double(x):\n    raise NotImplementedError"
SOLUTION = "def double(x):\n    return 2 * x"
CHECK = "assert double(2) == 4, 'not the double'"


@pytest.mark.parametrize(
    ("exercises", "solutions", "complaint"),
    [
        (["import math", STUB, CHECK], ["import math", SOLUTION, CHECK], None),
        (["more = []", "assert more"], ["more = [1]", "assert more"], None),
        (["import maths", STUB, CHECK], ["import maths", SOLUTION, CHECK], "ModuleNotFoundError"),
        (
            [STUB, CHECK + "\nfrom math import ceiling"],
            [SOLUTION, CHECK + "\nfrom math import ceiling"],
            "ImportError",
        ),
        ([STUB, "double(duo)"], [SOLUTION, "double(duo)"], "unsolved exercise: NameError"),
        ([STUB, "double"], [SOLUTION, "double"], "this check passes"),
        ([STUB, CHECK], ["def double(x):\n    return x + x + x", CHECK], "not the double"),
        (
            ["x = ...", "1 / 0 if x is ... else x"],
            ["x = 1", "1 / 0 if x is ... else x"],
            "unsolved",
        ),
    ],
    ids=["solved", "value", "import", "late import", "name", "idle check", "wrong", "other error"],
)
def test_what_is_wrong_with_an_exercise_is_noticed(exercises, solutions, complaint, tmp_path):
    (tmp_path / "chapter").mkdir()
    steps = students_path(*([new_code_cell(s) for s in each] for each in (exercises, solutions)))
    run(steps, tmp_path / "chapter", tmp_path / "copy", allow_errors=True)
    found = unexpected(steps)
    assert (complaint is None and found == []) or complaint in found[0]


def test_exercises_that_nothing_checks_are_noticed():
    cells = [[new_code_cell(text)] for text in (STUB, SOLUTION)]
    with pytest.raises(ValueError, match="no check uses double"):
        students_path(*cells)
    with pytest.raises(ValueError, match="1 cells of exercises, 2 of solutions"):
        students_path(cells[0], [*cells[1], new_code_cell(CHECK)])


# --- Chapters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_the_chapter_runs(path, tmp_path):
    cells = code_cells(nbformat.read(path, as_version=4))
    assert "NUM_PROBLEMS" in statements(cells[0].source), "the first cell sets the size"
    make_small(cells, SMALL)
    run(cells, path.parent, tmp_path, allow_errors=False)


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p not in EXERCISES], ids=name_of)
def test_the_notebook_runs_at_full_size(path, tmp_path):
    run(code_cells(nbformat.read(path, as_version=4)), path.parent, tmp_path, allow_errors=False)


def chapter_definitions(chapter: Path) -> dict[str, set[str]]:
    """Every name that a chapter's modules define, and those of ALSO_SHOWN, with its texts: two
    modules may share a name."""
    found: dict[str, set[str]] = {}
    for module in [*sorted(chapter.glob("*.py")), *ALSO_SHOWN.get(chapter.name, [])]:
        for name, text in definitions(module.read_text("utf-8")).items():
            found.setdefault(name, set()).add(text)
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_shows_the_code_of_the_script(script):
    ours = chapter_definitions(script.parent)
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    first, *cells = code_cells(notebook)
    names = []
    for cell in cells:
        for name, text in definitions(cell.source).items():
            is_tagged = OWN in cell.metadata.get("tags", [])
            assert name in ours or is_tagged, f"{name} is in the notebook only: tag the cell {OWN}"
            if name in ours:
                assert text in ours[name], f"{name} differs: run this file with --write"
                names.append(name)
    assert not {name for name in names if names.count(name) > 1}
    functions = {
        node.name
        for node in ast.parse(script.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    imported = {name for cell in [first, *cells] for name in statements(cell.source)}
    assert functions - NOT_SHOWN - set(names) - imported == set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_the_notebook_keeps_outputs_without_errors_and_is_not_large(path):
    assert path.stat().st_size < 1_500_000
    if path in EXERCISES:
        return
    for cell in code_cells(nbformat.read(path, as_version=4)):
        assert cell.execution_count, "a cell was not run: run the notebook from top to bottom"
        assert not errors_of(cell)


def write() -> None:
    """Paste the modules' definitions into the cells that show them."""
    for script in SCRIPTS:
        ours = chapter_definitions(script.parent)
        path = script.with_suffix(".ipynb")
        notebook = nbformat.read(path, as_version=4)
        for cell in code_cells(notebook)[1:]:
            for name, text in definitions(cell.source).items():
                if len(ours.get(name, ())) == 1:
                    cell.source = cell.source.replace(text, *ours[name])
        nbformat.write(notebook, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", required=True)
    parser.parse_args()
    write()
