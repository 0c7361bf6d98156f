r"""Find the final answer in a model's text.

    extract_answer(r"… so \boxed{\frac{1}{2}}.")       -> "\frac{1}{2}"
    extract_answer("The answer is 2x+3 units.")        -> "2x+3"
    extract_answer("It has an area of 12 cm^2.")       -> "12"

Every pattern takes time linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.grading.expressions import is_mathematical
from shared.grading.last_value import last_value
from shared.grading.numerals import changes_number, to_number, without_unit
from shared.grading.tex import FORMULA, canonical, without_delimiters

MAX_CHARS = 500  # of a claim
MAX_CLAIMS = 50  # that are tried, from the last one on


def extract_answer(text: str, *, is_whole: bool = True) -> str | None:
    r"""Return the final answer of a model's text, or None if it holds none.

    In this order: the last complete `\boxed{…}` or `\fbox{…}`; the last `<answer>…</answer>`; the
    last claim, such as `#### …` (GSM8K's form), `answer is …`, `**Answer**: …`; the last number or
    formula. Only what follows a `</think>` counts. A box or a `<think>` that never closes marks
    a text that was cut off: None, unless an earlier box is complete. If the text is known to be
    cut off (`is_whole` False), only a complete box is an answer.
    """
    text = text.rpartition("</think>")[2].partition("<think>")[0]
    box, is_open = last_box(text)
    if box or is_open or not is_whole:
        return box
    return last_claim(text) or last_value(text)


# --- Boxes ----------------------------------------------------------------------------------------

_BOX_OR_BRACE = re.compile(
    r"\\{1,2}(?:boxed|fbox)\s*(?:(?P<box>\{)|(?P<bare>[-+]?\.?[0-9][^\s{}$\\]*))|\\.|[{}]",
    re.DOTALL,
)


def last_box(text: str) -> tuple[str | None, bool]:
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


# --- Claims ---------------------------------------------------------------------------------------

_IS = (
    r"(?:is|are|was|equals|(?:would|should|must|will) be|comes (?:out )?to)\b(?!\s+not\b)\s{0,3}:?"
)
_CLAIM = re.compile(
    # `####` alone is also a heading in Markdown: it counts before a single word with a digit.
    r"####(?=[ \t]*[^\s#]{0,40}[0-9][^\s#]{0,40}[ \t\r]*$)"
    r"|(?<![A-Za-z])(?:answers?|ans|correct (?:option|choice))(?![A-Za-z])"
    r"(?: (?:choice|option|letter))?[*_`\"']{0,4}\s{0,3}(?:\([^()\n]{0,40}\))?[*_`]{0,4}\s{0,3}"
    rf"(?:(?:to|of|for|in)\b[^.:=\n]{{0,80}}?)?(?:\b{_IS}|\s{{0,3}}(?:[:=：]|->|→|⇒))"
    r"|\*\*(?:final )?answers?\*\*(?=[ \t]+\w)"
    # a heading of its own
    r"|^[ \t>#*_]{0,12}(?:the |my |final |correct ){0,3}answers?[ \t]{0,3}(?:\([^()\n]{0,40}\))?"
    r"[*_# \t]{0,8}$",
    re.IGNORECASE | re.MULTILINE,
)
_TAG = re.compile(r"<answer>", re.IGNORECASE)
_TAG_END = re.compile(r"</answer>|\Z", re.IGNORECASE)
_OPENS = re.compile(r"(?:[\s*_`\"':>}]|(?<=\n)[ \t]*[-•][ \t]+)*")
_FORMULA_OR_END = re.compile(
    rf"(?P<formula>{FORMULA.pattern})|\n|\*\*|</|\.(?=\s|$)|;(?=\s+[A-Za-z]|\s*$)|\?|!(?=\s*$|\s+[A-Z\n])",
    re.DOTALL,
)
_MATH_WORD = r"and|or|pi|sqrt|sin|cos|tan|log|ln|infinity"
_WORD = re.compile(rf"(?<![\\A-Za-z0-9])(?:(?!(?:{_MATH_WORD})\b)[A-Za-z]{{2,}}|a(?= [a-z]{{2}}))")
_FILLERS = set(
    "a an the therefore thus hence so clearly simply just exactly approximately about around "
    "roughly nearly equal equals to given by number value option choice indeed then is are either "
    "only also be that".split()
)
_REASON = re.compile(
    r"[,;]?\s+(?:because|since|so|as|which|who|where|when|while|due|given|if|for|with|after|before"
    r"|in|at|on|by|from|thus|hence|therefore|that)\b"
)
# `5 hours and 30 minutes`, `3 out of 5`, `3 to 1`: more than one number makes the value
_SECOND_NUMBER = re.compile(r"(?:[a-z]+,? (?:and )?[0-9.,]+ ?[a-z]+|(?:out of|to) [0-9.,]+)")


def last_claim(text: str) -> str | None:
    """The answer that the text states last: between tags, or after words such as `answer is`."""
    tags = list(_TAG.finditer(text))
    if tags:
        content = text[tags[-1].end() : _TAG_END.search(text, tags[-1].end()).start()].strip()
        return last_claim(content) or content or None
    for match in reversed(list(_CLAIM.finditer(text))[-MAX_CLAIMS:]):
        claim = _claimed(text[_OPENS.match(text, match.end()).end() :][:MAX_CHARS])
        if claim and claim[-1] not in "=:":
            return claim
    return None


def _claimed(text: str) -> str | None:
    """The answer at the beginning of a text, up to the end of the sentence."""
    end = next((m.start() for m in _FORMULA_OR_END.finditer(text) if not m["formula"]), len(text))
    sentence = text[:end]
    claim = _stripped(without_delimiters(sentence))
    return _leading_value(claim) or _formula_in(sentence) or _wording(claim)


def _stripped(text: str) -> str:
    """Without the punctuation and emphasis around it; the point of `.5` stays."""
    text = text.strip(" \t\r\n,*_`\"'").rstrip(" .,;:*_`\"'")
    while text.endswith("}") and text.count("}") > text.count("{"):  # of JSON
        text = text[:-1].rstrip(" \"'")
    return text


def _leading_value(claim: str) -> str | None:
    """The value that a claim begins with: `2x+3 units` -> `2x+3`; None if it begins with words."""
    plain = canonical(claim)
    if is_mathematical(plain) and without_unit(plain) == plain:
        return claim
    word = next(_words(claim), None)
    if word is None:
        return claim or None
    head, rest = claim[: word.start()], claim[word.start() :]
    if not re.search(r"[A-Za-z0-9]", head):
        return _after_words(rest, word[0])
    if _REASON.match(" " + rest) is None:
        if changes_number(word[0]):
            return head + _changing_words(rest)
        if re.search(r"\bor $", head) and word[0] in ("more", "less", "fewer"):
            return head + word[0]
        if _SECOND_NUMBER.match(rest):
            return _REASON.split(claim, maxsplit=1)[0]
    return re.sub(r"(?:[\s,;:(]|\b(?:and|or)\b)+$", "", head)


def _after_words(claim: str, word: str) -> str | None:
    """The value of a claim that begins with this word: `two thirds of it`, `therefore 5`."""
    if word.lower() in _FILLERS:
        return _leading_value(claim[len(word) :].lstrip(" :"))
    if word.lower() in ("negative", "minus"):
        value = _leading_value(claim[len(word) :].lstrip())
        return value and f"{word} {value}"
    number = _changing_words(claim)
    return number if to_number(canonical(number)) is not None else None


def _words(claim: str) -> Iterator[re.Match]:
    """The plain words of a claim: not those of TeX, nor within braces."""
    depth, seen = 0, 0
    for match in _WORD.finditer(claim):
        between = claim[seen : match.start()]
        depth += between.count("{") - between.count("}")
        seen = match.start()
        if depth <= 0:
            yield match


def _changing_words(text: str) -> str:
    """The words at the beginning that change a number: `million people` -> `million`."""
    first, *others = re.findall(r"[A-Za-z'.-]+\s*", text)
    kept = first
    for word in others:
        if not changes_number(word.strip()):
            break
        kept += word
    return kept.strip()


def _formula_in(sentence: str) -> str | None:
    """The first formula of a sentence that is marked as one and is an answer."""
    for match in FORMULA.finditer(sentence):
        content = _stripped(without_delimiters(match[0]))
        if is_mathematical(canonical(content)):
            return content
    return None


def _wording(claim: str) -> str | None:
    """A claim in words: `Monday`; or the first number among them: `that he pays 5` -> `5`."""
    claim = re.sub(r"^(?:the|an?) ", "", _REASON.split(claim, maxsplit=1)[0], flags=re.IGNORECASE)
    number = re.search(r"(?:negative |minus )?\S*[0-9]", claim)
    if number is None or re.fullmatch(r"[A-Z][a-z]+ [0-9]+", claim):  # `Room 101`
        return claim or None
    return _leading_value(claim[number.start() :])
