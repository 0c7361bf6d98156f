"""Tree of thoughts where the judge's quality is known: the Game of 24 and Countdown.

    python ch06_search/game24.py
    python ch06_search/game24.py --problems gym:countdown
    python ch06_search/game24.py --model Qwen/Qwen3-0.6B --games 10      # a model as the judge

Combine four numbers to 24 with + - * /, each used once. A step replaces two numbers by one, so
three steps decide. A state is the numbers that are left, and whether it can still lead to 24 is
known exactly (by trying everything). So we can hand the search a judge that errs as often as we
like, and see what its width can make up for, and what not. Needs no model, unless one is to judge.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

from ch06_search.values import probability_of_yes
from shared import LLM, load_problems, prompts
from shared.cli import HelpFormatter, friendly_errors

Numbers = tuple[Fraction, ...]  # sorted
Judge = Callable[[list[Numbers], int], list[float]]  # states, target -> scores, 0 to 1
CAN_REACH = (
    "Can the numbers {numbers} be combined with + - * / to {target}? Each must be used once."
)


def next_states(numbers: Numbers, texts: tuple[str, ...]) -> dict[Numbers, tuple[str, ...]]:
    """All that one step can lead to: the numbers left, and the expression of each of them.

    `texts` are the expressions of `numbers`. Of several ways to the same numbers one is kept.
    """
    found = {}
    for i, j in combinations(range(len(numbers)), 2):
        (a, left), (b, right) = (numbers[i], texts[i]), (numbers[j], texts[j])
        rest = [(numbers[k], texts[k]) for k in range(len(numbers)) if k not in (i, j)]
        made = [
            (a + b, f"({left}+{right})"),
            (a - b, f"({left}-{right})"),
            (b - a, f"({right}-{left})"),
            (a * b, f"({left}*{right})"),
        ]
        made += [(a / b, f"({left}/{right})")] if b else []
        made += [(b / a, f"({right}/{left})")] if a else []
        for new in made:
            state = sorted([*rest, new])
            found.setdefault(tuple(n for n, _ in state), tuple(text for _, text in state))
    return found


@lru_cache(maxsize=1 << 20)
def is_solvable(numbers: Numbers, target: int) -> bool:
    """Whether some way of combining all numbers makes the target: every way is tried."""
    if len(numbers) == 1:
        return numbers[0] == target
    return any(is_solvable(left, target) for left in next_states(numbers, ("",) * len(numbers)))


def erring_judge(error: float, seed: int = 0) -> Judge:
    """Knows the truth and says the opposite about a share `error` of all states.

    About the same state it says the same each time: asking again does not help.
    """

    def judge(states: list[Numbers], target: int) -> list[float]:
        errs = [random.Random(f"{seed} {s} {target}").random() < error for s in states]
        return [float(is_solvable(s, target) != wrong) for s, wrong in zip(states, errs)]

    return judge


def model_judge(llm: LLM) -> Judge:
    """A model that is asked about each state in words (the value prompt of Yao 2023): P(Yes)."""

    def judge(states: list[Numbers], target: int) -> list[float]:
        questions = [
            CAN_REACH.format(numbers=", ".join(map(str, state)), target=target) for state in states
        ]
        asked = [prompts.ask(question, "Answer Yes or No.") for question in questions]
        ids = [llm.tokenizer.encode_chat(messages, enable_thinking=False) for messages in asked]
        scores, _ = probability_of_yes(llm, ids)
        return scores

    return judge


def tree_of_thoughts(
    numbers: list[int],
    target: int,
    judge: Judge,
    *,
    breadth: int = 5,
    checks_end: bool = False,
    seed: int = 0,
) -> tuple[str, Fraction]:
    """Breadth-first: try every next step of all kept states, keep the `breadth` best (Yao 2023).

    Returns the expression that the judge likes best in the end (of equals one at random), and its
    value. With `checks_end` one that makes the target comes first: where ends can be checked, the
    judge only has to lead there.
    """
    rng = random.Random(f"{seed} {numbers} {target}")
    state = sorted((Fraction(number), str(number)) for number in numbers)
    kept = {tuple(n for n, _ in state): tuple(text for _, text in state)}
    for _ in numbers[1:]:
        children = {}
        for state, texts in kept.items():
            children |= next_states(state, texts)
        states = list(children)
        rng.shuffle(states)
        scores = dict(zip(states, judge(states, target)))
        states.sort(key=scores.get, reverse=True)
        kept = {state: children[state] for state in states[:breadth]}
    ends = sorted(kept, key=lambda end: checks_end and end != (target,))  # keeps the judge's order
    return kept[ends[0]][0], ends[0][0]


def draw_games(count: int, seed: int = 0) -> list[tuple[list[int], int]]:
    """Games of 24 that have a solution: four numbers from 1 to 13 each."""
    rng, games = random.Random(seed), []
    while len(games) < count:
        numbers = sorted(rng.randint(1, 13) for _ in range(4))
        if is_solvable(tuple(map(Fraction, numbers)), 24):
            games.append((numbers, 24))
    return games


def countdown_games(count: int) -> list[tuple[list[int], int]]:
    """reasoning-gym's Countdown: the first `count` of its test problems with four numbers."""
    problems = load_problems("gym:countdown", limit=6 * count)
    games = [(p.metadata["numbers"], p.metadata["target"]) for p in problems]
    return [(numbers, target) for numbers, target in games if len(numbers) == 4][:count]


def share_solved(games: list[tuple[list[int], int]], judge: Judge, **options: object) -> float:
    """In what share of the games the search ends at the target."""
    ends = [tree_of_thoughts(*game, judge, **options)[1] for game in games]
    return sum(end == target for end, (_, target) in zip(ends, games)) / len(games)


def print_table(games: list, judges: dict[str, Judge], breadths: list[int]) -> None:
    """A row for each judge, a column for each breadth; twice: the judge decides, the end checks."""
    for checks_end in (False, True):
        print("the end is checked" if checks_end else "the judge decides")
        print(f"{'judge':<22}" + "".join(f"{f'breadth {b}':>12}" for b in breadths))
        for name, judge in judges.items():
            options = [{"breadth": b, "checks_end": checks_end} for b in breadths]
            shares = [share_solved(games, judge, **option) for option in options]
            print(f"{name:<22}" + "".join(f"{share:>12.3f}" for share in shares))


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--problems", choices=["game24", "gym:countdown"], default="game24")
    add("--games", type=int, default=100, metavar="K", help="so many games")
    add("--breadth", type=int, nargs="+", default=[1, 2, 5, 20, 100], metavar="B")
    add("--error", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.2, 0.5], metavar="E")
    add("--model", help='"tiny", a folder or a hub id: let it judge too')
    return parser.parse_args()


def main() -> None:
    """Play with judges of different quality."""
    args = parse_args()
    with friendly_errors():
        draw = countdown_games if args.problems == "gym:countdown" else draw_games
        games = draw(args.games)
        judges = {f"errs in {error:.0%}": erring_judge(error) for error in args.error}
        if args.model:
            judges[args.model] = model_judge(LLM(args.model))
        print_table(games, judges, args.breadth)


if __name__ == "__main__":
    main()
