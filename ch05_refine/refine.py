"""Self-refinement: draft, critique, revise; and a gate that accepts only what scores no worse.

    python ch05_refine/refine.py --way reward                   # one way to refine
    python ch05_refine/refine.py --compare --limit 400          # all of them on the same drafts
    python ch05_refine/refine.py --compare --gates likelihood judge --model Qwen/Qwen3-0.6B

Ways: "ungated" (self-refine as published), one for each gate of --gates, "GATE, no stop" (goes on
where the critique finds nothing), "arithmetic" (a verifier points at the wrong step in place of the
model's critique), "arithmetic + GATE", "reflexion"; GATE is the last one of --gates.
`--compare` prints what each does to right and wrong drafts, and what samples at the same cost do.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from statistics import mean

import torch

from ch05_refine.outcomes import compare_ways, drawn_samples, print_table
from shared import LLM, Completion, Cost, Problem, RequestOutput, SamplingParams, Solution, prompts
from shared.answers import final_answer
from shared.arithmetic import wrong_equations
from shared.cli import (
    add_common_flags,
    evaluate_as_told,
    friendly_errors,
    model_config,
    print_result,
)
from shared.pool import read_pool, to_pool
from shared.scorers import ProcessRewardModel, aggregate_scores, judge
from shared.tiny.documents import ALL_RIGHT
from shared.tokenizer import Tokenizer

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
# Of a question and a solution a score: a revision is accepted unless it scores lower.
Gate = Callable[[LLM, str, Completion], float]
# Of a question and a draft the critique, as the reply to prompts.CRITIQUE.
Feedback = Callable[[LLM, str, str, SamplingParams], RequestOutput]


def reply(llm: LLM, messages: list[dict[str, str]], params: SamplingParams) -> RequestOutput:
    """The model's next turn in a chat."""
    (output,) = llm.chat(messages, params, enable_thinking=False)
    return output


# --- Feedback: what is wrong with this draft? -----------------------------------------------------


def own_critique(llm: LLM, question: str, draft: str, params: SamplingParams) -> RequestOutput:
    """The model looks for a wrong step in its own draft."""
    messages = prompts.follow_up(prompts.ask(question), draft, prompts.CRITIQUE)
    return reply(llm, messages, params)


def arithmetic(llm: LLM, question: str, draft: str, params: SamplingParams) -> RequestOutput:
    """A verifier recomputes every equation and names the first wrong one: no model, no tokens."""
    wrong = wrong_equations(draft)
    text = f"This step is wrong: {wrong[0]}" if wrong else ALL_RIGHT
    return RequestOutput([], [Completion(text, [], [], "stop")], Cost())


SAYS_NOTHING = re.compile(
    r"(?<!not )\b(?:all|every|each|both)\b[\w ]{0,30}\bsteps?\b[\w ]{0,40}\b(?:right|correct)\b"
    r"|\b(?:no|none of the|not contain any)\b[\w ]{0,20}\b(?:steps?|mistakes?|errors?)\b"
    r"(?:(?: that)? (?:is|are) \w+)?"
    r"|\b(?:solution|answer)(?: \w+)? (?:is|are)(?: indeed)? (?:right|correct)\b"
    r"|\bwrong is\W*(?:boxed\W*)?(?:text\W*)?none\b|\bboxed\W*(?:text\W*)?correct\b",
    re.IGNORECASE,
)
LOOKS_FOR = re.compile(  # the question, said again: "To determine which step is wrong, let's ..."
    r"\b(?:determine|find|identify|check)\b[\w ]{0,30}\b(?:wrong|incorrect|mistakes?|errors?)\b",
    re.IGNORECASE,
)
COMPLAINS = re.compile(
    r"\b(?:wrong|incorrect|mistakes?|errors?|not (?:all|right|correct))\b", re.IGNORECASE
)


def finds_nothing(critique: str) -> bool:
    """Whether a critique says that nothing is wrong, and nowhere that something is.

    The shipped model has one sentence for it; a real one says it in its own words. One that says
    neither counts as a complaint, since that is what it was asked for.
    """
    rest, count = SAYS_NOTHING.subn("", critique)
    return count > 0 and not COMPLAINS.search(LOOKS_FOR.sub("", rest))


def never(critique: str) -> bool:
    """Trust no critique that is content: the gate alone decides."""
    return False


# --- Gates: is the revision no worse than the draft? ----------------------------------------------


def likelihood(llm: LLM, question: str, solution: Completion) -> float:
    """exp(mean log-probability): how probable the model found what it wrote, from 0 to 1."""
    return math.exp(mean(solution.logprobs))


def own_judgement(llm: LLM, question: str, solution: Completion) -> float:
    """The probability of "Yes" when the model is asked if a solution is correct (Zhang 2024)."""
    return judge(llm, question, solution.text)


def reward(reward_model: ProcessRewardModel, aggregate: str = "last") -> Gate:
    """The gate of a reward model: its score of the last step, unless told otherwise."""

    def gate(llm: LLM, question: str, solution: Completion) -> float:
        (scores,) = reward_model.step_scores(question, [solution.text])
        return aggregate_scores(scores, aggregate)

    gate.__name__ = f"reward_{aggregate}"  # what a run's settings call it
    return gate


# --- The techniques -------------------------------------------------------------------------------


@dataclass
class Round:
    """What happened in a round; round 0 is the draft alone.

    scores     the gate's, of draft and revision; empty without a gate
    accepted   whether the round's revision (in round 0: the draft) is what one goes on with
    sampled    how many completions the round added
    """

    draft: str
    critique: str | None = None
    revision: str | None = None
    scores: list[float] = field(default_factory=list)
    accepted: bool = False
    sampled: int = 0


def self_refine(
    llm: LLM,
    problem: Problem,
    *,
    rounds: int = 3,
    params: SamplingParams = PARAMS,
    gate: Gate | None = None,
    feedback: Feedback = own_critique,
    stop: Callable[[str], bool] = finds_nothing,
) -> Solution:
    """Draft, then critique and revise until `stop` says so of the critique (Madaan 2023).

    Without a gate every revision becomes the new draft, as published; with one, unless it scores
    lower. The draft is greedy. Critiques and revisions are sampled, each round with a seed of its
    own, for greedy decoding would write the same again about a draft that was kept.
    """
    question, greedy = problem.question, replace(params, n=1, temperature=0.0)
    outputs = [reply(llm, prompts.ask(question), greedy)]
    draft = outputs[0].completions[0]
    solutions, scores = [draft], [gate(llm, question, draft)] if gate else []
    trace = [Round(draft.text, accepted=True, sampled=1)]
    for number in range(1, rounds + 1):
        sampling = replace(params, n=1, seed=params.seed + number)
        outputs.append(feedback(llm, question, draft.text, sampling))
        critique = outputs[-1].completions[0].text
        trace.append(Round(draft.text, critique, sampled=1))
        if stop(critique):
            break
        outputs.append(revise(llm, question, [(draft.text, critique)], sampling))
        revision = outputs[-1].completions[0]
        solutions.append(revision)
        if gate:
            scores = [scores[0], gate(llm, question, revision)]
        accepted = not gate or scores[1] >= scores[0]
        trace[-1] = Round(draft.text, critique, revision.text, scores, accepted, sampled=2)
        if accepted:
            draft, scores = revision, scores[1:]
    cost = sum((output.cost for output in outputs), Cost())
    if gate not in (None, likelihood):  # sampling has told what the likelihood needs
        cost += reading_cost(solutions)
    completions = [output.completions[0] for output in outputs]
    return Solution(final_answer(draft), completions, cost, trace=[asdict(r) for r in trace])


def revise(
    llm: LLM, question: str, failures: list[tuple[str, str]], params: SamplingParams
) -> RequestOutput:
    """A new solution, after a chat of drafts and what was found wrong with each."""
    messages = prompts.ask(question)
    for draft, critique in failures:
        messages = prompts.follow_up(messages, draft, prompts.CRITIQUE)
        messages = prompts.follow_up(messages, critique, prompts.REVISE)
    return reply(llm, messages, params)


def reading_cost(solutions: list[Completion]) -> Cost:
    """What it costs to read every solution once more."""
    num_tokens = sum(len(solution.token_ids) for solution in solutions)
    return Cost(scored_tokens=num_tokens, forward_passes=len(solutions))


def equations_hold(attempt: str) -> bool:
    """A test of a solution: no equation in it is wrong."""
    return not wrong_equations(attempt)


def reflexion(
    llm: LLM,
    problem: Problem,
    *,
    rounds: int = 3,
    params: SamplingParams = PARAMS,
    passes: Callable[[str], bool] = equations_hold,
    feedback: Feedback = own_critique,
    memory: int = 2,
) -> Solution:
    """Try again until a try passes a test, with earlier failures in the prompt (Shinn 2023).

    The test is not the model's own; where it fails, the model reflects on the failure. The next
    try sees the last `memory` failed tries, each with the reflection on it. The first try is
    greedy, all else is sampled.
    """
    question, greedy = problem.question, replace(params, n=1, temperature=0.0)
    outputs = [reply(llm, prompts.ask(question), greedy)]
    attempt, failures = outputs[0].completions[0].text, []
    trace = [Round(attempt, accepted=True, sampled=1)]
    while len(trace) <= rounds and not passes(attempt):
        sampling = replace(params, n=1, seed=params.seed + len(trace))
        outputs.append(feedback(llm, question, attempt, sampling))
        failures.append((attempt, outputs[-1].completions[0].text))
        outputs.append(revise(llm, question, failures[-memory:], sampling))
        attempt = outputs[-1].completions[0].text
        trace.append(Round(*failures[-1], attempt, accepted=True, sampled=2))
    completions = [output.completions[0] for output in outputs]
    cost = sum((output.cost for output in outputs), Cost())
    answer = final_answer(completions[-1])
    return Solution(answer, completions, cost, trace=[asdict(r) for r in trace])


# --- All ways to refine, on the same drafts -------------------------------------------------------


class Shared:
    """The model as several techniques share it: the same request is worked on only once.

    Each of them still counts what it would have cost alone. (The same prompt with the same seed
    gives the same text anyway, so nothing changes but the time that it takes.)
    """

    def __init__(self, llm: LLM) -> None:
        self.llm = llm
        self.replies: dict[str, list[RequestOutput]] = {}
        self.logprobs: dict[str, list[float]] = {}

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's."""
        return self.llm.tokenizer

    def chat(
        self, messages: list[dict[str, str]], params: SamplingParams, **options: bool
    ) -> list[RequestOutput]:
        """As `LLM.chat`."""
        key = repr((messages, params, options))
        if key not in self.replies:
            self.replies[key] = self.llm.chat(messages, params, **options)
        return self.replies[key]

    def score(self, prompt: list[int], completion: str) -> list[float]:
        """As `LLM.score`."""
        key = repr((prompt, completion))
        if key not in self.logprobs:
            self.logprobs[key] = self.llm.score(prompt, completion)
        return self.logprobs[key]


def ways_to_refine(gates: dict[str, Gate]) -> dict[str, Callable[..., Solution]]:
    """Every way to refine by its name; the last gate also guards the arithmetic feedback."""
    last = list(gates)[-1]
    ways = {"ungated": self_refine}
    ways |= {name: partial(self_refine, gate=gate) for name, gate in gates.items()}
    ways[f"{last}, no stop"] = partial(self_refine, gate=gates[last], stop=never)
    ways["arithmetic"] = partial(self_refine, feedback=arithmetic)
    ways[f"arithmetic + {last}"] = partial(self_refine, feedback=arithmetic, gate=gates[last])
    return ways | {"reflexion": reflexion}


def refine_in_ways(
    llm: LLM,
    problem: Problem,
    *,
    n: int,
    params: SamplingParams,
    rounds: int,
    gates: dict[str, Gate],
    ways: list[str],
    answer_of: str,
    vote: bool = False,
) -> Solution:
    """Refine the same draft in several ways; if `vote`, draw n independent samples too.

    Every completion gets notes of who sampled it and when (see outcomes.py) and, but for critiques,
    every gate's score. The answer is that of the way `answer_of`.
    """
    shared, completions, answers = Shared(llm), {}, {}
    for way in ways:
        solution = ways_to_refine(gates)[way](shared, problem, rounds=rounds, params=params)
        note_way(solution, way)
        completions |= {id(completion): completion for completion in solution.completions}
        answers[way] = solution.answer
    if vote:
        asked = prompts.ask(problem.question)
        (output,) = shared.chat(asked, replace(params, n=n), enable_thinking=False)
        for completion in output.completions:
            completion.measures["sample"] = 1.0
            completions[id(completion)] = completion
    solutions = [c for c in completions.values() if "critique" not in c.measures]
    cost = sum((o.cost for outputs in shared.replies.values() for o in outputs), Cost())
    for name, gate in gates.items():
        for completion in solutions:
            completion.measures[name] = gate(shared, problem.question, completion)
        cost += reading_cost(solutions) if gate is not likelihood else Cost()
    return Solution(answers[answer_of], list(completions.values()), cost)


def note_way(solution: Solution, way: str) -> None:
    """Note on each completion in which round a way sampled it, and whether it was accepted."""
    completions = iter(solution.completions)
    for number, this in enumerate(solution.trace):
        sampled = [next(completions) for _ in range(this["sampled"])]
        for completion in sampled:
            completion.measures[f"{way}/{number}"] = 0.0
        if this["accepted"]:
            sampled[-1].measures[f"{way}/{number}"] = 1.0
        has_solution = number == 0 or this["revision"] is not None
        for critique in sampled[:-1] if has_solution else sampled:
            critique.measures["critique"] = 1.0


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    names = ("likelihood", "judge", "reward")
    add("--way", metavar="W", help="how to refine (see above); None: with the last of the gates")
    add("--gates", nargs="+", choices=names, default=names, help="what may refuse a revision")
    add("--rounds", type=int, default=3, help="of critique and revision, at most")
    add("--reward-model", default="tiny", metavar="R", help="tiny, a folder or a hub id")
    add("--compare", action="store_true", help="all ways on the same drafts, and a vote of n")
    add("--pool", metavar="FILE.jsonl", help="take the samples for the vote from this file")
    parser.set_defaults(max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Refine in one way, or compare them all."""
    args = parse_args()
    with friendly_errors():
        if args.rounds < 1:
            raise ValueError(f"rounds must be at least 1, not {args.rounds}")
        gates = {"likelihood": likelihood, "judge": own_judgement}
        if "reward" in args.gates:
            dtype = getattr(torch, args.dtype or "float32")
            model = ProcessRewardModel.from_folder(args.reward_model, args.device, dtype)
            gates["reward"] = reward(model)
        gates = {name: gates[name] for name in args.gates}
        way, ways = args.way or args.gates[-1], list(ways_to_refine(gates))
        if way not in ways:
            raise ValueError(f"way must be one of {', '.join(ways)}, not {way!r}")
        drawn = drawn_samples(read_pool(args.pool)) if args.pool else None
        options = {"rounds": args.rounds, "gates": gates, "answer_of": way}
        options |= {"ways": ways if args.compare else [way]}
        options |= {"vote": args.compare and drawn is None}
        evaluation = evaluate_as_told(refine_in_ways, args, options)
    if args.compare and not evaluation.num_errors:
        print_table(compare_ways(to_pool(evaluation), ways, args.rounds, drawn))
    print_result(evaluation, None if args.base_url else model_config(args.model))
    if evaluation.num_errors:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
