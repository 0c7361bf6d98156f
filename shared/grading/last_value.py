r"""Find the value that a text ends with, where it neither boxes nor claims one.

    last_value("It has an area of 12 cm^2.") -> "12"     last_value("It starts at 3:45.") -> "3:45"
    last_value("There are 10^6 cells.")      -> "10^6"   last_value("So $f(x) = 2x+3$.") -> "2x+3"

A number may be a piece of something: an exponent, a time, a formula. The piece is never the answer.
"""

from __future__ import annotations

import re

from shared.grading.equations import is_droppable, split_equation
from shared.grading.expressions import is_mathematical
from shared.grading.numerals import changes_number, to_number, without_unit
from shared.grading.tex import FORMULA, canonical, without_delimiters

MAX_CHARS = 500  # of a value, and of the text around it
MAX_NUMBERS = 50  # that are tried, from the last one on
MAX_WORDS = 20  # between brackets

# [0-9] and not \d, which also matches the digits of other scripts.
_DECIMAL = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3}){1,9}(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_FRACTION = r"\\[dt]?frac\s?(?:\{[0-9]+\}|[0-9])\s?(?:\{[0-9]+\}|[0-9])"
_NUMBER = re.compile(
    r"(?<![\w^])(?P<sign>[-+\u2212]?)(?:\\?[$€£¥])?(?P<size>"
    rf"(?:(?:[0-9]+ ?)?{_FRACTION}|[0-9]+ [0-9]+/[0-9]+|{_DECIMAL}(?: ?/ ?[0-9]+)?)"
    r"(?:_[0-9]+|_\{[0-9]+\})?(?: ?\\?%)?)"
)
_OPERATORS = {"+", "*", "/", "×", "·", "^", r"\times", r"\cdot", r"\div", "÷"}
_RANGE = re.compile(r"[0-9]+(?:[.,][0-9]+)*[-–]([0-9]+(?:[.,][0-9]+)*)")
_HALF_DAY = re.compile(r" ?[aApP](?:m|M|\.[mM]\.?)")
_TIME_OR_DATE = re.compile(
    rf"[0-9]{{1,2}}(?::[0-9]{{2}}){{1,2}}(?:{_HALF_DAY.pattern})?|[0-9]{{1,2}}{_HALF_DAY.pattern}"
    r"|[0-9]+([-/.])[0-9]+\1[0-9]+"
)
_DIGIT = "0-9\u00bc-\u00be\u2150-\u215e"  # with characters such as ½
_EXPONENT = re.compile(r"[\^_](?:[0-9]|\{[^{}]*\})")


def last_value(text: str) -> str | None:
    """The last number of a text, or the formula, time or tuple that it is a piece of."""
    for digits in reversed(list(re.finditer(f"[{_DIGIT}]+", text))[-MAX_NUMBERS:]):
        start = max(0, digits.start() - MAX_CHARS)
        window, place = text[start : digits.end() + MAX_CHARS], digits.start() - start
        value = _formula_value(window, place) or _prose_value(window, place)
        if value:
            return value
    return None


def _formula_value(text: str, place: int) -> str | None:
    """The value of the formula, marked as one, in which this place lies."""
    for match in FORMULA.finditer(text):
        if match.start() < place < match.end():
            return _value_of(match[0])
    return None


def _prose_value(text: str, place: int) -> str | None:
    """The value around this place in plain text."""
    line_start = text.rfind("\n", 0, place) + 1
    line = text[line_start:].partition("\n")[0]
    place -= line_start
    words = list(re.finditer(r"\S+", line))
    middle = next(i for i, word in enumerate(words) if word.end() > place)
    alone = middle, middle
    ranges = [find(words, middle) for find in (_tex, _enclosed, _joined, _changed)]
    for first, last in [*(each for each in ranges if each != alone), alone]:
        value = _value_of(line[words[first].start() : words[last].end()], line[words[last].end() :])
        if value:
            return value
    matches = list(_NUMBER.finditer(words[middle][0]))
    return _number(matches[-1]) if matches else None


def _joined(words: list[re.Match], middle: int) -> tuple[int, int]:
    """The range of words that operators join to the middle one: `3 + 4`, `1 1/2`, `2x - 5`."""
    texts = [word[0] for word in words]
    first = last = middle
    while first >= 2 and _joins(*texts[first - 2 : first + 1]):
        first -= 2
    while last + 2 < len(texts) and texts[last + 1] in _OPERATORS:
        last += 2
    if texts[last + 1 : last + 2] and re.match(r"\\?%", texts[last + 1]):
        last += 1
    is_fraction = re.match(r"[0-9]+/[0-9]+|\\[dt]?frac", texts[middle])
    if first == middle > 0 and is_fraction and texts[middle - 1].isdigit():
        first -= 1
    return first, last


def _joins(left: str, operator: str, right: str) -> bool:
    """Whether an operator joins two words; a `-` between two numbers may be a dash."""
    return operator in {*_OPERATORS, "="} or (
        operator == "-" and bool(re.search("[a-z]", left + right))
    )


def _changed(words: list[re.Match], middle: int) -> tuple[int, int]:
    """The range of words that together say a number or a time: `5 million`, `3:45 pm`."""
    texts = [word[0] for word in words]
    first = last = middle
    if first > 0 and texts[first - 1].lower() == "negative":
        first -= 1
    for i in range(middle + 1, min(middle + 4, len(texts))):
        is_time = i == middle + 1 and _HALF_DAY.fullmatch(texts[i].rstrip(",;:!?"))
        number = canonical(" ".join(texts[first : i + 1]))
        if not is_time and not (changes_number(texts[i]) and to_number(number) is not None):
            break
        last = i
    return first, last


def _tex(words: list[re.Match], middle: int) -> tuple[int, int]:
    r"""The range of words that make a formula in TeX without marks: `it is 16 \sqrt{3} + 2.`"""
    first = last = middle
    while first > 0 and _is_tex(words[first - 1][0]) and words[first - 1][0][-1] not in ".:;":
        first -= 1
    while last + 1 < len(words) and _is_tex(words[last + 1][0]):
        last += 1
    is_marked = any("\\" in word[0] for word in words[first : last + 1])
    return (first, last) if is_marked and "$" not in words[middle][0] else (middle, middle)


def _is_tex(word: str) -> bool:
    """Whether a word can belong to a formula: no plain word is in it."""
    return "$" not in word and not re.search("[A-Za-z]{2}", re.sub(r"\\[A-Za-z]+", "", word))


def _enclosed(words: list[re.Match], middle: int) -> tuple[int, int]:
    """The range of words up to the brackets that open and close around the middle one."""

    def surplus(first: int, last: int) -> int:
        return _surplus("".join(word[0] for word in words[first : last + 1]))

    first = last = middle
    while surplus(first, last) < 0 and first > 0 and middle - first < MAX_WORDS:
        first -= 1
    while surplus(first, last) > 0 and last + 1 < len(words) and last - middle < MAX_WORDS:
        last += 1
    return first, last


def _surplus(text: str) -> int:
    """How many more brackets a text opens than it closes."""
    return sum(char in "([{" for char in text) - sum(char in ")]}" for char in text)


def _value_of(text: str, following: str = "") -> str | None:
    """What a formula or some joined words come to: after the last `=`, without unit."""
    text = _trimmed(text, following)
    if len(text) > MAX_CHARS:
        return None
    if match := _RANGE.fullmatch(text):
        return match[1]
    name, value = split_equation(text)
    if name is None and not re.search(f"[{_DIGIT}]", _EXPONENT.sub("", text)):
        return None  # the digits are those of `cm^2`
    if name is not None and (is_droppable(name, value) or not is_mathematical(canonical(text))):
        text = value
    if match := _NUMBER.fullmatch(re.sub("(?<=[0-9])[smhgLlD]$", "", text)):  # `45s`
        return _number(match)
    plain = canonical(text)
    bare = without_unit(plain)
    if to_number(bare.rstrip("% ")) is not None:
        match = _NUMBER.match(text)
        return _number(match) if match and bare != plain else text
    return text if is_mathematical(bare) or _TIME_OR_DATE.fullmatch(plain) else None


def _trimmed(text: str, following: str) -> str:
    """Without the punctuation, currency and unmatched brackets around it."""
    text = without_delimiters(text)
    text = text.strip(" \t\r\n*_`\"'?").rstrip(" .,;:*_`\"'\\").rstrip("€£¥")
    if text.endswith("!") and not re.match(r"\s+[a-z]", following):  # `18.90!` is no factorial
        text = text.rstrip("!")
    while text.endswith((")", "]")) and _surplus(text) < 0:
        text = text[:-1].rstrip(".,;:!?")
    while text.startswith(("(", "[")) and _surplus(text) > 0:
        text = text[1:]
    return text


def _number(match: re.Match) -> str:
    """A number that was found, without currency and with a plain sign."""
    return match["sign"].replace("\u2212", "-").strip("+") + match["size"]
