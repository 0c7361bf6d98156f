r"""Word problems without end: what the shipped model is trained on, and what it is measured on.

    Ana has 245 shells. Ana buys 3 boxes of 14 shells. Tom has 20 pens. Eva takes 128.
    How many shells does Ana have now?

Someone starts with some items; each following sentence is a `Change` (a gain or a loss, often to
be worked out first), or does not matter at all. A solution is one equation a line. The same
problem can be solved along several paths (`PLANS`, and arithmetic split into tens and ones or
not), which all lead to the same answer: voting over samples needs such different paths.

    Plan: in order.
    3*14=42
    245+42=287
    287-128=159
    The answer is \boxed{159}.

Numbers come from a `Ranges`: `FULL` is what the model is made for; its training starts on `EASY`.
Held out: a problem's text alone decides its split (`split_of`), so no text is in two splits.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import astuple, dataclass
from operator import add, floordiv, mul, sub

NAMES = ("Ana", "Ben", "Eva", "Leo", "Mia", "Sam", "Tom", "Zoe")
ITEMS = ("apples", "beads", "books", "cards", "coins", "pens", "shells", "stamps")
PLANS = ("in order", "gains, then losses", "backwards", "both sums")
# How often each plan is taken, and the share of solutions with arithmetic split into tens and ones.
# One habit prevails, as in any collection of human solutions: greedy decoding follows it, and it is
# not the most accurate one.
HABITS = ((4, 2, 2, 2), 0.6)


@dataclass(frozen=True)
class Ranges:
    """How large problems are: changes after the start, and the largest number of each kind."""

    changes: tuple[int, int]
    number: int  # of one gain or loss, from 3
    group: int  # items in a group, from 3; there are 2-9 groups
    half: int  # result of halving, from 5
    total: int  # of the running total, from 0
    price: int = 9  # from 2


EASY = Ranges(changes=(2, 6), number=499, group=60, half=300, total=1500)
FULL = Ranges(changes=(2, 8), number=1999, group=150, half=900, total=6000)


@dataclass(frozen=True)
class Change:
    """One gain (sign +1) or loss (sign -1): `left operator right` items, or just `left` items."""

    sign: int
    left: int
    operator: str = ""
    right: int = 1

    @property
    def amount(self) -> int:
        """How many items come or go."""
        return self.left // self.right if self.operator == "/" else self.left * self.right


@dataclass(frozen=True)
class WordProblem:
    """A problem's text and what it means; `price` multiplies the final count (1: no price)."""

    question: str
    changes: tuple[Change, ...]
    price: int

    @property
    def answer(self) -> int:
        """The gold answer."""
        return self.price * sum(change.sign * change.amount for change in self.changes)

    @property
    def num_steps(self) -> int:
        """Equations in the shortest solution."""
        products = sum(change.operator != "" for change in self.changes)
        return len(self.changes) - 1 + products + (self.price > 1)


def split_of(question: str) -> str:
    """The split that a problem's text belongs to: 10% "test", 10% "dev", the rest "train"."""
    bucket = zlib.crc32(question.encode("utf-8")) % 10
    return {0: "test", 1: "dev"}.get(bucket, "train")


def sample_problem(
    rng: random.Random,
    split: str,
    ranges: Ranges = FULL,
    changes: tuple[int, int] | None = None,
) -> WordProblem:
    """Draw a problem of this split; `changes` narrows how many changes follow the start."""
    while True:
        problem = draw_problem(rng, ranges, rng.randint(*(changes or ranges.changes)))
        if split_of(problem.question) == split:
            return problem


def draw_problem(rng: random.Random, ranges: Ranges, num_changes: int) -> WordProblem:
    """Draw a problem of any split."""
    name, friend, other = rng.sample(NAMES, 3)
    item, other_item = rng.sample(ITEMS, 2)
    start = Change(+1, rng.randint(5, ranges.number))
    sentences, changes = [f"{name} has {start.left} {item}."], [start]
    while len(changes) <= num_changes:
        total = sum(change.sign * change.amount for change in changes)
        change, sentence = draw_change(rng, ranges, name, friend, item, changes[-1])
        if 0 <= total + change.sign * change.amount <= ranges.total:
            changes.append(change)
            sentences.append(sentence)
    if rng.random() < 0.3:  # a sentence that does not matter
        index = rng.randint(1, len(sentences))
        if " as many" not in "".join(sentences[index : index + 1]):
            sentences.insert(index, f"{other} has {rng.randint(5, ranges.number)} {other_item}.")
    question, price = draw_question(rng, ranges, name, item)
    return WordProblem(" ".join([*sentences, question]), tuple(changes), price)


def draw_change(
    rng: random.Random, ranges: Ranges, name: str, friend: str, item: str, previous: Change
) -> tuple[Change, str]:
    """Draw what happens next, and the sentence that says so."""
    number, groups, size = (
        rng.randint(3, ranges.number),
        rng.randint(2, 9),
        rng.randint(3, ranges.group),
    )
    kind = rng.choice(("gain", "gain", "loss", "loss", "boxes", "each", "half", "times"))
    if kind == "gain":
        sentence = rng.choice(
            (f"{name} buys {number} more.", f"{friend} gives {name} {number} {item}.")
        )
        return Change(+1, number), sentence
    if kind == "loss":
        sentence = rng.choice((f"{name} loses {number} {item}.", f"{friend} takes {number}."))
        return Change(-1, number), sentence
    if kind == "boxes":
        return Change(+1, groups, "*", size), f"{name} buys {groups} boxes of {size} {item}."
    if kind == "each":
        return Change(-1, groups, "*", size), f"{name} gives {groups} friends {size} {item} each."
    if kind == "half":
        whole = 2 * rng.randint(5, ranges.half)
        return Change(+1, whole, "/", 2), f"{name} gets half of {whole} {item}."
    if previous.operator:  # "times as many" needs a plain number to refer to
        return Change(+1, number), f"{name} finds {number} {item}."
    times = rng.randint(2, 3)
    word = {2: "twice", 3: "three times"}[times]
    return Change(+1, times, "*", previous.left), f"Then {name} finds {word} as many."


def draw_question(rng: random.Random, ranges: Ranges, name: str, item: str) -> tuple[str, int]:
    """Draw the final question and the price that it multiplies the count by."""
    if rng.random() < 0.75:
        return f"How many {item} does {name} have now?", 1
    price = rng.randint(2, ranges.price)
    return f"{name} sells all for {price} dollars each. How many dollars is that?", price


def sample_solution(
    rng: random.Random,
    problem: WordProblem,
    plan_weights: tuple[int, ...] = (1, 1, 1, 1),
    split_share: float = 0.5,
) -> str:
    """Solve along a path drawn at random; every path ends in the same answer."""
    plan = rng.choices(PLANS, plan_weights)[0]
    return solve(problem, plan, split=rng.random() < split_share)


def solve(problem: WordProblem, plan: str, split: bool) -> str:
    """Write out the solution of one plan, with arithmetic split into tens and ones or not."""
    gains = [change for change in problem.changes if change.sign > 0]
    losses = [change for change in problem.changes if change.sign < 0]
    if plan == "in order":
        lines = running_total(list(problem.changes), split)
    elif plan == "gains, then losses":
        lines = running_total(gains + losses, split)
    elif plan == "backwards":
        lines = running_total(gains[::-1] + losses[::-1], split)
    elif plan == "both sums":
        lines = running_total(gains, split)
        if losses:
            lines += running_total([Change(+1, *astuple(loss)[1:]) for loss in losses], split)
            gained, lost = (sum(c.amount for c in changes) for changes in (gains, losses))
            lines += equations(gained, "-", lost, split)
    else:
        raise ValueError(f"plan {plan!r} is not one of {PLANS}")
    if problem.price > 1:
        lines += equations(problem.answer // problem.price, "*", problem.price, split)
    head = f"Plan: {plan}, split." if split else f"Plan: {plan}."
    return "\n".join([head, *lines, f"The answer is \\boxed{{{problem.answer}}}."])


def running_total(changes: list[Change], split: bool) -> list[str]:
    """The equations that work out each change and add it to (or take it from) the total so far."""
    lines, total = [], None
    for change in changes:
        if change.operator:
            lines += equations(change.left, change.operator, change.right, split)
        if total is None:
            total = change.amount
        else:
            lines += equations(total, "+" if change.sign > 0 else "-", change.amount, split)
            total += change.sign * change.amount
    return lines


def equations(left: int, operator: str, right: int, split: bool) -> list[str]:
    """`left operator right = result` as one line, or split by hundreds, tens and ones."""
    if not split:
        result = {"+": add, "-": sub, "*": mul, "/": floordiv}[operator](left, right)
        return [f"{left}{operator}{right}={result}"]
    if operator in "+-":  # 45+42 -> 45+40, 85+2
        lines = []
        for part in place_values(right):
            lines += equations(left, operator, part, split=False)
            left = left + part if operator == "+" else left - part
        return lines
    # 3*14 -> 3*10, 3*4, 30+12; the larger factor is the one to split
    if operator == "*" and right > left:
        parts = [(left, part) for part in place_values(right)]
    else:
        parts = [(part, right) for part in place_values(left)]
    lines, total = [], 0
    for a, b in parts:
        amount = Change(+1, a, operator, b).amount
        lines += equations(a, operator, b, split=False)
        lines += equations(total, "+", amount, split=False) if total else []
        total += amount
    return lines


def place_values(number: int) -> list[int]:
    """247 -> [200, 40, 7]; zeros are left out, but 0 -> [0]."""
    digits = str(number)
    values = [int(digit) * 10 ** (len(digits) - 1 - i) for i, digit in enumerate(digits)]
    return [value for value in values if value] or [0]
