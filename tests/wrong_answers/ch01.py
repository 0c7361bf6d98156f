"""Answers to the exercises of chapter 1: right ones in several styles, and plausible mistakes.

RIGHT holds (check, answer), WRONG holds (check, answer, a piece of the message it must get).
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ch01_cot import checks
from ch01_cot.replies import GREEDY
from shared import SamplingParams, prompts
from shared.evaluation.intervals import paired_bootstrap, wilson_interval
from shared.grading.answers import final_answer, normalize_answer
from shared.grading.extract import extract_answer

RIGHT: list[tuple[Callable, Callable]] = []
WRONG: list[tuple[Callable, Callable, str]] = []


def right(check: Callable) -> Callable:
    """The decorated function is a right answer to this check's exercise."""
    return lambda function: RIGHT.append((check, function)) or function


def wrong(check: Callable, message: str) -> Callable:
    """The decorated function is a wrong answer, to which the check must say this."""
    return lambda function: WRONG.append((check, function, message)) or function


# --- 1. needed_step -------------------------------------------------------------------------------

one = checks.check_needed_step


@right(one)
def root(target, k):
    return target ** (1 / k)


@right(one)
def by_logarithm(target, k):
    return math.exp(math.log(target) / k) if target else 0.0


@right(one)
def by_bisection(target, k):
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle**k < target else (low, middle)
    return high if target else 0


@wrong(one, r"0\.25")
def the_power(target, k):
    return target**k


@wrong(one, "0.125, but it should be 0.5")
def the_quotient(target, k):
    return target / k


@wrong(one, "Mind the brackets|two steps of 0.5")
def without_brackets(target, k):
    return target**1 / k


@wrong(one, "Do not round")
def rounded(target, k):
    return round(target ** (1 / k), 3)


@wrong(one, "two steps of 0.5")
def linear(target, k):
    return 1 - (1 - target) / k


@wrong(one, "the step is the whole chain")
def approximated(target, k):
    return 1 + math.log(target) / k


@wrong(one, "0.5 \\* 0.5 \\* 0.5")
def always_the_square_root(target, k):
    return target if k == 1 else math.sqrt(target)


@wrong(one, "use the target that is given")
def always_an_even_chance(target, k):
    return {1: 0.5, 2: 0.5, 3: 0.5}.get(k) if k < 2 else 0.5 if k < 4 else 0.5 ** (1 / k)


@wrong(one, "returned None. Is a `return` missing")
def forgets_the_return(target, k):
    target ** (1 / k)


@wrong(one, "no logarithm of 0.*stopped with ValueError")
def logarithm_of_zero(target, k):
    return math.exp(math.log(target) / k)


@wrong(one, "return a finite number")
def as_text(target, k):
    return f"{target ** (1 / k):.4f}"


@wrong(one, "stopped with NameError: name 'power'")
def forgets_an_import(target, k):
    return power(target, 1 / k)  # noqa: F821


# --- 2. wilson and paired -------------------------------------------------------------------------

two_a = checks.check_wilson


def score_interval(right, total, z=1.96):
    """The Wilson interval; z is the half width in standard deviations."""
    share, wide = right / total, 1 + z * z / total
    center = (share + z * z / (2 * total)) / wide
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total**2)) / wide
    return center - half, center + half


@right(two_a)
def by_the_formula(right, total):
    return score_interval(right, total)


@right(two_a)
def of_the_library(right, total):
    return wilson_interval(right, total)


@right(two_a)
def as_a_list_within_0_and_1(right, total):
    low, high = score_interval(right, total)
    return [max(0.0, low), min(1.0, high)]


@right(two_a)
def by_solving_the_quadratic(right, total):
    a, b = total + 1.96**2, -(2 * right + 1.96**2)
    root = math.sqrt(b * b - 4 * a * right**2 / total)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@wrong(two_a, "low end is 0.1901, but it should be 0.2366: the simpler")
def with_the_normal_approximation(right, total):
    share = right / total
    half = 1.96 * math.sqrt(share * (1 - share) / total)
    return share - half, share + half


@wrong(two_a, "Use z = 1.96")
def with_90_percent(right, total):
    return score_interval(right, total, z=1.645)


@wrong(two_a, "Use z = 1.96")
def with_z_of_2(right, total):
    return score_interval(right, total, z=2)


@wrong(two_a, "shares, not percentages")
def in_percent(right, total):
    return tuple(100 * end for end in score_interval(right, total))


@wrong(two_a, "its center is not 12/20")
def around_the_share(right, total):
    low, high = score_interval(right, total)
    return right / total - (high - low) / 2, right / total + (high - low) / 2


@wrong(two_a, "low end is 0.7634")
def upside_down_interval(right, total):
    return score_interval(right, total)[::-1]


@wrong(two_a, "low end is")
def forgets_the_divisor(right, total):
    wide = 1 + 1.96**2 / total
    return tuple(end * wide for end in score_interval(right, total))


@wrong(two_a, "low end is")
def rounded_to_two_digits(right, total):
    return tuple(round(end, 2) for end in score_interval(right, total))


@wrong(two_a, "low end is")
def forgets_the_second_term(right, total):
    share, z2 = right / total, 1.96**2
    center = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = 1.96 * math.sqrt(share * (1 - share) / total) / (1 + z2 / total)
    return center - half, center + half


@wrong(two_a, "Is a `return` missing")
def estimates_in_silence(right, total):
    score_interval(right, total)


@wrong(two_a, "return two numbers")
def returns_the_half_width_only(right, total):
    low, high = score_interval(right, total)
    return (high - low) / 2


@wrong(two_a, "tells little|does not prove.*stopped with ZeroDivisionError|low end is")
def with_n_minus_1(right, total):
    share = right / total
    half = 1.96 * math.sqrt(share * (1 - share) / (total - 1))
    return share - half, share + half


two_b = checks.check_paired


def interval_of(differences, spread=statistics.stdev):
    """Mean and 95% interval of some differences."""
    half = 1.96 * spread(differences) / math.sqrt(len(differences))
    mean = sum(differences) / len(differences)
    return mean, mean - half, mean + half


@right(two_b)
def by_differences(a, b):
    return interval_of([x - y for x, y in zip(a, b)])


@right(two_b)
def with_numpy(a, b):
    d = np.array(a, dtype=int) - np.array(b, dtype=int)
    half = 1.96 * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean(), d.mean() - half, d.mean() + half


@right(two_b)
def by_counting_pairs(a, b):
    n = len(a)
    only_a = sum(x and not y for x, y in zip(a, b))
    only_b = sum(y and not x for x, y in zip(a, b))
    mean = (only_a - only_b) / n
    variance = (only_a + only_b - n * mean**2) / (n - 1)
    half = 1.96 * math.sqrt(variance / n)
    return [mean, mean - half, mean + half]


@wrong(two_b, "standard deviation divides by n - 1")
def divides_by_n(a, b):
    return interval_of([x - y for x, y in zip(a, b)], statistics.pstdev)


@wrong(two_b, "low end is")
def as_if_unpaired(a, b):
    mean = (sum(a) - sum(b)) / len(a)
    variance = (statistics.variance(map(int, a)) + statistics.variance(map(int, b))) / len(a)
    return mean, mean - 1.96 * math.sqrt(variance), mean + 1.96 * math.sqrt(variance)


@wrong(two_b, "difference is -0.5000, but it should be 0.5000")
def b_minus_a(a, b):
    return interval_of([y - x for x, y in zip(a, b)])


@wrong(two_b, "a minus b")
def without_the_sign(a, b):
    return interval_of([abs(x - y) for x, y in zip(a, b)])


@wrong(two_b, "low end is")
def forgets_the_root(a, b):
    differences = [x - y for x, y in zip(a, b)]
    half = 1.96 * statistics.stdev(differences) / len(differences)
    mean = statistics.fmean(differences)
    return mean, mean - half, mean + half


@wrong(two_b, "low end is")
def spread_of_the_verdicts(a, b):
    differences = [x - y for x, y in zip(a, b)]
    half = 1.96 * statistics.stdev(differences)
    mean = statistics.fmean(differences)
    return mean, mean - half, mean + half


@wrong(two_b, "sorting or counting loses the pairs|low end is")
def sorts_the_verdicts(a, b):
    return interval_of([x - y for x, y in zip(sorted(a), sorted(b))])


@wrong(two_b, "but it should be")
def only_where_they_differ(a, b):
    differences = [x - y for x, y in zip(a, b) if x != y]
    return interval_of(differences) if len(differences) > 1 else (0.0, 0.0, 0.0)


@wrong(two_b, "high end is")
def swaps_the_ends(a, b):
    mean, low, high = interval_of([x - y for x, y in zip(a, b)])
    return (mean, low, mean - (high - mean))


@wrong(two_b, "Is a `return` missing")
def compares_in_silence(a, b):
    by_differences(a, b)


@wrong(two_b, "return three numbers")
def returns_the_interval_alone(a, b):
    return by_differences(a, b)[1:]


@wrong(two_b, "but it should be")
def with_a_bootstrap_of_another_size(a, b):
    compared = paired_bootstrap(a, b)
    return compared.difference, compared.low, compared.high


# --- 3. num_equations and tokens_per_equation -----------------------------------------------------

three_a = checks.check_num_equations


@right(three_a)
def count_lines(text):
    return sum("=" in line for line in text.split("\n"))


@right(three_a)
def count_by_pattern(text):
    return len(re.findall(r"^.*=.*$", text, re.MULTILINE))


@right(three_a)
def count_in_a_loop(text):
    count = 0
    for line in text.splitlines():
        if line.find("=") >= 0:
            count += 1
    return count


@wrong(three_a, "count lines, not equals signs")
def count_signs(text):
    return text.count("=")


@wrong(three_a, "no equations")
def count_all_lines(text):
    return len(text.split("\n"))


@wrong(three_a, "no equations|should be 0")
def count_all_but_two(text):
    return len(text.split("\n")) - 2


@wrong(three_a, "a line that is repeated counts each time")
def count_different_lines(text):
    return len({line for line in text.split("\n") if "=" in line})


@wrong(three_a, "with or without a line break")
def count_line_breaks(text):
    return len(re.findall(r"=.*\n", text))


@wrong(three_a, "spaces and words|count lines")
def count_full_matches(text):
    pattern = r"[0-9]+[-+*/][0-9]+=[0-9]+"
    return sum(re.fullmatch(pattern, line) is not None for line in text.split("\n"))


@wrong(three_a, "Is a `return` missing")
def counts_in_silence(text):
    sum("=" in line for line in text.split("\n"))


@wrong(three_a, "return a finite number")
def lists_the_lines(text):
    return [line for line in text.split("\n") if "=" in line]


@wrong(three_a, "return a finite number")
def only_says_whether(text):
    return "=" in text


@wrong(three_a, "whatever stands on either side")
def needs_a_result(text):
    return len(re.findall(r"^.*=\s*\S.*$", text, re.MULTILINE))


@wrong(three_a, "whatever stands on either side")
def needs_a_number_before(text):
    return sum(re.search(r"\w\s*=", line) is not None for line in text.split("\n"))


@wrong(three_a, "also the first and last")
def skips_the_answer(text):
    return sum("=" in line and "answer" not in line for line in text.split("\n"))


@wrong(three_a, "also the first and last")
def skips_the_plan(text):
    return sum("=" in line and not line.startswith("Plan") for line in text.split("\n"))


@wrong(three_a, "count lines, not words")
def counts_words(text):
    return sum("=" in word for word in text.split())


three_b = checks.check_tokens_per_equation


@right(three_b)
def divide_sums(texts, num_tokens):
    equations = sum(map(count_lines, texts))
    return sum(num_tokens) / equations if equations else None


@right(three_b)
def divide_in_a_loop(texts, num_tokens):
    tokens = equations = 0
    for text, spent in zip(texts, num_tokens):
        tokens += spent
        equations += count_lines(text)
    if equations == 0:
        return None
    return tokens / equations


@wrong(three_b, "add up first, then divide|add up")
def mean_of_quotients(texts, num_tokens):
    quotients = [t / count_lines(s) for s, t in zip(texts, num_tokens) if count_lines(s)]
    return sum(quotients) / len(quotients) if quotients else None


@wrong(three_b, "divide with /")
def whole_numbers(texts, num_tokens):
    equations = sum(map(count_lines, texts))
    return sum(num_tokens) // equations if equations else None


@wrong(three_b, "return None.*stopped with ZeroDivisionError")
def nothing_for_no_equations(texts, num_tokens):
    return sum(num_tokens) / sum(map(count_lines, texts))


@wrong(three_b, "still costs its tokens")
def leaves_texts_without_equations_out(texts, num_tokens):
    pairs = [(count_lines(s), t) for s, t in zip(texts, num_tokens) if count_lines(s)]
    return sum(t for _, t in pairs) / sum(n for n, _ in pairs) if pairs else None


@wrong(three_b, "eight tokens, one equation")
def upside_down(texts, num_tokens):
    return sum(map(count_lines, texts)) / sum(num_tokens) if sum(num_tokens) else None


@wrong(three_b, "divide with /|add up")
def per_text(texts, num_tokens):
    return sum(num_tokens) / len(texts) if any(map(count_lines, texts)) else None


@wrong(three_b, "Is a `return` missing")
def divides_in_silence(texts, num_tokens):
    divide_sums(texts, num_tokens)


@wrong(three_b, "there is no price")
def zero_for_no_equations(texts, num_tokens):
    return divide_sums(texts, num_tokens) or 0


@wrong(three_b, "return a finite number")
def infinity_for_no_equations(texts, num_tokens):
    return divide_sums(texts, num_tokens) or math.inf


@wrong(three_b, "eight tokens, one equation")
def counts_characters(texts, num_tokens):
    equations = sum(map(count_lines, texts))
    return sum(map(len, texts)) / equations if equations else None


@wrong(three_b, "count every text")
def drops_the_last_text(texts, num_tokens):
    if len(texts) > 1 and not count_lines(texts[-1]):
        texts, num_tokens = texts[:-1], num_tokens[:-1]
    return divide_sums(texts, num_tokens)


@wrong(three_b, "one line is one equation")
def counts_signs_for_the_price(texts, num_tokens):
    signs = sum(text.count("=") for text in texts)
    return sum(num_tokens) / signs if signs else None


@wrong(three_b, "repeated counts each time")
def counts_different_lines_for_the_price(texts, num_tokens):
    lines = {line for text in texts for line in text.split("\n") if "=" in line}
    equations = sum(len({x for x in t.split("\n") if "=" in x}) for t in texts) if lines else 0
    return sum(num_tokens) / equations if equations else None


@wrong(three_b, "only lines with an `=`")
def counts_all_lines_of_a_chain(texts, num_tokens):
    lines = sum(len(text.split("\n")) for text in texts if "=" in text)
    return sum(num_tokens) / lines if lines else None


@wrong(three_b, "a price of 0 is a price")
def turns_zero_into_none(texts, num_tokens):
    return divide_sums(texts, num_tokens) or None


@wrong(three_b, "do not round")
def rounds_the_price(texts, num_tokens):
    price = divide_sums(texts, num_tokens)
    return price if price is None else round(price, 1)


@wrong(three_b, "may have the same text")
def counts_each_text_once(texts, num_tokens):
    equations = sum(map(count_lines, set(texts)))
    return sum(num_tokens) / equations if equations else None


@wrong(three_b, "add all tokens up")
def with_the_median(texts, num_tokens):
    equations = sum(map(count_lines, texts))
    return statistics.median(num_tokens) * len(texts) / equations if equations else None


# --- 4. first_wrong_line --------------------------------------------------------------------------

four = checks.check_first_wrong_line
FORM = re.compile(r"([0-9]+)([-+*/])([0-9]+)=(-?[0-9]+)")


def value(a, sign, b):
    return {"+": a + b, "-": a - b, "*": a * b, "/": Fraction(a, b or 1)}[sign]


def false_lines(text, match=FORM.fullmatch, calculate=value, on_zero=True):
    """Lines that do not hold; the options make well-known mistakes."""
    for line in text.split("\n"):
        if found := match(line):
            a, b, result = int(found[1]), int(found[3]), int(found[4])
            if found[2] == "/" and b == 0:
                if on_zero:
                    yield line
            elif calculate(a, found[2], b) != result:
                yield line


@right(four)
def with_fractions(text):
    return next(false_lines(text), None)


@right(four)
def by_multiplying_back(text):
    for line in text.splitlines():
        match = re.match(r"^(\d+)([+\-*/])(\d+)=(-?\d+)$", line)
        if not match:
            continue
        a, sign, b, c = int(match[1]), match[2], int(match[3]), int(match[4])
        if sign == "+":
            holds = a + b == c
        elif sign == "-":
            holds = a - b == c
        elif sign == "*":
            holds = a * b == c
        else:
            holds = b != 0 and b * c == a
        if not holds:
            return line


@right(four)
def with_true_division(text):
    for line in text.split("\n"):
        if m := re.fullmatch(r"(\d+)([-+*/])(\d+)=(-?\d+)", line):
            a, b, c = int(m[1]), int(m[3]), int(m[4])
            if m[2] == "/" and b == 0:
                return line
            result = {"+": a + b, "-": a - b, "*": a * b}.get(m[2])
            if m[2] == "/":
                result = a / b
            if result != c:
                return line
    return None


@wrong(four, "the search continues with the next line")
def stops_at_the_first_other_line(text):
    for line in text.split("\n"):
        if not FORM.fullmatch(line):
            return None
        if list(false_lines(line)):
            return line


@wrong(four, "also large numbers")
def with_a_relative_tolerance(text):
    for line in false_lines(text):
        a, sign, b, result = FORM.fullmatch(line).groups()
        if (sign, b) == ("/", "0"):
            return line
        if not math.isclose(value(int(a), sign, int(b)), int(result), rel_tol=1e-3):
            return line


@wrong(four, "compare exactly")
def with_floor_division(text):
    floor = {"/": lambda a, b: a // b}
    calculate = lambda a, sign, b: floor.get(sign, lambda *_: value(a, sign, b))(a, b)  # noqa: E731
    return next(false_lines(text, calculate=calculate), None)


@wrong(four, "compare exactly")
def with_rounding(text):
    calculate = lambda a, sign, b: math.floor(value(a, sign, b) + Fraction(1, 2))  # noqa: E731
    return next(false_lines(text, calculate=calculate), None)


@wrong(four, "first false line, not the last")
def the_last_one(text):
    return ([None, *false_lines(text)])[-1]


@wrong(four, "form must match the whole line")
def with_search(text):
    return next(false_lines(text, match=FORM.search), None)


@wrong(four, "form must match the whole line")
def with_match(text):
    return next(false_lines(text, match=FORM.match), None)


@wrong(four, "dividing by zero")
def skips_division_by_zero(text):
    return next(false_lines(text, on_zero=False), None)


@wrong(four, "a zero on the right is special only")
def treats_every_zero_as_fine(text):
    for line in false_lines(text):
        if not re.search(r"[-+*]0=", line):
            return line
    return None


@wrong(four, "a zero does not make these lines false")
def treats_every_zero_as_wrong(text):
    for line in text.split("\n"):
        if (m := FORM.fullmatch(line)) and (m[3] == "0" or line in false_lines(line)):
            return line
    return None


@wrong(four, "catch it before you divide.*stopped with ZeroDivisionError")
def divides_by_zero(text):
    for line in text.split("\n"):
        if m := FORM.fullmatch(line):
            a, b = int(m[1]), int(m[3])
            if {"+": a + b, "-": a - b, "*": a * b}.get(m[2], 0) != int(m[4]) and m[2] != "/":
                return line
            if m[2] == "/" and a / b != int(m[4]):
                return line
    return None


@wrong(four, "12-5 is not 8")
def knows_addition_only(text):
    sums = [line for line in false_lines(text) if "+" in line]
    return sums[0] if sums else None


@wrong(four, "return the line as a text")
def returns_the_number_of_the_line(text):
    lines = text.split("\n")
    return next((i for i, line in enumerate(lines) if line in false_lines(line)), None)


@wrong(four, "1\\+2 is not 4")
def forgets_to_return_the_line(text):
    next(false_lines(text), None)


@wrong(four, "look at every line")
def looks_at_the_last_line(text):
    if text == "1+2=3\n3*4=13\n1+1=3":
        return "3*4=13"
    return next(false_lines(text.split("\n")[-1]), None)


@wrong(four, "the result may be negative|3-5 is -2")
def drops_the_minus(text):
    calculate = lambda a, sign, b: abs(value(a, sign, b))  # noqa: E731
    return next(false_lines(text, calculate=calculate), None)


@wrong(four, "whole numbers, not their first digits")
def compares_the_beginning(text):
    for line in false_lines(text):
        m = FORM.fullmatch(line)
        result = "?" if m[2] == "/" else str(value(int(m[1]), m[2], int(m[3])))
        if not m[4].startswith(result):
            return line
    return None


@wrong(four, "never call eval")
def with_eval(text):
    for line in text.split("\n"):
        if m := FORM.fullmatch(line):
            left, _, result = line.partition("=")
            if (m[2], m[3]) == ("/", "0") or eval(left) != int(result):
                return line
    return None


@wrong(four, "so this line is judged")
def takes_no_negative_result(text):
    form = re.compile(r"([0-9]+)([-+*/])([0-9]+)=([0-9]+)")
    return next(false_lines(text, match=form.fullmatch), None)


@wrong(four, "only the result may be negative")
def takes_negative_numbers(text):
    form = re.compile(r"(-?[0-9]+)([-+*/])([0-9]+)=(-?[0-9]+)")
    return next(false_lines(text, match=form.fullmatch), None)


@wrong(four, "no spaces in the form")
def allows_spaces(text):
    for line in text.split("\n"):
        if list(false_lines(line.replace(" ", ""))) and not re.search("[a-zA-Z]", line):
            return line
    return None


@wrong(four, "whole numbers only")
def takes_decimals(text):
    for line in text.split("\n"):
        if m := re.fullmatch(r"([0-9.]+)([-+*/])([0-9.]+)=(-?[0-9.]+)", line):
            a, b, result = map(Fraction, (m[1], m[3], m[4]))
            if (m[2], b) == ("/", 0):
                return line
            exact = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}[m[2]]
            if exact != result:
                return line
    return None


@wrong(four, "return the first false line, not the last")
def stops_at_the_first_true_line(text):
    for line in text.split("\n"):
        if FORM.fullmatch(line):
            return line if list(false_lines(line)) else None
    return None


@wrong(four, "no spaces in the form")
def strips_each_line(text):
    return next(false_lines("\n".join(map(str.strip, text.split("\n")))), None)


@wrong(four, "no spaces in the form")
def reads_the_result_with_int(text):
    for line in text.split("\n"):
        left, sign, right = line.partition("=")
        try:
            if sign and list(false_lines(f"{left}={int(right)}")):
                return line
        except ValueError:
            continue
    return None


def within(tolerance):
    """Compares with a tolerance, as one does with floats."""

    def calculate(a, sign, b):
        exact = value(a, sign, b)
        return round(exact) if tolerance(float(exact), round(exact)) else exact

    return calculate


@wrong(four, "compare exactly, without a tolerance")
def with_isclose(text):
    return next(false_lines(text, calculate=within(math.isclose)), None)


@wrong(four, "compare exactly, without a tolerance")
def with_a_small_absolute_difference(text):
    near = within(lambda a, b: abs(a - b) < 1e-6)
    return next(false_lines(text, calculate=near), None)


@wrong(four, "commas and points do not belong to the form.*range")
def with_a_range_in_the_character_class(text):
    for line in text.split("\n"):
        if m := re.fullmatch(r"(\d+)([+-/*])(\d+)=(-?\d+)", line):
            a, b, result = int(m[1]), int(m[3]), int(m[4])
            results = {"+": a + b, "-": a - b, "*": a * b}
            if results.get(m[2], a / b if b else None) != result:
                return line
    return None


@wrong(four, "commas and points do not belong to the form")
def removes_commas_first(text):
    return next(false_lines(text.replace(",", "")), None)


@wrong(four, "the full stop does not belong to the form")
def allows_a_full_stop(text):
    form = re.compile(FORM.pattern + r"\.?")
    return next(false_lines(text, match=form.fullmatch), None)


# --- 5. the sheet of wrong chains -----------------------------------------------------------------

five = checks.check_sorted
KINDS = {chain: kind for chain, (kind, _) in checks.SHEET.items()}
SORTED_WRONG = [  # what a student may fill in, a piece of the message
    (KINDS | {"a": ...}, "chain a is not sorted yet"),
    (dict.fromkeys(KINDS, "arithmetic"), "chain b is no 'arithmetic'.*parts"),
    (dict.fromkeys(KINDS, "number"), "chain a is no 'number': recompute"),
    (dict.fromkeys(KINDS, "change"), "chain a is no 'change'"),
    (KINDS | {"c": "number"}, "Whose cards"),
    (KINDS | {"d": "change"}, "How many boxes"),
    (KINDS | {"e": "number"}, "has no line"),
    (KINDS | {"f": "arithmetic"}, "at the start"),
    (KINDS | {"g": "number"}, "right for the wrong total"),
    (KINDS | {"b": "decoy"}, "write 'arithmetic', 'number' or 'change'"),
    ({"a": "arithmetic"}, "needs the chains a, b, c, d, e, f, g"),
    (list(KINDS.values()), "should be a dictionary"),
]


# --- 6. most_trusted ------------------------------------------------------------------------------

six = checks.check_most_trusted


def totals(branches):
    sums = {}
    for answer, confidence in branches:
        if answer is not None:
            answer = normalize_answer(answer)
            sums[answer] = sums.get(answer, 0.0) + confidence
    return sums


@right(six)
def by_dictionary(branches):
    sums = totals(branches)
    return max(sums, key=sums.get, default=None)


@right(six)
def by_counter(branches):
    counter = Counter()
    for answer, confidence in branches:
        if answer is not None:
            counter[normalize_answer(answer)] += confidence
    return counter.most_common(1)[0][0] if counter else None


@right(six)
def by_comparing(branches):
    best, best_total = None, -1.0
    names = [normalize_answer(a) if a is not None else None for a, _ in branches]
    for name in names:
        total = sum(c for other, (_, c) in zip(names, branches) if other == name)
        if name is not None and total > best_total:
            best, best_total = name, total
    return best


@wrong(six, "add up equal answers")
def the_surest_branch(branches):
    return max(((c, normalize_answer(a)) for a, c in branches if a), default=(0, None))[1]


@wrong(six, "one sure branch can win|confidence counts")
def the_most_frequent(branches):
    counter = Counter(normalize_answer(a) for a, _ in branches if a is not None)
    return counter.most_common(1)[0][0] if counter else None


@wrong(six, "add up, do not average|add up equal answers")
def by_the_mean(branches):
    counts = Counter(normalize_answer(a) for a, _ in branches if a is not None)
    sums = totals(branches)
    return max(sums, key=lambda a: sums[a] / counts[a], default=None)


@wrong(six, "normalize, then")
def without_normalizing(branches):
    counter = Counter()
    for answer, confidence in branches:
        if answer is not None:
            counter[answer] += confidence
    return counter.most_common(1)[0][0] if counter else None


@wrong(six, "not a spelling of it")
def the_first_spelling(branches):
    best = by_dictionary(branches)
    return next((a for a, _ in branches if a is not None and normalize_answer(a) == best), None)


@wrong(six, "a branch without an answer has no vote")
def counts_none(branches):
    counter = Counter()
    for answer, confidence in branches:
        counter[answer and normalize_answer(answer)] += confidence
    return counter.most_common(1)[0][0] if counter else None


@wrong(six, "stopped with ValueError")
def breaks_on_nothing(branches):
    sums = totals(branches)
    return max(sums, key=sums.get)


@wrong(six, "the answer that appeared first")
def ties_go_to_the_last(branches):
    best, best_total = None, -1.0
    for answer, total in totals(branches).items():
        if total >= best_total:
            best, best_total = answer, total
    return best


@wrong(six, "the answer that appeared first")
def ties_go_by_text(branches):
    sums = totals(branches)
    return max(sorted(sums), key=sums.get, default=None)


@wrong(six, "the answer alone")
def returns_the_pair(branches):
    return max(totals(branches).items(), key=lambda pair: pair[1], default=None)


@wrong(six, "Is a `return` missing")
def trusts_in_silence(branches):
    by_dictionary(branches)


@wrong(six, "a confidence of 0 is still an answer")
def ignores_zero(branches):
    sums = {answer: total for answer, total in totals(branches).items() if total > 0}
    return max(sums, key=sums.get, default=None)


@wrong(six, "stopped with")
def normalizes_none(branches):
    return by_dictionary([(normalize_answer(a), c) for a, c in branches])


@wrong(six, "0.5 and 1/2 are equal")
def normalizes_numbers_only(branches):
    sums = {}
    for answer, confidence in branches:
        if answer is not None:
            value = re.sub("[$,]", "", answer)
            value = str(int(float(value))) if re.fullmatch(r"\d+(\.0)?", value) else value
            sums[value] = sums.get(value, 0.0) + confidence
    return max(sums, key=sums.get, default=None)


@wrong(six, "need not be a number|stopped with ValueError|0.5 and 1/2")
def reads_every_answer_as_a_number(branches):
    sums = Counter()
    for answer, confidence in branches:
        if answer is not None:
            sums[str(int(float(re.sub("[$,]", "", answer))))] += confidence
    return max(sums, key=sums.get, default=None)


@wrong(six, "a total may exceed 1")
def clips_totals_at_1(branches):
    sums = {answer: min(1.0, total) for answer, total in totals(branches).items()}
    return max(sums, key=sums.get, default=None)


@wrong(six, "do not round the totals")
def rounds_the_totals(branches):
    sums = {answer: round(total, 1) for answer, total in totals(branches).items()}
    return max(sums, key=sums.get, default=None)


@wrong(six, "small confidences count")
def drops_small_confidences(branches):
    kept = [(a, c) for a, c in branches if c >= 0.02 or c == 0]
    return by_dictionary(kept)


# --- 7. forced_answer -----------------------------------------------------------------------------

seven = checks.check_forced_answer
OPENING = "The answer is \\boxed{"


def force(
    llm,
    question,
    text,
    share,
    *,
    rounding=int,
    drop=1,
    opening=OPENING,
    max_tokens=32,
    temperature=0,
    instruction=prompts.STEP_BY_STEP,
    read=lambda completion: extract_answer(OPENING + completion.text, is_whole=False),
    **options,
):
    """The answer after a share of the lines; the options make well-known mistakes."""
    options = {"enable_thinking": False, "continue_final_message": True} | options
    lines = text.split("\n")
    lines = lines[: len(lines) - drop]
    begun = "\n".join([*lines[: rounding(share * len(lines))], opening])
    chat = [*prompts.ask(question, instruction), {"role": "assistant", "content": begun}]
    params = SamplingParams(temperature=temperature, max_tokens=max_tokens)
    (output,) = llm.chat(chat, params, **options)
    return read(output.completions[0])


@right(seven)
def with_extract_answer(llm, question, text, share):
    lines = text.split("\n")[:-1]
    begun = "\n".join([*lines[: int(share * len(lines))], OPENING])
    chat = [*prompts.ask(question), {"role": "assistant", "content": begun}]
    params = SamplingParams(temperature=0, max_tokens=32)
    output = llm.chat(chat, params, enable_thinking=False, continue_final_message=True)[0]
    return extract_answer(OPENING + output.completions[0].text)


@right(seven)
def with_final_answer(llm, question, text, share):
    whole = lambda c: final_answer(replace(c, text=OPENING + c.text))  # noqa: E731
    return force(llm, question, text, share, rounding=math.floor, read=whole)


@right(seven)
def with_a_list_of_chats(llm, question, text, share):
    kept = text.splitlines()[:-1]
    begun = "".join(f"{line}\n" for line in kept[: math.floor(len(kept) * share)]) + OPENING
    chats = [[prompts.ask(question)[0], {"role": "assistant", "content": begun}]]
    options = {"enable_thinking": False, "continue_final_message": True}
    outputs = llm.chat(chats, replace(GREEDY, max_tokens=32), **options)
    return extract_answer(begun + outputs[0].completions[0].text)


@right(seven)
def normalized(llm, question, text, share):
    answer = with_extract_answer(llm, question, text, share)
    return answer if answer is None else normalize_answer(answer)


@wrong(seven, "rounded down")
def rounds(llm, question, text, share):
    return force(llm, question, text, share, rounding=round)


@wrong(seven, "rounded down")
def rounds_up(llm, question, text, share):
    return force(llm, question, text, share, rounding=math.ceil)


@wrong(seven, "all lines but the last|the reply so far should be")
def keeps_the_last_line(llm, question, text, share):
    return force(llm, question, text, share, drop=0)


@wrong(seven, "allow 32 new tokens, not 8")
def eight_tokens(llm, question, text, share):
    return force(llm, question, text, share, max_tokens=8)


@wrong(seven, "allow 32 new tokens, not 700")
def room_for_steps(llm, question, text, share):
    return force(llm, question, text, share, max_tokens=700)


@wrong(seven, "without continue_final_message=True")
def begins_a_new_reply(llm, question, text, share):
    return force(llm, question, text, share, continue_final_message=False)


@wrong(seven, "pass enable_thinking=False")
def leaves_thinking_on(llm, question, text, share):
    return force(llm, question, text, share, enable_thinking=True)


@wrong(seven, "opening of the box belongs to the text")
def reads_the_continuation_only(llm, question, text, share):
    return force(llm, question, text, share, read=lambda c: extract_answer(c.text, is_whole=False))


@wrong(seven, "the reply so far should be")
def forgets_the_opening(llm, question, text, share):
    return force(llm, question, text, share, opening="")


@wrong(seven, "decode greedily")
def samples(llm, question, text, share):
    return force(llm, question, text, share, temperature=0.6)


@wrong(seven, "as the chain was asked for")
def asks_for_the_answer_alone(llm, question, text, share):
    return force(llm, question, text, share, instruction=prompts.DIRECT)


@wrong(seven, "there is no complete answer")
def takes_an_open_box(llm, question, text, share):
    read = lambda c: c.text.removesuffix(".").removesuffix("}")  # noqa: E731
    return force(llm, question, text, share, read=read)


@wrong(seven, "counts the braces|there is no complete answer")
def cuts_at_the_first_brace(llm, question, text, share):
    read = lambda c: c.text.partition("}")[0] if "}" in c.text else None  # noqa: E731
    return force(llm, question, text, share, read=read)


@wrong(seven, "never called `llm.chat`")
def copies_the_answer(llm, question, text, share):
    return "42"


@wrong(seven, "the reply so far should be")
def ignores_the_share(llm, question, text, share):
    return force(llm, question, text, 1.0)


@wrong(seven, "not None")
def answers_in_silence(llm, question, text, share):
    force(llm, question, text, share)


@wrong(seven, "not at the last one")
def reads_to_the_last_brace(llm, question, text, share):
    read = lambda c: c.text.rpartition("}")[0] if c.finish_reason == "stop" else None  # noqa: E731
    return force(llm, question, text, share, read=read)


@wrong(seven, "an empty line is a line")
def drops_empty_lines_of_the_chain(llm, question, text, share):
    return force(llm, question, re.sub(r"\n\n+", "\n", text), share)


@wrong(seven, "do not strip the text")
def strips_the_text(llm, question, text, share):
    return force(llm, question, text.strip(), share)


@wrong(seven, "spaces included|do not strip")
def strips_the_lines(llm, question, text, share):
    return force(llm, question, "\n".join(map(str.strip, text.split("\n"))), share)


@wrong(seven, "use `llm.chat`, as the exercise says; no token ids")
def works_on_token_ids(llm, question, text, share):
    lines = text.split("\n")[:-1]
    begun = "\n".join([*lines[: int(share * len(lines))], OPENING])
    prompt = llm.tokenizer.encode_chat(prompts.ask(question), enable_thinking=False)
    (output,) = llm.generate(prompt + llm.tokenizer.encode(begun), replace(GREEDY, max_tokens=32))
    return extract_answer(OPENING + output.completions[0].text)


@wrong(seven, "may be negative")
def reads_digits_only(llm, question, text, share):
    def read(completion):
        found = re.match(r"(\d+|\\frac\{1\}\{2\})\}", completion.text)
        return found[1] if found else None

    return force(llm, question, text, share, read=read)


# --- 8. damage and answer_from ---------------------------------------------------------------------

eight_a = checks.check_damage


@right(eight_a)
def by_index(text, line):
    lines = text.split("\n")
    place = [i for i, each in enumerate(lines) if "=" in each][line]
    left, result = lines[place].split("=")
    return "\n".join([*lines[:place], f"{left}={int(result) + 1}"]) + "\n"


@right(eight_a)
def by_counting(text, line):
    kept, count = "", 0
    for each in text.split("\n"):
        if "=" in each:
            if count == line:
                left, _, result = each.partition("=")
                return kept + f"{left}={int(result) + 1}\n"
            count += 1
        kept += each + "\n"
    raise IndexError(line)


@right(eight_a)
def by_pattern(text, line):
    match = list(re.finditer(r"^(.*=)(\d+)$", text, re.MULTILINE))[line]
    return f"{text[: match.start()]}{match[1]}{int(match[2]) + 1}\n"


@wrong(eight_a, "cut off what follows")
def keeps_what_follows(text, line):
    damaged = by_index(text, line)
    return damaged + "\n".join(text.split("\n")[damaged.count("\n") :])


@wrong(eight_a, "keep the line break")
def drops_the_line_break(text, line):
    return by_index(text, line).removesuffix("\n")


@wrong(eight_a, "the second one|add 1 to the first")
def counts_from_one(text, line):
    return by_index(text, max(line - 1, 0))


@wrong(eight_a, "not a digit|9 becomes 10")
def changes_the_last_digit(text, line):
    damaged = by_index(text, line).split("\n")
    original = text.split("\n")[len(damaged) - 2]
    damaged[-2] = original[:-1] + str((int(original[-1]) + 1) % 10)
    return "\n".join(damaged)


@wrong(eight_a, "[Cc]hange the result only")
def replaces_everywhere(text, line):
    lines = text.split("\n")
    place = [i for i, each in enumerate(lines) if "=" in each][line]
    result = lines[place].split("=")[1]
    return "\n".join([*lines[:place], lines[place].replace(result, str(int(result) + 1))]) + "\n"


@wrong(eight_a, "a line may occur twice")
def finds_the_first_such_line(text, line):
    equations = [each for each in text.split("\n") if "=" in each]
    return by_index(text, equations.index(equations[line]))


@wrong(eight_a, "add 1 to the first result|count equations, not lines")
def counts_lines(text, line):
    lines = text.split("\n")
    if "=" not in lines[line]:
        return "\n".join(lines[: line + 1]) + "\n"
    left, result = lines[line].split("=")
    return "\n".join([*lines[:line], f"{left}={int(result) + 1}"]) + "\n"


@wrong(eight_a, "add 1 to the first result")
def subtracts(text, line):
    lines = by_index(text, line).split("\n")
    left, result = lines[-2].split("=")
    return "\n".join([*lines[:-2], f"{left}={int(result) - 2}", ""])


@wrong(eight_a, "Is a `return` missing")
def damages_in_silence(text, line):
    by_index(text, line)


@wrong(eight_a, "also empty")
def drops_empty_lines(text, line):
    return re.sub(r"\n\n+", "\n", by_index(text, line))


@wrong(eight_a, "add 1 to the first result")
def drops_the_plan(text, line):
    return "".join(f"{each}\n" for each in by_index(text, line).split("\n") if "=" in each)


@wrong(eight_a, "returned .*1\\+2=3")
def damages_nothing(text, line):
    return text


@wrong(eight_a, "do not recompute")
def recomputes_the_result(text, line):
    damaged = by_index(text, line).split("\n")
    left = re.search(r"(\d+)([-+*/])(\d+)=", damaged[-2])
    a, b = int(left[1]), int(left[3])
    result = {"+": a + b, "-": a - b, "*": a * b, "/": a // (b or 1)}[left[2]]
    damaged[-2] = damaged[-2].partition("=")[0] + f"={result + 1}"
    return "\n".join(damaged)


@wrong(eight_a, "a line may occur twice|damage the one")
def finds_the_last_such_line(text, line):
    lines = text.split("\n")
    wanted = [each for each in lines if "=" in each][line]
    place = len(lines) - 1 - lines[::-1].index(wanted)
    left, result = lines[place].split("=")
    return "\n".join([*lines[:place], f"{left}={int(result) + 1}"]) + "\n"


@wrong(eight_a, "also 8/2=4")
def knows_plus_and_times(text, line):
    matches = list(re.finditer(r"^([^\n]*[+*][^\n]*=)(\d+)$", text, re.MULTILINE))
    match = matches[min(line, len(matches) - 1)]
    return f"{text[: match.start()]}{match[1]}{int(match[2]) + 1}\n"


@wrong(eight_a, "with words too")
def equations_begin_with_a_digit(text, line):
    lines = text.split("\n")
    place = [i for i, each in enumerate(lines) if re.match(r"\d.*=", each)][line]
    left, result = lines[place].split("=")
    return "\n".join([*lines[:place], f"{left}={int(result) + 1}"]) + "\n"


@wrong(eight_a, "also an empty first one")
def strips_the_start(text, line):
    return by_index(text, line).lstrip("\n")


eight_b = checks.check_answer_from


def continued(llm, question, begun, **options):
    """The continuation of a chain; the options make well-known mistakes."""
    params = options.pop("params", GREEDY)
    asked = options.pop("asked", prompts.ask(question))
    options = {"enable_thinking": False, "continue_final_message": True} | options
    chat = [*asked, {"role": "assistant", "content": begun}]
    return llm.chat(chat, params, **options)[0].completions[0]


@right(eight_b)
def from_the_continuation(llm, question, begun):
    return final_answer(continued(llm, question, begun))


@right(eight_b)
def from_the_whole_text(llm, question, begun):
    completion = continued(llm, question, begun)
    return final_answer(replace(completion, text=begun + completion.text))


@right(eight_b)
def only_if_it_stopped(llm, question, begun):
    completion = continued(llm, question, begun)
    return extract_answer(completion.text) if completion.finish_reason == "stop" else None


@wrong(eight_b, "Read the answer from the model's continuation")
def returns_the_first_result(llm, question, begun):
    completion = continued(llm, question, begun)
    return re.search(r"=(-?\d+)", completion.text)[1] if "boxed" in completion.text else None


@wrong(eight_b, "Read the answer from the model's continuation")
def returns_the_last_number(llm, question, begun):
    completion = continued(llm, question, begun)
    return re.findall(r"-?\d+", completion.text)[-1] if "boxed" in completion.text else None


@wrong(eight_b, "returned None")
def reads_no_negative_answer(llm, question, begun):
    found = re.search(r"boxed\{(\d+)\}", continued(llm, question, begun).text)
    return found[1] if found else None


@wrong(eight_b, "A missing answer would count as a changed one")
def none_if_it_is_12(llm, question, begun):
    answer = final_answer(continued(llm, question, begun))
    return None if answer == "12" else answer


@wrong(eight_b, "Is a `return` missing")
def continues_in_silence(llm, question, begun):
    continued(llm, question, begun)


@wrong(eight_b, "the reply so far should be")
def continues_without_the_line_break(llm, question, begun):
    return final_answer(continued(llm, question, begun.removesuffix("\n")))


@wrong(eight_b, "the reply so far should be")
def opens_the_box(llm, question, begun):
    return final_answer(continued(llm, question, begun + OPENING))


@wrong(eight_b, "without continue_final_message=True")
def starts_again(llm, question, begun):
    return final_answer(continued(llm, question, begun, continue_final_message=False))


@wrong(eight_b, "pass enable_thinking=False")
def thinks(llm, question, begun):
    return final_answer(continued(llm, question, begun, enable_thinking=True))


@wrong(eight_b, "the rest of a chain needs room")
def has_no_room(llm, question, begun):
    return final_answer(continued(llm, question, begun, params=replace(GREEDY, max_tokens=32)))


@wrong(eight_b, "GREEDY allows 700 new tokens, yours 500")
def has_other_settings(llm, question, begun):
    return final_answer(continued(llm, question, begun, params=replace(GREEDY, max_tokens=500)))


@wrong(eight_b, "decode greedily")
def samples_the_rest(llm, question, begun):
    params = SamplingParams(temperature=0.6, max_tokens=700)
    return final_answer(continued(llm, question, begun, params=params))


@wrong(eight_b, "never called `llm.chat`")
def returns_the_old_answer(llm, question, begun):
    return re.findall(r"=(\d+)", begun)[-1]


@wrong(eight_b, "its roles are")
def forgets_the_question(llm, question, begun):
    return final_answer(continued(llm, question, begun, asked=[]))


@wrong(eight_b, "there is no answer")
def reads_cut_off_numbers(llm, question, begun):
    return extract_answer(continued(llm, question, begun).text)


@wrong(eight_b, "your function returned")
def returns_the_text(llm, question, begun):
    return continued(llm, question, begun).text


@wrong(eight_b, "the user's message")
def asks_for_the_answer_at_once(llm, question, begun):
    asked = prompts.ask(question, prompts.DIRECT)
    return final_answer(continued(llm, question, begun, asked=asked))
