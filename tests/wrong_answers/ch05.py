"""Answers to chapter 5's exercises: right ones in several styles, and plausible mistakes.

Each wrong answer comes with a piece of the message that the check must give.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import partial
from statistics import mean

from ch05_refine import checks
from ch05_refine.critique import finds_nothing
from ch05_refine.outcomes import draft_after, rounds_of, score_of, tokens_after
from shared.evaluation.pool import PooledProblem
from shared.grading.voting import most_frequent

RIGHT: list[tuple[Callable, Callable]] = []
WRONG: list[tuple[Callable, Callable, str]] = []


def right(check: Callable) -> Callable:
    """The decorated function is a right answer to this check's exercise."""
    return lambda function: RIGHT.append((check, function)) or function


def wrong(check: Callable, message: str) -> Callable:
    """The decorated function is a wrong answer, to which the check must say this."""
    return lambda function: WRONG.append((check, function, message)) or function


# --- 1. where_it_ends -----------------------------------------------------------------------------

one = checks.check_where_it_ends


def shares(counts: dict[str, int]) -> tuple[float, float] | None:
    """1 - k and r, where both are defined and anything changes."""
    drafts = counts["kept"] + counts["broken"], counts["repaired"] + counts["unrepaired"]
    if not all(drafts) or not counts["broken"] + counts["repaired"]:
        return None
    return counts["broken"] / drafts[0], counts["repaired"] / drafts[1]


@right(one)
def by_formula(counts):
    found = shares(counts)
    return found and found[1] / (found[0] + found[1])


@right(one)
def by_many_rounds(counts):
    if (found := shares(counts)) is None:
        return None
    accuracy = 0.5
    for _ in range(5_000):
        accuracy = accuracy * (1 - found[0]) + (1 - accuracy) * found[1]
    return accuracy


@wrong(one, "after many rounds, not after a few")
def by_a_few_rounds(counts):
    if (found := shares(counts)) is None:
        return None
    accuracy = 0.5
    for _ in range(100):
        accuracy = accuracy * (1 - found[0]) + (1 - accuracy) * found[1]
    return accuracy


@wrong(one, "1 - k is 102/185")
def after_one_round(counts):
    if shares(counts) is None:
        return None
    return (counts["kept"] + counts["repaired"]) / sum(counts.values())


@wrong(one, "1 - k is 102/185")
def shares_of_all_drafts(counts):
    if shares(counts) is None:
        return None
    return counts["repaired"] / (counts["broken"] + counts["repaired"])


@wrong(one, "1 - k is 102/185")
def k_for_its_complement(counts):
    if (found := shares(counts)) is None:
        return None
    return found[1] / (1 - found[0] + found[1])


@wrong(one, "1 - k is 102/185")
def repaired_for_unrepaired(counts):
    if (found := shares(counts)) is None:
        return None
    return (1 - found[1]) / (found[0] + 1 - found[1])


@wrong(one, "stopped with ZeroDivisionError")
def divides_by_nothing(counts):
    breaks = counts["broken"] / (counts["kept"] + counts["broken"])
    repairs = counts["repaired"] / (counts["repaired"] + counts["unrepaired"])
    return repairs / (breaks + repairs)


@wrong(one, "0 is a result, not None")
def nothing_repaired_is_none(counts):
    return by_formula(counts) or None


@wrong(one, "in the end all is repaired")
def nothing_broken_is_none(counts):
    return by_formula(counts) if counts["broken"] else None


@wrong(one, "should be None. Nothing ever changes")
def zero_where_nothing_changes(counts):
    if not counts["broken"] + counts["repaired"] and sum(counts.values()):
        return 0.0
    return by_formula(counts)


@wrong(one, "Without right drafts there is no share k")
def right_drafts_assumed(counts):
    if counts["kept"] + counts["broken"] == 0 and counts["repaired"]:
        return 1.0
    return by_formula(counts)


@wrong(one, "Without wrong drafts there is no share r")
def wrong_drafts_assumed(counts):
    if counts["repaired"] + counts["unrepaired"] == 0 and counts["broken"]:
        return 0.0
    return by_formula(counts)


@right(one)
def until_it_stands_still(counts):
    if (found := shares(counts)) is None:
        return None
    accuracy, before = 0.5, None
    while accuracy != before:
        before = accuracy
        accuracy = accuracy * (1 - found[0]) + (1 - accuracy) * found[1]
        if before is not None and abs(accuracy - before) < 1e-12:
            break
    return accuracy


@wrong(one, "1 - k is 102/185")
def shares_of_what_is_right_afterwards(counts):
    right = counts["kept"] + counts["repaired"]
    wrong_ones = counts["broken"] + counts["unrepaired"]
    if not right or not wrong_ones:
        return None
    return (counts["repaired"] / wrong_ones) / (
        1 - counts["kept"] / right + counts["repaired"] / wrong_ones
    )


@wrong(one, "1 - k is 102/185")
def whole_numbers_only(counts):
    if shares(counts) is None:
        return None
    keeps = counts["kept"] // (counts["kept"] + counts["broken"])
    repairs = counts["repaired"] // (counts["repaired"] + counts["unrepaired"])
    return repairs / (1 - keeps + repairs) if 1 - keeps + repairs else 0.0


@wrong(one, "Nothing ever changes")
def stays_where_it_began(counts):
    if counts["kept"] and counts["unrepaired"] and not counts["broken"] + counts["repaired"]:
        return counts["kept"] / sum(counts.values())
    return by_formula(counts)


@wrong(one, "1 - k is 1, r is 0.75")
def none_where_nothing_is_kept(counts):
    return by_formula(counts) if counts["kept"] or not counts["broken"] else None


@wrong(one, "1 - k is 0.5, r is 1")
def none_where_all_is_repaired(counts):
    return None if counts["repaired"] and not counts["unrepaired"] else by_formula(counts)


@wrong(one, "but it should be 0.28")
def rounds_the_result(counts):
    found = by_formula(counts)
    return found if found is None else round(found, 3)


@wrong(one, "If you never get a number: is a `return` missing?")
def forgets_to_return(counts):
    by_formula(counts)


@wrong(one, "but it should be 0.28")
def rounds_to_five_digits(counts):
    found = by_formula(counts)
    return found if found is None else round(found, 5)


@wrong(one, "finite number")
def gives_a_percentage_text(counts):
    found = by_formula(counts)
    return found if found is None else f"{found:.1%}"


@wrong(one, "changed its input")
def empties_its_input(counts):
    found = by_formula(counts)
    counts.clear()
    return found


# --- 2. named_step --------------------------------------------------------------------------------

two = checks.check_named_step
VERDICTS = re.compile(
    r"(?:(?:wrong|incorrect) step|step that (?:is|was) (?:wrong|incorrect)) (?:is|was)\W+"
    r"(?:(?:boxed|text|step|in)\W+)*(\d)(?![\d.]*\d)"
    r"|step (\d) (?:is|was) (?:wrong|incorrect)\b(?!\?)",
    re.IGNORECASE,
)


@right(two)
def by_one_pattern(critique):
    found = [one or other for one, other in VERDICTS.findall(critique)]
    return int(found[-1]) if found else None


@right(two)
def by_sentences(critique):
    plain = re.sub(r"\\(boxed|text)|[\\{}()\[\]:\n]|\bstep\b(?= that)", " ", critique.lower())
    plain = re.sub(r"\s+", " ", plain.replace("incorrect", "wrong").replace(" was ", " is "))
    step = None
    for sentence in re.split(r"(?<=[.?]) ", plain):
        after = re.search(r"(?:wrong step|that is wrong) is (?:in )?(?:step )?(\d[\d.]*)", sentence)
        before = re.search(r"step (\d) is wrong(?!\?)", sentence)
        for match in filter(None, (after, before)):
            number = match[1].rstrip(".")
            step = int(number) if len(number) == 1 else step
    return step


@wrong(two, "Only a number that is called wrong counts")
def the_last_number_but_in_a_box(critique):
    boxed = re.findall(r"\\boxed\{\D*(\d)\}", critique)
    numbers = boxed or re.findall(r"\d+", critique)
    return int(numbers[0]) if numbers else None


@wrong(two, "The step may stand in a box")
def the_first_step_it_mentions(critique):
    numbers = re.findall(r"step (\d)", critique, re.IGNORECASE)
    return int(numbers[0]) if numbers else None


@wrong(two, "names no step")
def the_last_number(critique):
    numbers = re.findall(r"\d+", critique)
    return int(numbers[-1]) if numbers else None


@wrong(two, "says the same in another order")
def one_order_only(critique):
    said = r"that is wrong is\W+(?:\w+\W+){0,3}?(\d)\b|step (\d) is (?:wrong|incorrect)"
    numbers = [a or b for a, b in re.findall(said, critique, re.IGNORECASE)]
    return int(numbers[-1]) if numbers else None


AFTER_IT = r"\W+(?:(?:boxed|text|step|in)\W+)*(\d)(?![\d.]*\d)"
FORMS = (
    r"(?:wrong|incorrect) step (?:is|was)" + AFTER_IT,
    r"step that (?:is|was) (?:wrong|incorrect) (?:is|was)" + AFTER_IT,
    r"step (\d) (?:is|was) (?:wrong|incorrect)\b(?!\?)",
)


def last_of(critique: str, *forms: str, which: int = -1) -> int | None:
    """The step of the verdict that ends last; `which` match of each form takes part."""
    found = [list(re.finditer(form, critique, re.IGNORECASE)) for form in forms]
    ends = [(matches[which].end(), int(matches[which][1])) for matches in found if matches]
    return max(ends)[1] if ends else None


@right(two)
def form_by_form(critique):
    return last_of(critique, *FORMS)


@right(two)
def without_the_questions(critique):
    statements = re.sub(r"[^.?!\n]*\?", "", critique)
    return last_of(statements, *FORMS)


@wrong(two, "also of two in the same form")
def the_first_of_each_form(critique):
    return last_of(critique, *FORMS, which=0)


@wrong(two, "in each of the three forms")
def incorrect_in_two_forms_only(critique):
    return last_of(critique, FORMS[0], FORMS[1].replace("(?:wrong|incorrect)", "wrong"), FORMS[2])


@wrong(two, "in each of the three forms")
def a_step_is_wrong_only_now(critique):
    return last_of(critique, FORMS[0], FORMS[1], FORMS[2].replace("(?:is|was)", "is"))


@wrong(two, "in each of the three forms")
def the_wrong_step_is_only_now(critique):
    return last_of(critique, FORMS[0].replace("(?:is|was)", "is"), FORMS[1], FORMS[2])


@wrong(two, "12 is none")
def steps_of_two_digits(critique):
    return last_of(critique, FORMS[0], FORMS[1], FORMS[2].replace(r"(\d)", r"(\d+)"))


@wrong(two, "The 8 is a result")
def any_number_after_the_word_step(critique):
    return last_of(critique, FORMS[0], FORMS[1], FORMS[2].replace("step ", r"step\D*"))


@wrong(two, "the opposite")
def skips_a_word_before_wrong(critique):
    form = FORMS[2].replace("(?:wrong", r"(?:\w+ )?(?:wrong")
    return last_of(critique, FORMS[0], FORMS[1], form)


@wrong(two, "338 is a result")
def the_last_digit_of_a_result(critique):
    form = FORMS[0].replace(r"(\d)(?![\d.]*\d)", r"[\d.]*(\d)")
    return last_of(critique, form, FORMS[1], FORMS[2])


@wrong(two, "It names no number")
def any_number_after_the_verdict(critique):
    said = (
        r"(?:wrong|incorrect) (?:step )?(?:is|was)\D*(\d)(?!\d|\.\d)"
        r"|step (\d) (?:is|was) (?:wrong|incorrect)(?!\?)"
    )
    found = [one or other for one, other in re.findall(said, critique, re.IGNORECASE)]
    return int(found[-1]) if found else None


@wrong(two, "That is a question")
def takes_questions_for_verdicts(critique):
    said = VERDICTS.pattern.replace(r"\b(?!\?)", "")
    found = [one or other for one, other in re.findall(said, critique, re.IGNORECASE)]
    return int(found[-1]) if found else None


@wrong(two, "338 is a result")
def any_number_of_digits(critique):
    said = VERDICTS.pattern.replace(r"(\d)(?![\d.]*\d)", r"(\d+)")
    found = [one or other for one, other in re.findall(said, critique, re.IGNORECASE)]
    return int(found[-1]) if found else None


@wrong(two, "2.67 is a result")
def reads_a_decimal_as_a_step(critique):
    said = VERDICTS.pattern.replace(r"(?![\d.]*\d)", r"(?!\d)")
    found = [one or other for one, other in re.findall(said, critique, re.IGNORECASE)]
    return int(found[-1]) if found else None


@wrong(two, "the last verdict counts")
def the_first_verdict(critique):
    match = VERDICTS.search(critique)
    return int(match[1] or match[2]) if match else None


@wrong(two, "the last verdict counts, whichever form")
def conclusions_before_single_steps(critique):
    found = VERDICTS.findall(critique)
    first = [one for one, _ in found if one] or [other for _, other in found]
    return int(first[-1]) if first else None


@wrong(two, "Capital letters do not matter")
def small_letters_only(critique):
    lowered = critique.replace("Step", "step")
    found = [one or other for one, other in re.findall(VERDICTS.pattern, lowered)]
    return int(found[-1]) if found else None


@wrong(two, "'was' or 'is'")
def present_tense_only(critique):
    return by_one_pattern(critique.replace("was", "xxx"))


@wrong(two, "'incorrect' is another word")
def one_word_only(critique):
    return by_one_pattern(critique.replace("incorrect", "xxx"))


@wrong(two, "return an int, not a text")
def returns_the_text(critique):
    found = by_one_pattern(critique)
    return found if found is None else str(found)


@wrong(two, "but it should be 3")
def never_finds_one(critique):
    return None


@wrong(two, "stopped with IndexError")
def raises_where_there_is_none(critique):
    return int([one or other for one, other in VERDICTS.findall(critique)][-1])


@wrong(two, "praises step 3")
def takes_any_step_at_the_end(critique):
    found = by_one_pattern(critique)
    if found is None and (step := re.search(r"^step (\d) is correct", critique, re.IGNORECASE)):
        return int(step[1])
    return found


# --- 3. replayed ----------------------------------------------------------------------------------

three = checks.check_replayed


def draft_and_revision(problem: PooledProblem):
    """What the record holds after 0 rounds and after 1."""
    return draft_after(problem, "ungated", 0), draft_after(problem, "ungated", 1)


def replay(pool, accepts: Callable) -> list[bool]:
    """Whether each answer is right if `accepts` decides on draft and revision."""
    pairs = [draft_and_revision(problem) for problem in pool]
    return [(new if accepts(old, new) else old).is_right for old, new in pairs]


@right(three)
def in_a_loop(pool, gate, margin):
    right = []
    for problem in pool:
        draft, revision = draft_and_revision(problem)
        accepted = score_of(revision, gate) >= score_of(draft, gate) + margin
        right.append((revision if accepted else draft).is_right)
    return right


@right(three)
def by_difference(pool, gate, margin):
    return replay(pool, lambda old, new: score_of(new, gate) - score_of(old, gate) >= margin)


@right(three)
def only_where_there_is_a_revision(pool, gate, margin):
    right = []
    for problem in pool:
        draft, revision = draft_and_revision(problem)
        if revision is draft or score_of(revision, gate) < score_of(draft, gate) + margin:
            right.append(draft.is_right)
        else:
            right.append(revision.is_right)
    return right


@wrong(three, "a tie is accepted")
def strictly_above(pool, gate, margin):
    return replay(pool, lambda old, new: score_of(new, gate) > score_of(old, gate) + margin)


@wrong(three, "do not multiply")
def multiplies_the_margin(pool, gate, margin):
    return replay(pool, lambda old, new: score_of(new, gate) >= score_of(old, gate) * (1 + margin))


@wrong(three, "add the margin")
def ignores_the_margin(pool, gate, margin):
    return replay(pool, lambda old, new: score_of(new, gate) >= score_of(old, gate))


@wrong(three, "Use the scores of the gate that is asked for")
def ignores_the_gate(pool, gate, margin):
    return replay(
        pool, lambda old, new: score_of(new, "reward") >= score_of(old, "reward") + margin
    )


@wrong(three, "add the margin")
def subtracts_the_margin(pool, gate, margin):
    return replay(pool, lambda old, new: score_of(new, gate) >= score_of(old, gate) - margin)


@wrong(three, "right or not")
def accepts_what_is_right(pool, gate, margin):
    return replay(pool, lambda old, new: new.is_right)


@wrong(three, "right or not")
def accepts_everything(pool, gate, margin):
    return replay(pool, lambda old, new: True)


@wrong(three, "right or not")
def refuses_everything(pool, gate, margin):
    return replay(pool, lambda old, new: False)


@wrong(three, "Do not round")
def rounds_the_scores(pool, gate, margin):
    return replay(
        pool, lambda old, new: round(score_of(new, gate), 2) >= round(score_of(old, gate), 2)
    )


@right(three)
def with_a_tolerance(pool, gate, margin):
    return replay(pool, lambda old, new: score_of(new, gate) - score_of(old, gate) > margin - 1e-9)


@wrong(three, "independent samples in the record")
def takes_the_third_text(pool, gate, margin):
    pairs = [(p.samples[0], p.samples[2] if len(p.samples) > 2 else p.samples[0]) for p in pool]
    accepted = [score_of(new, gate) >= score_of(old, gate) + margin for old, new in pairs]
    return [(new if yes else old).is_right for yes, (old, new) in zip(accepted, pairs)]


@wrong(three, "Only one round")
def after_two_rounds(pool, gate, margin):
    pairs = [[draft_after(problem, "ungated", rounds) for rounds in (0, 2)] for problem in pool]
    accepted = [score_of(new, gate) >= score_of(old, gate) + margin for old, new in pairs]
    return [(new if yes else old).is_right for yes, (old, new) in zip(accepted, pairs)]


@wrong(three, "right or not")
def counts_what_was_right_before(pool, gate, margin):
    return [
        old.is_right or (new.is_right and score_of(new, gate) >= score_of(old, gate) + margin)
        for old, new in map(draft_and_revision, pool)
    ]


@wrong(three, "A negative margin accepts")
def takes_the_size_of_the_margin(pool, gate, margin):
    return replay(pool, lambda old, new: score_of(new, gate) >= score_of(old, gate) + abs(margin))


@wrong(three, "A negative margin accepts")
def no_margin_below_zero(pool, gate, margin):
    return in_a_loop(pool, gate, max(margin, 0))


@wrong(three, "Scores may be negative")
def compares_sizes(pool, gate, margin):
    return replay(
        pool, lambda old, new: abs(score_of(new, gate)) >= abs(score_of(old, gate)) + margin
    )


@wrong(three, "computed from the log-probability")
def reads_the_measure(pool, gate, margin):
    return replay(pool, lambda old, new: new.measures[gate] >= old.measures[gate] + margin)


@wrong(three, "one bool per problem")
def skips_what_was_not_revised(pool, gate, margin):
    revised = [p for p in pool if draft_and_revision(p)[0] is not draft_and_revision(p)[1]]
    return in_a_loop(revised, gate, margin)


@wrong(three, "one bool per problem")
def gives_the_accuracy(pool, gate, margin):
    return mean(in_a_loop(pool, gate, margin)) if pool else 0.0


@wrong(three, "one bool per problem")
def gives_the_scores(pool, gate, margin):
    return [score_of(draft_and_revision(problem)[1], gate) for problem in pool]


@wrong(three, "Is a `return` missing?")
def appends_and_forgets(pool, gate, margin):
    in_a_loop(pool, gate, margin)


@wrong(three, "right or not")
def says_what_was_accepted(pool, gate, margin):
    pairs = [draft_and_revision(problem) for problem in pool]
    return [score_of(new, gate) >= score_of(old, gate) + margin for old, new in pairs]


@wrong(three, "stopped with IndexError")
def needs_a_first_problem(pool, gate, margin):
    ways = {entry.get("way") for entry in pool[0].trace}
    return in_a_loop(pool, gate, margin) if ways else []


# --- 4. other_complaint ---------------------------------------------------------------------------

four = checks.check_other_complaint
SAYS = "This step is wrong: "


def other_steps(draft: str, critique: str) -> list[str]:
    """The lines that may be drawn."""
    return [step for step in draft.split("\n")[1:-1] if SAYS + step != critique]


@right(four)
def by_a_generator_of_its_own(draft, critique):
    if finds_nothing(critique):
        return critique
    steps = other_steps(draft, critique)
    return SAYS + random.Random(draft).choice(steps) if steps else "Some step is wrong."


@right(four)
def in_other_words(draft, critique):
    if finds_nothing(critique):
        return critique
    named = critique.partition(": ")[2]
    first, *rest = draft.splitlines() or [""]
    steps = [line for line in rest[:-1] if line != named]
    if len(steps) == 0:
        return "Some step is wrong."
    rng = random.Random()
    rng.seed(draft)
    return f"This step is wrong: {rng.choice(steps)}"


@wrong(four, "global random state")
def seeds_the_global_state(draft, critique):
    if finds_nothing(critique) or not (steps := other_steps(draft, critique)):
        return by_a_generator_of_its_own(draft, critique)
    random.seed(draft)
    return SAYS + random.choice(steps)


@wrong(four, "global random state")
def draws_from_the_global_state(draft, critique):
    if finds_nothing(critique) or not (steps := other_steps(draft, critique)):
        return by_a_generator_of_its_own(draft, critique)
    return SAYS + random.choice(steps)


@wrong(four, "Seed with the draft itself")
def the_same_seed_for_all(draft, critique):
    if finds_nothing(critique) or not (steps := other_steps(draft, critique)):
        return by_a_generator_of_its_own(draft, critique)
    return SAYS + random.Random(0).choice(steps)


@wrong(four, "Seed with the draft itself")
def always_the_first_step(draft, critique):
    if finds_nothing(critique) or not (steps := other_steps(draft, critique)):
        return by_a_generator_of_its_own(draft, critique)
    return SAYS + steps[0]


@wrong(four, "Seed with the draft itself")
def without_repeats(draft, critique):
    if finds_nothing(critique) or not (steps := other_steps(draft, critique)):
        return by_a_generator_of_its_own(draft, critique)
    return SAYS + random.Random(draft).choice(sorted(set(steps)))


def drawn_from(draft: str, critique: str, steps: list[str]) -> str:
    """The complaint about one of these steps, where there is something to complain about."""
    if finds_nothing(critique):
        return critique
    return SAYS + random.Random(draft).choice(steps) if steps else "Some step is wrong."


@wrong(four, "the one that the critique names")
def names_the_same_step_too(draft, critique):
    return drawn_from(draft, critique, draft.split("\n")[1:-1])


@wrong(four, "the first, the last")
def includes_the_last_line(draft, critique):
    return drawn_from(
        draft, critique, [line for line in draft.split("\n")[1:] if SAYS + line != critique]
    )


@wrong(four, "the first, the last")
def includes_the_plan(draft, critique):
    return drawn_from(
        draft, critique, [line for line in draft.split("\n")[:-1] if SAYS + line != critique]
    )


@wrong(four, "every line that equals")
def leaves_out_one_of_two_equal_lines(draft, critique):
    steps = draft.split("\n")[1:-1]
    if critique.removeprefix(SAYS) in steps:
        steps.remove(critique.removeprefix(SAYS))
    return drawn_from(draft, critique, steps)


@wrong(four, "also a step")
def draws_equations_only(draft, critique):
    return drawn_from(
        draft, critique, [line for line in other_steps(draft, critique) if "=" in line]
    )


@wrong(four, "compare whole lines")
def leaves_out_what_contains_it(draft, critique):
    named = critique.removeprefix(SAYS)
    return drawn_from(
        draft, critique, [line for line in draft.split("\n")[1:-1] if named not in line]
    )


@right(four)
def after_the_colon(draft, critique):
    named = critique.split(": ", 1)[-1].strip()
    return drawn_from(draft, critique, [s for s in draft.splitlines()[1:-1] if s != named])


@wrong(four, "one may be a part of the other")
def leaves_out_what_the_critique_contains(draft, critique):
    steps = [line for line in draft.split("\n")[1:-1] if line not in critique]
    return drawn_from(draft, critique, steps)


@wrong(four, "one may be a part of the other")
def compares_the_end_of_the_critique(draft, critique):
    steps = [line for line in draft.split("\n")[1:-1] if not critique.endswith(line)]
    return drawn_from(draft, critique, steps)


@wrong(four, "one may be a part of the other")
def compares_the_beginning_of_the_line(draft, critique):
    named = critique.removeprefix(SAYS)
    steps = [line for line in draft.split("\n")[1:-1] if not line.startswith(named)]
    return drawn_from(draft, critique, steps)


@wrong(four, "one may be a part of the other")
def compares_left_sides(draft, critique):
    named = critique.removeprefix(SAYS).split("=")[0]
    steps = [line for line in draft.split("\n")[1:-1] if line.split("=")[0] != named]
    return drawn_from(draft, critique, steps)


@wrong(four, "whatever they say")
def looks_for_plan_and_answer(draft, critique):
    named = critique.removeprefix(SAYS)
    lines = [line for line in draft.split("\n") if line != named]
    steps = [line for line in lines if not line.startswith(("Plan", "The answer"))]
    return drawn_from(draft, critique, steps)


@wrong(four, "all steps remain")
def is_vague_without_a_quotation(draft, critique):
    if critique.removeprefix(SAYS) not in draft.split("\n"):
        return critique if finds_nothing(critique) else "Some step is wrong."
    return drawn_from(draft, critique, other_steps(draft, critique))


@wrong(four, "finds nothing, so it must come back")
def praise_begins_in_one_of_two_ways(draft, critique):
    if critique.startswith(("All steps", "There are no")):
        return critique
    steps = other_steps(draft, critique)
    return SAYS + random.Random(draft).choice(steps) if steps else "Some step is wrong."


@wrong(four, "That is a complaint")
def praise_has_the_words_all_steps_and_right(draft, critique):
    if re.search("all steps are (right|correct)|no mistakes", critique, re.IGNORECASE):
        return critique
    return drawn_from(draft, critique, other_steps(draft, critique))


@wrong(four, "finds nothing, so it must come back")
def complains_about_praise(draft, critique):
    steps = other_steps(draft, critique)
    return SAYS + random.Random(draft).choice(steps) if steps else "Some step is wrong."


@wrong(four, "finds nothing, so it must come back")
def knows_one_sentence_of_praise(draft, critique):
    if critique == "All steps are right.":
        return critique
    return complains_about_praise(draft, critique)


@wrong(four, "stopped with IndexError")
def needs_a_step(draft, critique):
    if finds_nothing(critique):
        return critique
    return SAYS + random.Random(draft).choice(other_steps(draft, critique))


@wrong(four, "every line that equals")
def needs_the_named_line(draft, critique):
    if finds_nothing(critique):
        return critique
    steps = draft.split("\n")[1:-1]
    steps.remove(critique.removeprefix(SAYS))
    return drawn_from(draft, critique, steps)


@wrong(four, "and then one of")
def forgets_the_sentence(draft, critique):
    steps = other_steps(draft, critique)
    return critique if finds_nothing(critique) else random.Random(draft).choice(steps or [""])


@wrong(four, "return the text of a critique")
def returns_the_list(draft, critique):
    return critique if finds_nothing(critique) else other_steps(draft, critique)


@wrong(four, "Is a `return` missing?")
def returns_only_praise(draft, critique):
    if finds_nothing(critique):
        return critique


@wrong(four, "finds nothing, so it must come back")
def is_always_vague(draft, critique):
    return "Some step is wrong."


# --- 5. stopped -----------------------------------------------------------------------------------

five = checks.check_stopped
WAY = "reward, no stop"


def score_after(problem: PooledProblem, rounds: int) -> float:
    """The reward of the draft that is held after these rounds."""
    return score_of(draft_after(problem, WAY, rounds), "reward")


def result_after(problem: PooledProblem, rounds: int) -> tuple[bool, int]:
    """Whether the held draft is right, and all tokens until then."""
    return draft_after(problem, WAY, rounds).is_right, tokens_after(problem, WAY, rounds)


@right(five)
def with_next(problem, enough, rounds=3):
    scores = [score_after(problem, number) for number in range(rounds + 1)]
    last = next((number for number, score in enumerate(scores) if score >= enough), rounds)
    return result_after(problem, last)


@right(five)
def with_while(problem, enough, rounds=3):
    number = 0
    while number < rounds and not score_after(problem, number) >= enough:
        number += 1
    return result_after(problem, number)


@wrong(five, "just enough is enough")
def strictly_more(problem, enough, rounds=3):
    passed = [n for n in range(rounds + 1) if score_after(problem, n) > enough]
    return result_after(problem, (passed or [rounds])[0])


@wrong(five, "The first revision is enough")
def never_stops_midway(problem, enough, rounds=3):
    return result_after(problem, 0 if score_after(problem, 0) >= enough else rounds)


@wrong(five, "The first revision is enough")
def one_round_too_many(problem, enough, rounds=3):
    passed = [n for n in range(rounds + 1) if score_after(problem, n) >= enough]
    last = (passed or [rounds])[0]
    return result_after(problem, min(last + 1, rounds) if last else 0)


@right(five)
def recursively(problem, enough, rounds=3, number=0):
    if number == rounds or score_after(problem, number) >= enough:
        return list(result_after(problem, number))
    return recursively(problem, enough, rounds, number + 1)


@wrong(five, "right or not does not count")
def the_best_that_was_held(problem, enough, rounds=3):
    passed = [n for n in range(rounds + 1) if score_after(problem, n) >= enough]
    if passed:
        return result_after(problem, passed[0])
    best = max(range(rounds + 1), key=lambda number: score_after(problem, number))
    return draft_after(problem, WAY, best).is_right, tokens_after(problem, WAY, rounds)


@wrong(five, "the draft itself")
def begins_after_the_first_round(problem, enough, rounds=3):
    for number in range(1, rounds + 1):
        if score_after(problem, number) >= enough:
            return result_after(problem, number)
    return result_after(problem, rounds)


@wrong(five, "Only the third revision")
def leaves_out_the_last_round(problem, enough, rounds=3):
    for number in range(rounds):
        if score_after(problem, number) >= enough:
            break
    return result_after(problem, number)


@wrong(five, "The first revision is enough")
def adds_up_what_is_added_up(problem, enough, rounds=3):
    tokens = 0
    for number in range(rounds + 1):
        tokens += tokens_after(problem, WAY, number)
        if score_after(problem, number) >= enough:
            break
    return draft_after(problem, WAY, number).is_right, tokens


@wrong(five, "Only the third revision")
def stops_at_the_first_refusal(problem, enough, rounds=3):
    for number in range(rounds + 1):
        same = number and draft_after(problem, WAY, number) is draft_after(problem, WAY, number - 1)
        if same or score_after(problem, number) >= enough:
            break
    return result_after(problem, number)


@wrong(five, "accepted or not")
def tokens_of_one_round_too_few(problem, enough, rounds=3):
    is_right, _ = with_next(problem, enough, rounds)
    passed = [n for n in range(rounds + 1) if score_after(problem, n) >= enough]
    last = (passed or [rounds])[0]
    return is_right, tokens_after(problem, WAY, max(0, last - 1))


@wrong(five, "accepted or not")
def tokens_of_the_held_draft(problem, enough, rounds=3):
    passed = [n for n in range(rounds + 1) if score_after(problem, n) >= enough]
    held = draft_after(problem, WAY, (passed or [rounds])[0])
    return held.is_right, held.num_tokens


@wrong(five, "accepted or not")
def tokens_of_solutions_only(problem, enough, rounds=3):
    passed = [n for n in range(rounds + 1) if score_after(problem, n) >= enough]
    last = (passed or [rounds])[0]
    entries = rounds_of(problem, WAY, last)
    tokens = sum(problem.samples[entry["solution"]].num_tokens for entry in entries)
    return draft_after(problem, WAY, last).is_right, tokens


@wrong(five, "accepted or not")
def tokens_of_accepted_rounds(problem, enough, rounds=3):
    passed = [n for n in range(rounds + 1) if score_after(problem, n) >= enough]
    last = (passed or [rounds])[0]
    entries = [entry for entry in rounds_of(problem, WAY, last) if entry["accepted"]]
    used = [entry[name] for entry in entries for name in ("critique", "solution")]
    tokens = sum(problem.samples[i].num_tokens for i in used if i is not None)
    return draft_after(problem, WAY, last).is_right, tokens


@wrong(five, "just enough is enough, in the middle too")
def ties_only_at_the_draft(problem, enough, rounds=3):
    if score_after(problem, 0) >= enough:
        return result_after(problem, 0)
    return strictly_more(problem, enough, rounds)


@wrong(five, "how many rounds there are at most")
def always_three_rounds(problem, enough, rounds=3):
    return with_next(problem, enough, 3)


@wrong(five, "Every score is enough")
def ignores_the_bar(problem, enough, rounds=3):
    return result_after(problem, rounds)


@wrong(five, "The first revision is enough")
def a_bar_of_its_own(problem, enough, rounds=3):
    return with_next(problem, enough if enough < 0.4 else 0.7, rounds)


@wrong(five, "right or not does not count")
def looks_at_what_was_refused(problem, enough, rounds=3):
    _, tokens = with_next(problem, enough, rounds)
    entries = rounds_of(problem, WAY, rounds)
    solutions = [problem.samples[entry["solution"]] for entry in entries]
    passed = [s for s in solutions if score_of(s, "reward") >= enough]
    return (passed or [solutions[-1]])[0].is_right, tokens


@wrong(five, "the draft that is held after all rounds")
def gives_up_on_the_draft(problem, enough, rounds=3):
    passed = [n for n in range(rounds + 1) if score_after(problem, n) >= enough]
    if not passed:
        return not draft_after(problem, WAY, 0).is_right, tokens_after(problem, WAY, rounds)
    return result_after(problem, passed[0])


@wrong(five, "a pair, is_right and tokens")
def only_says_whether(problem, enough, rounds=3):
    return with_next(problem, enough, rounds)[0]


@wrong(five, "stopped with IndexError")
def raises_where_nothing_is_enough(problem, enough, rounds=3):
    return result_after(
        problem, [n for n in range(rounds + 1) if score_after(problem, n) >= enough][0]
    )


@wrong(five, "Is a `return` missing?")
def prints_and_forgets(problem, enough, rounds=3):
    with_next(problem, enough, rounds)


# --- 6. combined ----------------------------------------------------------------------------------

BUDGET = mean((77, 77, 43))  # one round: 40 + 3 + 34 tokens, without a revision 43
six = partial(checks.check_combined, pool=checks.TOY, budget=BUDGET)


@right(six)
def only_the_draft(problem):
    return problem.draft().answer


@right(six)
def better_of_two_samples(problem):
    samples = [problem.sample(0), problem.sample(1)]
    return max(samples, key=lambda sample: sample.scores["reward"]).answer


@right(six)
def sample_where_the_critique_complains(problem):
    draft = problem.draft()
    if finds_nothing(problem.critique()) or draft.scores["reward"] >= 0.9:
        return draft.answer
    texts = [draft, problem.sample(0)] if draft.scores["reward"] < 0.3 else [draft]
    return max(texts, key=lambda text: text.scores["reward"]).answer


@right(six)
def one_gated_round(problem):
    draft, revision = problem.draft(), problem.revision()
    if revision is None or revision.scores["reward"] < draft.scores["reward"]:
        return draft.answer
    return revision.answer


@right(six)
def a_second_sample_where_needed(problem):
    first = problem.sample(0)
    if first.scores["reward"] >= 0.5:
        return first.answer
    return max(first, problem.sample(1), key=lambda sample: sample.scores["reward"]).answer


@wrong(six, "Only the answer of a text that was paid for counts")
def returns_the_sample(problem):
    return max(problem.sample(0), problem.sample(1), key=lambda sample: sample.scores["reward"])


@wrong(six, "answers ''")
def returns_the_text_of_the_draft(problem):
    return problem.draft().text


@wrong(six, "Is a `return` missing?")
def has_no_answer_where_it_doubts(problem):
    draft = problem.draft()
    return draft.answer if draft.scores["reward"] >= 0.3 else None


@wrong(six, "stopped with AttributeError: 'NoneType'")
def gates_without_a_revision(problem):
    draft, revision = problem.draft(), problem.revision()
    is_better = revision.scores["reward"] >= draft.scores["reward"]
    return revision.answer if is_better else draft.answer


@wrong(six, "but the budget is 66")
def a_draft_and_two_samples_if_in_doubt(problem):
    draft = problem.draft()
    if draft.scores["reward"] >= 0.9:
        return draft.answer
    return max((problem.sample(i) for i in range(2)), key=lambda s: s.scores["reward"]).answer


@wrong(six, "stopped with TypeError")
def compares_solutions(problem):
    return max(problem.draft(), problem.sample(0)).answer


@wrong(six, "but the budget is 66")
def all_samples(problem):
    return most_frequent([problem.sample(number).answer for number in range(4)])


@wrong(six, "but the budget is 66")
def three_samples(problem):
    return max((problem.sample(i) for i in range(3)), key=lambda s: s.scores["reward"]).answer


@wrong(six, "but the budget is 66")
def a_round_and_a_sample(problem):
    texts = [problem.draft(), problem.sample(0)]
    texts += filter(None, [problem.revision()])
    return max(texts, key=lambda text: text.scores["reward"]).answer


@wrong(six, "answers '42'")
def a_constant(problem):
    problem.draft()
    return "42"


@wrong(six, "but it has read the answers []")
def an_answer_that_was_not_paid_for(problem):
    return "1"


@wrong(six, "has no attribute '_samples'")
def reads_behind_the_counter(problem):
    return problem._samples[1].answer


@wrong(six, "Only the answer of a text that was paid for counts")
def pays_for_another_text(problem):
    problem.sample(0)
    return "5"


@wrong(six, "has no attribute 'is_right'")
def takes_what_is_right(problem):
    texts = [problem.draft(), problem.sample(0)]
    return next((text for text in texts if text.is_right), texts[0]).answer


@wrong(six, "has no attribute 'gold'")
def looks_up_the_gold_answer(problem):
    problem.draft()
    return problem.gold


@wrong(six, "has no attribute 'samples'")
def uses_the_whole_record(problem):
    return most_frequent([sample.answer for sample in problem.samples])


@wrong(six, "Is a `return` missing?")
def answers_nothing(problem):
    problem.draft()


@wrong(six, "seed what you draw")
def draws_without_a_seed(problem, calls=[]):  # noqa: B006  (a counter stands for chance)
    calls.append(0)
    return problem.sample(len(calls) % 2).answer


@wrong(six, "stopped with AttributeError: 'NoneType'")
def assumes_a_revision(problem):
    return problem.revision().answer


@wrong(six, "there is no sample 4")
def a_sample_too_far(problem):
    return problem.sample(4).answer


@wrong(six, "stopped with KeyError")
def a_gate_that_is_not_recorded(problem):
    return max(problem.sample(0), problem.draft(), key=lambda s: s.scores["judge"]).answer
