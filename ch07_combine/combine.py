"""Combinations: techniques of the earlier chapters that hand problems, samples or votes to each
other.

    python ch07_combine/combine.py --way escalate --limit 50
    python ch07_combine/combine.py --way "sample until sure" --lead 4 --n 32

Each function takes a model and a problem and returns a `Solution` with everything that was sampled,
and what all of it cost. study.py compares them at equal tokens.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from ch03_best_of_n.best_of_n import best_answer, best_of_n
from ch05_refine.critique import finds_nothing
from ch05_refine.feedback import own_critique, revise
from ch06_search.search import beam_search
from ch06_search.tree import PARAMS as STEP_SAMPLING
from ch06_search.values import reward_value
from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.evaluation.cli import (
    add_common_flags,
    add_reward_model_flag,
    friendly_errors,
    load_reward_model,
    run,
)
from shared.evaluation.worked_examples import worked_examples
from shared.grading.answers import final_answer
from shared.grading.arithmetic import wrong_equations
from shared.grading.voting import count_votes, winner
from shared.rewards.interfaces import Scorer
from shared.rewards.process_reward import ProcessRewardModel
from shared.rewards.scorers import Reward
from shared.scores import checked_scores

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
SEED_STEP = 1_000  # between the seeds of successive rounds, so that runs with seeds 0, 1, … differ

CERTAIN = 0.99  # no score says more than that a sample is this certain to be right

Technique = Callable[[LLM, Problem], Solution]
Weigh = Callable[[Completion, float], float]  # a sample and its score -> the weight of its vote
Ask = Callable[[str], list[dict[str, str]]]  # a question -> the chat messages that ask it


# --- When is a vote decided? ----------------------------------------------------------------------


def lead(votes: Mapping[str, float]) -> float:
    """How far the first answer of a vote is ahead of the second; 0 if there is no vote.

    If the weights are scores from 0 to 1, one excellent sample leads by as much as three that agree
    and score a third each.
    """
    first, second, *_ = sorted([*votes.values(), 0.0, 0.0], reverse=True)
    return first - second


def agreement(votes: Mapping[str, float], num_samples: int) -> float:
    """The share of all samples that gave the leading answer; samples without answers count."""
    return max(votes.values(), default=0.0) / num_samples


# --- What is a sample's vote worth? ---------------------------------------------------------------


def as_scored(completion: Completion, score: float) -> float:
    """The score itself."""
    return score


@lru_cache(maxsize=100_000)  # studies weigh the same samples again and again
def has_wrong_equation(text: str) -> bool:
    """Whether an equation of a solution does not hold."""
    return bool(wrong_equations(text))


def checked_odds(completion: Completion, score: float) -> float:
    """Two verifiers in one weight: 0 where an equation is wrong, else the odds that a sample is
    right, score / (1 - score). A score of 0.9 counts nine times as much as one of 0.5.

    The score must be from 0 to 1, as a reward model's; above `CERTAIN` it counts no more.
    """
    if has_wrong_equation(completion.text):
        return 0.0
    return score / (1 - min(score, CERTAIN))


# --- Escalation -----------------------------------------------------------------------------------


def escalate(
    llm: LLM,
    problem: Problem,
    *,
    stages: Mapping[str, Technique],
    enough: float,
    weigh: Weigh = as_scored,
) -> Solution:
    """Try techniques in turn, the cheapest first, until the weighted vote of all samples so far is
    decided: until one answer leads by `enough` (a cascade; Chen 2023, FrugalGPT).

    Each stage must score its completions, as best-of-N and the searches do; `weigh` turns a score
    into the weight of a vote. Nothing is thrown away: later stages add to the vote.

    Raises ValueError for no stages and for missing scores.
    """
    if not stages:
        raise ValueError("there must be at least one stage")
    completions: list[Completion] = []
    answers: list[str | None] = []
    scores: list[float] = []
    weights: list[float] = []
    cost, trace = Cost(), []
    for name, technique in stages.items():
        solution = technique(llm, problem)
        completions += solution.completions
        answers += [final_answer(completion) for completion in solution.completions]
        new = checked_scores(solution.scores, f"the score of {name}", len(solution.completions))
        scores += new
        weights += [weigh(each, score) for each, score in zip(solution.completions, new)]
        cost += solution.cost
        votes = count_votes(answers, weights)
        trace.append({"stage": name, "votes": votes})
        if lead(votes) >= enough:
            break
    return Solution(winner(votes), completions, cost, scores, trace)


def sample_until_sure(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 64,
    params: SamplingParams = PARAMS,
    scorer: Scorer,
    enough: float = 1.0,
    batch: int = 1,
    weigh: Weigh = as_scored,
) -> Solution:
    """Adaptive sampling with a verifier: draw `batch` at a time, at most n, until one answer leads
    the vote weighted by scores by `enough`.

    Adaptive consistency stops where samples agree, rejection sampling at one high score. This stops
    for both reasons. Raises ValueError for n or batch below 1.
    """
    if min(n, batch) < 1:
        raise ValueError(f"n and batch must be at least 1, not {n} and {batch}")
    stages = {}
    for start in range(0, n, batch):
        own = replace(params, seed=params.seed + SEED_STEP * start)
        size = min(batch, n - start)
        stages[f"samples {start + 1} to {start + size}"] = partial(
            best_of_n, n=size, params=own, scorer=scorer
        )
    return escalate(llm, problem, stages=stages, enough=enough, weigh=weigh)


# --- Vote, then refine ----------------------------------------------------------------------------


def vote_then_refine(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 4,
    params: SamplingParams = PARAMS,
    agreed: float = 0.75,
    revisions: int = 4,
) -> Solution:
    """Sample n solutions. Where at least the share `agreed` of them gives one answer, take it.
    Elsewhere let the model criticise and revise its most frequent answer `revisions` times; the
    revisions vote along with the samples.

    A critique that finds nothing ends the refinement. Raises ValueError for n below 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    (output,) = llm.chat(prompts.ask(problem.question), replace(params, n=n), enable_thinking=False)
    voters, cost = list(output.completions), output.cost
    votes = count_votes([final_answer(each) for each in voters])
    others, trace = [], [{"votes": votes}]
    draft = next((v for v in voters if final_answer(v) == winner(votes)), voters[0])
    is_contested = agreement(votes, n) < agreed
    for number in range(1, revisions + 1 if is_contested else 1):
        sampling = replace(params, n=1, seed=params.seed + SEED_STEP * number)
        critique = own_critique(llm, problem.question, draft.text, sampling)
        others += critique.completions
        cost += critique.cost
        text = critique.completions[0].text
        if finds_nothing(text):
            break
        revised = revise(llm, problem.question, [(draft.text, text)], sampling)
        voters += revised.completions
        cost += revised.cost
        votes = count_votes([final_answer(each) for each in voters])
        trace.append({"critique": text, "votes": votes})
    return Solution(winner(votes), voters + others, cost, trace=trace)


# --- Best-of-N among beams ------------------------------------------------------------------------


def best_of_beams(
    llm: LLM,
    problem: Problem,
    *,
    searches: int = 2,
    n: int = 8,
    value: Scorer,
    params: SamplingParams = STEP_SAMPLING,
    choose: Callable[[list[str | None], list[float]], str | None] = best_answer,
) -> Solution:
    """Independent beam searches, each with its own seed; `choose` picks an answer among all paths
    that they finished. Raises ValueError for fewer than one search."""
    if searches < 1:
        raise ValueError(f"there must be at least 1 search, not {searches}")
    completions: list[Completion] = []
    scores: list[float] = []
    cost = Cost()
    for number in range(searches):
        own = replace(params, seed=params.seed + number)
        solution = beam_search(llm, problem, n=n, value=value, params=own)
        completions += solution.completions
        scores += solution.scores
        cost += solution.cost
    answers = [final_answer(each) for each in completions]
    return Solution(choose(answers, scores), completions, cost, scores)


# --- Several prompts, several techniques ----------------------------------------------------------


def several_prompts(
    llm: LLM, problem: Problem, *, asks: Sequence[Ask], n: int = 16, params: SamplingParams = PARAMS
) -> Solution:
    """Self-consistency over several ways to ask: n samples, shared out among them as evenly as
    possible, and one vote. Raises ValueError for no way to ask and for n below their number."""
    if not 1 <= len(asks) <= n:
        raise ValueError(f"{n} samples cannot be shared out among {len(asks)} prompts")
    completions: list[Completion] = []
    cost = Cost()
    each, extra = divmod(n, len(asks))
    for number, ask in enumerate(asks):
        own = replace(params, n=each + (number < extra), seed=params.seed + SEED_STEP * number)
        (output,) = llm.chat(ask(problem.question), own, enable_thinking=False)
        completions += output.completions
        cost += output.cost
    votes = count_votes([final_answer(completion) for completion in completions])
    return Solution(winner(votes), completions, cost, trace=[{"votes": votes}])


@dataclass(frozen=True)
class WithExamples:
    """A way to ask that first shows `count` solved training problems; 0 is the plain question."""

    source: str
    count: int
    seed: int = 0

    @property
    def name(self) -> str:
        """For example "2 examples"; a run's settings record it."""
        return f"{self.count} examples"

    def __call__(self, question: str) -> list[dict[str, str]]:
        """Raises ValueError for a source without worked solutions."""
        shown = worked_examples(self.source, self.count, self.seed) if self.count else []
        before = []
        for example, solution in shown:
            before += [*prompts.ask(example), {"role": "assistant", "content": solution}]
        return [*before, *prompts.ask(question)]


def vote_over_techniques(
    llm: LLM, problem: Problem, *, techniques: Mapping[str, Technique]
) -> Solution:
    """Each technique answers, and has one vote; ties go to the technique that is named first.

    The trace says who answered what. Raises ValueError for no techniques.
    """
    if not techniques:
        raise ValueError("there must be at least one technique")
    solutions = {name: technique(llm, problem) for name, technique in techniques.items()}
    answers = {name: solution.answer for name, solution in solutions.items()}
    votes = count_votes(list(answers.values()))
    completions = [each for solution in solutions.values() for each in solution.completions]
    cost = sum((solution.cost for solution in solutions.values()), Cost())
    return Solution(winner(votes), completions, cost, trace=[{"answers": answers, "votes": votes}])


# --- The command line -----------------------------------------------------------------------------

ENOUGH = 4.0  # the default lead, in odds; study.py chooses it on dev problems
WAYS = (
    "escalate",
    "sample until sure",
    "vote, then refine",
    "best of beams",
    "several prompts",
    "vote over techniques",
)


def cascade_stages(
    params: SamplingParams, scorer: Scorer, value: Scorer, n: int
) -> dict[str, Technique]:
    """One sample, three more, a beam search, then samples up to n."""
    sampled = partial(best_of_n, scorer=scorer)
    later, last = (replace(params, seed=params.seed + SEED_STEP * k) for k in (1, 2))
    hotter = replace(STEP_SAMPLING, seed=params.seed, max_tokens=params.max_tokens)
    return {
        "one sample": partial(sampled, n=1, params=params),
        "three more": partial(sampled, n=3, params=later),
        "beam search": partial(beam_search, n=8, value=value, params=hotter),
        f"up to {n} samples": partial(sampled, n=max(1, n - 4), params=last),
    }


def combine(
    llm: LLM,
    problem: Problem,
    *,
    way: str,
    n: int,
    params: SamplingParams,
    reward_model: ProcessRewardModel,
    enough: float = ENOUGH,
    source: str = "word",
) -> Solution:
    """One of the WAYS with its usual parts; `source` is the problem set that examples come from."""
    scorer, value = Reward(reward_model), reward_value(reward_model)
    stages = cascade_stages(params, scorer, value, n)
    if way == "escalate":
        return escalate(llm, problem, stages=stages, enough=enough, weigh=checked_odds)
    if way == "sample until sure":
        sure = {"scorer": scorer, "enough": enough, "weigh": checked_odds}
        return sample_until_sure(llm, problem, n=n, params=params, **sure)
    if way == "vote, then refine":
        return vote_then_refine(llm, problem, n=max(1, n // 2), params=params)
    if way == "best of beams":
        return best_of_beams(llm, problem, n=max(1, n // 2), value=value)
    if way == "several prompts":
        asks = [WithExamples(source, count) for count in (0, 1, 2)]
        return several_prompts(llm, problem, asks=asks, n=max(len(asks), n), params=params)
    if way == "vote over techniques":
        return vote_over_techniques(llm, problem, techniques=stages)
    raise ValueError(f"way must be one of {', '.join(WAYS)}, not {way!r}")


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add_reward_model_flag(parser)
    add = parser.add_argument
    add("--way", choices=WAYS, default=WAYS[0], help="how techniques are combined")
    add("--lead", type=float, default=ENOUGH, help="of the first answer, for the first two ways")
    parser.set_defaults(n=16, max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Run one combination."""
    args = parse_args()
    with friendly_errors():
        model, settings = load_reward_model(args)
    options = {"way": args.way, "enough": args.lead, "source": args.problems}
    run(combine, args, settings, reward_model=model, **options)


if __name__ == "__main__":
    main()
