"""Best-of-N: sample n solutions, score each of them, and choose the answer by the scores.

    python ch03_best_of_n/best_of_n.py --scorer reward --method weighted
    python ch03_best_of_n/best_of_n.py --scorer judge --method best --n 4

"best" takes the answer with the highest score, "weighted" the answer whose scores add up to the
most. The scorers are in shared/rewards/scorers.py; study.py compares them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

from shared import LLM, Problem, SamplingParams, Solution, prompts
from shared.evaluation.cli import (
    add_common_flags,
    add_reward_model_flag,
    friendly_errors,
    load_reward_model,
    run,
)
from shared.grading.answers import final_answer
from shared.grading.voting import most_frequent
from shared.rewards.interfaces import Scorer
from shared.rewards.scorers import Certainty, Judge, Length, Likelihood, Reward
from shared.scores import checked_scores

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
LIKELIHOOD = Likelihood()


def best_answer(answers: list[str | None], scores: list[float]) -> str | None:
    """The answer with the highest score; ties go to the first. None where there is no answer.

    Raises ValueError for a score that is not a finite number.
    """
    scores = checked_scores(scores, "the score", len(answers))
    answered = [(score, answer) for score, answer in zip(scores, answers) if answer is not None]
    return max(answered, key=lambda pair: pair[0], default=(0.0, None))[1]


def weighted_answer(answers: list[str | None], scores: list[float]) -> str | None:
    """The answer whose scores add up to the most: a vote weighted by the scores (Li 2023).

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
    scorer: Scorer = LIKELIHOOD,
    choose: Callable[[list[str | None], list[float]], str | None] = best_answer,
) -> Solution:
    """Sample n chains of thought, score each, and let `choose` pick an answer by the scores.

    Raises ValueError unless the scorer gives a finite number for each solution.
    """
    (output,) = llm.chat(prompts.ask(problem.question), replace(params, n=n), enable_thinking=False)
    completions = output.completions
    scores, scoring_cost = scorer.score(llm, problem.question, completions)
    scores = checked_scores(scores, scorer.name, len(completions))
    answers = [final_answer(completion) for completion in completions]
    return Solution(choose(answers, scores), completions, output.cost + scoring_cost, scores)


SCORERS = {scorer.name: scorer for scorer in (Length(), Likelihood(), Certainty(), Judge())}
AGGREGATES = ("last", "min", "mean", "prod")  # how a reward model's steps become one score
METHODS = {"best": best_answer, "weighted": weighted_answer}


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add_reward_model_flag(parser)
    add = parser.add_argument
    add("--scorer", choices=[*SCORERS, "reward"], default="reward", help="what ranks the samples")
    add("--aggregate", choices=AGGREGATES, default="last", help="of the reward model's steps")
    add("--method", choices=METHODS, default="weighted", help="highest score, or weighted vote")
    parser.set_defaults(max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Answer with one scorer."""
    args = parse_args()
    if args.scorer == "reward":
        with friendly_errors():
            model, settings = load_reward_model(args)
        scorer = Reward(model, args.aggregate)
    else:
        scorer, settings = SCORERS[args.scorer], {}
    run(best_of_n, args, settings, scorer=scorer, choose=METHODS[args.method])


if __name__ == "__main__":
    main()
