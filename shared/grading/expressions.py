r"""Tell mathematics from other texts, so that algebra decides only between two expressions.

    is_expression("2xy + 1") -> True        is_expression("1 2 3"), ("e2e4"), ("CAB") -> False

To algebra, `1 2 3` is the product 6, `CAB` is `ABC`, and `0xff` is zero times x times f times f. So
a text counts as mathematics only if it reads like a formula from left to right: operand, operator,
operand. Two operands may meet (`2x`, `2(x+1)`, `\pi r`), but a number never follows another
operand, and a run of letters is a product only where it cannot be a word.

Texts are `canonical` ones (see `shared.grading.tex`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.grading.tex import unwrap_text

_OPERANDS = set(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi "
    "omicron rho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma "
    "Upsilon Phi Psi Omega pi infty ell emptyset".split()
)
_PREFIXES = set(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp sqrt frac binom max "
    "min gcd lcm det angle overline bar hat vec sum prod".split()
)
_OPERATORS = {"cdot", "times", "div", "ast"}
_SIGNS = {"pm", "mp"}
_RELATIONS = {"le", "ge", "ne"}
_CLOSING = {"(": ")", "[": "]", "{": "}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil", "|": "|"}
_OPERATOR = re.compile(r"[\\^+*/=<>]")
_INDEX = "\x01"  # stands for a whole `_{…}`

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    r"|(?P<command>\\[a-zA-Z]+)|(?P<letters>[a-zA-Z]+)|(?P<sign>.)",
    re.DOTALL,
)
_SIMPLER = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"(?<=[a-zA-Z'])_(?:\{[^{}]*\}|[0-9a-zA-Z])", _INDEX),
        (r"\\operatorname\s*\{[a-z]+\}", r"\\max"),
        (r"\\mathbb\s*\{?[A-Z]\}?", r"\\pi"),
        (r"\\sqrt\s*\[[0-9a-z]+\]", r"\\sqrt"),
        # of `\sin^2 x`: what follows a function's exponent is still its argument
        (rf"(\\[a-z]+{_INDEX}?)\^(?:\{{[^{{}}]*\}}|[0-9a-zA-Z])(?=\s*[\\a-zA-Z0-9({{])", r"\1"),
    ]
]
# A route, a date or a score is no difference or quotient: `1-2-3`, `A - B - C`, `1/2/2024`; nor is
# `2nd` a product.
_CHAIN = re.compile(
    r"[0-9]+ ?([-/]) ?[0-9]+(?: ?\1 ?[0-9]+)+|[A-Z](?: ?- ?[A-Z]){2,}|[0-9]+(?:st|nd|rd|th)"
)
_ORDER = re.compile(r"[<>]|\\(?:le|ge|ne)(?![a-zA-Z])")
_BARE_LETTERS = re.compile(r"[a-zA-Z]{2,}")

MAX_CHARS = 300
MAX_DEPTH = 10  # the parser behind takes time exponential in the depth
# Not needed for safety (the watchdog is), but each of these would cost the whole time limit.
_TOO_BIG = re.compile(
    r"[0-9]{40}"  # a very long number
    r"|\^[\s{(]*-?[0-9]{5}"  # a power of 10,000 or more
    r"|[0-9][\s})]*\^[\s{(]*[0-9]+[\s})]*\^"  # a tower of powers
    r"|[0-9]{4}[\s})]*!|![\s})]*!"  # a factorial of 1,000 or more, or of a factorial
)


def is_tractable(text: str) -> bool:
    """Whether an expression is small enough to be worth the algebra."""
    depth = deepest = 0
    for char in text[: MAX_CHARS + 1]:
        depth += (char in "{([") - (char in "})]")
        deepest = max(deepest, depth)
    return len(text) <= MAX_CHARS and deepest <= MAX_DEPTH and not _TOO_BIG.search(text)


def is_expression(text: str) -> bool:
    """Whether a text is one mathematical expression, equation or inequality (not a list).

    An inequality of numbers (`1 < 2`) is none: algebra would compare only whether it holds.
    """
    if _CHAIN.fullmatch(text) or _BARE_LETTERS.fullmatch(text):
        return False
    if _ORDER.search(text) and not has_variable(text):
        return False
    text = _MATRIX.sub(_as_operand, text)
    for pattern, replacement in _SIMPLER:
        text = pattern.sub(replacement, text)
    return _Reader(text).reads()


def variables(text: str) -> set[str]:
    """The letters of an expression that stand for numbers."""
    found = set()
    for match in _TOKEN.finditer(text):
        if match["letters"]:
            found |= set(match["letters"])
        elif match["command"] and match["command"][1:] in _OPERANDS - {"pi", "infty"}:
            found.add(match["command"])
    return found


def has_variable(text: str) -> bool:
    """Whether an expression has a letter that stands for a number."""
    return bool(variables(text))


class _Reader:
    """Reads a formula from left to right; `after_operand` decides what may come next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.after_operand = False
        self.last = ""  # the last token that was no space, and its kind
        self.last_kind = ""
        self.spaced = False  # whether a space came after it
        self.open: list[tuple[str, bool]] = []  # brackets, and whether they take several arguments

    def reads(self) -> bool:
        """Whether the whole text is a formula."""
        read = {
            "number": self._number,
            "letters": self._letters,
            "command": self._command,
            "sign": self._sign,
        }
        for match in _TOKEN.finditer(self.text):
            kind, token = match.lastgroup, match[0]
            if kind == "space":
                self.spaced = True
                continue
            if not read[kind](token, match.end()):
                return False
            self.last, self.last_kind, self.spaced = token, kind, False
        return self.after_operand and not self.open

    def _number(self, token: str, end: int) -> bool:
        if self.after_operand or re.match("0[0-9]", token):
            return False
        self.after_operand = True
        return True

    def _letters(self, token: str, end: int) -> bool:
        after_number = self.after_operand and self.last_kind == "number"
        if after_number and not self.spaced and self.last == "0":  # `0xff`
            return False
        if self.after_operand and self.spaced and self.last_kind == "letters":
            if not _OPERATOR.search(self.text):  # `A B`, but `\\pi r h`
                return False
        # No two anagrams are both in alphabetical order, and few words are.
        may_be_word = len(token) > 2 or (len(token) == 2 and after_number and self.spaced)
        if may_be_word and not all(x < y for x, y in zip(token.lower(), token.lower()[1:])):
            return False
        self.after_operand = True
        return True

    def _command(self, token: str, end: int) -> bool:
        name = token[1:]
        if token in _CLOSING or token in _CLOSING.values():
            return self._bracket(token)
        if name in _OPERANDS:
            self.after_operand = True
            return True
        if name in _PREFIXES or name in _SIGNS:
            self.after_operand = False
            return True
        if name in _OPERATORS or (name in _RELATIONS and not self.open):
            return self._infix()
        return False

    def _sign(self, token: str, end: int) -> bool:
        if token == "|":
            return self._bar(end)
        if token in _CLOSING or token in _CLOSING.values():
            return self._bracket(token)
        if token in "+-":
            self.after_operand = False
            return True
        if token in "*/^" or (token in "=<>" and not self.open):
            return self._infix()
        if token == ",":
            return bool(self.open) and self.open[-1][1] and self._infix()
        if token == _INDEX:
            return True
        if token == "'":
            return self.last_kind == "letters" and not self.spaced
        return token in "!%" and self.after_operand

    def _infix(self) -> bool:
        """An operator that needs an operand before it and another after it."""
        was_after_operand, self.after_operand = self.after_operand, False
        return was_after_operand

    def _bracket(self, token: str) -> bool:
        if token in _CLOSING:
            if token == "[" and self.after_operand:
                return False
            is_call = token == "(" and (self.last_kind in ("letters", "command"))
            self.open.append((token, is_call))
            self.after_operand = False
            return True
        if not self.open or _CLOSING[self.open.pop()[0]] != token:
            return False
        return self.after_operand

    def _bar(self, end: int) -> bool:
        """A bar that opens or closes `|x|`; one between two operands separates: no formula."""
        if self.after_operand and self.open and self.open[-1][0] == "|":
            self.open.pop()
            return True
        is_factor = self.last_kind == "number" and re.match(r"[^|0-9]*[a-z]", self.text[end:])
        if self.after_operand and not is_factor:
            return False
        self.open.append(("|", False))
        self.after_operand = False
        return True


# --- Lists ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Items:
    """A text that lists several: `kind` is how, such as "set", "()", "(]", "union", "2x1", ";"."""

    kind: str
    items: list[str]

    @property
    def is_ordered(self) -> bool:
        """Whether the same items in another order are another answer."""
        return self.kind not in ("set", "union")


_MATRIX = re.compile(
    r"\\begin\{(?P<name>[pbvB]?matrix|smallmatrix|array)\}(?:\{[lcr| ]*\})?"
    r"(?P<body>(?:(?!\\begin|\\end).)*)\\end\{(?P=name)\}",
    re.DOTALL,
)
_ROW_END = re.compile(r"\\\\(?:\[[^\[\]]*\])?")
_AND = r"\s*,?\s*(?<=[\s,])(?:and|or)(?=\s)\s*"
_COMMA = re.compile(rf"{_AND}|\s*,\s*")
# Where a space follows some comma, those within `1,000` belong to the number.
_SPACED_COMMA = re.compile(rf"{_AND}|\s*,(?!(?<=[0-9],)[0-9]{{3}}(?![0-9]))\s*")
_UNION = re.compile(r"\s*\\cup(?![a-zA-Z])\s*")
_SEPARATORS = [re.compile(rf"\s*{re.escape(mark)}\s*") for mark in (";", "|", ":", "->", r"\to ")]
_ONE_NUMBER = re.compile(r"[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")


def as_items(text: str) -> Items | None:
    """The items that a text lists, or None if it is one thing."""
    matrix = _MATRIX.fullmatch(text)
    if matrix and matrix["name"] != "vmatrix":  # a determinant is a number
        rows = _rows(matrix)
        shape = "x".join(str(len(row)) for row in rows)
        return Items(f"matrix {shape}", [cell for row in rows for cell in row])
    if text.startswith(r"\{") and text.endswith(r"\}") and _encloses(text.replace("\\", "")):
        return Items("set", _plus_and_minus(_split_list(text[2:-2].strip())))
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and _encloses(text):
        items = _split_list(text[1:-1].strip())
        return Items(_brackets(text, items), items) if len(items) > 1 else None
    union = split_outside(text, _UNION)
    if len(union) > 1:
        return Items("union", union)
    items = _plus_and_minus(_split_list(text))
    return Items("set", items) if len(items) > 1 else None


def _rows(matrix: re.Match) -> list[list[str]]:
    """The cells of a matrix, row by row."""
    rows = _ROW_END.split(matrix["body"])
    return [[cell.strip() for cell in row.split("&")] for row in rows if row.strip()]


def _as_operand(matrix: re.Match) -> str:
    """A letter in the place of a matrix of expressions; another matrix as it is."""
    is_operand = all(is_expression(cell) for row in _rows(matrix) for cell in row)
    return r"\pi " if is_operand else matrix[0]


def as_sequence(text: str) -> Items | None:
    """The items of `1;2;3`, `3:45` or `1 2 3`, which are no formulas; None for other texts."""
    for separator in _SEPARATORS:
        items = split_outside(text, separator)
        if len(items) > 1:
            return Items(separator.pattern, items)
    items = text.split()
    is_row = len(items) > 1 and all(re.fullmatch(r"[-+]?[0-9.]+", item) for item in items)
    return Items(" ", items) if is_row else None


def split_outside(text: str, separator: re.Pattern) -> list[str]:
    """Split at the separators that stand outside all brackets."""
    pieces, start, depth, seen = [], 0, 0, 0
    for match in separator.finditer(text):
        between = text[seen : match.start()]
        depth += sum(char in "([{" for char in between) - sum(char in ")]}" for char in between)
        seen = match.start()
        if depth == 0:
            pieces.append(text[start : match.start()])
            start = match.end()
    return [*pieces, text[start:]]


def _split_list(text: str) -> list[str]:
    if _ONE_NUMBER.fullmatch(text):
        return [text]
    return split_outside(text, _SPACED_COMMA if ", " in text else _COMMA)


def _plus_and_minus(items: list[str]) -> list[str]:
    r"""`1 \pm x` as the two that it stands for."""
    both = []
    for item in items:
        if item.count(r"\pm") == 1 and r"\{" not in item:
            both.append(item.replace(r"\pm", "+").replace(r"\mp", "-"))
            both.append(item.replace(r"\pm", "-").replace(r"\mp", "+"))
        else:
            both.append(item)
    return both


def _brackets(text: str, items: list[str]) -> str:
    """The brackets around a list; infinity at the end of an interval is outside in any case."""
    first = "(" if re.fullmatch(r"- ?\\infty", items[0]) else text[0]
    last = ")" if re.fullmatch(r"[+]? ?\\infty", items[-1]) else text[-1]
    return first + last


def _encloses(text: str) -> bool:
    """Whether the bracket at the start is closed by the one at the end."""
    depth = 0
    for place, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            return place == len(text) - 1
    return False


def is_mathematical(text: str) -> bool:
    """Whether a text is an expression, a relation, or a list of expressions."""
    items = as_items(text)
    if items is None:
        return is_expression(unwrap_text(text))
    return all(is_mathematical(item) for item in items.items)
