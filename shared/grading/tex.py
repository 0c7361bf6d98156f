r"""One spelling for what TeX, Unicode and Markdown can write in many ways.

    canonical(r"$\boldsymbol{\dfrac12}\,x⁴$")  ->  r"{\frac{1}{2}} x^4"

Only the spelling changes. What the text says, units and words included, is for others to judge.
Every pattern takes time linear in the length.
"""

from __future__ import annotations

import re
import unicodedata


def _of_kind(kind: str) -> dict[str, str]:
    """The raised (`<super>`) or lowered (`<sub>`) characters of Unicode and what they raise."""
    codes = [0xB2, 0xB3, 0xB9, *range(0x2B0, 0x2B9), *range(0x2E1, 0x2E4), *range(0x1D2C, 0x209D)]
    chars = [char for char in map(chr, codes) if unicodedata.decomposition(char).startswith(kind)]
    return {char: unicodedata.normalize("NFKC", char).replace("\u2212", "-") for char in chars}


_SUPERSCRIPTS, _SUBSCRIPTS = _of_kind("<super>"), _of_kind("<sub>")
_SYMBOLS = {
    **dict.fromkeys("−–—‐‑‒﹣－", "-"),
    **dict.fromkeys("·⋅∙•", r"\cdot "),
    **dict.fromkeys("×✕✖", r"\times "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\0", ""),  # no width
    **{"∕": "/", "∗": "*", "∶": ":", "∛": r"\sqrt[3]"},
    **{"°": r"^\circ ", "º": r"^\circ ", "℃": r"^\circ C", "℉": r"^\circ F"},
    **{"÷": "/", "∞": r"\infty ", "√": r"\sqrt ", "±": r"\pm ", "∓": r"\mp ", "∅": r"\emptyset "},
    **{"≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∈": r"\in ", "∪": r"\cup ", "∩": r"\cap "},
    **{"ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}"},
    **{
        "∠": r"\angle ",
        "△": r"\triangle ",
        "≈": r"\approx ",
        "→": r"\to ",
    },
    **{"⟨": r"\langle ", "⟩": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor "},
}
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho  "
    "sigma tau upsilon phi chi psi omega"
).split(" ")  # in the order of Unicode, with a gap for the other small sigma
_GREEK = {chr(0x3B1 + i): f"\\{name} " for i, name in enumerate(_GREEK_NAMES) if name}
_GREEK |= {
    letter: f"\\{name} "
    for letter, name in zip("ΓΔΘΛΠΣΦΨΩ", "Gamma Delta Theta Lambda Pi Sigma Phi Psi Omega".split())
}
_SCRIPTS = re.compile(rf"([{''.join(_SUPERSCRIPTS)}]+)|([{''.join(_SUBSCRIPTS)}]+)")

_SIZES = (
    "left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|scriptscriptstyle|limits"
    "|nolimits|normalsize|small|large|Large|LARGE|huge|Huge"
)
_FONTS = (
    "boldsymbol|bm|pmb|mathbf|mathit|mathsf|mathtt|mathnormal|boldmath|unboldmath|bf|rm|it|sf|tt"
    "|underline|uline|boxed|fbox|ensuremath"
)
_TEXTS = "text(?:bf|it|rm|sf|sl|tt|up|md|normal)?|mathrm|mbox|hbox|emph"
_SPACES = (
    r"\\[,;:> /]|~|\\(?:quad|qquad|enspace|thinspace|medspace|thickspace|hfill|hfil|newline)"
    r"(?![a-zA-Z])"
)
_FUNCTIONS = "sqrt|sin|cos|tan|cot|csc|log|ln|exp|arcsin|arccos|arctan"  # `sec` is also a unit
_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"\\?[$€£¥]", ""),
        (r"(?<!\\)\\[()\[\]]", ""),  # math delimiters, but not the `[` of a row's end `\\[2pt]`
        (r"\\!\s*", ""),
        (rf"(?<!\\)(?:{_SPACES})", " "),
        (r"\\[hv]space\*?\s*\{[^{}]*\}", " "),
        (r"\\(?:textcolor|colorbox|color)\s*(?:\[[^\[\]]*\])?\s*\{[^{}]*\}", ""),
        (r"\{\s*\\(?:rm|bf|it|sf|tt)(?![a-zA-Z])\s*([^{}]*)\}", r"\\text{\1}"),
        (rf"\\(?:{_SIZES}|{_FONTS})(?![a-zA-Z])\s*", ""),
        (rf"\\(?:{_TEXTS})\s*(?=\{{)", r"\\text"),
        (r"\\text\{\s*[.,;]?\s*\}|\\(?:phantom|tag|label)\s*\{[^{}]*\}", " "),
        (r"(?:\^\s*\\circ|\^\s*\{\s*\\circ\s*\}|\\degree)(?![a-z])\s*(?:[CF](?![a-zA-Z]))?", ""),
        (r"(?<=[0-9])\{,\}(?=[0-9])", ","),
        (r"\\%|\\text\{\s*\\?%\s*\}", "%"),
        (r"\s*(?:\\text\{\s*)?\bper ?cent(?:age)?\b\s*\}?", "%"),
        (r"\\[dtc]frac(?![a-z])", r"\\frac"),
        (r"\\[dt]binom(?![a-z])", r"\\binom"),
        (r"\\(frac|binom)\s*([0-9a-zA-Z])", r"\\\1{\2}"),
        (r"(\\(?:frac|binom)\s*\{[^{}]*\})\s*([0-9a-zA-Z])", r"\1{\2}"),
        (rf"(?<![\\a-zA-Z])(pi|{_FUNCTIONS})(?![a-zA-Z])", r"\\\1 "),
        (r"\\sqrt\s*(?:([0-9]+)|([a-zA-Z])|\(([^()]*)\))", r"\\sqrt{\1\2\3}"),
        (r"(\\sqrt\s*\[[^\[\]]*\])\s*([0-9]+|[a-zA-Z])", r"\1{\2}"),
        (r"(?<=[0-9]) ?x ?(?=10 ?\^)", r" \\times "),
        (r"\\([lg])eq(?:slant)?(?![a-z])", r"\\\1e"),
        (r"\\([lg])t(?![a-z])", lambda match: "<" if match[1] == "l" else ">"),
        (r"\\neq(?![a-z])|!=", r"\\ne "),
        (r"<=", r"\\le "),
        (r">=", r"\\ge "),
        (r"\\[lr]?vert(?![a-z])\s*", "|"),
        (r"\\lbrace(?![a-z])\s*", r"\\{"),
        (r"\\rbrace(?![a-z])", r"\\}"),
        (r"\\varnothing(?![a-z])|\\\{\s*\\\}", r"\\emptyset"),
        (r"\\text\{\s*(and|or)\s*\}", r" \1 "),
        (r"(?<![\\a-zA-Z])(?:infinity|infty)(?![a-zA-Z])", r"\\infty "),
        (r"\*\*", "^"),
        (r"([\^_])\s*\{\s*(\w)\s*\}", r"\1\2"),
    ]
]


# What is marked as a formula, up to a length that keeps the search linear.
FORMULA = re.compile(
    r"\$\$.{1,400}?\$\$|\$(?!\s)[^$\n]{1,400}?(?<!\s)\$(?![0-9])|\\\(.{1,400}?\\\)"
    r"|(?<!\\)\\\[.{1,400}?\\\]|\\begin\{(?P<name>\w+\*?)\}.{1,400}?\\end\{(?P=name)\}",
    re.DOTALL,
)


def without_delimiters(text: str) -> str:
    r"""Without the marks of formulas: `$x$`, `\(x\)`, `\[x\]` -> `x`."""
    return re.sub(r"(?<!\\)\\[()\[\]]|\\?\$", "", text)


def canonical(text: str) -> str:
    """The text in one spelling, on one line, without currency signs and final punctuation."""
    text = text.translate(_TABLE).strip().strip('*`"“”')
    text = _SCRIPTS.sub(_script, text)
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _bare(" ".join(text.split()).rstrip(" .,;\\"))
    return re.sub(r"^\\text\{([^{}]*)\}$", r"\1", text).strip().rstrip(" .,;")


def unwrap_text(text: str) -> str:
    r"""The words of `\text{…}` without it."""
    for _ in range(text.count(r"\text")):  # from the inside out
        text = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)
    return " ".join(text.split())


def squeeze(text: str) -> str:
    """Without spaces, but for those between digits: `1 1/2` is not `11/2`."""
    return re.sub(r" (?![0-9])|(?<![0-9]) ", "", text)


def _script(match: re.Match) -> str:
    """A run of raised or lowered characters as one exponent or index."""
    table, sign = (_SUPERSCRIPTS, "^") if match[1] else (_SUBSCRIPTS, "_")
    return sign + "{" + "".join(table[char] for char in match[0]) + "}"


def _vulgar_fractions() -> dict[str, str]:
    r"""`½` -> `\frac{1}{2}`, as Unicode itself takes these characters apart."""
    fractions = {}
    for char in map(chr, (0xBC, 0xBD, 0xBE, *range(0x2150, 0x215F), 0x2189)):
        top, _, bottom = unicodedata.normalize("NFKC", char).partition("\u2044")
        fractions[char] = rf"\frac{{{top}}}{{{bottom}}}"
    return fractions


def _bare(text: str) -> str:
    """Without braces around the whole: `{5}` -> `5`."""
    while text.startswith("{") and text.endswith("}") and _closes_at_end(text):
        text = text[1:-1].strip()
    return text


def _closes_at_end(text: str) -> bool:
    """Whether the first brace closes at the very end."""
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return place == len(text) - 1
    return False


_TABLE = str.maketrans(_SYMBOLS | _GREEK | _vulgar_fractions() | {"\u2044": "/", "ϕ": r"\phi "})
