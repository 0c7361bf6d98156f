"""The Game of 24 with judges of different quality: the tree against random games of as many steps.

    python ch06_search/study_game24.py                            # some minutes; needs no model
    python ch06_search/study_game24.py --problems gym:countdown
    python ch06_search/study_game24.py --model Qwen/Qwen3-0.6B --games 10

Twice for each judge: it also decides in the end, or the end is checked. Writes results/NAME.json,
and from all results the page RESULTS.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ch06_search.game24 import (
    GAMES,
    Judge,
    Numbers,
    check_flags,
    erring_judge,
    model_judge,
    random_games,
    share_solved,
    tree_of_thoughts,
)
from ch06_search.tables import section, write_results
from shared import LLM
from shared.errors import setting_up
from shared.evaluation.cli import HelpFormatter, friendly_errors
from shared.evaluation.intervals import wilson_interval
from shared.evaluation.results import save_result

CHAPTER = Path(__file__).parent


def states_judged(games: list[tuple[list[int], int]], judge: Judge, breadth: int) -> float:
    """How many states a search asks about, on average: each is one step that was tried."""
    asked = []

    def counting(states: list[Numbers], target: int) -> list[float]:
        """`judge`, counted."""
        asked.append(len(states))
        return judge(states, target)

    share_solved(games, counting, breadth=breadth)
    return sum(asked) / len(games)


def study(games: list, judges: dict[str, Judge], breadths: list[int]) -> dict:
    """For each judge and breadth the share of games solved and its 95% interval: by the tree, and
    by random games of as many steps."""
    judge = next(iter(judges.values()))
    steps = [states_judged(games, judge, breadth) for breadth in breadths]
    ways = [
        ("tree", tree_of_thoughts, [{"breadth": b} for b in breadths]),
        ("random games", random_games, [{"samples": max(1, round(s / 3))} for s in steps]),
    ]
    rows = []
    for checks_end in (False, True):
        for name, judge in judges.items():
            for way, play, options in ways:
                solved = []
                for option in options:
                    share = share_solved(games, judge, play, checks_end=checks_end, **option)
                    low, high = wilson_interval(round(share * len(games)), len(games))
                    solved.append([share, low, high])
                rows.append({"judge": name, "way": way, "checks_end": checks_end, "solved": solved})
    return {"games": len(games), "breadths": breadths, "steps": steps, "rows": rows}


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--problems", choices=GAMES, default="game24")
    add("--games", type=int, default=100, metavar="K", help="play this many games")
    add("--breadth", type=int, nargs="+", default=[1, 2, 5, 20, 100], metavar="B")
    add("--error", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.2, 0.5], metavar="E")
    add("--model", help='"tiny", a folder or a hub id: let it judge too')
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    return parser.parse_args()


def main() -> None:
    """Play with judges of different quality, and write down what came out."""
    args = parse_args()
    with friendly_errors():
        check_flags(args.games, args.breadth, args.error)
        judges = {f"errs in {error:.0%}": erring_judge(error) for error in args.error}
        with setting_up():
            games = GAMES[args.problems](args.games)
            if args.model:
                judges[args.model] = model_judge(LLM(args.model))
        name = args.problems.replace("gym:", "")
        title = {"game24": "Game of 24", "countdown": "Countdown"}[name]
        content = {"title": title} | study(games, judges, args.breadth)
        save_result(args.chapter, name, content)
        print(section(content))
        print(f"wrote {write_results(args.chapter)}")


if __name__ == "__main__":
    main()
