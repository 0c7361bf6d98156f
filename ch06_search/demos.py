"""What the notebook prints: solutions with their step scores, the fate of each problem, one
position of the Game of 24, and the map of where search pays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from ch06_search.game24 import Judge, is_solvable, next_states, start_of
from ch06_search.toy import Steps, TinyTree
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.pool import to_pool
from shared.grading.arithmetic import wrong_equations
from shared.rewards.process_reward import ProcessRewardModel


def print_scored(question: str, text: str, reward_model: ProcessRewardModel) -> None:
    """A solution with the score of each step; equations that do not add up are marked."""
    (scores,) = reward_model.step_scores(question, [text])
    for line, score in zip(text.split("\n"), scores):
        slip = "   <- slip" if wrong_equations(line) else ""
        print(f"  {score:.2f}  {line}{slip}")


def print_rollouts(rows: Sequence[dict]) -> None:
    """The rounds of the toy tree search: the bounds of both first steps, and the rollout."""
    firsts = [path for path in rows[0]["bounds"] if len(path) == 1]
    print("round   " + "".join(f"bound of {path[0]:<11}" for path in firsts) + "rollout ends in")
    for i, row in enumerate(rows, 1):
        bounds = "".join(f"{row['bounds'][path]:<20.2f}" for path in firsts)
        print(f"{i:<8}{bounds}{row['end'][-1]}, score {row['score']:.2f}")


def visits_of(rows: Sequence[dict]) -> dict[Steps, str]:
    """A note for each path of the toy tree search: its visits after the last round."""
    return {path: f"visits {count}" for path, count in rows[-1]["visits"].items()}


def copies_of(tree: TinyTree, ends: Sequence[Steps]) -> dict[Steps, str]:
    """A note for each path of the toy particle filter: how many particles end there or below."""
    counts = Counter(end[:depth] for end in ends for depth in range(1, len(end) + 1))
    return {path: f"{counts[path]} of {len(ends)} particles" for path in tree.written}


def print_compared(content: dict, n: int = 8) -> None:
    """The searches and controls of one size, beside best-of-N at equal tokens."""
    print(f"{'search, n = ' + str(n):<24}accuracy  covered  tokens   best-of-N: accuracy  covered")
    for row in content["searches"] + content["controls"]:
        if row["n"] == n:
            theirs = row["accuracy"] - row["best-of-N, weighted"]["gain"]
            search = f"{row['accuracy']:>8.3f}{row['covered']:>9.3f}"
            tokens = f"{row['tokens_per_problem']:>8.0f}"
            print(f"{row['name']:<24}{search}{tokens}{theirs:>22.3f}{row['rival_covered']:>9.3f}")


def print_judges(runs: dict[str, Evaluation]) -> None:
    """Searches that differ in the judge of steps: accuracy, the share of problems with a right
    finished path, and the tokens."""
    print(f"{'judge of the steps':<20}accuracy  covered  tokens")
    for name, run in runs.items():
        paths = [problem.samples for problem in to_pool(run)]
        covered = fmean(any(sample.is_right for sample in samples) for samples in paths)
        tokens = run.cost.generated_tokens / len(run.records)
        print(f"{name:<20}{run.accuracy:>8.3f}{covered:>9.3f}{tokens:>8.0f}")


def print_fates(runs: dict[str, Evaluation]) -> None:
    """In how many problems the answer is right, outvoted, or in no finished path."""
    print(f"{'search':<12}finished paths   right   outvoted   no right path")
    for name, run in runs.items():
        fates = Counter()
        for record, problem in zip(run.records, to_pool(run)):
            among = any(sample.is_right for sample in problem.samples)
            fates["right" if record.correct else "outvoted" if among else "none"] += 1
        paths = fmean(len(record.completions) for record in run.records)
        numbers = f"{fates['right']:>8}{fates['outvoted']:>11}{fates['none']:>16}"
        print(f"{name:<12}{paths:>14.1f}{numbers}")


def print_position(numbers: list[int], target: int, judge: Judge) -> None:
    """All next states of a position: one way to get there, the truth, and the judge's verdict."""
    states = next_states(*start_of(numbers))
    print(f"{'numbers left':<16}{'by':<10}{f'can reach {target}':<16}the judge says")
    for (state, texts), score in zip(states.items(), judge(list(states), target)):
        step = next((text for text in texts if text.startswith("(")), "")
        truth, says = is_solvable(state, target), score > 0.5
        verdict = ("yes" if says else "no") + ("" if says == truth else "   <- error")
        left = "  ".join(map(str, state))
        print(f"{left:<16}{step.strip('()'):<10}{'yes' if truth else 'no':<16}{verdict}")


def print_map(regimes: dict) -> None:
    """The rows of the study of regimes, with a verdict each."""
    print(f"{'':<58}search  whole  difference")
    for row in regimes["regimes"]:
        name = f"{row['problems']}: {row['regime']}"
        gain = f"{row['gain']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        print(f"{name:<58}{row['accuracy']:>6.3f}{row['rival']:>7.3f}  {gain}")


def print_games(games: dict, breadth: int = 5) -> None:
    """The tree of the Game of 24 beside random games of as many steps, at one breadth."""
    place = games["breadths"].index(breadth)
    rows = {(r["checks_end"], r["judge"], r["way"]): r["solved"][place] for r in games["rows"]}
    print(f"{'judge':<16}{'the end':<14}{'tree':<22}random games")
    for (checks_end, judge, way), (share, low, high) in rows.items():
        if way == "tree":
            theirs, their_low, their_high = rows[checks_end, judge, "random games"]
            end = "is checked" if checks_end else "is judged"
            tree = f"{share:.2f} [{low:.2f}, {high:.2f}]"
            print(f"{judge:<16}{end:<14}{tree:<22}{theirs:.2f} [{their_low:.2f}, {their_high:.2f}]")
