"""Answers to chapter 4's exercises: right ones in several styles, and plausible mistakes.

Each wrong answer comes with a piece of the message that the check must give.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean

from ch04_rejection import checks
from ch04_rejection.code_tasks import load_tasks
from shared import Cost
from shared.grading.arithmetic import equations
from shared.grading.voting import count_votes, most_frequent, winner
from shared.rewards.interfaces import Verdicts
from shared.rewards.verifiers import WellFormed

RIGHT: list[tuple[Callable, object]] = []
WRONG: list[tuple[Callable, object, str]] = []
NAMES: dict[int, str] = {}  # of answers that are values, by their id


def right(check: Callable) -> Callable:
    """The decorated function is a right answer to this check's exercise."""
    return lambda function: RIGHT.append((check, function)) or function


def wrong(check: Callable, message: str) -> Callable:
    """The decorated function is a wrong answer, to which the check must say this."""
    return lambda function: WRONG.append((check, function, message)) or function


def wrong_variants(check: Callable, variants: dict[str, tuple[object, str]]) -> None:
    """Add wrong answers that are one expression: name -> (function or value, message)."""
    for name, (answer, message) in variants.items():
        if callable(answer):
            answer.__name__ = name
        NAMES[id(answer)] = name
        WRONG.append((check, answer, message))


def name_of(answer: object) -> str:
    """The name of an answer, for the name of its test."""
    return NAMES.get(id(answer)) or answer.__name__


# --- 1. mean_draws --------------------------------------------------------------------------------

one = checks.check_mean_draws


@right(one)
def adds_chances(p, budget):
    return sum((1 - p) ** i for i in range(budget))


@right(one)
def closed_form(p, budget):
    return (1 - (1 - p) ** budget) / p if p else budget


@right(one)
def by_recursion(p, budget):
    total = 0.0
    for _ in range(budget):
        total = 1 + (1 - p) * total
    return total


@right(one)
def calls_itself(p, budget):
    return 1 + (1 - p) * calls_itself(p, budget - 1) if budget else 0


@wrong(one, "do not simulate it")
def simulates(p, budget):
    runs = [next((i for i in range(1, budget) if random.random() < p), budget) for _ in range(1000)]
    return fmean(runs)


@wrong(one, "The first draw is always made")
def skips_the_last_draw_of_a_failure(p, budget):
    return sum(i * p * (1 - p) ** (i - 1) for i in range(1, budget + 1)) or budget


@wrong(one, "should be 1.5")
def draws_of_a_success(p, budget):
    chances = [p * (1 - p) ** i for i in range(budget)]
    if not sum(chances):
        return budget
    return sum(i * chance for i, chance in enumerate(chances, 1)) / sum(chances)


wrong_variants(
    one,
    {
        "without_a_budget": (lambda p, budget: 1 / p if p else budget, "first draw is always made"),
        "cut_at_the_budget": (
            lambda p, budget: min(1 / p, budget) if p else budget,
            "should be 1.5",
        ),
        "divides_by_zero": (
            lambda p, budget: (1 - (1 - p) ** budget) / p,
            "mean_draws(0, 9): your function stopped with ZeroDivisionError",
        ),
        "one_draw_too_few": (
            lambda p, budget: sum((1 - p) ** i for i in range(budget - 1)),
            "mean_draws(0, 9) returned 8",
        ),
        "one_draw_too_many": (
            lambda p, budget: sum((1 - p) ** i for i in range(budget + 1)),
            "mean_draws(0, 9) returned 10",
        ),
        "starts_at_one": (
            lambda p, budget: sum((1 - p) ** i for i in range(1, budget + 1)),
            "always accepted takes one draw",
        ),
        "acceptance_for_rejection": (
            lambda p, budget: sum(p**i for i in range(budget)),
            "always accepted takes one draw",
        ),
        "chance_of_a_yes": (lambda p, budget: 1 - (1 - p) ** budget, "mean_draws(0, 9) returned 0"),
        "rounds_up": (
            lambda p, budget: math.ceil(sum((1 - p) ** i for i in range(budget))),
            "mean_draws(0.5, 2) returned 2",
        ),
        "rounds_to_tenths": (
            lambda p, budget: round(sum((1 - p) ** i for i in range(budget)), 1),
            "mean_draws(0.5, 3) returned 1.8",
        ),
        "ignores_the_budget_above_two": (
            lambda p, budget: adds_chances(p, min(budget, 2)),
            "mean_draws(0, 9) returned 2",
        ),
        "the_budget_for_a_small_p": (
            lambda p, budget: budget if p < 0.05 else adds_chances(p, budget),
            "mean_draws(0.01, 2) returned 2",
        ),
        "returns_the_budget": (lambda p, budget: budget, "always accepted takes one draw"),
        "returns_none": (lambda p, budget: None, "Is a `return` missing?"),
        "returns_none_at_zero": (
            lambda p, budget: (1 - (1 - p) ** budget) / p if p else None,
            "mean_draws(0, 9): your function returned None",
        ),
    },
)


# --- 2. precision_of ------------------------------------------------------------------------------

two = checks.check_precision_of


@right(two)
def accepted_shares(right_share, false_accepts, false_rejects):
    true = right_share * (1 - false_rejects)
    false = (1 - right_share) * false_accepts
    return true / (true + false) if true + false else math.nan


@right(two)
def with_try(right_share, false_accepts, false_rejects):
    true, false = right_share - right_share * false_rejects, false_accepts * (1 - right_share)
    try:
        return 1 - false / (true + false)
    except ZeroDivisionError:
        return float("nan")


def of(true: Callable, false: Callable, nothing: object = math.nan) -> Callable:
    """A precision from formulas for what is accepted and right, and accepted and wrong."""

    def precision(r, fa, fr):
        a, b = true(r, fa, fr), false(r, fa, fr)
        return a / (a + b) if a + b else nothing

    return precision


def kept(r, fa, fr):
    return r * (1 - fr)


def slipped_in(r, fa, fr):
    return (1 - r) * fa


wrong_variants(
    two,
    {
        "ignores_how_many_are_right": (
            of(lambda r, fa, fr: 1 - fr, lambda r, fa, fr: fa),
            "Few solutions are right here",
        ),
        "right_share_for_wrong_ones": (
            of(kept, lambda r, fa, fr: r * fa),
            "Few solutions are right here",
        ),
        "rejected_for_accepted": (
            of(lambda r, fa, fr: r * fr, slipped_in),
            "Accepted and right: right * (1 - false_rejects)",
        ),
        "swaps_the_mistakes": (
            of(lambda r, fa, fr: r * (1 - fa), lambda r, fa, fr: (1 - r) * fr),
            "Accepted and right: right * (1 - false_rejects)",
        ),
        "ignores_false_rejects": (of(lambda r, fa, fr: r, slipped_in), "Accepted and right"),
        "ignores_false_accepts": (of(kept, lambda r, fa, fr: 1 - r), "Accepted and right"),
        "acceptance": (lambda r, fa, fr: kept(r, fa, fr) + slipped_in(r, fa, fr), "0.55"),
        "recall": (lambda r, fa, fr: 1 - fr, "0.9000"),
        "wrong_share_not_scaled": (of(kept, lambda r, fa, fr: fa), "Accepted and right"),
        "zero_for_nothing": (of(kept, slipped_in, 0.0), "return math.nan"),
        "one_for_nothing": (of(kept, slipped_in, 1.0), "return math.nan"),
        "none_for_nothing": (of(kept, slipped_in, None), "returned None"),
        "divides_by_zero": (
            lambda r, fa, fr: kept(r, fa, fr) / (kept(r, fa, fr) + slipped_in(r, fa, fr)),
            "stopped with ZeroDivisionError",
        ),
        "nan_where_all_right_ones_are_rejected": (
            lambda r, fa, fr: math.nan if fr == 1 else accepted_shares(r, fa, fr),
            "precision_of(0.5, 0.2, 1)",
        ),
        "nan_without_right_ones": (
            lambda r, fa, fr: accepted_shares(r, fa, fr) or math.nan,
            "precision_of(0.5, 0.2, 1)",
        ),
        "nan_without_false_accepts": (
            lambda r, fa, fr: accepted_shares(r, fa, fr) if fa else math.nan,
            "precision_of(0.5, 0, 0.9)",
        ),
        "share_of_wrong_ones": (of(slipped_in, kept), "0.1818"),
        "rounds": (lambda r, fa, fr: round(accepted_shares(r, fa, fr), 2), "0.8200"),
        "returns_none": (lambda r, fa, fr: None, "Is a `return` missing?"),
    },
)


# --- 3. Grounded ----------------------------------------------------------------------------------

three = checks.check_grounded


@right(three)
class WithSets:
    name = "grounded"

    def verify(self, llm, question, solutions):
        accepted = []
        well_formed, cost = WellFormed().verify(llm, question, solutions)
        for is_fine, solution in zip(well_formed, solutions):
            known = set(re.findall("[0-9]+", question))
            for equation in equations(solution.text):
                left, _, result = equation.text.rpartition("=")
                numbers = re.findall("[0-9]+", left)
                is_fine = is_fine and all(n in known or re.fullmatch("[1-9]0*", n) for n in numbers)
                known.add(result)
            accepted.append(is_fine)
        return Verdicts(accepted, cost)


@right(three)
class WithNumbers:
    name = "grounded"

    def is_grounded(self, question: str, text: str) -> bool:
        known = [int(n) for n in re.findall(r"\d+", question)]
        for equation in equations(text):
            left, result = equation.text.split("=")
            for number in map(int, re.findall(r"\d+", left)):
                if number not in known and len(str(number).rstrip("0")) > 1:
                    return False
            known.append(int(result))
        return True

    def verify(self, llm, question, solutions):
        fine = WellFormed().verify(llm, question, solutions).accepted
        return Verdicts(
            [ok and self.is_grounded(question, s.text) for ok, s in zip(fine, solutions)], Cost()
        )


def is_simple(number: str) -> bool:
    return re.fullmatch("[1-9]0*", number) is not None


def grounded(
    *,
    knows: Callable[[str, set, str], bool] = lambda number, known, question: number in known,
    simple: Callable[[str], bool] = is_simple,
    read: Callable[[str], list[str]] = lambda left: re.findall("[0-9]+", left),
    remember: Callable[[set, str], set] = lambda known, result: known | {result},
    before: Callable[[str, Sequence], set] = lambda question, found: set(
        re.findall("[0-9]+", question)
    ),
    early: bool = False,  # a result is known before its equation is checked
    is_formed: Callable[[object], bool] = lambda s: WellFormed().verify(None, "", [s]).accepted[0],
    output: Callable[[list], object] = lambda accepted: Verdicts(accepted, Cost()),
) -> type:
    """The verifier with one part replaced."""

    class Grounded:
        name = "grounded"

        def verify(self, llm, question, solutions):
            accepted = []
            for solution in solutions:
                found = equations(solution.text)
                known, is_fine = before(question, found), is_formed(solution)
                for equation in found:
                    left, _, result = equation.text.rpartition("=")
                    known = remember(known, result) if early else known
                    for number in read(left):
                        is_fine = is_fine and (knows(number, known, question) or simple(number))
                    known = known if early else remember(known, result)
                accepted.append(is_fine)
            return output(accepted)

    return Grounded


class LeaksResults:
    """What one solution computed is known in the next."""

    def verify(self, llm, question, solutions):
        known, accepted = set(re.findall("[0-9]+", question)), []
        well_formed, cost = WellFormed().verify(llm, question, solutions)
        for is_fine, solution in zip(well_formed, solutions):
            for equation in equations(solution.text):
                left, _, result = equation.text.rpartition("=")
                numbers = re.findall("[0-9]+", left)
                is_fine = is_fine and all(n in known or is_simple(n) for n in numbers)
                known.add(result)
            accepted.append(is_fine)
        return Verdicts(accepted, cost)


class StopsAtTheFirst:
    """Judges the first solution only."""

    def verify(self, llm, question, solutions):
        for solution in solutions:
            return grounded()().verify(llm, question, [solution])
        return Verdicts([], Cost())


class FirstQuestion:
    """Remembers the numbers of the first question for all that follow."""

    def __init__(self):
        self.question = None

    def verify(self, llm, question, solutions):
        self.question = self.question or question
        return grounded()().verify(llm, self.question, solutions)


class ReturnsNone:
    def verify(self, llm, question, solutions):
        grounded()().verify(llm, question, solutions)


class NotWritten:
    def verify(self, llm, question, solutions):
        raise NotImplementedError


wrong_variants(
    three,
    {
        "substring_of_the_question": (
            grounded(knows=lambda n, known, question: n in known or n in question),
            "only a part of the number 145",
        ),
        "substring_of_a_known_number": (
            grounded(knows=lambda n, known, question: any(n in each for each in known)),
            "only a part of the number 145",
        ),
        "the_last_result_only": (
            grounded(
                knows=lambda n, known, question: n in re.findall("[0-9]+", question) or n in known,
                before=lambda question, found: set(),
                remember=lambda known, result: {result},
            ),
            "though not the last result",
        ),
        "known_before_the_check": (grounded(early=True), "only AFTER its own equation"),
        "all_results_from_the_start": (
            grounded(
                before=lambda question, found: {
                    *re.findall("[0-9]+", question),
                    *(equation.text.rpartition("=")[2] for equation in found),
                }
            ),
            "computed only after it is used",
        ),
        "forgets_results": (
            grounded(remember=lambda known, result: known),
            "42 is the result of an earlier equation",
        ),
        "leaks_results": (LeaksResults, "computed in ANOTHER solution"),
        "every_number_of_earlier_equations": (
            grounded(knows=lambda n, known, question: n in known or n == "43"),
            "Where is 43 from?",
        ),
        "single_digits_only": (
            grounded(simple=lambda n: len(n) == 1),
            "10 is one digit with a zero after it",
        ),
        "no_simple_numbers": (
            grounded(simple=lambda n: False),
            "10 is one digit with a zero after it",
        ),
        "starts_with_a_simple_number": (
            grounded(simple=lambda n: re.match("[1-9]0*", n) is not None),
            "computed in ANOTHER solution",
        ),
        "ends_with_zero": (
            grounded(simple=lambda n: len(n) == 1 or n.endswith("0")),
            "110 has two digits",
        ),
        "one_kind_of_digit": (
            grounded(simple=lambda n: len(set(n) - {"0"}) == 1),
            "110 has two digits",
        ),
        "first_two_numbers": (
            grounded(read=lambda left: re.findall("[0-9]+", left)[:2]),
            "All numbers of the left side count",
        ),
        "the_first_number_only": (
            grounded(read=lambda left: re.findall("[0-9]+", left)[:1]),
            "computed in ANOTHER solution",
        ),
        "the_last_two_numbers": (
            grounded(read=lambda left: re.findall("[0-9]+", left)[-2:]),
            "not only the last two",
        ),
        "splits_once": (
            grounded(read=lambda left: re.split(" *[-+*/] *", left, maxsplit=1)),
            "are three numbers of the question",
        ),
        "keeps_spaces": (
            grounded(read=lambda left: re.split("[-+*/]", left)),
            "spaces around a number",
        ),
        "reads_sums_only": (
            grounded(
                read=lambda left: [n for n in re.split(" *[-+] *", left) if n.isdigit()],
            ),
            "also in a product",
        ),
        "reads_no_divisions": (
            grounded(
                read=lambda left: [n for n in re.split(" *[-+*] *", left) if n.isdigit()],
            ),
            "also in a division",
        ),
        "hundreds_are_simple": (
            grounded(simple=lambda n: is_simple(n) or n.endswith("00")),
            "1200 has two digits",
        ),
        "up_to_900": (
            grounded(simple=lambda n: is_simple(n) and len(n) < 4),
            "5000 is one digit",
        ),
        "each_result_once": (
            grounded(
                knows=lambda n, known, question: (
                    n in re.findall("[0-9]+", question) or n in known and not known.discard(n)
                )
            ),
            "A result may be used twice",
        ),
        "each_number_once": (
            grounded(knows=lambda n, known, question: n in known and not known.discard(n)),
            "A number may be used twice",
        ),
        "words_of_the_question": (
            grounded(before=lambda question, found: set(question.split())),
            "in front of a full stop",
        ),
        "accepts_everything_well_formed": (
            grounded(read=lambda left: []),
            "computed in ANOTHER solution",
        ),
        "ignores_the_format": (grounded(is_formed=lambda s: True), "without a boxed answer"),
        "ignores_the_end": (grounded(is_formed=lambda s: "boxed" in s.text), "that was cut off"),
        "rejects_slips": (
            grounded(
                is_formed=lambda s: (
                    WellFormed().verify(None, "", [s]).accepted[0]
                    and all(equation.is_right for equation in equations(s.text))
                )
            ),
            "A wrong result is not the business",
        ),
        "wants_equations": (
            grounded(is_formed=lambda s: s.finish_reason == "stop" and bool(equations(s.text))),
            "without equations passes",
        ),
        "any_number_of_the_text": (
            grounded(
                knows=lambda n, known, question: n in known,
                before=lambda question, found: set(re.findall("[0-9]+", question)) | {"43", "188"},
            ),
            "Where is 43 from?",
        ),
        "one_solution": (StopsAtTheFirst, "one verdict per solution"),
        "another_question": (FirstQuestion, "All of it is in the question"),
        "a_plain_list": (grounded(output=lambda accepted: accepted), "return Verdicts(accepted"),
        "one_verdict_for_all": (
            grounded(output=lambda accepted: Verdicts([all(accepted)], Cost())),
            "one verdict per solution",
        ),
        "a_single_bool": (
            grounded(output=lambda accepted: Verdicts(all(accepted), Cost())),
            "a list with one verdict per solution",
        ),
        "no_cost": (grounded(output=lambda accepted: Verdicts(accepted, 0)), "it costs Cost()"),
        "costs_something": (
            grounded(output=lambda a: Verdicts(a, Cost(scored_tokens=5))),
            "calls no model",
        ),
        "returns_none": (ReturnsNone, "Is a `return` missing?"),
        "not_written": (NotWritten, "not written yet"),
    },
)


# --- 4. until_agreed ------------------------------------------------------------------------------

four = checks.check_until_agreed


@right(four)
def with_votes(answers, times):
    for draws in range(1, len(answers) + 1):
        votes = count_votes(answers[:draws])
        if max(votes.values(), default=0) >= times:
            return winner(votes), draws
    return most_frequent(answers), len(answers)


@right(four)
def with_a_counter(answers, times):
    first, seen = {}, Counter()
    for draws, answer in enumerate(answers, 1):
        if answer is None:
            continue
        form = answer.replace(",", "")
        first.setdefault(form, answer)
        seen[form] += 1
        if seen[form] == times:
            return first[form], draws
    best = max(seen, key=seen.get, default=None)
    return first.get(best), len(answers)


def agreed(
    stop: Callable = lambda votes, times: max(votes.values(), default=0) >= times,
    count: Callable = count_votes,
    stopped: Callable = lambda votes, answers, draws: (winner(votes), draws),
    never: Callable = lambda answers: (most_frequent(answers), len(answers)),
) -> Callable:
    """`with_votes` with one part replaced."""

    def until_agreed(answers, times):
        for draws in range(1, len(answers) + 1):
            votes = count(answers[:draws])
            if stop(votes, times):
                return stopped(votes, answers, draws)
        return never(answers)

    return until_agreed


def without_none(answers):
    return [answer for answer in answers if answer is not None]


def latest_run(answers):
    """How often the last answer was drawn in a row."""
    length = next((i for i, a in enumerate(reversed(answers)) if a != answers[-1]), len(answers))
    return {answers[-1]: length} if answers and answers[-1] is not None else {}


def counts_none(answers):
    return dict(Counter(answers))


wrong_variants(
    four,
    {
        "majority_of_all_draws": (
            agreed(stopped=lambda votes, answers, draws: (most_frequent(answers), draws)),
            "you cannot know the draws that would come later",
        ),
        "majority_of_all_draws_at_their_cost": (
            lambda answers, times: (most_frequent(answers), len(answers)),
            "drawn twice",
        ),
        "one_too_many": (
            agreed(stop=lambda votes, times: max(votes.values(), default=0) > times),
            "1 is the first answer that was drawn twice",
        ),
        "draws_from_zero": (
            agreed(stopped=lambda votes, answers, draws: (winner(votes), draws - 1)),
            "1 is the first answer that was drawn twice",
        ),
        "always_twice": (
            agreed(stop=lambda votes, times: max(votes.values(), default=0) >= 2),
            "Three times, and not twice",
        ),
        "in_a_row": (agreed(count=latest_run), "1 is the first answer that was drawn twice"),
        "any_answers": (
            agreed(stop=lambda votes, times: sum(votes.values()) >= times),
            "1 is the first answer that was drawn twice",
        ),
        "different_answers": (
            agreed(stop=lambda votes, times: len(votes) >= times),
            "1 is the first answer that was drawn twice",
        ),
        "none_agrees": (
            agreed(count=counts_none, stopped=lambda v, a, draws: (max(v, key=v.get), draws)),
            "agrees with nothing",
        ),
        "none_is_no_draw": (
            lambda answers, times: with_votes(without_none(answers), times),
            "counts as a draw",
        ),
        "counts_answers_at_the_end": (
            agreed(never=lambda answers: (most_frequent(answers), len(without_none(answers)))),
            "all draws count",
        ),
        "counts_spellings": (
            agreed(
                count=lambda answers: dict(Counter(without_none(answers))),
                stopped=lambda votes, answers, draws: (answers[draws - 1], draws),
            ),
            "1,000 and 1000 are one answer",
        ),
        "last_spelling": (
            agreed(stopped=lambda votes, answers, draws: (answers[draws - 1], draws)),
            "return its first spelling",
        ),
        "none_at_the_end": (
            agreed(never=lambda answers: (None, len(answers))),
            "the most frequent answer is returned",
        ),
        "last_answer_at_the_end": (
            agreed(never=lambda answers: (answers[-1] if answers else None, len(answers))),
            "Ties go to the first answer",
        ),
        "smallest_of_a_tie": (
            agreed(
                never=lambda answers: (
                    min(
                        (a for a in count_votes(answers)),
                        key=lambda a: (-count_votes(answers)[a], a),
                        default=None,
                    ),
                    len(answers),
                )
            ),
            "Ties go to the first answer",
        ),
        "only_the_answer": (
            lambda answers, times: with_votes(answers, times)[0],
            "return the answer and the number of draws",
        ),
        "largest_of_a_tie": (
            agreed(
                never=lambda answers: (
                    max(
                        (a for a in count_votes(answers)),
                        key=lambda a: (count_votes(answers)[a], a),
                        default=None,
                    ),
                    len(answers),
                )
            ),
            "Ties go to the first answer",
        ),
        "none_wins_at_the_end": (
            agreed(
                never=lambda answers: (
                    max(counts_none(answers), key=counts_none(answers).get, default=None),
                    len(answers),
                )
            ),
            "None is not an answer",
        ),
        "counts_spellings_at_the_end": (
            agreed(
                never=lambda answers: (
                    max(
                        without_none(answers),
                        key=without_none(answers).count,
                        default=None,
                    ),
                    len(answers),
                )
            ),
            "also when you return the most frequent one",
        ),
        "stops_on_empty": (
            agreed(
                never=lambda answers: (
                    max(count_votes(answers), key=count_votes(answers).get),
                    len(answers),
                ),
            ),
            "stopped with ValueError",
        ),
        "returns_none": (lambda answers, times: None, "Is a `return` missing?"),
    },
)


@wrong(four, "changed its input")
def pops(answers, times):
    seen, draws, total = [], 0, len(answers)
    while answers:
        seen.append(answers.pop(0))
        draws += 1
        if max(count_votes(seen).values(), default=0) >= times:
            return winner(count_votes(seen)), draws
    return most_frequent(seen), total


# --- 5. more_tests --------------------------------------------------------------------------------

five = checks.check_more_tests
TASK = {task.name: task for task in load_tasks()}["rotate_right"]


def calls(*pairs: tuple[list, int]) -> list[dict]:
    """Tests with the value that is expected."""
    tests = []
    for items, steps in pairs:
        steps_right = steps % len(items) if items else 0
        moved = [items[(i - steps_right) % len(items)] for i in range(len(items))]
        tests.append({"args": [items, steps], "expected": moved})
    return tests


RIGHT_TESTS = {
    "four_kinds": calls(([1, 2, 3], 7), ([1, 2, 3], -1), ([1, 2, 3], -4), ([], 2)),
    "three_tests": calls((["x", "y", "z"], 5), (["x", "y", "z"], -1), ([], 1)),
}
for name, tests in RIGHT_TESTS.items():
    NAMES[id(tests)] = name
    RIGHT.append((five, tests))

wrong_variants(
    five,
    {
        "none_at_all": ([], "write at least one test"),
        "nothing": (None, "write at least one test"),
        "visible_again": ([dict(test) for test in TASK.visible], "two kinds of `steps`"),
        "large_steps_only": (calls(([1, 2, 3], 7), ([5, 6], 9)), "two kinds of `steps`"),
        "negative_steps_only": (calls(([1, 2, 3], -1), ([5, 6, 7], -2)), "two kinds of `steps`"),
        "empty_list_only": (calls(([], 3), ([], 0)), "two kinds of `steps`"),
        "large_and_negative": (calls(([1, 2, 3], 7), ([1, 2, 3], -1)), "Now vary `items`"),
        "empty_without_steps": (
            calls(([1, 2, 3], 7), ([1, 2, 3], -1), ([], 0)),
            "Now vary `items`",
        ),
        "one_item_for_none": (
            calls(([1, 2, 3], 7), ([1, 2, 3], -1), ([5], 3)),
            "Now vary `items`",
        ),
        "left_is_right_with_two_items": (
            calls(([1, 2, 3], 7), ([1, 2], -1), ([], 2)),
            "tell a step to the left from one to the right?",
        ),
        "left_is_right_half_way_round": (
            calls((["a", "b", "c", "d"], 6), (["a", "b", "c", "d"], -6), ([], 1)),
            "tell a step to the left from one to the right?",
        ),
        "large_and_empty": (calls(([1, 2, 3], 7), ([], 2)), "two kinds of `steps`"),
        "wrong_direction": (
            [{"args": [[1, 2, 3], 4], "expected": [2, 3, 1]}],
            "the reference solution fails",
        ),
        "none_for_empty": (
            [*RIGHT_TESTS["four_kinds"][:3], {"args": [[], 2], "expected": None}],
            "the reference solution fails",
        ),
        "the_hidden_tests": (TASK.hidden[:5], "write your own"),
        "all_hidden_tests": ([dict(test) for test in TASK.hidden], "at most 5 are allowed"),
        "too_many": (
            calls(*(([1, 2, 3], steps) for steps in range(-4, 9))),
            "at most 5 are allowed",
        ),
        "flat_arguments": ([{"args": [1, 2, 3, 7], "expected": [3, 1, 2]}], "`args` is a list of"),
        "swapped_arguments": ([{"args": [7, [1, 2, 3]], "expected": [3, 1, 2]}], "`args` is a"),
        "pairs": ([([1, 2, 3], 7)], "a test looks like"),
        "without_expected": ([{"args": [[1, 2, 3], 7]}], "a test looks like"),
    },
)


# --- 6. fallback ----------------------------------------------------------------------------------

six = checks.check_fallback


@right(six)
def weighted(samples):
    rewards = [sample.measures["reward"] for sample in samples]
    return most_frequent([sample.answer for sample in samples], rewards, "the reward")


@right(six)
def best(samples):
    answered = [sample for sample in samples if sample.answer is not None]
    found = max(answered, key=lambda sample: sample.measures["reward"], default=None)
    return found and found.answer


@right(six)
def highest_mean(samples):
    rewards = defaultdict(list)
    for sample in samples:
        if sample.answer is not None:
            rewards[sample.answer].append(sample.measures["reward"])
    return max(rewards, key=lambda answer: fmean(rewards[answer]), default=None)


def reward_of(sample):
    return sample.measures["reward"]


def answers_of(samples):
    return [sample.answer for sample in samples]


def best_by(value):
    """The answer whose rewards have the highest value."""

    def fallback(samples):
        rewards = defaultdict(list)
        for sample in samples:
            if sample.answer is not None:
                rewards[sample.answer].append(sample.measures["reward"])
        return max(rewards, key=lambda answer: value(rewards[answer]), default=None)

    return fallback


wrong_variants(
    six,
    {
        "product": (best_by(math.prod), "2 has more votes and higher rewards"),
        "logarithms_added": (
            best_by(lambda rewards: sum(math.log(reward + 1e-9) for reward in rewards)),
            "2 has more votes and higher rewards",
        ),
        "divides_twice": (
            best_by(lambda rewards: fmean(rewards) / len(rewards)),
            "2 has more votes and higher rewards",
        ),
        "lowest_of_each": (best_by(min), "its highest and its mean reward"),
        "last_of_each": (best_by(lambda rewards: rewards[-1]), "its highest and its mean reward"),
        "first_of_each": (best_by(lambda rewards: rewards[0]), "its highest and its mean reward"),
        "rounds": (best_by(lambda rewards: round(max(rewards))), "do not round them"),
        "counts_those_above_half": (
            best_by(lambda rewards: sum(reward > 0.5 for reward in rewards)),
            "do not round them",
        ),
        "constant": (lambda samples: "7", "The reward of 2 is higher"),
        "empty_text": (lambda samples: "", "There is only one answer"),
        "none": (lambda samples: None, "Is a `return` missing?"),
        "plain_vote": (lambda samples: most_frequent(answers_of(samples)), "2 is higher"),
        "first": (lambda samples: samples[0].answer if samples else None, "2 is higher"),
        "last": (lambda samples: samples[-1].answer if samples else None, "wherever it stands"),
        "lowest_reward": (
            lambda samples: min(samples, key=reward_of).answer if samples else None,
            "The reward of 2 is higher",
        ),
        "highest_reward_with_none": (
            lambda samples: max(samples, key=reward_of).answer if samples else None,
            "Is a `return` missing? A sample without an answer",
        ),
        "fails_without_samples": (
            lambda samples: max((s for s in samples if s.answer is not None), key=reward_of).answer,
            "stopped with ValueError",
        ),
        "smallest_answer": (
            lambda samples: min((a for a in answers_of(samples) if a is not None), default=None),
            "The reward of 2 is higher",
        ),
        "largest_answer": (
            lambda samples: max((a for a in answers_of(samples) if a is not None), default=None),
            "The reward of 1 is higher",
        ),
        "the_right_one_or_the_best": (
            lambda samples: next((s.answer for s in samples if s.is_right), best(samples)),
            "changes with the grade",
        ),
        "the_right_ones_weighted": (
            lambda samples: weighted([s for s in samples if s.is_right] or samples),
            "changes with the grade",
        ),
        "a_sample": (
            lambda samples: max(samples, key=reward_of) if samples else None,
            "but it should be '7'",
        ),
        "looks_up_the_right_answer": (
            lambda samples: {"3*14=42": "42"}[samples[0].text],  # the pool, by its texts
            "stopped with KeyError",
        ),
        "refuses_low_rewards": (
            lambda samples: best([s for s in samples if reward_of(s) > 0.5]),
            "however low its reward",
        ),
        "logarithms": (
            lambda samples: most_frequent(
                answers_of(samples), [1 / -math.log(reward_of(s)) for s in samples]
            ),
            "stopped with ValueError",
        ),
        "rejects_everything_but_one_vote": (
            lambda samples: most_frequent(
                answers_of(samples), [float(reward_of(s) > 0.005) for s in samples]
            ),
            "The reward of 2 is higher",
        ),
    },
)


@wrong(six, "changed its input")
def sorts_in_place(samples):
    samples.sort(key=reward_of, reverse=True)
    return best(samples)
