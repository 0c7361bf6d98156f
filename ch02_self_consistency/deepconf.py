"""DeepConf: let only the confident samples vote, and stop weak ones early (Fu 2025).

    python ch02_self_consistency/deepconf.py --limit 100 --keep 0.5
    python ch02_self_consistency/deepconf.py --limit 100 --n 8 --online

Prints the accuracy with its 95% interval and its cost.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from functools import partial

from ch02_self_consistency.self_consistency import SAMPLING, SEED_STEP, draw
from shared import LLM, Completion, Cost, Problem, RequestOutput, SamplingParams, Solution
from shared.evaluation.cli import add_common_flags, run
from shared.evaluation.pool import GROUP, lowest_confidence
from shared.grading.answers import final_answer
from shared.grading.voting import count_votes, is_at_least, winner
from shared.scores import checked, checked_scores


def confidence(completion: Completion) -> float:
    """The lowest geometric mean of token probabilities in any GROUP successive tokens.

    DeepConf (Fu 2025) averages over the most likely tokens at each position. This version uses the
    sampled token only, so it needs nothing but `logprobs`. Raises ValueError if these are not
    finite numbers.
    """
    lowest = checked(lowest_confidence(completion.logprobs, GROUP), "the lowest confidence")
    return math.exp(lowest)


def best_share(scores: list[float], keep: float) -> list[bool]:
    """For each score, whether it is in the best share `keep` of all scores.

    At least one score is in; all scores tied with the last one are in too. Raises ValueError
    unless keep is above 0 and at most 1, and scores are finite numbers.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must be a share above 0 and at most 1, not {keep}")
    scores = checked_scores(scores, "the score", len(scores))
    count = max(1, round(keep * len(scores)))
    threshold = sorted(scores, reverse=True)[count - 1]
    return [is_at_least(score, threshold) for score in scores]


def deepconf(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 16,
    params: SamplingParams = SAMPLING,
    keep: float = 0.5,
) -> Solution:
    """Only the most confident share `keep` of n samples votes, weighted by confidence (Fu 2025)."""
    output = draw(llm, problem, n, params)
    scores = [confidence(completion) for completion in output.completions]
    answers = [final_answer(completion) for completion in output.completions]
    weights = [score * is_in for score, is_in in zip(scores, best_share(scores, keep))]
    votes = count_votes(answers, weights, "the confidence")
    return Solution(winner(votes), output.completions, output.cost, scores, [{"votes": votes}])


def draw_until_weak(
    llm: LLM, prompt_ids: list[int], params: SamplingParams, threshold: float
) -> RequestOutput:
    """Sample one completion; stop it ("weak") when its confidence falls below the threshold.

    The check runs every GROUP tokens, and the engine reuses the tokens it has already read. The
    text is decoded from all tokens together, because a character or a stop string may begin in one
    piece and end in the next.
    """
    whole, cost = Completion("", [], [], "length"), Cost()
    special = set(llm.tokenizer.special_tokens.values())  # such as end of turn: no text
    while len(whole.token_ids) < params.max_tokens and whole.finish_reason == "length":
        size = min(GROUP, params.max_tokens - len(whole.token_ids))
        piece = replace(params, n=1, max_tokens=size)
        (output,) = llm.generate([prompt_ids + whole.token_ids], piece)
        (more,) = output.completions
        whole.token_ids += more.token_ids
        whole.logprobs += more.logprobs
        cost += output.cost
        text = llm.tokenizer.decode(token for token in whole.token_ids if token not in special)
        found = [text.index(stop) for stop in params.stop if stop in text]
        whole.text = text[: min(found, default=None)]
        is_weak = not is_at_least(confidence(whole), threshold)
        unfinished = "weak" if is_weak else "length"
        whole.finish_reason = "stop" if found or more.finish_reason == "stop" else unfinished
    return RequestOutput(prompt_ids, [whole], cost)


def deepconf_online(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 16,
    params: SamplingParams = SAMPLING,
    keep: float = 0.5,
    warmup: int = 4,
    consensus: float = 0.95,
) -> Solution:
    """Stop weak samples early, and stop sampling when most samples agree (Fu 2025).

    The best share `keep` of `warmup` whole samples sets the threshold. Further samples follow one
    by one, until one answer holds the share `consensus` of all confidence or n samples were begun.

    Confidences are compared up to rounding (`is_at_least`). Two samples with the same weakest
    passage are equally confident, but the computed numbers differ in the last digits, depending on
    the rest of the batch. Without a tolerance, the same call could stop such a sample in one run
    and keep it in another.
    """
    output = draw(llm, problem, min(warmup, n), params)
    completions, cost = list(output.completions), output.cost
    scores = [confidence(completion) for completion in completions]
    threshold = min(score for score, is_in in zip(scores, best_share(scores, keep)) if is_in)
    while True:
        weights = [score * is_at_least(score, threshold) for score in scores]
        answers = [None if c.finish_reason == "weak" else final_answer(c) for c in completions]
        votes = count_votes(answers, weights, "the confidence")
        most, total = max(votes.values(), default=0.0), sum(votes.values())
        agreed = votes and is_at_least(most, consensus * total)
        if agreed or len(completions) >= n:
            break
        own = replace(params, seed=params.seed + SEED_STEP * len(completions))
        more = draw_until_weak(llm, output.prompt_token_ids, own, threshold)
        completions += more.completions
        scores.append(confidence(completions[-1]))
        cost += more.cost
    return Solution(winner(votes), completions, cost, scores, [{"votes": votes}])


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    add("--online", action="store_true", help="stop weak samples while they are written")
    add("--keep", type=float, default=0.5, help="share of the samples that votes")
    parser.set_defaults(n=16, max_tokens=SAMPLING.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Run DeepConf, offline or online."""
    args = parse_args()
    run(partial(deepconf_online if args.online else deepconf, keep=args.keep), args)


if __name__ == "__main__":
    main()
