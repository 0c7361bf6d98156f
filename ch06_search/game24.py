"""Tree of thoughts where the judge's quality is known: the Game of 24 and Countdown.

    python ch06_search/game24.py --error 0.1 --breadth 5
    python ch06_search/game24.py --problems gym:countdown
    python ch06_search/game24.py --model Qwen/Qwen3-0.6B --games 10      # a model as the judge

Combine four numbers to 24 with + - * /, each used once. A step replaces two numbers by one, so
three steps decide. A state is the numbers that are left, and whether it can still lead to 24 is
known exactly (by trying everything). So we can hand the search a judge that errs as often as we
like, and see which of its errors a wider search makes up for. `study_game24.py` tries many judges
and breadths. No model is needed, unless one is to judge.

All steps of a state can be listed, and two ways to the same numbers are one state: so there is
nothing to sample, and this search shares neither nodes nor signature with those of `search.py`.
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
from shared.errors import UserError, setting_up
from shared.evaluation.cli import HelpFormatter, friendly_errors
from shared.evaluation.intervals import wilson_interval

Numbers = tuple[Fraction, ...]  # sorted
States = dict[Numbers, tuple[str, ...]]  # the numbers that are left, and the expression of each
Judge = Callable[[list[Numbers], int], list[float]]  # states, target -> scores, 0 to 1
CAN_REACH = (
    "Can the numbers {numbers} be combined with + - * / to {target}? Each must be used once."
)


@lru_cache(maxsize=1 << 12)
def next_states(numbers: Numbers, texts: tuple[str, ...]) -> States:
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

    About the same state it says the same each time: asking again does not help. Raises ValueError
    unless 0 <= error <= 1.
    """
    if not 0 <= error <= 1:
        raise ValueError(f"a judge errs in a share from 0 to 1, not {error}")

    def judge(states: list[Numbers], target: int) -> list[float]:
        """1 for a state that can reach the target, else 0; or the other way round."""
        errs = [random.Random(f"{seed} {s} {target}").random() < error for s in states]
        return [float(is_solvable(s, target) != wrong) for s, wrong in zip(states, errs)]

    return judge


def model_judge(llm: LLM) -> Judge:
    """A model that is asked about each state in words (the value prompt of Yao 2023): P(Yes)."""

    def judge(states: list[Numbers], target: int) -> list[float]:
        """P(Yes) of each state."""
        questions = [
            CAN_REACH.format(numbers=", ".join(map(str, state)), target=target) for state in states
        ]
        asked = [prompts.ask(question, "Answer Yes or No.") for question in questions]
        ids = [llm.tokenizer.encode_chat(messages, enable_thinking=False) for messages in asked]
        scores, _ = probability_of_yes(llm, ids)
        return scores

    return judge


def start_of(numbers: list[int]) -> tuple[Numbers, tuple[str, ...]]:
    """A game's first state, and its numbers as expressions."""
    state = sorted((Fraction(number), str(number)) for number in numbers)
    return tuple(n for n, _ in state), tuple(text for _, text in state)


def ranked(states: States, target: int, judge: Judge, rng: random.Random) -> list[Numbers]:
    """The judge's favorites first, ties in random order."""
    order = list(states)
    rng.shuffle(order)
    scores = dict(zip(order, judge(order, target)))
    return sorted(order, key=scores.get, reverse=True)


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

    Returns the expression that the judge scores highest at the end (ties are broken at random),
    and its value. With `checks_end` one that makes the target comes first: where ends can be
    checked, the judge only has to lead there. Raises ValueError for a breadth below 1.
    """
    if breadth < 1:
        raise ValueError(f"breadth must be at least 1, not {breadth}")
    rng = random.Random(f"{seed} {numbers} {target}")
    kept: States = dict([start_of(numbers)])
    for _ in numbers[1:]:
        children: States = {}
        for state, texts in kept.items():
            children |= next_states(state, texts)
        kept = {state: children[state] for state in ranked(children, target, judge, rng)[:breadth]}
    ends = sorted(kept, key=lambda end: checks_end and end != (target,))  # keeps the judge's order
    return kept[ends[0]][0], ends[0][0]


def random_games(
    numbers: list[int],
    target: int,
    judge: Judge,
    *,
    samples: int,
    checks_end: bool = False,
    seed: int = 0,
) -> tuple[str, Fraction]:
    """The rival, best-of-N: play to the end at random `samples` times, and choose among the ends as
    `tree_of_thoughts` does. Raises ValueError for samples below 1."""
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    rng = random.Random(f"{seed} {numbers} {target}")
    ends: States = {}
    for _ in range(samples):
        state, texts = start_of(numbers)
        while len(state) > 1:
            state, texts = rng.choice(list(next_states(state, texts).items()))
        ends[state] = texts
    order = ranked(ends, target, judge, rng)
    best = min(order, key=lambda end: checks_end and end != (target,))  # ties go to the first
    return ends[best][0], best[0]


def draw_games(count: int, seed: int = 0) -> list[tuple[list[int], int]]:
    """Games of 24 that have a solution: four numbers from 1 to 13 each."""
    rng, games = random.Random(seed), []
    while len(games) < count:
        numbers = sorted(rng.randint(1, 13) for _ in range(4))
        if is_solvable(tuple(map(Fraction, numbers)), 24):
            games.append((numbers, 24))
    return games


def countdown_games(count: int) -> list[tuple[list[int], int]]:
    """reasoning-gym's Countdown: the first `count` of its test problems with four numbers.

    Raises UserError where there are fewer than that among six times as many problems.
    """
    problems = load_problems("gym:countdown", limit=6 * count)
    games = [(p.metadata["numbers"], p.metadata["target"]) for p in problems]
    games = [(numbers, target) for numbers, target in games if len(numbers) == 4][:count]
    if len(games) < count:
        raise UserError(f"only {len(games)} of {len(problems)} problems have four numbers")
    return games


GAMES = {"game24": draw_games, "gym:countdown": countdown_games}


def check_flags(num_games: int, breadths: list[int], errors: list[float]) -> None:
    """Raise UserError for flags that make no sense."""
    if num_games < 1:
        raise UserError(f"--games must be at least 1, not {num_games}")
    if min(breadths) < 1:
        raise UserError(f"--breadth must be at least 1, not {min(breadths)}")
    if wrong := [error for error in errors if not 0 <= error <= 1]:
        raise UserError(f"--error must be a share from 0 to 1, not {wrong[0]}")


def share_solved(
    games: list[tuple[list[int], int]], judge: Judge, play: Callable = tree_of_thoughts, **options
) -> float:
    """In what share of the games a way to play ends at the target."""
    ends = [play(*game, judge, **options)[1] for game in games]
    return sum(end == target for end, (_, target) in zip(ends, games)) / len(games)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--problems", choices=GAMES, default="game24")
    add("--games", type=int, default=20, metavar="K", help="play this many games")
    add("--breadth", type=int, default=5, metavar="B", help="states that are kept at each step")
    add("--error", type=float, default=0.05, metavar="E", help="share of states judged wrongly")
    add("--model", help='"tiny", a folder or a hub id: let it judge instead')
    return parser.parse_args()


def main() -> None:
    """Play games by tree of thoughts, and print how each ended."""
    args = parse_args()
    with friendly_errors():
        check_flags(args.games, [args.breadth], [args.error])
        with setting_up():
            games = GAMES[args.problems](args.games)
            judge = model_judge(LLM(args.model)) if args.model else erring_judge(args.error)
        num_solved = 0
        for numbers, target in games:
            text, value = tree_of_thoughts(numbers, target, judge, breadth=args.breadth)
            num_solved += value == target
            print(f"{'solved' if value == target else 'failed'}  {target}: {text} = {value}")
        low, high = wilson_interval(num_solved, len(games))
        share = num_solved / len(games)
        print(f"solved {share:.3f} [{low:.3f}, {high:.3f}]  games {len(games)}")


if __name__ == "__main__":
    main()
