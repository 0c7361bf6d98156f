"""Best-of-N: sample n solutions, score each of them, and answer as the scores say.

    python ch03_best_of_n/best_of_n.py --scorer reward --method weighted
    python ch03_best_of_n/best_of_n.py --compare --limit 400 --n 16     # every scorer on one pool

The answer is that of the highest score ("best") or the one whose scores add up to the most
("weighted"). `--compare` samples once and prints a table: each scorer, its AUC, its accuracy, and
the difference to a majority vote on the same samples.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import replace
from statistics import mean

import torch

from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.errors import setting_up
from shared.evaluation.cli import (
    add_common_flags,
    evaluate_as_told,
    friendly_errors,
    model_config,
    print_result,
    run,
)
from shared.evaluation.evaluate import name_of
from shared.evaluation.intervals import auc, paired_bootstrap, wilson_interval
from shared.evaluation.pool import (
    Choose,
    PooledProblem,
    Sample,
    accuracy_at,
    majority,
    sample_pool,
    to_pool,
)
from shared.grading.answers import final_answer
from shared.grading.voting import most_frequent
from shared.loading.checkpoint import weights_fingerprint
from shared.rewards.judge import judge, judging_cost
from shared.rewards.process_reward import ProcessRewardModel
from shared.scores import aggregate_scores, checked, checked_scores

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
AGGREGATES = ("last", "min", "mean", "prod")
# Of a question and its solutions, one number each: 0 or more, and higher is better.
Scorer = Callable[[LLM, str, list[Completion]], list[float]]


def length(llm: LLM, question: str, completions: list[Completion]) -> list[float]:
    """A heuristic on length and format: the number of tokens, as if who writes more had thought
    more; 0 for what was cut off or boxed no answer."""
    well_formed = [c.finish_reason == "stop" and "\\boxed{" in c.text for c in completions]
    return [is_fine * len(c.token_ids) for is_fine, c in zip(well_formed, completions)]


def likelihood(llm: LLM, question: str, completions: list[Completion]) -> list[float]:
    """exp(mean log-probability): the geometric mean of the tokens' probabilities, from 0 to 1.

    The mean, since the sum would just rank by length: every token makes a text less likely.
    """
    return [math.exp(mean(c.logprobs)) for c in completions]


def certainty(llm: LLM, question: str, completions: list[Completion]) -> list[float]:
    """Self-certainty: how far the model's predictions are from uniform, mean over the tokens, in
    nats (Kang 2025)."""
    return [completion.certainty for completion in completions]


def own_judgement(llm: LLM, question: str, completions: list[Completion]) -> list[float]:
    """The probability of "Yes" when the model is asked if a solution is correct (Zhang 2024)."""
    return [judge(llm, question, completion.text) for completion in completions]


def reward(reward_model: ProcessRewardModel, aggregate: str = "last") -> Scorer:
    """The scorer that asks a reward model about every step and makes one number of its answers.

    "last" looks at the finished solution only, as an outcome reward model does (Cobbe 2021); "min",
    "prod" and "mean" look at all steps (Lightman 2023).
    """

    def scorer(llm: LLM, question: str, completions: list[Completion]) -> list[float]:
        """Each completion's steps, aggregated."""
        steps = reward_model.step_scores(question, [c.text for c in completions])
        return [aggregate_scores(scores, aggregate) for scores in steps]

    scorer.__name__ = f"reward_{aggregate}"  # what a run's settings call it
    return scorer


def best_answer(answers: list[str | None], scores: list[float]) -> str | None:
    """The answer with the highest score; ties go to the first. None where there is no answer.

    Raises ValueError for a score that is not a finite number.
    """
    scores = checked_scores(scores, "the score", len(answers))
    answered = [(score, answer) for score, answer in zip(scores, answers) if answer is not None]
    return max(answered, key=lambda pair: pair[0], default=(0.0, None))[1]


def weighted_answer(answers: list[str | None], scores: list[float]) -> str | None:
    """The answer whose scores add up to the most: a vote, each weighing its score (Li 2023).

    Raises ValueError for a score that is not a finite number, and for a negative one, which would
    count against its own answer.
    """
    return most_frequent(answers, scores, "the score")


def best_of_n(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    params: SamplingParams = PARAMS,
    scorer: Scorer = likelihood,
    choose: Callable[[list[str | None], list[float]], str | None] = best_answer,
) -> Solution:
    """Sample n chains of thought, score each, and let `choose` make one answer of the scores."""
    (output,) = llm.chat(prompts.ask(problem.question), replace(params, n=n), enable_thinking=False)
    completions = output.completions
    scores = scorer(llm, problem.question, completions)
    scores = checked_scores(scores, name_of(scorer), len(completions))
    cost = output.cost + scoring_cost(llm, problem.question, scorer, completions)
    answers = [final_answer(completion) for completion in completions]
    return Solution(choose(answers, scores), completions, cost, scores)


def scoring_cost(llm: LLM, question: str, scorer: Scorer, completions: list[Completion]) -> Cost:
    """What a scorer costs that has scored some solutions."""
    if scorer in (length, likelihood, certainty):  # sampling has already told what these need
        return Cost()
    if scorer is own_judgement:
        return judging_cost(llm, question, [completion.text for completion in completions])
    return reading_cost(completions)


def reading_cost(completions: list[Completion]) -> Cost:
    """What it costs a reward model to read every solution once."""
    num_tokens = sum(len(completion.token_ids) for completion in completions)
    return Cost(scored_tokens=num_tokens, forward_passes=len(completions))


# --- Every scorer on the same samples -------------------------------------------------------------

SCORERS = {
    "length": length,
    "likelihood": likelihood,
    "certainty": certainty,
    "judge": own_judgement,
}
METHODS = {"best": best_answer, "weighted": weighted_answer}
MEASURES = ("length", "likelihood", "certainty", "judge", *(f"reward_{a}" for a in AGGREGATES))


def sample_and_measure(
    llm: LLM, problem: Problem, *, n: int, params: SamplingParams, reward_model: ProcessRewardModel
) -> Solution:
    """Sample n solutions and note what every scorer says of each; answer with their majority."""
    solution = sample_pool(llm, problem, n=n, params=params)  # notes certainty and judge
    completions = solution.completions
    steps = reward_model.step_scores(problem.question, [c.text for c in completions])
    for completion, scores in zip(completions, steps):
        for aggregate in AGGREGATES:  # records keep four decimals: too few for a product
            score = max(aggregate_scores(scores, aggregate), 1e-300)
            completion.measures[f"log_reward_{aggregate}"] = math.log(score)
    solution.cost += reading_cost(completions)
    return solution


def score_of(sample: Sample, measure: str) -> float:
    """A pooled sample's score by one of the MEASURES. Raises ValueError where none is recorded, and
    for one that is not a finite number."""
    if measure == "length":
        well_formed = sample.finish_reason == "stop" and "\\boxed{" in sample.text
        return well_formed * sample.num_tokens
    logarithms = {"likelihood": "logprob"} | {f"reward_{a}": f"log_reward_{a}" for a in AGGREGATES}
    noted = sample.measures.get(logarithms.get(measure, measure))
    score = checked(noted, f"{measure} of the sample {sample.text[:40]!r}")
    if measure == "likelihood":
        score /= sample.num_tokens
    return math.exp(score) if measure in logarithms else score


def ranked_by(measure: str, choose: Callable = best_answer) -> Choose:
    """`choose` on pooled samples with the scores of one measure, for `accuracy_at`."""

    def chosen(samples: list[Sample]) -> str | None:
        """The answer of these samples."""
        return choose([s.answer for s in samples], [score_of(s, measure) for s in samples])

    return chosen


def oracle(samples: list[Sample]) -> str | None:
    """A right answer if there is one: no choice among these samples can do better (pass@n)."""
    return next((sample.answer for sample in samples if sample.is_right), None)


def auc_within(pool: list[PooledProblem], measure: str) -> float:
    """Probability that a right solution scores above a wrong one of the same problem.

    Across problems a scorer also gets credit for telling easy problems from hard ones, which does
    not help to choose among the solutions of one. Not a number where no problem has both kinds.
    """
    won = pairs = 0.0
    for problem in pool:
        right = [score_of(s, measure) for s in problem.samples if s.is_right]
        wrong = [score_of(s, measure) for s in problem.samples if not s.is_right]
        if right and wrong:
            won += auc(right, wrong) * len(right) * len(wrong)
            pairs += len(right) * len(wrong)
    return won / pairs if pairs else math.nan


def compare_scorers(pool: list[PooledProblem], measures: tuple[str, ...] = MEASURES) -> list[dict]:
    """One row for each way to choose among all samples of a pool: accuracy with its interval, and
    the paired difference to the vote on the same samples."""
    n, total = len(pool[0].samples), len(pool)
    ways = {("majority vote", ""): majority, (f"oracle: pass@{n}", ""): oracle}
    for measure in measures:
        ways |= {(measure, method): ranked_by(measure, way) for method, way in METHODS.items()}
    vote = accuracy_at(pool, majority, n)
    rows = []
    for (name, method), choose in ways.items():
        right = accuracy_at(pool, choose, n)
        low, high = wilson_interval(round(sum(right)), total)
        gain = paired_bootstrap(right, vote)
        row = {"name": name, "method": method, "auc": auc_within(pool, name) if method else None}
        row |= {"accuracy": sum(right) / total, "low": low, "high": high}
        rows.append(row | {"gain": gain.difference, "gain_low": gain.low, "gain_high": gain.high})
    return rows


def print_table(rows: list[dict]) -> None:
    """The comparison as text."""
    heads = ("scorer", "method", "AUC", "accuracy  95% interval", "against the vote")
    print("{:<18}{:<10}{:<7}{:<26}{}".format(*heads))
    for row in rows:
        quality = "" if row["auc"] is None else f"{row['auc']:.3f}"
        print(
            f"{row['name']:<18}{row['method']:<10}{quality:<7}{row['accuracy']:<10.3f}"
            f"[{row['low']:.3f}, {row['high']:.3f}]  "
            f"{row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]"
        )


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    add("--scorer", choices=[*SCORERS, "reward"], default="reward", help="what ranks the samples")
    add("--aggregate", choices=AGGREGATES, default="last", help="of the reward model's steps")
    add("--method", choices=METHODS, default="weighted", help="highest score, or weighted vote")
    add("--reward-model", default="tiny", metavar="R", help="tiny, a folder or a hub id")
    add("--compare", action="store_true", help="all scorers and methods on one pool of samples")
    parser.set_defaults(max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Rank with one scorer, or compare them all."""
    args = parse_args()
    settings = {}
    with friendly_errors():
        if args.compare or args.scorer == "reward":
            dtype = getattr(torch, args.dtype or "float32")
            with setting_up():
                reward_model = ProcessRewardModel.from_folder(args.reward_model, args.device, dtype)
            settings["reward_weights"] = weights_fingerprint(reward_model)
        if args.compare:
            options = {"reward_model": reward_model}
            evaluation = evaluate_as_told(sample_and_measure, args, options, settings)
    if not args.compare:
        scorer = SCORERS.get(args.scorer) or reward(reward_model, args.aggregate)
        run(best_of_n, args, settings, scorer=scorer, choose=METHODS[args.method])
        return
    if not evaluation.num_errors:
        print_table(compare_scorers(to_pool(evaluation)))
    print_result(evaluation, None if args.base_url else model_config(args.model))
    if evaluation.num_errors:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
