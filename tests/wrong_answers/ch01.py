"""Answers to the exercises of chapter 1: right ones in several styles, and plausible mistakes.

RIGHT holds (check, answer), WRONG holds (check, answer, a piece of the message it must get).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from ch01_cot import checks
from ch01_cot.replies import GREEDY
from shared import SamplingParams, prompts
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


@wrong(one, "stopped with ValueError")
def logarithm_of_zero(target, k):
    return math.exp(math.log(target) / k)


@wrong(one, "return a number")
def as_text(target, k):
    return f"{target ** (1 / k):.4f}"


# --- 2. num_equations and tokens_per_equation -----------------------------------------------------

two_a = checks.check_num_equations


@right(two_a)
def count_lines(text):
    return sum("=" in line for line in text.split("\n"))


@right(two_a)
def count_by_pattern(text):
    return len(re.findall(r"^.*=.*$", text, re.MULTILINE))


@right(two_a)
def count_in_a_loop(text):
    count = 0
    for line in text.splitlines():
        if line.find("=") >= 0:
            count += 1
    return count


@wrong(two_a, "count lines, not equals signs")
def count_signs(text):
    return text.count("=")


@wrong(two_a, "no equations")
def count_all_lines(text):
    return len(text.split("\n"))


@wrong(two_a, "no equations|should be 0")
def count_all_but_two(text):
    return len(text.split("\n")) - 2


@wrong(two_a, "a line that is repeated counts each time")
def count_different_lines(text):
    return len({line for line in text.split("\n") if "=" in line})


@wrong(two_a, "with or without a line break")
def count_line_breaks(text):
    return len(re.findall(r"=.*\n", text))


@wrong(two_a, "spaces and words|count lines")
def count_full_matches(text):
    pattern = r"[0-9]+[-+*/][0-9]+=[0-9]+"
    return sum(re.fullmatch(pattern, line) is not None for line in text.split("\n"))


@wrong(two_a, "Is a `return` missing")
def counts_in_silence(text):
    sum("=" in line for line in text.split("\n"))


@wrong(two_a, "return a number")
def lists_the_lines(text):
    return [line for line in text.split("\n") if "=" in line]


@wrong(two_a, "return a number")
def only_says_whether(text):
    return "=" in text


two_b = checks.check_tokens_per_equation


@right(two_b)
def divide_sums(texts, num_tokens):
    equations = sum(map(count_lines, texts))
    return sum(num_tokens) / equations if equations else None


@right(two_b)
def divide_in_a_loop(texts, num_tokens):
    tokens = equations = 0
    for text, spent in zip(texts, num_tokens):
        tokens += spent
        equations += count_lines(text)
    if equations == 0:
        return None
    return tokens / equations


@wrong(two_b, "add up first, then divide|add up")
def mean_of_quotients(texts, num_tokens):
    quotients = [t / count_lines(s) for s, t in zip(texts, num_tokens) if count_lines(s)]
    return sum(quotients) / len(quotients) if quotients else None


@wrong(two_b, "divide with /")
def whole_numbers(texts, num_tokens):
    equations = sum(map(count_lines, texts))
    return sum(num_tokens) // equations if equations else None


@wrong(two_b, "stopped with ZeroDivisionError.*return None")
def nothing_for_no_equations(texts, num_tokens):
    return sum(num_tokens) / sum(map(count_lines, texts))


@wrong(two_b, "still costs its tokens")
def leaves_texts_without_equations_out(texts, num_tokens):
    pairs = [(count_lines(s), t) for s, t in zip(texts, num_tokens) if count_lines(s)]
    return sum(t for _, t in pairs) / sum(n for n, _ in pairs) if pairs else None


@wrong(two_b, "eight tokens, one equation")
def upside_down(texts, num_tokens):
    return sum(map(count_lines, texts)) / sum(num_tokens) if sum(num_tokens) else None


@wrong(two_b, "divide with /|add up")
def per_text(texts, num_tokens):
    return sum(num_tokens) / len(texts) if any(map(count_lines, texts)) else None


@wrong(two_b, "Is a `return` missing")
def divides_in_silence(texts, num_tokens):
    divide_sums(texts, num_tokens)


@wrong(two_b, "there is no price")
def zero_for_no_equations(texts, num_tokens):
    return divide_sums(texts, num_tokens) or 0


@wrong(two_b, "return a number")
def infinity_for_no_equations(texts, num_tokens):
    return divide_sums(texts, num_tokens) or math.inf


@wrong(two_b, "eight tokens, one equation")
def counts_characters(texts, num_tokens):
    equations = sum(map(count_lines, texts))
    return sum(map(len, texts)) / equations if equations else None


@wrong(two_b, "count every text")
def drops_the_last_text(texts, num_tokens):
    if len(texts) > 1 and not count_lines(texts[-1]):
        texts, num_tokens = texts[:-1], num_tokens[:-1]
    return divide_sums(texts, num_tokens)


# --- 3. first_wrong_line --------------------------------------------------------------------------

three = checks.check_first_wrong_line
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


@right(three)
def with_fractions(text):
    return next(false_lines(text), None)


@right(three)
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


@right(three)
def with_true_division(text):
    for line in text.split("\n"):
        if m := re.fullmatch(r"(-?\d+)([-+*/])(\d+)=(-?\d+)", line):
            a, b, c = int(m[1]), int(m[3]), int(m[4])
            if m[2] == "/" and b == 0:
                return line
            result = {"+": a + b, "-": a - b, "*": a * b}.get(m[2])
            if m[2] == "/":
                result = a / b
            if result != c:
                return line
    return None


@wrong(three, "the search continues with the next line")
def stops_at_the_first_other_line(text):
    for line in text.split("\n"):
        if not FORM.fullmatch(line):
            return None
        if list(false_lines(line)):
            return line


@wrong(three, "also large numbers")
def with_a_relative_tolerance(text):
    for line in false_lines(text):
        a, sign, b, result = FORM.fullmatch(line).groups()
        if (sign, b) == ("/", "0"):
            return line
        if not math.isclose(value(int(a), sign, int(b)), int(result), rel_tol=1e-3):
            return line


@wrong(three, "compare exactly")
def with_floor_division(text):
    floor = {"/": lambda a, b: a // b}
    calculate = lambda a, sign, b: floor.get(sign, lambda *_: value(a, sign, b))(a, b)  # noqa: E731
    return next(false_lines(text, calculate=calculate), None)


@wrong(three, "compare exactly")
def with_rounding(text):
    calculate = lambda a, sign, b: math.floor(value(a, sign, b) + Fraction(1, 2))  # noqa: E731
    return next(false_lines(text, calculate=calculate), None)


@wrong(three, "first false line, not the last")
def the_last_one(text):
    return ([None, *false_lines(text)])[-1]


@wrong(three, "form must match the whole line")
def with_search(text):
    return next(false_lines(text, match=FORM.search), None)


@wrong(three, "form must match the whole line")
def with_match(text):
    return next(false_lines(text, match=FORM.match), None)


@wrong(three, "dividing by zero")
def skips_division_by_zero(text):
    return next(false_lines(text, on_zero=False), None)


@wrong(three, "a zero on the right is special only")
def treats_every_zero_as_fine(text):
    for line in false_lines(text):
        if not re.search(r"[-+*]0=", line):
            return line
    return None


@wrong(three, "a zero does not make these lines false")
def treats_every_zero_as_wrong(text):
    for line in text.split("\n"):
        if (m := FORM.fullmatch(line)) and (m[3] == "0" or line in false_lines(line)):
            return line
    return None


@wrong(three, "stopped with ZeroDivisionError.*catch it before you divide")
def divides_by_zero(text):
    for line in text.split("\n"):
        if m := FORM.fullmatch(line):
            a, b = int(m[1]), int(m[3])
            if {"+": a + b, "-": a - b, "*": a * b}.get(m[2], 0) != int(m[4]) and m[2] != "/":
                return line
            if m[2] == "/" and a / b != int(m[4]):
                return line
    return None


@wrong(three, "12-5 is not 8")
def knows_addition_only(text):
    sums = [line for line in false_lines(text) if "+" in line]
    return sums[0] if sums else None


@wrong(three, "return the line as a text")
def returns_the_number_of_the_line(text):
    lines = text.split("\n")
    return next((i for i, line in enumerate(lines) if line in false_lines(line)), None)


@wrong(three, "1\\+2 is not 4")
def forgets_to_return_the_line(text):
    next(false_lines(text), None)


@wrong(three, "look at every line")
def looks_at_the_last_line(text):
    if text == "1+2=3\n3*4=13\n1+1=3":
        return "3*4=13"
    return next(false_lines(text.split("\n")[-1]), None)


@wrong(three, "the result may be negative|3-5 is -2")
def drops_the_minus(text):
    calculate = lambda a, sign, b: abs(value(a, sign, b))  # noqa: E731
    return next(false_lines(text, calculate=calculate), None)


@wrong(three, "whole numbers, not their first digits")
def compares_the_beginning(text):
    for line in false_lines(text):
        m = FORM.fullmatch(line)
        result = "?" if m[2] == "/" else str(value(int(m[1]), m[2], int(m[3])))
        if not m[4].startswith(result):
            return line
    return None


# --- 4. most_trusted ------------------------------------------------------------------------------

four = checks.check_most_trusted


def totals(branches):
    sums = {}
    for answer, confidence in branches:
        if answer is not None:
            answer = normalize_answer(answer)
            sums[answer] = sums.get(answer, 0.0) + confidence
    return sums


@right(four)
def by_dictionary(branches):
    sums = totals(branches)
    return max(sums, key=sums.get, default=None)


@right(four)
def by_counter(branches):
    counter = Counter()
    for answer, confidence in branches:
        if answer is not None:
            counter[normalize_answer(answer)] += confidence
    return counter.most_common(1)[0][0] if counter else None


@right(four)
def by_comparing(branches):
    best, best_total = None, -1.0
    names = [normalize_answer(a) if a is not None else None for a, _ in branches]
    for name in names:
        total = sum(c for other, (_, c) in zip(names, branches) if other == name)
        if name is not None and total > best_total:
            best, best_total = name, total
    return best


@wrong(four, "add up equal answers")
def the_surest_branch(branches):
    return max(((c, normalize_answer(a)) for a, c in branches if a), default=(0, None))[1]


@wrong(four, "one sure branch can win|confidence counts")
def the_most_frequent(branches):
    counter = Counter(normalize_answer(a) for a, _ in branches if a is not None)
    return counter.most_common(1)[0][0] if counter else None


@wrong(four, "add up, do not average|add up equal answers")
def by_the_mean(branches):
    counts = Counter(normalize_answer(a) for a, _ in branches if a is not None)
    sums = totals(branches)
    return max(sums, key=lambda a: sums[a] / counts[a], default=None)


@wrong(four, "normalize, then")
def without_normalizing(branches):
    counter = Counter()
    for answer, confidence in branches:
        if answer is not None:
            counter[answer] += confidence
    return counter.most_common(1)[0][0] if counter else None


@wrong(four, "not a spelling of it")
def the_first_spelling(branches):
    best = by_dictionary(branches)
    return next((a for a, _ in branches if a is not None and normalize_answer(a) == best), None)


@wrong(four, "a branch without an answer has no vote")
def counts_none(branches):
    counter = Counter()
    for answer, confidence in branches:
        counter[answer and normalize_answer(answer)] += confidence
    return counter.most_common(1)[0][0] if counter else None


@wrong(four, "stopped with ValueError")
def breaks_on_nothing(branches):
    sums = totals(branches)
    return max(sums, key=sums.get)


@wrong(four, "the answer that appeared first")
def ties_go_to_the_last(branches):
    best, best_total = None, -1.0
    for answer, total in totals(branches).items():
        if total >= best_total:
            best, best_total = answer, total
    return best


@wrong(four, "the answer that appeared first")
def ties_go_by_text(branches):
    sums = totals(branches)
    return max(sorted(sums), key=sums.get, default=None)


@wrong(four, "the answer alone")
def returns_the_pair(branches):
    return max(totals(branches).items(), key=lambda pair: pair[1], default=None)


@wrong(four, "Is a `return` missing")
def trusts_in_silence(branches):
    by_dictionary(branches)


@wrong(four, "a confidence of 0 is still an answer")
def ignores_zero(branches):
    sums = {answer: total for answer, total in totals(branches).items() if total > 0}
    return max(sums, key=sums.get, default=None)


@wrong(four, "stopped with")
def normalizes_none(branches):
    return by_dictionary([(normalize_answer(a), c) for a, c in branches])


# --- 5. forced_answer -----------------------------------------------------------------------------

five = checks.check_forced_answer
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


@right(five)
def with_extract_answer(llm, question, text, share):
    lines = text.split("\n")[:-1]
    begun = "\n".join([*lines[: int(share * len(lines))], OPENING])
    chat = [*prompts.ask(question), {"role": "assistant", "content": begun}]
    params = SamplingParams(temperature=0, max_tokens=32)
    output = llm.chat(chat, params, enable_thinking=False, continue_final_message=True)[0]
    return extract_answer(OPENING + output.completions[0].text)


@right(five)
def with_final_answer(llm, question, text, share):
    whole = lambda c: final_answer(replace(c, text=OPENING + c.text))  # noqa: E731
    return force(llm, question, text, share, rounding=math.floor, read=whole)


@right(five)
def with_a_list_of_chats(llm, question, text, share):
    kept = text.splitlines()[:-1]
    begun = "".join(f"{line}\n" for line in kept[: math.floor(len(kept) * share)]) + OPENING
    chats = [[prompts.ask(question)[0], {"role": "assistant", "content": begun}]]
    options = {"enable_thinking": False, "continue_final_message": True}
    outputs = llm.chat(chats, replace(GREEDY, max_tokens=32), **options)
    return extract_answer(begun + outputs[0].completions[0].text)


@wrong(five, "rounded down")
def rounds(llm, question, text, share):
    return force(llm, question, text, share, rounding=round)


@wrong(five, "rounded down")
def rounds_up(llm, question, text, share):
    return force(llm, question, text, share, rounding=math.ceil)


@wrong(five, "all lines but the last|the reply so far should be")
def keeps_the_last_line(llm, question, text, share):
    return force(llm, question, text, share, drop=0)


@wrong(five, "allow 32 new tokens, not 8")
def eight_tokens(llm, question, text, share):
    return force(llm, question, text, share, max_tokens=8)


@wrong(five, "allow 32 new tokens, not 700")
def room_for_steps(llm, question, text, share):
    return force(llm, question, text, share, max_tokens=700)


@wrong(five, "without continue_final_message=True")
def begins_a_new_reply(llm, question, text, share):
    return force(llm, question, text, share, continue_final_message=False)


@wrong(five, "pass enable_thinking=False")
def leaves_thinking_on(llm, question, text, share):
    return force(llm, question, text, share, enable_thinking=True)


@wrong(five, "opening of the box belongs to the text")
def reads_the_continuation_only(llm, question, text, share):
    return force(llm, question, text, share, read=lambda c: extract_answer(c.text, is_whole=False))


@wrong(five, "the reply so far should be")
def forgets_the_opening(llm, question, text, share):
    return force(llm, question, text, share, opening="")


@wrong(five, "decode greedily")
def samples(llm, question, text, share):
    return force(llm, question, text, share, temperature=0.6)


@wrong(five, "as the chain was asked for")
def asks_for_the_answer_alone(llm, question, text, share):
    return force(llm, question, text, share, instruction=prompts.DIRECT)


@wrong(five, "there is no complete answer")
def takes_an_open_box(llm, question, text, share):
    read = lambda c: c.text.removesuffix(".").removesuffix("}")  # noqa: E731
    return force(llm, question, text, share, read=read)


@wrong(five, "counts the braces|there is no complete answer")
def cuts_at_the_first_brace(llm, question, text, share):
    read = lambda c: c.text.partition("}")[0] if "}" in c.text else None  # noqa: E731
    return force(llm, question, text, share, read=read)


@wrong(five, "never called `llm.chat`")
def copies_the_answer(llm, question, text, share):
    return "42"


@wrong(five, "the reply so far should be")
def ignores_the_share(llm, question, text, share):
    return force(llm, question, text, 1.0)


@wrong(five, "not None")
def answers_in_silence(llm, question, text, share):
    force(llm, question, text, share)


# --- 6. damage and answer_after_damage ------------------------------------------------------------

six_a = checks.check_damage


@right(six_a)
def by_index(text, line):
    lines = text.split("\n")
    place = [i for i, each in enumerate(lines) if "=" in each][line]
    left, result = lines[place].split("=")
    return "\n".join([*lines[:place], f"{left}={int(result) + 1}"]) + "\n"


@right(six_a)
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


@right(six_a)
def by_pattern(text, line):
    match = list(re.finditer(r"^(.*=)(\d+)$", text, re.MULTILINE))[line]
    return f"{text[: match.start()]}{match[1]}{int(match[2]) + 1}\n"


@wrong(six_a, "cut off what follows")
def keeps_what_follows(text, line):
    damaged = by_index(text, line)
    return damaged + "\n".join(text.split("\n")[damaged.count("\n") :])


@wrong(six_a, "keep the line break")
def drops_the_line_break(text, line):
    return by_index(text, line).removesuffix("\n")


@wrong(six_a, "the second one|add 1 to the first")
def counts_from_one(text, line):
    return by_index(text, max(line - 1, 0))


@wrong(six_a, "not a digit|9 becomes 10")
def changes_the_last_digit(text, line):
    damaged = by_index(text, line).split("\n")
    original = text.split("\n")[len(damaged) - 2]
    damaged[-2] = original[:-1] + str((int(original[-1]) + 1) % 10)
    return "\n".join(damaged)


@wrong(six_a, "[Cc]hange the result only")
def replaces_everywhere(text, line):
    lines = text.split("\n")
    place = [i for i, each in enumerate(lines) if "=" in each][line]
    result = lines[place].split("=")[1]
    return "\n".join([*lines[:place], lines[place].replace(result, str(int(result) + 1))]) + "\n"


@wrong(six_a, "a line may occur twice")
def finds_the_first_such_line(text, line):
    equations = [each for each in text.split("\n") if "=" in each]
    return by_index(text, equations.index(equations[line]))


@wrong(six_a, "add 1 to the first result|count equations, not lines")
def counts_lines(text, line):
    lines = text.split("\n")
    if "=" not in lines[line]:
        return "\n".join(lines[: line + 1]) + "\n"
    left, result = lines[line].split("=")
    return "\n".join([*lines[:line], f"{left}={int(result) + 1}"]) + "\n"


@wrong(six_a, "add 1 to the first result")
def subtracts(text, line):
    lines = by_index(text, line).split("\n")
    left, result = lines[-2].split("=")
    return "\n".join([*lines[:-2], f"{left}={int(result) - 2}", ""])


@wrong(six_a, "Is a `return` missing")
def damages_in_silence(text, line):
    by_index(text, line)


@wrong(six_a, "also empty")
def drops_empty_lines(text, line):
    return re.sub(r"\n\n+", "\n", by_index(text, line))


@wrong(six_a, "add 1 to the first result")
def drops_the_plan(text, line):
    return "".join(f"{each}\n" for each in by_index(text, line).split("\n") if "=" in each)


@wrong(six_a, "returned .*1\\+2=3")
def damages_nothing(text, line):
    return text


six_b = checks.check_answer_after_damage


def continued(llm, question, text, line, **options):
    """The answer after the damage; the options make well-known mistakes."""
    params = options.pop("params", GREEDY)
    begun = options.pop("begun", by_index(text, line))
    asked = options.pop("asked", prompts.ask(question))
    options = {"enable_thinking": False, "continue_final_message": True} | options
    chat = [*asked, {"role": "assistant", "content": begun}]
    return llm.chat(chat, params, **options)[0].completions[0]


@right(six_b)
def from_the_continuation(llm, question, text, line):
    return final_answer(continued(llm, question, text, line))


@right(six_b)
def from_the_whole_text(llm, question, text, line):
    completion = continued(llm, question, text, line)
    return final_answer(replace(completion, text=by_index(text, line) + completion.text))


@wrong(six_b, "Read the answer from the model's continuation")
def returns_the_first_result(llm, question, text, line):
    completion = continued(llm, question, text, line)
    return re.search(r"=(-?\d+)", completion.text)[1] if "boxed" in completion.text else None


@wrong(six_b, "returned None")
def reads_no_negative_answer(llm, question, text, line):
    found = re.search(r"boxed\{(\d+)\}", continued(llm, question, text, line).text)
    return found[1] if found else None


@wrong(six_b, "Is a `return` missing")
def continues_in_silence(llm, question, text, line):
    continued(llm, question, text, line)


@wrong(six_b, "the reply so far should be")
def continues_the_undamaged_text(llm, question, text, line):
    return final_answer(continued(llm, question, text, line, begun=text))


@wrong(six_b, "without continue_final_message=True")
def starts_again(llm, question, text, line):
    options = {"continue_final_message": False}
    return final_answer(continued(llm, question, text, line, **options))


@wrong(six_b, "pass enable_thinking=False")
def thinks(llm, question, text, line):
    return final_answer(continued(llm, question, text, line, enable_thinking=True))


@wrong(six_b, "the rest of a chain needs room")
def has_no_room(llm, question, text, line):
    params = replace(GREEDY, max_tokens=32)
    return final_answer(continued(llm, question, text, line, params=params))


@wrong(six_b, "decode greedily")
def samples_the_rest(llm, question, text, line):
    params = SamplingParams(temperature=0.6, max_tokens=700)
    return final_answer(continued(llm, question, text, line, params=params))


@wrong(six_b, "never called `llm.chat`")
def returns_the_old_answer(llm, question, text, line):
    return extract_answer(text)


@wrong(six_b, "the reply so far should be")
def always_the_first_equation(llm, question, text, line):
    return final_answer(continued(llm, question, text, 0))


@wrong(six_b, "its roles are")
def forgets_the_question(llm, question, text, line):
    return final_answer(continued(llm, question, text, line, asked=[]))


@wrong(six_b, "there is no answer")
def reads_cut_off_numbers(llm, question, text, line):
    return extract_answer(continued(llm, question, text, line).text)


@wrong(six_b, "your function returned")
def returns_the_text(llm, question, text, line):
    return continued(llm, question, text, line).text


@wrong(six_b, "the user's message")
def asks_for_the_answer_at_once(llm, question, text, line):
    asked = prompts.ask(question, prompts.DIRECT)
    return final_answer(continued(llm, question, text, line, asked=asked))
