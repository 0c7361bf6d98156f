"""Find the program in a model's reply.

    extract_code("Sure!\n```python\nimport math\n\ndef area(r): ...\n```\nDone.", "area")

Models wrap code in many ways: in a block with fences of backticks or tildes, with or without a
language, in several blocks, indented in a list, with a fence missing, in no block at all, with
prose, examples or tests around it. Fences are often wrong; Python's own parser is not. So a reply
is read line by line: wherever a definition, an import or an assignment begins, the parser says how
far the code extends. A fence or a line of prose is not Python and ends it. Nothing is executed.

    text --stretches--> pieces of code --extract_code--> the last one that defines the function,
                                                         with what it needs from the others
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

Definition = ast.FunctionDef | ast.AsyncFunctionDef
# How a line of code begins that can begin a program. Prose that happens to be Python ("Done") does
# not look like this.
BEGINS = re.compile(
    r"(?P<indent>[ \t]*)(?:@\w|(?:async\s+def|def|class|import|from)\s|try\s*:|"
    r"[A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*\s*(?::[^=]+)?=(?!=))"
)
END_FENCE = re.compile(r"(?<=[^\s`])[ \t]*(`{3,})[ \t]*$", re.MULTILINE)  # "return x```"
ANY_FENCE = re.compile(r"(?:`{3,}|~{3,})(?:[ \t]*(?:python|py)[\d.]*\b)?", re.IGNORECASE)
PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)", re.MULTILINE)  # of Python's own shell
# Bounds that no sensible reply reaches, so that no reply can take minutes:
CUT_LINES = 50  # left out at the end of a program that was cut off
TRIES = 10  # to find the end of a stretch
FAILURES = 200  # of lines that begin as code does
FILE = "a_models_reply"

warnings.filterwarnings("ignore", module=FILE)  # the parser warns of "\d" in a model's string


@dataclass(frozen=True)
class Stretch:
    """Some lines of a reply that are Python: their text and their statements."""

    source: str
    statements: list[ast.stmt]

    def defines(self, name: str) -> bool:
        """Whether it defines a function of that name, with a body that does something."""
        functions = [s for s in self.statements if isinstance(s, Definition) and s.name == name]
        return any(not all(map(is_idle, function.body)) for function in functions)

    def text_of(self, statement: ast.stmt) -> str:
        """The lines of one of its statements, decorators included."""
        decorators = getattr(statement, "decorator_list", [])
        first = min(node.lineno for node in [statement, *decorators])
        return "\n".join(self.source.split("\n")[first - 1 : statement.end_lineno])


def extract_code(text: str, name: str) -> str:
    """The program in a model's reply: the last complete definition of the function `name`, with the
    code around it and what that needs from other blocks.

    Thoughts (<think>) are left out. Where no definition is complete, the last one counts as far as
    it goes, since a reply may have been cut off. Where there is none, all of the text is returned.
    """
    text = text.rpartition("</think>")[2].partition("<think>")[0].replace("\r\n", "\n")
    text = END_FENCE.sub(r"\n\1", text)
    one_liners = ANY_FENCE.sub("\n```\n", text)  # fences and code on the same line
    for reading in dict.fromkeys((text, one_liners, PROMPT.sub("", text))):  # each once
        found = list(stretches(reading))
        chosen = [i for i, stretch in enumerate(found) if stretch.defines(name)]
        if chosen:
            stretch = found.pop(chosen[-1])
            return with_needs(stretch, found)
    return incomplete(text, name) or text


def stretches(text: str) -> Iterator[Stretch]:
    """All stretches of Python in a text, in order."""
    lines, start, failures = text.split("\n"), 0, 0
    while start < len(lines) and failures < FAILURES:
        begins = BEGINS.match(lines[start])
        length = 0
        if begins:
            stretch, length = longest_stretch(outdented(lines[start:], len(begins["indent"])))
            if length:
                yield stretch
            failures += not length
        start += length or 1


def outdented(lines: list[str], width: int) -> list[str]:
    """The lines without their first `width` characters, as far as these are blank."""
    return [line[min(width, len(line) - len(line.lstrip())) :] for line in lines]


def longest_stretch(lines: list[str]) -> tuple[Stretch, int]:
    """The longest stretch of whole statements with which the lines begin, and its number of lines.

    Where the parser stumbles, the statement that it was in begins at the last line without
    indentation; what stands before that line is tried next.
    """
    end = len(lines)
    for _ in range(TRIES):
        if not end:
            break
        try:
            statements = parse(lines[:end])
        except SyntaxError as error:
            last = min(error.lineno or end, end) - 1
            end = next((i for i in range(last, 0, -1) if lines[i][:1].strip()), 0)
            continue
        prose = next((s.lineno for s in statements if is_prose(s)), None)
        if prose is None:
            return Stretch(joined(lines[:end]), statements), end
        end = prose - 1
    return Stretch("", []), 0


def joined(lines: list[str]) -> str:
    """Lines as a text that ends in one newline."""
    return "\n".join(lines).rstrip() + "\n"


def parse(lines: list[str]) -> list[ast.stmt]:
    """The statements of some lines. Raises SyntaxError where these are not Python."""
    try:
        return ast.parse("\n".join(lines), f"{FILE}.py").body
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte, 10,000 brackets
        raise SyntaxError(str(error)) from error


def is_idle(statement: ast.stmt) -> bool:
    """Whether a statement of a function does nothing: `pass`, `...`, a docstring, or a mere note
    that something is missing."""
    if isinstance(statement, ast.Raise):
        return "NotImplementedError" in ast.dump(statement)
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant or isinstance(statement, ast.Pass)


def is_prose(statement: ast.stmt) -> bool:
    """Whether a statement is Python only by accident, as `Done` and `Note: this` are."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None
    words = ast.Name | ast.Tuple | ast.List | ast.BinOp | ast.UnaryOp | ast.Compare | ast.BoolOp
    return isinstance(statement, ast.Expr) and isinstance(statement.value, words)


# --- What a definition needs ----------------------------------------------------------------------


def with_needs(stretch: Stretch, others: list[Stretch]) -> str:
    """The source of a stretch, and before it the statements of others that bind what it needs, such
    as a helper or an import in a block of its own. Of several, those in the last block count."""
    bound, needed = names(stretch.statements)
    added: dict[tuple[int, int], str] = {}  # by their positions in the reply
    while needed:
        name = needed.pop()
        bound.add(name)
        offers = {
            (number, statement.lineno): statement
            for number, other in enumerate(others)
            for statement in other.statements
            if binds(statement) & {name, "*"}
        }
        block = max(offers, default=(-1, 0))[0]
        for (number, line), statement in offers.items():
            if number == block and (number, line) not in added:
                added[number, line] = others[number].text_of(statement)
                needed |= names([statement])[1] - bound
    future = [s.end_lineno for s in stretch.statements if getattr(s, "module", "") == "__future__"]
    first = max(future, default=0)  # these imports must stay in front
    lines = stretch.source.split("\n")
    return "\n".join(
        [*lines[:first], *(added[position] for position in sorted(added)), *lines[first:]]
    )


def binds(statement: ast.stmt) -> set[str]:
    """The names that a statement binds in its module; "*" for a star import."""
    is_named = isinstance(statement, Definition | ast.ClassDef)
    return {statement.name} if is_named else names([statement])[0]


def names(statements: list[ast.stmt]) -> tuple[set[str], set[str]]:
    """The names that some statements bind, at any depth, and those that they need besides."""
    bound: set[str] = set()
    used: set[str] = set()
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, Definition | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return bound, used - bound - set(dir(builtins))


# --- A definition that is not complete ------------------------------------------------------------


def incomplete(text: str, name: str) -> str:
    """The last definition of a function that the parser does not accept as a whole; "" for none.

    One that the end of the text cuts off is given up to the last line with which it is Python. One
    that ends before a fence is wrong, and given as it is.
    """
    lines = text.split("\n")
    head = re.compile(rf"([ \t]*)(?:async\s+)?def\s+{re.escape(name)}\b")
    starts = [(i, len(match[1])) for i, line in enumerate(lines) if (match := head.match(line))]
    if not starts:
        return ""
    start, indent = starts[-1]
    rest = outdented(lines[start:], indent)
    fence = next((i for i, line in enumerate(rest) if ANY_FENCE.match(line.strip())), None)
    if fence is not None:
        return joined(rest[:fence])
    for end in range(len(rest), max(0, len(rest) - CUT_LINES), -1):
        with suppress(SyntaxError):
            kept = Stretch(joined(rest[:end]), parse(rest[:end]))
            return with_needs(kept, list(stretches("\n".join(lines[:start]))))
    return joined(rest)
