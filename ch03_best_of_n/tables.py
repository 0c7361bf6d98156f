"""The small tables of the notebook, as text: each function prints one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from ch03_best_of_n.best_of_n import best_answer, weighted_answer
from ch03_best_of_n.measures import oracle, ranked_by, score_of
from ch03_best_of_n.study import in_points
from shared.evaluation.intervals import paired_difference
from shared.evaluation.pool import PooledProblem, Sample, accuracy_at, is_right_answer, majority
from shared.grading.arithmetic import wrong_equations
from shared.rewards.process_reward import ProcessRewardModel


def print_beside(left: str, right: str, heads: tuple[str, str]) -> None:
    """Two solutions line by line."""
    print(f"{heads[0]:<30}{heads[1]}")
    for one, other in zip(left.split("\n"), right.split("\n")):
        print(f"{one:<30}{other}")


def print_steps(reward_model: ProcessRewardModel, question: str, text: str) -> None:
    """A solution with the score of each step; equations that do not add up are marked."""
    (scores,) = reward_model.step_scores(question, [text])
    for line, score in zip(text.split("\n"), scores):
        slip = "   <- slip" if wrong_equations(line) else ""
        print(f"  {score:.2f}  {line}{slip}")


def print_gains(ways: dict[str, Sequence[float]], reference: Sequence[float]) -> None:
    """The accuracy of each way, and its paired difference to a reference with its 95% interval."""
    for name, right in ways.items():
        difference = in_points(*paired_difference(right, reference), sign="+")
        print(f"{name:<13}{fmean(right):6.1%}   {difference} points")


def print_votes(problem: PooledProblem, measure: str = "reward_last") -> None:
    """For each answer the scores of its samples and their sum; then what two ways choose."""
    answers = [sample.answer for sample in problem.samples]
    scores = [score_of(sample, measure) for sample in problem.samples]
    for answer in dict.fromkeys(answers):
        its_scores = sorted((s for a, s in zip(answers, scores) if a == answer), reverse=True)
        listed = " + ".join(f"{score:.2f}" for score in its_scores)
        mark = "right" if is_right_answer(answer, problem) else ""
        print(f"  {answer!s:>6}  {mark:<6} {sum(its_scores):.2f} = {listed}")
    print(f"best-of-{len(answers)}: {best_answer(answers, scores)}", end=", ")
    print(f"weighted vote: {weighted_answer(answers, scores)}\n")


def print_by_number_right(pool: list[PooledProblem]) -> None:
    """The vote and the vote weighted by reward, by how many samples of a problem are right."""
    n = len(pool[0].samples)
    rules = (majority, ranked_by("reward_last", weighted_answer))
    vote, weighted = (accuracy_at(pool, rule, n) for rule in rules)
    print("right samples  problems   vote  weighted")
    for count in range(n + 1):
        at = [i for i, each in enumerate(pool) if sum(s.is_right for s in each.samples) == count]
        if at:
            shares = [fmean(right[i] for i in at) for right in (vote, weighted)]
            print(f"{count:>13}{len(at):>10}{shares[0]:>7.0%}{shares[1]:>10.0%}")
    won = sum(a > b for a, b in zip(weighted, vote))
    lost = sum(a < b for a, b in zip(weighted, vote))
    print(f"won by weighting: {won} problems; lost: {lost}")


# --- Where it fails -------------------------------------------------------------------------------


def top_sample(problem: PooledProblem, measure: str = "reward_last") -> Sample:
    """The sample with the highest score."""
    return max(problem.samples, key=lambda sample: score_of(sample, measure))


def fooled(pool: list[PooledProblem]) -> list[PooledProblem]:
    """The problems on which a wrong sample has the highest reward although a right one is there,
    the most confident mistake first."""
    found = [each for each in pool if oracle(each.samples) and not top_sample(each).is_right]
    return sorted(found, key=lambda each: -score_of(top_sample(each), "reward_last"))


def print_score_changes(reward_model: ProcessRewardModel, pool: list[PooledProblem]) -> None:
    """How the step score changes at lines with a slip, and at all other lines."""
    changes: dict[bool, list[float]] = {True: [], False: []}
    for problem in pool:
        texts = [sample.text for sample in problem.samples]
        for text, scores in zip(texts, reward_model.step_scores(problem.question, texts)):
            for line, before, after in zip(text.split("\n")[1:], scores, scores[1:]):
                changes[bool(wrong_equations(line))].append(after - before)
    for slip, found in changes.items():
        if found:
            rises = fmean(change > 0 for change in found)
            name = "slip" if slip else "no slip"
            print(f"{name:<8} {len(found):>6} lines, mean {fmean(found):+.3f}, rises {rises:.0%}")


# --- Length of solutions --------------------------------------------------------------------------


def num_steps(sample: Sample) -> int:
    """The number of lines of a solution."""
    return sample.text.count("\n") + 1


def print_steps_chosen(pool: list[PooledProblem], measures: Sequence[str]) -> None:
    """The mean number of steps of all samples, of right ones, and of those that measures choose."""
    samples = [sample for each in pool for sample in each.samples]
    rows: dict[str, list[Sample]] = {
        "all samples": samples,
        "right samples": [sample for sample in samples if sample.is_right],
    }
    for measure in measures:
        rows[f"best by {measure}"] = [top_sample(each, measure) for each in pool]
    for name, chosen in rows.items():
        print(f"{name:<20}{fmean(map(num_steps, chosen)):5.1f} steps")


def print_by_length(pool: list[PooledProblem], value: Callable[[Sample], float]) -> None:
    """The mean of a value for right and wrong samples of few, some and many steps."""
    for low, high in ((1, 15), (15, 30), (30, 99)):
        print(f"{low:>2} to {high - 1:>2} steps", end="")
        for is_right in (True, False):
            values = [
                value(sample)
                for each in pool
                for sample in each.samples
                if sample.is_right == is_right and low <= num_steps(sample) < high
            ]
            shown = f"{fmean(values):7.1f}" if values else "      -"
            print(f"   {'right' if is_right else 'wrong'} {shown}", end="")
        print()
