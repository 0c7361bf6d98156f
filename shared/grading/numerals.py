r"""Read numbers: numerals and words, and the units that may follow them.

    to_number(r"1\frac{1}{2}")  -> 3/2             to_number("5 million people") -> 5000000
    without_unit("12 square feet") -> "12"         without_unit("5 million") -> "5 million"

Texts are `canonical` ones (see `shared.grading.tex`).
"""

from __future__ import annotations

import re
from fractions import Fraction

from shared.grading.tex import unwrap_text

# [0-9] and not \d, which also matches the digits of other scripts.
_DECIMAL = r"(?:(?:[0-9]{1,3}(?:[, ][0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)"
_POWER_OF_TEN = r"10\s*\^(?:[0-9]|\{\s*[-+]?[0-9]{1,3}\s*\})"
_SCALED = (
    rf"-?(?:{_DECIMAL}\s*(?:\\times|\\cdot|\*)\s*{_POWER_OF_TEN}|{_POWER_OF_TEN}"
    rf"|{_DECIMAL}(?:[eE][-+]?[0-9]{{1,3}})?)"
)
_SIMPLE_FRACTION = re.compile(rf"\\frac\s*\{{\s*({_SCALED})\s*\}}\s*\{{\s*({_SCALED})\s*\}}")
_RATIONAL = re.compile(
    r"(?P<sign>[-+]?)\s*(?:(?P<whole>[0-9]+)\s+(?=[0-9]+\s*/))?"
    rf"(?P<top>{_SCALED})(?:\s*/\s*(?P<bottom>{_SCALED}))?"
)
_LITERAL = re.compile(r"(?P<sign>-?)(?P<digits>0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)")
_REPEATING = re.compile(
    r"(?P<sign>-?)(?P<whole>[0-9]*)\.(?P<first>[0-9]*)\\overline\s*\{(?P<again>[0-9]{1,20})\}"
)
_RATIO = re.compile(r"([0-9]+) ?: ?([0-9]+)")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}")


def to_number(text: str) -> Fraction | None:
    r"""The exact value of a canonical text that is one number, else None.

    `-3`, `1,000.5`, `2e3`, `2 \times 10^{3}`, `1/2`, `1 1/2`, `\frac{1}{2}`, `0.\overline{3}`,
    `0xff`, `3:4`, `5 million`, `two thirds`.
    """
    while text.startswith("(") and text.endswith(")") and "(" not in text[1:]:
        text = text[1:-1].strip()
    if match := _LITERAL.fullmatch(text):
        return Fraction(int(match["digits"], 0)) * (-1 if match["sign"] else 1)
    if match := _REPEATING.fullmatch(text):
        first, again = match["first"], match["again"]
        value = int((match["whole"] or "0") + first) + Fraction(int(again), 10 ** len(again) - 1)
        return value / 10 ** len(first) * (-1 if match["sign"] else 1)
    if (match := _RATIO.fullmatch(text)) and not _TIME.fullmatch(text) and int(match[2]):
        return Fraction(int(match[1]), int(match[2]))
    match = _RATIONAL.fullmatch(_SIMPLE_FRACTION.sub(r" \1/\2", text).strip())
    if match is None:
        return read_number_words(unwrap_text(text))
    top, bottom = _unscaled(match["top"]), _unscaled(match["bottom"] or "1")
    if bottom == 0:
        return None
    return (int(match["whole"] or 0) + top / bottom) * (-1 if match["sign"] == "-" else 1)


def _unscaled(text: str) -> Fraction:
    """The value of a decimal that a power of ten may follow."""
    mantissa, is_scaled, exponent = re.sub("[, ]", "", text).rpartition("10^")
    if not is_scaled:
        return Fraction(exponent.rstrip("."))
    mantissa = re.sub(r"\\times|\\cdot|\*", "", mantissa)
    mantissa = mantissa + "1" if mantissa in ("", "-") else mantissa.rstrip(".")
    return Fraction(mantissa) * Fraction(10) ** int(exponent.strip("{}"))


# --- Words and units ------------------------------------------------------------------------------

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_CARDINALS = {word: value for value, word in enumerate(_ONES)}
_CARDINALS |= {word: 10 * value for value, word in enumerate(_TENS, 2)}
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_SCALES |= {"trillion": 10**12, "dozen": 12}
_SCALES |= {word + "s": value for word, value in _SCALES.items()}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "eighth": 8, "ninth": 9}
_PARTS |= {"twelfth": 12}  # no `second`: that is a unit of time
_PARTS |= {_ONES[value] + "th": value for value in (6, 7, 10, 11, *range(13, 20))}
_PARTS |= {word[:-1] + "ieth": 10 * value for value, word in enumerate(_TENS, 2)}
_PARTS |= {word + "th": value for word, value in _SCALES.items() if word[-1] == "d" or value > 1000}
_PARTS |= {word + "s": value for word, value in _PARTS.items()} | {"halves": 2}
_POWERS = {"squared": 2, "cubed": 3}
_DATES = (
    "january february march april may june july august september october november december jan feb "
    "mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday "
    "sunday am pm a.m p.m o'clock bc bce ad ce north south east west"
).split()
_OTHERS = (
    "and or is are was if when where unless not no factorial mod modulo remainder power root "
    "inverse reciprocal doubled tripled twice double triple point repeating recurring base binary "
    "octal hex hexadecimal percent permille basis below under minus plus negative choose k score "
    "grand gross lakh lakhs crore crores mil mn bn tn infinity pi sqrt log ln sin cos tan"
).split()
_CHANGES = frozenset({*_CARDINALS, *_SCALES, *_PARTS, *_POWERS, *_DATES, *_OTHERS})
_CHANGES |= {word + "s" for word in (*_ONES, "sixe")} | {word[:-1] + "ies" for word in _TENS}
_ILLIONS = re.compile("[a-z]*illi(?:on|onth|ard)s?")  # those that are not above are changes too

# Units that are shorter than a word with a vowel. No single letters: `5 m` may be a product.
_SHORT_UNITS = frozenset(
    "mm cm dm km in ft yd yds mi mg kg ml mL lb lbs oz hr hrs yr yrs min mins mph kph rpm Hz kHz "
    "MHz kW kWh kJ Pa kPa KB MB GB TB sq cu pt pts USD EUR GBP mol".split()
)
_AFTER_LETTERS = frozenset("mm cm dm km ft in sq cu".split())  # `2x cm`, but not `\\pi hr`
_PER = re.compile(
    "(?:[cdkm]?m|mi|ft|k?g|mg|[mk]?L|[mk]?l|k?J|k?W)/(?:s|h|hr|min|L|l|m|cm|kg|m[lL])"
)
_POWER = r"(?:\s*\^\s*(?:-?[0-9]|\{\s*-?[0-9]\s*\}))?"
_LAST_WORD = re.compile(
    r"(?:(?<![\\A-Za-z])(?P<word>[A-Za-z]+(?:['./-][A-Za-z]+)*)\.?|"
    rf"\\text\{{(?P<text>(?=[^{{}}]*[A-Za-z])[A-Za-z /.'^0-9-]*)\}}){_POWER}$"
)
_NUMERAL = r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|\.[0-9]+|[0-9]+/[1-9][0-9]*"
_COUNTED = re.compile(
    rf"(?P<sign>(?:-|minus |negative )?) ?(?P<numeral>{_NUMERAL})? ?(?P<words>(?:[a-z][a-z' -]*)?)"
)


def changes_number(word: str) -> bool:
    """Whether a word makes another value of the number before it, or a statement: no unit."""
    word = word.lower().rstrip(".")
    return word in _CHANGES or _ILLIONS.fullmatch(word) is not None


def without_unit(text: str) -> str:
    r"""Drop the unit that follows a value: `12\pi\text{ cm}^2` -> `12\pi`, `5 apples` -> `5`.

    The text comes back unchanged where nothing follows, or words that change the value.
    """
    rest, words = text, []
    while match := _LAST_WORD.search(rest):
        before = rest[: match.start()]
        if match["word"] and not _is_unit_word(match["word"], before, bool(words)):
            break
        words = re.findall(r"[A-Za-z.']+", match["word"] or match["text"]) + words
        rest = re.sub(r"(?:[ /]|\\cdot|\\times)+$", "", before)
    if len(words) > 1 and words[-1].lower() in _POWERS:  # `5 cm squared`
        words.pop()
    if not rest or rest[-1] in "=,;<>+-*^_({[" or any(map(changes_number, words)):
        return text
    return rest


def _is_unit_word(word: str, before: str, is_followed: bool) -> bool:
    """Whether a plain word can be part of a unit, after what stands before it."""
    follows_number = before.rstrip()[-1:] in tuple("0123456789})]!")
    if before[-1:].isalnum() or before[-1:] in ("", "}", ")", "/"):
        return follows_number and word in _SHORT_UNITS  # `5cm`
    if "/" in word and not _PER.fullmatch(word):
        return all(_is_unit_word(part, before, is_followed) for part in word.split("/"))
    if word in _AFTER_LETTERS or follows_number and (word in _SHORT_UNITS or "/" in word):
        return True
    return len(word) > (1 if is_followed else 2) and re.search("[aeiouyAEIOUY]", word) is not None


def read_number_words(text: str) -> Fraction | None:
    """The number that words say, alone or with a numeral; None if any word is another's business.

    `5 million`, `2.5 thousand dollars`, `3 halves`, `5 squared`, `twenty-one`, `one half`.
    """
    match = _COUNTED.fullmatch(text.lower().rstrip("."))
    if match is None:
        return None
    words = match["words"].replace("-", " ").split()
    if match["numeral"]:
        value, used = Fraction(match["numeral"].replace(",", "")), 0
    else:
        value, used = _read_cardinal(words) if words else (None, 0)
    if value is None:
        return None
    start = used
    while words[used : used + 1] and words[used] in _SCALES:
        value, used = value * _SCALES[words[used]], used + 1
    if words[used : used + 1] and words[used] in _PARTS:
        value, used = value / _PARTS[words[used]], used + 1
    elif words[used : used + 1] and words[used] in _POWERS and not match["sign"]:
        value, used = value ** _POWERS[words[used]], used + 1
    says_nothing = match["numeral"] and used == start and match["sign"] in ("", "-")
    if any(map(changes_number, words[used:])) or says_nothing:
        return None
    return -value if match["sign"] else value


def _read_cardinal(words: list[str]) -> tuple[Fraction | None, int]:
    """The number that the first words say, and how many: `one hundred twenty eggs` -> 120, 3."""
    if words[0] in ("a", "an") and words[1:2] and words[1] in _SCALES | _PARTS:
        return Fraction(1), 1
    if words[0] == "half":
        return Fraction(1), 0
    total, group, used = 0, None, 0
    for word in words:
        if word in _CARDINALS and _may_follow(group, _CARDINALS[word]):
            group = (group or 0) + _CARDINALS[word]
        elif word == "hundred" and group:
            group *= 100
        elif word in _SCALES and group and _SCALES[word] >= 1000:
            total, group = total + group * _SCALES[word], 0
        else:
            break
        used += 1
    return (None if group is None else Fraction(total + group)), used


def _may_follow(group: int | None, value: int) -> bool:
    """Whether a word continues a number: `twenty` + `one` does, `one` + `two` does not."""
    if group is None or group % 100 == 0:
        return True
    return group % 10 == 0 and group % 100 > 10 and 0 < value < 10
