"""Rejection sampling: draw solutions until a verifier accepts one, or the budget ends.

    python ch04_rejection/rejection.py --verifier both --limit 400
    python ch04_rejection/rejection.py --verifier arithmetic --n 8 --batch 4

Verifiers, from weak to strong: "format" (a boxed answer), "arithmetic" (every equation holds),
"reward" (a reward model's score of the last step reaches a threshold), "both" of the latter; they
are in shared/rewards/verifiers.py.
If nothing is accepted, the draws vote. `study.py` compares the verifiers; `code_rejection.py` uses
unit tests as a verifier.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.errors import UserError
from shared.evaluation.cli import (
    add_common_flags,
    add_reward_model_flag,
    friendly_errors,
    load_reward_model,
    run,
)
from shared.grading.answers import final_answer
from shared.grading.voting import most_frequent
from shared.rewards.interfaces import Verifier
from shared.rewards.verifiers import ArithmeticHolds, Both, RewardAtLeast, WellFormed

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
SEED_STEP = 1_000  # between the seeds of successive rounds, so that runs with seeds 0, 1, … differ
THRESHOLDS = {"reward": 0.85, "both": 0.75}  # chosen on dev problems: study.py thresholds


# --- Verifiers ------------------------------------------------------------------------------------


def verifiers(
    reward: Callable[[float], Verifier], thresholds: dict[str, float] = THRESHOLDS
) -> dict[str, Verifier]:
    """The four verifiers by name. `reward` makes one from a threshold, such as
    `partial(RewardAtLeast, model)`."""
    return {
        "format": WellFormed(),
        "arithmetic": ArithmeticHolds(),
        "reward": reward(thresholds["reward"]),
        "both": Both(ArithmeticHolds(), reward(thresholds["both"])),
    }


# --- The technique --------------------------------------------------------------------------------


def first_accepted(completions: list[Completion], accepted: list[bool]) -> str | None:
    """The answer of the first accepted solution; if there is none, the majority of all."""
    answers = [final_answer(completion) for completion in completions]
    passed = [answer for answer, is_accepted in zip(answers, accepted) if is_accepted]
    return passed[0] if passed else most_frequent(answers)


def rejection_sampling(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 16,
    params: SamplingParams = PARAMS,
    verifier: Verifier = ArithmeticHolds(),
    batch: int = 1,
    instruction: str = prompts.STEP_BY_STEP,
    choose: Callable[[list[Completion], list[bool]], str | None] = first_accepted,
) -> Solution:
    """Draw `batch` solutions at a time until the verifier accepts one, at most n.

    `choose` makes the answer from all draws and the verdicts on them. Larger batches take fewer
    rounds and draw more than they need. Raises ValueError for n or batch below 1.
    (Cobbe 2021: verifiers; Stroebl 2024: resampling until an imperfect one accepts)
    """
    if min(n, batch) < 1:
        raise ValueError(f"n and batch must be at least 1, not {n} and {batch}")
    messages = prompts.ask(problem.question, instruction)
    completions: list[Completion] = []
    accepted: list[bool] = []
    cost, trace = Cost(), []
    while len(completions) < n and not any(accepted):
        seed = params.seed + SEED_STEP * len(completions)
        own = replace(params, n=min(batch, n - len(completions)), seed=seed)
        (output,) = llm.chat(messages, own, enable_thinking=False)
        verdicts, reading_cost = verifier.verify(llm, problem.question, output.completions)
        accepted += verdicts
        completions += output.completions
        cost += output.cost + reading_cost
        trace.append({"drawn": len(completions), "accepted": sum(accepted)})
    answer = choose(completions, accepted)
    return Solution(answer, completions, cost, [float(a) for a in accepted], trace)


# --- The command line -----------------------------------------------------------------------------


def parse_args() -> argparse.Namespace:
    """The command line. Raises UserError for values that make no sense and for flags that would
    have no effect."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add_reward_model_flag(parser)
    add = parser.add_argument
    names = ("format", "arithmetic", "reward", "both")
    add("--verifier", choices=names, default="both", help="what accepts a solution")
    add("--threshold", type=float, help="least reward; None: as chosen on dev (THRESHOLDS)")
    add("--batch", type=int, default=1, help="solutions drawn at a time")
    parser.set_defaults(n=16, max_tokens=PARAMS.max_tokens, reward_model=None)
    args = parser.parse_args()
    if args.batch < 1:
        raise UserError(f"--batch must be at least 1, not {args.batch}")
    for name in ("threshold", "reward_model"):
        if args.verifier not in THRESHOLDS and getattr(args, name) is not None:
            flag = name.replace("_", "-")
            raise UserError(f"--{flag} has no effect with --verifier {args.verifier}")
    return args


def main() -> None:
    """Draw until the chosen verifier accepts."""
    with friendly_errors():
        args = parse_args()
        needs_model = args.verifier in THRESHOLDS
        model, settings = load_reward_model(args) if needs_model else (None, {})
    least = THRESHOLDS if args.threshold is None else dict.fromkeys(THRESHOLDS, args.threshold)
    verifier = verifiers(partial(RewardAtLeast, model), least)[args.verifier]
    run(rejection_sampling, args, settings, verifier=verifier, batch=args.batch)


if __name__ == "__main__":
    main()
