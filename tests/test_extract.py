"""Taking the program out of a reply: replies of many shapes, each of which must compile and work."""

from __future__ import annotations

import ast
import time

import pytest

from ch04_rejection.code_tasks import extract_code

# Every program must give area(3) == 28.27; the function is called `area`.
GOOD = "def area(r):\n    return round(math.pi * r * r, 2)\n"
IMPORT = "import math\n"
WHOLE = IMPORT + "\n\n" + GOOD
ALONE = "def area(r):\n    return round(3.14159 * r * r, 2)\n"
WRONG = "def area(r):\n    return r * r\n"
HELPER = "def square(x):\n    return x * x\n"
WITH_HELPER = "def area(r):\n    return round(3.14159 * square(r), 2)\n"
CONSTANT = "PI = 3.14159\n"
WITH_CONSTANT = "def area(r):\n    return round(PI * r * r, 2)\n"


def block(code: str, language: str = "python", fence: str = "```") -> str:
    return f"{fence}{language}\n{code}{fence}\n"


def indented(text: str, by: str = "    ") -> str:
    return "".join(by + line if line.strip() else line for line in text.splitlines(keepends=True))


SHAPES = {
    # One block, and how it is marked.
    "a block": block(WHOLE),
    "text around a block": f"Sure!\n\n{block(WHOLE)}\nThis works because a circle is round.",
    "no language": block(WHOLE, ""),
    "py": block(WHOLE, "py"),
    "Python3": block(WHOLE, "Python3"),
    "PYTHON": block(WHOLE, "PYTHON"),
    "a space before the language": block(WHOLE, " python "),
    "a title": block(WHOLE, 'python title="area.py"'),
    "braces": block(WHOLE, "{.python .numberLines}"),
    "tildes": block(WHOLE, "python", "~~~"),
    "tildes without a language": block(WHOLE, "", "~~~"),
    "four backticks": block(WHOLE, "python", "````"),
    "carriage returns": block(WHOLE).replace("\n", "\r\n"),
    "opened amid a line": f"Here it is: {block(WHOLE)}",
    "closed at the end of a line": f"```python\n{WHOLE.rstrip()}```\nDone.",
    "all on one line": "```python def area(r): return round(3.14159 * r * r, 2)```",
    "an indented block": indented(block(WHOLE)),
    "a block in a list": f"1. First:\n\n{indented(block(WHOLE), '   ')}\n2. Done.",
    "indented with tabs": indented(block(WHOLE), "\t"),
    "code indented, fences not": f"```python\n{indented(WHOLE)}```\n",
    "a name before the code": f"```python\narea.py\n{WHOLE}```\n",
    # Fences that are missing.
    "no fence at all": WHOLE,
    "no fence, text around": f"Here is the function.\n\n{WHOLE}\nIt uses the formula of a circle.",
    "no fence, one word before": f"Solution\n\n{WHOLE}\nDone",
    "no fence, a note after": f"{WHOLE}\nNote: this is exact",
    "Markdown's indented code": f"The code:\n\n{indented(WHOLE)}\nThat is it.",
    "only an opening fence": f"```python\n{WHOLE}",
    "only a closing fence": f"{WHOLE}```\nThis computes the area.",
    "a closing fence too many": f"{block(WHOLE)}```\n",
    "text, then only a closing fence": f"Sure:\n\n{WHOLE}```",
    "a closing fence before another block": f"{WHOLE}```\nCall it:\n{block('area(3)')}",
    "tags instead of fences": f"[PYTHON]\n{WHOLE}[/PYTHON]",
    # Several blocks that belong together.
    "an import of its own": f"First:\n{block(IMPORT)}Then:\n{block(GOOD)}",
    "an import of its own, after": f"{block(GOOD)}It needs this import:\n{block(IMPORT)}",
    "a star import": f"{block('from math import *')}{block(GOOD.replace('math.pi', 'pi'))}",
    "a renamed import": f"{block('import math as m')}{block(GOOD.replace('math.', 'm.'))}",
    "an import that may fail": block("try:\n    import math\nexcept ImportError:\n    math = 0\n")
    + block(GOOD),
    "a helper of its own": f"A helper:\n{block(HELPER)}The function:\n{block(WITH_HELPER)}",
    "a helper after": f"{block(WITH_HELPER)}where\n{block(HELPER)}",
    "a helper of a helper": block("def double(x):\n    return 2 * x\n")
    + block("def square(x):\n    return x * double(x) / 2\n")
    + block(WITH_HELPER),
    "a constant of its own": f"{block(CONSTANT)}{block(WITH_CONSTANT)}",
    "a class of its own": block("class Circle:\n    PI = 3.14159\n")
    + block(WITH_CONSTANT.replace("PI", "Circle.PI")),
    "an unfenced import": f"import math\n\nThen the function:\n\n{GOOD}",
    "a future import": block(HELPER)
    + block(
        f"from __future__ import annotations\n\n{WITH_HELPER.replace('area(r)', 'area(r: Float)')}"
    ),
    "a helper that was corrected": block(HELPER.replace("x * x", "x + x"))
    + f"{block(WITH_HELPER)}The helper was wrong:\n{block(HELPER)}",
    # Thoughts, drafts and corrections.
    "a thought": f"<think>\nMaybe:\n{block(WRONG)}</think>\n{block(WHOLE)}",
    "a thought with a later draft": f"<think>{block(WHOLE)}{block(WRONG)}</think>{block(WHOLE)}",
    "a thought that was opened by the prompt": f"Maybe\n{block(WRONG)}</think>\n{block(WHOLE)}",
    "a thought that never ends": f"{block(WHOLE)}<think>\nOr rather\n{block(WRONG)}",
    "a draft and its correction": f"{block(WRONG)}This forgets pi. Corrected:\n{block(WHOLE)}",
    "two drafts": f"{block(WRONG)}No.\n{block(WRONG)}Finally:\n{block(WHOLE)}",
    "a draft in the same block": block(WRONG + "\n\n" + WHOLE),
    "an unfenced draft": f"{WRONG}\nThis forgets pi:\n\n{block(WHOLE)}",
    "a correction that needs the draft's import": f"{block(IMPORT + WRONG)}Better:\n{block(GOOD)}",
    "a correction that was cut off": f"{block(WHOLE)}Or shorter:\n```python\ndef area(r):\n    return (",
    "a skeleton first": block("def area(r):\n    pass\n") + "Filled in:\n" + block(WHOLE),
    "a skeleton last": block(WHOLE) + block('def area(r):\n    """The area."""\n    ...\n'),
    "a broken draft": block("def area(r)\n    return r\n")
    + f"A colon was missing:\n{block(WHOLE)}",
    # Examples and tests.
    "an example block": f"{block(WHOLE)}Example:\n{block('print(area(3))  # 28.27')}",
    "an example before": f"You want this:\n{block('area(3) == 28.27')}{block(WHOLE)}",
    "a shell block": f"{block('pip install numpy', 'bash')}{block(WHOLE)}{block('python area.py', 'sh')}",
    "output": f"{block(WHOLE)}Output:\n{block('28.27', '')}",
    "another language": f"{block('function area(r) { return r; }', 'js')}{block(WHOLE)}",
    "a doctest block": block(WHOLE) + block(">>> area(3)\n28.27\n", ""),
    "a doctest in the docstring": block(
        WHOLE.replace("(r):\n", '(r):\n    """The area.\n\n    >>> area(3)\n    28.27\n    """\n')
    ),
    "a fence in the docstring": block(
        WHOLE.replace(
            "(r):\n", '(r):\n    """The area.\n\n    ```\n    area(3)\n    ```\n    """\n'
        )
    ),
    "a fence at the margin of the docstring": block(
        WHOLE.replace("(r):\n", '(r):\n    """The area.\n\n```python\narea(3)\n```\n    """\n')
    ),
    "an example after it in the block": block(WHOLE + "\nprint(area(3))\n"),
    "a guarded example": block(f"{WHOLE}\nif __name__ == '__main__':\n    print(area(3))\n"),
    "assertions in the block": block(f"{WHOLE}\nassert area(3) == 28.27\nassert area(0) == 0\n"),
    "a failing assertion": block(f"{WHOLE}\nassert area(3) == 0\n"),
    "a test function": block(f"{WHOLE}\ndef test_area():\n    assert area(3) == 28.27\n"),
    "a block of tests": block(WHOLE)
    + block("from area import area\n\ndef test_area():\n    assert area(3) == 28.27\n"),
    "unit tests": block(WHOLE)
    + block("import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        area(3)\n"),
    "another function first": block("def perimeter(r):\n    return r\n") + block(WHOLE),
    "a longer name": f"{block(WHOLE)}{block(WRONG.replace('area', 'area_of_square'))}",
    # A reply that was cut off.
    "cut off in an example": f"```python\n{WHOLE}\nprint(area(",
    "cut off in the tests": f"```python\n{WHOLE}\ndef test_area():\n    assert area(3) == 28.2",
    "cut off in the text": f"{block(WHOLE)}This wor",
    "cut off after the last line": f"```python\n{WHOLE.rstrip()}",
    "cut off in a comment": f"```python\n{WHOLE}    # not rea",
    "cut off in unreachable code": f"```python\n{WHOLE}    return (r *",
    # Python's shell, and code with its own traps.
    "typed into Python's shell": ">>> import math\n>>> def area(r):\n"
    "...     return round(math.pi * r * r, 2)\n...\n>>> area(3)\n28.27\n",
    "decorated": block(f"from functools import lru_cache\n{IMPORT}\n@lru_cache(None)\n{GOOD}"),
    "wrapped afterwards": block(f"import functools\n{WHOLE}area = functools.cache(area)\n"),
    "typed": block(
        "import math\n\ndef area(r: float) -> float:\n    return round(math.pi * r**2, 2)\n"
    ),
    "a space before the bracket": block(WHOLE.replace("area(r)", "area (r)")),
    "a text with fences": block(f"FENCE = '```'\n{WHOLE}"),
    "a text over several lines": block(f'DOC = """\nno code:\n"""\n{WHOLE}'),
    "brackets at the margin": block(f"SIZES = [\n1,\n2,\n]\n{WHOLE}"),
    "a backslash in a text": block(WHOLE.replace("(r):\n", '(r):\n    "a \\d is a digit"\n')),
    "settings before it": block("import sys\nsys.setrecursionlimit(2000)\n" + WHOLE),
    "a comment first": block("# The area of a circle.\n" + WHOLE),
}


def run(code: str) -> dict:
    """What some code, written in this file, defines; an example may fail after the function."""
    module: dict = {"__name__": "candidate"}
    try:
        exec(compile(code, "candidate.py", "exec"), module)
    except (AssertionError, NameError):
        assert "area" in module
    return module


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("shape", SHAPES)
def test_a_program_is_found_in_a_reply_of_any_shape(shape):
    code = extract_code(SHAPES[shape], "area")
    functions = [s for s in ast.parse(code).body if isinstance(s, ast.FunctionDef)]
    assert "area" in [function.name for function in functions]
    assert run(code)["area"](3) == 28.27


def test_what_was_only_thought_is_no_program():
    for text in (f"<think>{block(WHOLE)}</think>It is easy.", f"<think>\n{block(WHOLE)}"):
        assert "def area" not in extract_code(text, "area")


def test_a_wrong_program_stays_wrong():
    broken = "def area(r):\n    retrun r\n    return r * r\n"
    for text in (block(broken), f"{block(broken)}Done.\n"):
        assert extract_code(text, "area") == broken  # not cut to the lines that are Python
    cut = "def area(r):\n    if r < 0:\n        return 0\n    return round("
    assert run(extract_code(f"```python\n{cut}", "area"))["area"](3) is None
    assert extract_code("I do not know.", "area") == "I do not know."


@pytest.mark.parametrize(
    "text",
    [
        "x = (\n" * 3_000,
        "import the\n" * 3_000,
        "don't say 'area\n" * 3_000,
        "def area(r):\n" * 3_000,
        "def area(r):\n    return (" + "(" * 20_000,
        "```python\n" * 3_000,
        "x = 1\n'''\n" * 1_500,
        "\0def area(r): return 1",
        "a = b = " * 10_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_reply_takes_seconds_at_most(text):
    start = time.process_time()  # whatever else the machine does
    assert isinstance(extract_code(text, "area"), str)
    assert time.process_time() - start < 10
