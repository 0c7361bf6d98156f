r"""Find the final answer in a model's text and decide whether two answers are equal.

    text --extract_answer--> "\frac{1}{2}" --answers_match(_, "0.5")--> True
                                           --normalize_answer--> "1/2"   (one vote)

What most answers need (numbers, words) is decided here in a few exact lines; only what is left
(`x^2+1` against `1+x^2`, sets, intervals, matrices) goes to `shared.math_worker`. Nothing here
evaluates a model's text as code, and every pattern takes time linear in its length.

Decisions where reasonable graders differ:

- **Rationals are exact**: 0.5 = 1/2 = \frac12, but 0.33 is not 1/3. (What is irrational is
  compared to six decimals, as in `math_verify`.)
- **Percent**: `50%` equals 50 (the sign read as a unit) and 0.5 (read as a value).
- **Units and currency marks are ignored**: `5 apples`, `5\text{ cm}`, `$5` and `5` are equal;
  `5 million` and `10 a.m.` are not read as 5 and 10.
- **Order** counts in tuples, intervals and matrices; not in sets and bare lists (`1,-2`).
- **A base is part of the answer**: `52_8` is neither 528, nor 52, nor its value 42.
- **Assignments**: `x = 5` equals `5`, but not `y = 5`.
- **Words** ignore case and `\text{}`; a choice `(A)` equals `A`.
- **Cut-off texts**: a box that never closes is no answer, nor is an unfinished thought.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from shared.math_worker import same_expression
from shared.solution import CUT_OFF, Completion

MAX_CHARS = 500  # longer answers are compared to the letter only

# [0-9] and not \d, which also matches the digits of other scripts.
_DECIMAL = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3}){1,9}(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_FRACTION = r"\\[dt]?frac\s?(?:\{[0-9]+\}|[0-9])\s?(?:\{[0-9]+\}|[0-9])"
_MATH_WORDS = r"and|or|pi|sqrt|sin|cos|tan|log|ln|infinity"

_BOX_OR_BRACE = re.compile(
    r"\\{1,2}(?:boxed|fbox)\s*(?:(?P<box>\{)|(?P<bare>[-+]?\.?[0-9][^\s{}$\\]*))|\\.|[{}]",
    re.DOTALL,
)
# `####` alone is also a heading in Markdown: it counts before a single word with a digit.
_STATEMENT = re.compile(
    r"####(?=[ \t]*[^\s#]{0,40}[0-9][^\s#]{0,40}[ \t\r]*$)|\banswer(?:\s+is\b\s*:?|\s*[:=])",
    re.IGNORECASE | re.MULTILINE,
)
_STATEMENT_OPENS = re.compile(r"(?:[\s*$:}]|\\[(\[])*")
_STATEMENT_ENDS = re.compile(r"\n|\$|\\[)\]]|\*\*|[.;!?](?=\s|$)")
_WORD = re.compile(rf"(?<![\\A-Za-z])(?!(?:{_MATH_WORDS})\b)[A-Za-z]{{2,}}")
_NUMBER = re.compile(
    r"(?<!\w)(?P<sign>[-+\u2212]?)(?:\\?[$€£¥])?(?P<size>"
    rf"(?:(?:[0-9]+ ?)?{_FRACTION}|[0-9]+ [0-9]+/[0-9]+|{_DECIMAL}(?: ?/ ?[0-9]+)?)"
    r"(?:_[0-9]+|_\{[0-9]+\})?(?: ?\\?%)?)"
)


def extract_answer(text: str) -> str | None:
    r"""Return the final answer of a model's text, or None if it holds none.

    In this order: the last complete `\boxed{…}` or `\fbox{…}`; the last `#### …` (GSM8K's form)
    or `answer is …` / `answer: …`; the last number. Only what follows a `</think>` counts. A box
    or a `<think>` that never closes marks a text that was cut off: None, unless an earlier box
    is complete.
    """
    text = text.rpartition("</think>")[2].partition("<think>")[0]
    box, is_open = _last_box(text)
    if box or is_open:
        return box
    return _last_statement(text) or _first_number(text, last=True)


def _last_box(text: str) -> tuple[str | None, bool]:
    """The content of the last complete box, and whether a box is left open, in one pass."""
    opened: list[int | None] = []  # for each open brace: where its box begins, None for others
    answer, answer_start = None, -1
    for match in _BOX_OR_BRACE.finditer(text):
        start, end = match.span("bare")  # (-1, -1) if this is no box without braces
        if match[0].endswith("{") and match[0] != r"\{":
            opened.append(match.end() if match["box"] else None)
        elif match[0] == "}" and opened:
            start, end = opened.pop() or -1, match.start()
        if start > answer_start:  # of nested boxes, the innermost
            content = text[start:end].strip().rstrip(".,;")
            answer, answer_start = (content, start) if content else (answer, answer_start)
    return answer, any(opened)


def _last_statement(text: str) -> str | None:
    for match in reversed(list(_STATEMENT.finditer(text))):
        claim = text[_STATEMENT_OPENS.match(text, match.end()).end() :][:MAX_CHARS]
        claim = _STATEMENT_ENDS.split(claim, maxsplit=1)[0].strip(" \t\r,.*")
        if _WORD.search(claim):  # "5 because …", "therefore 5", but also "Monday"
            claim = _first_number(claim) or claim
        if claim and claim[-1] not in "=:":
            return claim
    return None


def _first_number(text: str, last: bool = False) -> str | None:
    matches = list(_NUMBER.finditer(text)) if last else [_NUMBER.search(text)]
    match = matches[-1] if matches else None
    return match and match["sign"].replace("\u2212", "-").strip("+") + match["size"]


def final_answer(completion: Completion) -> str | None:
    """The answer of a completion; None where it was cut off before it could box one.

    A number in the middle of an unfinished solution is no answer.
    """
    if completion.finish_reason in CUT_OFF and "\\boxed" not in completion.text:
        return None
    return extract_answer(completion.text)


def answers_match(predicted: str | None, gold: str) -> bool:
    """Whether a predicted answer equals the right one; symmetric, see the module's decisions.

    Raises nothing for any text. Time is bounded: what cannot be decided in a few seconds (a tower
    of powers, say) counts as different.

    Raises:
        RuntimeError: if the helper process for computer algebra cannot start.
    """
    if predicted is None:
        return False
    a, b = sorted((predicted.strip(), gold.strip()))
    if a == b or max(len(a), len(b)) > MAX_CHARS:
        return a == b != ""
    return _equal(a, b)


def normalize_answer(text: str) -> str:
    r"""The form in which equal answers are counted as one vote: `1,000`, `$1000.00` -> `1000`.

    Numbers become exact fractions without unit or percent sign, words lower case, `x = 5`
    becomes `5`, and LaTeX loses its spaces and spelling variants. Expressions that only algebra
    can identify (`x+1`, `1+x`) stay different votes.
    """
    if len(text) > MAX_CHARS:
        return text.strip()
    text = _ASSIGNMENT.sub("", _clean(text), count=1)
    number = _rational(text.rstrip("% "))
    if number is not None:
        return str(number)
    word = _as_word(text)
    return _squeeze(text) if word is None else word


_CHARS = str.maketrans(
    {"\u2212": "-", "\u2013": "-", "×": r"\times ", "÷": "/", "π": r"\pi ", "∞": r"\infty "}
    | {"≤": r"\le ", "≥": r"\ge ", "∪": r"\cup ", "²": "^2", "³": "^3", "°": "", "~": " "}
)
_TEXT = r"\\(?:text|mbox|mathrm|textrm|textbf|textit|mathbf)\s*"
# Words that may follow a number without being its unit.
_NOT_UNIT = rf"(?!.*\b(?:{_MATH_WORDS}|dozen|hundred|thousand|[mbtr]+illion|base|[ap]\.?m)\b)"
_UNIT = rf"{_NOT_UNIT}[A-Za-z][A-Za-z/. ]*"
# Without \text{}, `2 xy` and `2 xyz` are products: a unit is short and known, or has a vowel.
_PLAIN_UNIT = rf"\s*(?:[ckm]m|kg|m[gl]|ft|mph)|\s+(?=[A-Za-z]*[aeiou])(?=[A-Za-z]{{3}}){_UNIT}"
_POWER = r"(?:\s*\^\s*(?:[0-9]|\{[0-9]\}))?\s*$"
_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"\\?[$€£¥\0]|\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[,;:!]\s*", ""),
        (r"(?<!\\)\\[()\[\]]", ""),  # math delimiters, but not the `[` of a row's end `\\[2pt]`
        (r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|\\degree(?![a-z])", ""),
        (r"(?<!\\)\\ ", " "),
        (r"\{,\}", ","),
        (rf"\\%|\s*(?:{_TEXT}\{{\s*)?\bpercent(?:age)?\b\s*\}}?", "%"),
        (r"\\[dtc]frac", r"\\frac"),
        (r"\\frac\s*([0-9a-zA-Z])", r"\\frac{\1}"),
        (r"(\\frac\s*\{[^{}]*\})\s*([0-9a-zA-Z])", r"\1{\2}"),
        (r"\\sqrt\s*([0-9a-zA-Z])|√\s*([0-9]+|[a-z])", r"\\sqrt{\1\2}"),
        (r"(?<![\\a-zA-Z])pi(?![a-zA-Z])", r"\\pi"),
        (r"\*\*", "^"),
        (rf"(?<=[0-9}}])\s*{_TEXT}\{{\s*{_UNIT}\}}{_POWER}", ""),
        (rf"{_TEXT}\{{([^{{}}]*)\}}", r" \1 "),
        (rf"(?<=[0-9}}])(?:{_PLAIN_UNIT}){_POWER}", ""),
        (r"([\^_])\{(\w)\}", r"\1\2"),
    ]
]
_NAME = r"(?:\\angle\s*)?(?:[A-Za-z]|[A-Za-z ]{3,})(?:_\w|\([A-Za-z]\))?"
_ASSIGNMENT = re.compile(rf"^(?P<name>{_NAME})\s*(?:=|\\in(?![a-z]))\s*(?=[^=<>]*$)")
_RELATION = re.compile(r"(?<![<>!\\])=|\\in(?![a-z])")
_IN_BASE = re.compile(r"([0-9][0-9A-Fa-f]*)_\{?([0-9]+)\}?")
_CHOICE = re.compile(r"\(?([A-Za-z])[).]?")
_WORDS = re.compile(r"(?=.*[A-Za-z]{3})[A-Za-z]+(?:[ ,'.-]+[A-Za-z]+)*")
_SCALED = rf"-?{_DECIMAL}(?:[eE][-+]?[0-9]{{1,2}})?"
_SIMPLE_FRAC = re.compile(rf"\\frac\s*\{{\s*({_SCALED})\s*\}}\s*\{{\s*({_SCALED})\s*\}}")
_RATIONAL = re.compile(
    r"(?P<sign>[-+]?)\s*(?:(?P<whole>[0-9]+)\s+(?=[0-9]+\s*/))?"
    rf"(?P<top>{_SCALED})(?:\s*/\s*(?P<bottom>{_SCALED}))?"
)


def _clean(text: str) -> str:
    """Remove what does not change an answer: spelling variants of LaTeX, units, currency."""
    text = " ".join(text.translate(_CHARS).strip(" *").split())
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return " ".join(text.split()).rstrip(" .,;")


def _rational(text: str) -> Fraction | None:
    r"""The exact value of `-3`, `1,000.5`, `2e3`, `1/2`, `\frac{1}{2}` or `1 1/2`, else None."""
    match = _RATIONAL.fullmatch(_SIMPLE_FRAC.sub(r" \1/\2", text).strip())
    if match is None:
        return None
    whole, top, bottom = (
        Fraction((match[name] or default).replace(",", ""))
        for name, default in (("whole", "0"), ("top", ""), ("bottom", "1"))
    )
    if bottom == 0:
        return None
    return (whole + top / bottom) * (-1 if match["sign"] == "-" else 1)


def _squeeze(text: str) -> str:
    """Without spaces, but for those between digits: `1 1/2` is not `11/2`."""
    return re.sub(r" (?![0-9])|(?<![0-9]) ", "", text)


def _as_word(text: str) -> str | None:
    choice = _CHOICE.fullmatch(text)
    if choice:
        return choice[1].lower()
    return text.lower() if _WORDS.fullmatch(text) else None


@lru_cache(maxsize=1 << 16)
def _equal(a: str, b: str) -> bool:
    """Ask one rule after the other until one decides."""
    a, b = _align_assignments(_clean(a), _clean(b))
    for rule in (_same_number, _same_text, _same_base, _same_word, _same_brackets, _same_kind):
        verdict = rule(a, b)
        if verdict is not None:
            return verdict
    return same_expression(a, b)


def _same_text(a: str, b: str) -> bool | None:
    return True if a and _squeeze(a) == _squeeze(b) else None


def _same_number(a: str, b: str) -> bool | None:
    x, y = _rational(a.rstrip("% ")), _rational(b.rstrip("% "))
    if x is None or y is None:
        return None
    if a.endswith("%") == b.endswith("%"):
        return x == y
    return x == y or (x / 100 == y if a.endswith("%") else x == y / 100)


def _same_base(a: str, b: str) -> bool | None:
    """Numerals in a base must agree in digits and base (`int("52_8")` is 528 in Python)."""
    numerals = [_IN_BASE.fullmatch(text) for text in (a, b)]
    if not any(numerals):
        return None
    return all(numerals) and len({(n[1].upper(), n[2]) for n in numerals}) == 1


def _same_word(a: str, b: str) -> bool | None:
    """Words are compared as text: to algebra, `east` and `seat` are the same product."""
    x, y = _as_word(a), _as_word(b)
    if x is None or y is None:
        return None
    if x == y:
        return True
    # Two or three letters may also be a product of variables: that is algebra's to decide.
    return None if 1 < max(len(x), len(y)) <= 3 else False


def _same_brackets(a: str, b: str) -> bool | None:
    """Other brackets, other answer: `math_verify` takes (1,2) for {1,2} and for 2,1."""
    x, y = _brackets(a), _brackets(b)
    return None if x is None or y is None or x == y else False


def _brackets(text: str) -> str | None:
    """What encloses a list: `()`, `(]`, …; a set's braces count as none; None if not a list."""
    ends = text.replace("\\", "")[:1] + text[-1:]
    if "," not in text or "=" in text:
        return None
    return ends if re.fullmatch(r"[(\[][)\]]", ends) else ""


def _same_kind(a: str, b: str) -> bool | None:
    """An equation is not a number: `math_verify` takes `x - y = 0` for 0."""
    counts = sorted(len(_RELATION.findall(text)) for text in (a, b))
    return False if counts == [0, 1] else None


def _align_assignments(a: str, b: str) -> tuple[str, str]:
    """Drop `x =` on one side if the other has no equation, on both if it is the same name."""
    x, y = _ASSIGNMENT.match(a), _ASSIGNMENT.match(b)
    same_name = x and y and x["name"].strip() == y["name"].strip()
    if x and (same_name or not _RELATION.search(b)):
        a = a[x.end() :]
    if y and (same_name or not _RELATION.search(a)):
        b = b[y.end() :]
    return a, b
