"""Self-consistency: sample several chains of thought, let their answers vote.

    python ch02_self_consistency/self_consistency.py --limit 400
    python ch02_self_consistency/self_consistency.py --method adaptive --threshold 0.95
    python ch02_self_consistency/self_consistency.py --model Qwen/Qwen3-0.6B --problems math500

Prints the accuracy with its 95% interval and its cost. deepconf.py filters the samples by
confidence; study.py compares all votes on the same samples.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import replace
from functools import partial

from shared import LLM, Completion, Cost, Problem, RequestOutput, SamplingParams, Solution, prompts
from shared.evaluation.cli import add_common_flags, run
from shared.grading.answers import final_answer
from shared.grading.voting import count_votes, winner
from shared.scores import checked_scores

SAMPLING = SamplingParams(temperature=0.6, max_tokens=700)
SEED_STEP = 1_000  # between the seeds of successive rounds; runs with seeds 0, 1, … then differ
WEIGHTS = ("probability", "probability per token", "certainty")
CHOOSE = (
    "Several responses to the same question follow.\n\n{responses}\n\nThe question was: {question}"
    "\nSelect the most consistent response based on majority consensus. "
    "End with: The most consistent response is Response X."
)


def draw(llm: LLM, problem: Problem, n: int, params: SamplingParams) -> RequestOutput:
    """Sample n chains of thought for a problem in one batch."""
    messages = prompts.ask(problem.question)
    (output,) = llm.chat(messages, replace(params, n=n), enable_thinking=False)
    return output


def self_consistency(
    llm: LLM, problem: Problem, *, n: int = 16, params: SamplingParams = SAMPLING
) -> Solution:
    """Sample n chains of thought and take the most frequent answer (Wang 2022, section 2)."""
    output = draw(llm, problem, n, params)
    votes = count_votes([final_answer(completion) for completion in output.completions])
    return Solution(winner(votes), output.completions, output.cost, trace=[{"votes": votes}])


def probabilities(completions: list[Completion], *, per_token: bool) -> list[float]:
    """The probability of each completion, divided by that of the most probable one.

    Of the whole text, or the geometric mean per token ("unnormalized" and "normalized" in Wang
    2022, section 2). The division keeps a weight like e^-800 from becoming 0.
    """
    lengths = [len(c.logprobs) if per_token else 1 for c in completions]
    means = [sum(c.logprobs) / length for c, length in zip(completions, lengths)]
    return [math.exp(mean - max(means)) for mean in means]


def rank_weights(scores: list[float], power: float = 1.0) -> list[float]:
    """Borda weights: the best of n scores counts n^power, the worst 1 (Kang 2025).

    Raises ValueError for a score that is not a finite number.
    """
    scores = checked_scores(scores, "the score", len(scores))
    worst_first = sorted(range(len(scores)), key=lambda i: scores[i])
    ranks = {i: rank for rank, i in enumerate(worst_first, 1)}
    return [ranks[i] ** power for i in range(len(scores))]


def weighted_self_consistency(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 16,
    params: SamplingParams = SAMPLING,
    weight: str = "probability",
) -> Solution:
    """Weight votes by "probability" or "probability per token" (Wang 2022), or by ranks of
    self-"certainty" (Kang 2025).

    Raises ValueError for any other weight, and for scores that are not finite numbers.
    """
    if weight not in WEIGHTS:
        raise ValueError(f"weight must be one of {', '.join(WEIGHTS)}, not {weight!r}")
    output = draw(llm, problem, n, params)
    completions = output.completions
    if weight == "certainty":
        scores = [completion.certainty for completion in completions]
        weights = rank_weights(scores)
    else:
        scores = weights = probabilities(completions, per_token=weight != "probability")
    votes = count_votes([final_answer(completion) for completion in completions], weights, weight)
    return Solution(winner(votes), completions, output.cost, scores, [{"votes": votes}])


def probability_ahead(votes: dict[str, float]) -> float:
    """The probability that the model truly prefers the leading answer to the runner-up.

    With a flat prior, the posterior of the leader's share of the two is Beta(first + 1,
    second + 1). Returns its mass above one half (Aggarwal 2023). For whole numbers of votes this
    is a binomial tail: at most `first` heads in first + second + 1 tosses of a fair coin.
    """
    first, second, *_ = sorted((int(count) for count in [*votes.values(), 0, 0]), reverse=True)
    tosses = first + second + 1
    return sum(math.comb(tosses, heads) for heads in range(first + 1)) / 2**tosses


def adaptive_consistency(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 16,
    params: SamplingParams = SAMPLING,
    batch: int = 4,
    threshold: float = 0.95,
) -> Solution:
    """Sample `batch` at a time, at most n, until the leader is truly ahead with the probability
    `threshold` (Aggarwal 2023).

    Asking again with the same seed would return the same samples, so each round has its own seed.
    The first round draws the first samples of `self_consistency`.
    """
    completions: list[Completion] = []
    cost, trace = Cost(), []
    while len(completions) < n:
        seed = params.seed + SEED_STEP * len(trace)
        size = min(batch, n - len(completions))
        output = draw(llm, problem, size, replace(params, seed=seed))
        completions += output.completions
        cost += output.cost
        votes = count_votes([final_answer(completion) for completion in completions])
        trace.append({"votes": votes, "probability_ahead": probability_ahead(votes)})
        if trace[-1]["probability_ahead"] >= threshold:
            break
    return Solution(winner(votes), completions, cost, trace=trace)


def universal_self_consistency(
    llm: LLM, problem: Problem, *, n: int = 8, params: SamplingParams = SAMPLING
) -> Solution:
    """Let the model itself choose the most consistent of n responses (Chen 2023).

    For answers that cannot be counted, such as free text. The answer is None if the reply names
    no response. Raises ValueError if the responses do not fit into the model's context.
    """
    output = draw(llm, problem, n, params)
    texts = [f"Response {i}: {c.text}" for i, c in enumerate(output.completions, 1)]
    question = CHOOSE.format(responses="\n\n".join(texts), question=problem.question)
    greedy = replace(params, n=1, temperature=0)
    messages = [{"role": "user", "content": question}]
    (reply,) = llm.chat(messages, greedy, enable_thinking=False)
    named = re.findall(r"[Rr]esponse:? ?\**(\d+)", reply.completions[0].text)
    chosen = int(named[-1]) if named else 0
    is_one = 1 <= chosen <= n
    answer = final_answer(output.completions[chosen - 1]) if is_one else None
    trace = [{"reply": reply.completions[0].text, "chosen": chosen if is_one else None}]
    completions = output.completions + reply.completions
    return Solution(answer, completions, output.cost + reply.cost, trace=trace)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    methods = ["majority", "weighted", "adaptive", "universal"]
    add("--method", choices=methods, default="majority", help="how the answer is chosen")
    add("--weight", choices=WEIGHTS, default=WEIGHTS[0], help="weighted: the weight of a vote")
    add("--threshold", type=float, default=0.95, help="adaptive: stop at this probability")
    add("--batch", type=int, default=4, help="adaptive: samples per round")
    parser.set_defaults(n=16, max_tokens=SAMPLING.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Run one method."""
    args = parse_args()
    technique = {
        "majority": self_consistency,
        "weighted": partial(weighted_self_consistency, weight=args.weight),
        "adaptive": partial(adaptive_consistency, batch=args.batch, threshold=args.threshold),
        "universal": universal_self_consistency,
    }[args.method]
    run(technique, args)


if __name__ == "__main__":
    main()
