"""Self-consistency: sample several chains of thought, let their answers vote.

    python ch02_self_consistency/self_consistency.py --limit 400
    python ch02_self_consistency/self_consistency.py --method adaptive --threshold 0.95
    python ch02_self_consistency/self_consistency.py --model Qwen/Qwen3-0.6B --problems math500

Prints the accuracy with its 95% interval and what it cost. study.py compares the votes.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import replace
from functools import partial

from shared import LLM, Completion, Cost, Problem, RequestOutput, SamplingParams, Solution, prompts
from shared.evaluation.cli import add_common_flags, run
from shared.evaluation.pool import GROUP, lowest_confidence
from shared.grading.answers import final_answer
from shared.grading.voting import count_votes, is_at_least, winner
from shared.scores import checked, checked_scores

SAMPLING = SamplingParams(temperature=0.6, max_tokens=700)
SEED_STEP = 1_000  # between the seeds of successive rounds, so that runs with seeds 0, 1, … differ
WEIGHTS = ("probability", "probability per token", "certainty")
CHOOSE = (
    "Several responses to the same question follow.\n\n{responses}\n\nThe question was: {question}"
    "\nSelect the most consistent response based on majority consensus. "
    "End with: The most consistent response is Response X."
)


def draw(llm: LLM, problem: Problem, n: int, params: SamplingParams) -> RequestOutput:
    """n chains of thought of a problem, in one batch."""
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
    """How probable each completion is, relative to the most probable one.

    Of the whole text, or as the geometric mean per token: "unnormalized" and "normalized" in Wang
    2022, section 2. Relative, since e^-800 would be 0.
    """
    lengths = [len(c.logprobs) if per_token else 1 for c in completions]
    means = [sum(c.logprobs) / length for c, length in zip(completions, lengths)]
    return [math.exp(mean - max(means)) for mean in means]


def rank_weights(scores: list[float], power: float = 1.0) -> list[float]:
    """Borda's weights: the best of n scores counts n^power, the worst 1 (Kang 2025).

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
    """Weigh votes by "probability" or "probability per token" (Wang 2022), or by ranks of
    self-"certainty" (Kang 2025). Raises ValueError for another weight, and for one that is not a
    finite number.
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


def leader_stays(votes: dict[str, float]) -> float:
    """Probability that the leading answer is the more frequent one of the leading two.

    With a flat prior the leader's share of both is Beta(first + 1, second + 1); this is its mass
    above one half (Aggarwal 2023), a binomial tail since votes are whole numbers.
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
    """Sample `batch` at a time, at most n, until the leader is likely to stay (Aggarwal 2023).

    A larger n under the same seed would draw the same samples again, so every round has a seed of
    its own; the first round's samples are the first ones of `self_consistency`.
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
        trace.append({"votes": votes, "leader_stays": leader_stays(votes)})
        if trace[-1]["leader_stays"] >= threshold:
            break
    return Solution(winner(votes), completions, cost, trace=trace)


def confidence(completion: Completion) -> float:
    """Geometric mean of the tokens' probabilities in the shakiest passage of GROUP tokens.

    After DeepConf (Fu 2025), which averages over the likeliest tokens at each place;
    here it is the token taken, so that nothing but `logprobs` is needed. Raises ValueError where
    these are not finite numbers.
    """
    lowest = checked(lowest_confidence(completion.logprobs, GROUP), "the lowest confidence")
    return math.exp(lowest)


def best_share(scores: list[float], keep: float) -> list[bool]:
    """For each score whether it is among the best `keep` of them, a share; ties too.

    Raises ValueError unless keep is above 0 and at most 1, and scores are finite numbers.
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
    """Only the `keep` share with the least shaky passages votes, by confidence (Fu 2025)."""
    output = draw(llm, problem, n, params)
    scores = [confidence(completion) for completion in output.completions]
    answers = [final_answer(completion) for completion in output.completions]
    weights = [score * is_in for score, is_in in zip(scores, best_share(scores, keep))]
    votes = count_votes(answers, weights, "the confidence")
    return Solution(winner(votes), output.completions, output.cost, scores, [{"votes": votes}])


def draw_until_weak(
    llm: LLM, prompt_ids: list[int], params: SamplingParams, threshold: float
) -> RequestOutput:
    """One completion, given up ("weak") when some group's confidence is below the threshold.

    It is looked at every GROUP tokens. What was read before is reused. The text is that of all
    tokens together: a character, or a stop string, may begin in one piece and end in the next.
    """
    whole, cost = Completion("", [], [], "length"), Cost()
    special = set(llm.tokenizer.special_tokens.values())  # such as the end of turn: no text
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
    """Stop weak samples while they are written, and all when most agree (Fu 2025).

    The threshold is what the best `keep` of `warmup` whole samples reach. The others come one
    after another until `consensus` of the confidence is for one answer, or n were begun.

    Confidences are compared up to rounding (`is_at_least`). A sample that repeats the shakiest
    passage of an earlier one is exactly as confident, but the computed numbers differ in the last
    digits, depending on what else is in the batch. Without a tolerance the same call would give up
    such a sample in one run and keep it in another.
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


def universal_self_consistency(
    llm: LLM, problem: Problem, *, n: int = 8, params: SamplingParams = SAMPLING
) -> Solution:
    """Let the model itself name the most consistent of n responses (Chen 2023).

    For answers that cannot be counted, such as free text. The answer is None where the reply names
    none of them. Raises ValueError where the responses fill the model's context.
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
    methods = ["majority", "weighted", "adaptive", "deepconf", "deepconf-online", "universal"]
    add("--method", choices=methods, default="majority", help="how the samples are used")
    add("--weight", choices=WEIGHTS, default=WEIGHTS[0], help="weighted: what a vote counts")
    add("--threshold", type=float, default=0.95, help="adaptive: how sure to be before stopping")
    add("--batch", type=int, default=4, help="adaptive: samples a round")
    add("--keep", type=float, default=0.5, help="deepconf: share of the samples that vote")
    parser.set_defaults(n=16, max_tokens=SAMPLING.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Run one method."""
    args = parse_args()
    technique = {
        "majority": self_consistency,
        "weighted": partial(weighted_self_consistency, weight=args.weight),
        "adaptive": partial(adaptive_consistency, batch=args.batch, threshold=args.threshold),
        "deepconf": partial(deepconf, keep=args.keep),
        "deepconf-online": partial(deepconf_online, keep=args.keep),
        "universal": universal_self_consistency,
    }[args.method]
    run(technique, args)


if __name__ == "__main__":
    main()
