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

from ch05_refine.outcomes import print_comparison, read_drawn
from shared import LLM, Completion, Cost, Problem, RequestOutput, SamplingParams, Solution, prompts
from shared.errors import UserError, setting_up
from shared.evaluation.cli import (
    add_common_flags,
    evaluate_as_told,
    friendly_errors,
    model_config,
    print_result,
)
from shared.evaluation.evaluate import name_of
from shared.evaluation.problems import load_problems
from shared.grading.answers import final_answer
from shared.grading.arithmetic import equations, wrong_equations
from shared.loading.checkpoint import weights_fingerprint
from shared.rewards.judge import judge, judging_cost
from shared.rewards.process_reward import ProcessRewardModel
from shared.scores import aggregate_scores, checked
from shared.text.prompts import ALL_RIGHT
from shared.text.tokenizer import Tokenizer

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
# A score of a solution, from the model and the question if it needs them: a revision is accepted
# unless it scores lower.
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


QUESTION = re.compile(  # the question, said again: "To determine which step is wrong, let's ..."
    r"\bwhich (?:step|one) is wrong\b|\bidentify (?:the|any) (?:mistakes?|errors?)\b", re.I
)
DENIAL = re.compile(
    r"\b(?:no|none|nothing|not \w+ any)\b[\w ]{0,20}\b(?:wrong|incorrect|mistakes?|errors?)\b", re.I
)
FAULT = re.compile(
    r"\b(?:wrong|incorrect|mistakes?|errors?|not (?:all|right|correct)|should be|except)\b", re.I
)
PRAISE = re.compile(
    r"\b(?:all|every|both|the (?:solution|answer|steps|calculations?))\b[\w ]{0,40}"
    r"\b(?:right|correct|good|fine)\b",
    re.I,
)


def verdict(critique: str) -> str:
    """What a critique says of a draft: "wrong" (something is), "fine" (nothing is), "neither"."""
    rest, denials = DENIAL.subn("", QUESTION.sub("", critique))
    if FAULT.search(rest):
        return "wrong"
    return "fine" if denials or PRAISE.search(rest) else "neither"


def finds_nothing(critique: str) -> bool:
    """Whether a critique says that nothing is wrong. What says neither counts as a complaint."""
    return verdict(critique) == "fine"


def never(critique: str) -> bool:
    """Trust no critique that is content: the gate alone decides."""
    return False


# --- Gates: is the revision no worse than the draft? ----------------------------------------------


def likelihood(llm: LLM, question: str, solution: Completion) -> float:
    """exp(mean log-probability), from 0 to 1: how probable the model found what it wrote.

    Not the same quantity on both sides of a gate: a draft is greedy, and given the question alone;
    a revision is sampled, and given the draft and the critique as well, from which it can copy.
    """
    return math.exp(mean(solution.logprobs))


def own_judgement(llm: LLM, question: str, solution: Completion) -> float:
    """The probability of "Yes" when the model is asked if a solution is correct (Zhang 2024)."""
    return judge(llm, question, solution.text)


def reward(reward_model: ProcessRewardModel, aggregate: str = "last") -> Gate:
    """The gate of a reward model (Lightman 2023): its steps' scores as one number from 0 to 1.

    `aggregate` is "last", "min", "prod" or "mean"; the gate raises ValueError for any other.
    """

    def gate(llm: LLM, question: str, solution: Completion) -> float:
        """The solution's steps, aggregated."""
        (scores,) = reward_model.step_scores(question, [solution.text])
        return aggregate_scores(scores, aggregate)

    gate.__name__ = f"reward_{aggregate}"  # what a run's settings call it
    return gate


def scoring_cost(llm: LLM, question: str, gate: Gate | None, solutions: list[Completion]) -> Cost:
    """What a gate costs that has scored some solutions."""
    if gate is None or gate is likelihood:  # sampling has told
        return Cost()
    if gate is own_judgement:
        return judging_cost(llm, question, [solution.text for solution in solutions])
    num_tokens = sum(len(solution.token_ids) for solution in solutions)
    return Cost(scored_tokens=num_tokens, forward_passes=len(solutions))


# --- The techniques -------------------------------------------------------------------------------


@dataclass
class Round:
    """What happened in a round; round 0 is the draft alone.

    scores     the gate's, of draft and revision; empty without a gate
    accepted   whether the round's revision (in round 0: the draft) is what one goes on with
    """

    draft: str
    critique: str | None = None
    revision: str | None = None
    scores: list[float] = field(default_factory=list)
    accepted: bool = False


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

    rounds     of critique and revision, at most; 0 is the draft alone, ValueError below
    params     of critiques and revisions; round k has the seed params.seed + k, so runs whose seeds
               are neighbours share draws. The draft is greedy. (Greedy critiques would be the same
               again about a draft that was kept.)
    gate       a revision that scores lower is refused; None: every one is the new draft, as
               published; ValueError for a score that is not a finite number
    feedback   who looks for a wrong step

    Returns the last draft's answer, all that was sampled in order, and a `Round` each as the trace.
    """
    if rounds < 0:
        raise ValueError(f"rounds must be at least 0, not {rounds}")
    question, greedy = problem.question, replace(params, n=1, temperature=0.0)
    outputs = [reply(llm, prompts.ask(question), greedy)]
    draft = outputs[0].completions[0]
    solutions, scores = [draft], []
    if gate:
        scores = [checked(gate(llm, question, draft), f"{name_of(gate)} of the draft")]
    trace = [Round(draft.text, accepted=True)]
    for number in range(1, rounds + 1):
        sampling = replace(params, n=1, seed=params.seed + number)
        outputs.append(feedback(llm, question, draft.text, sampling))
        critique = outputs[-1].completions[0].text
        trace.append(Round(draft.text, critique))
        if stop(critique):
            break
        outputs.append(revise(llm, question, [(draft.text, critique)], sampling))
        revision = outputs[-1].completions[0]
        solutions.append(revision)
        if gate:
            score = checked(gate(llm, question, revision), f"{name_of(gate)} of revision {number}")
            scores = [scores[0], score]
        accepted = not gate or scores[1] >= scores[0]
        trace[-1] = Round(draft.text, critique, revision.text, scores, accepted)
        if accepted:
            draft, scores = revision, scores[1:]
    cost = sum((output.cost for output in outputs), scoring_cost(llm, question, gate, solutions))
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


def equations_hold(attempt: Completion) -> bool:
    """A test of a solution: it came to its end, boxed an answer, and all of its equations (at
    least one) hold. It is the verifier "arithmetic" of chapter 4."""
    if attempt.finish_reason != "stop" or "\\boxed" not in attempt.text:
        return False
    claims = equations(attempt.text)
    holds = bool(claims) and all(claim.is_right for claim in claims)
    return holds and final_answer(attempt) is not None


def reflexion(
    llm: LLM,
    problem: Problem,
    *,
    rounds: int = 3,
    params: SamplingParams = PARAMS,
    passes: Callable[[Completion], bool] = equations_hold,
    feedback: Feedback = own_critique,
    memory: int = 2,
) -> Solution:
    """Try again until a try passes a test, with earlier failures in the prompt (Shinn 2023).

    rounds     of reflection and a new try, at most; 0 is the first try alone, ValueError below
    params     as in `self_refine`; the first try is greedy
    passes     the test, which does not ask the model
    feedback   the reflection on a try that failed
    memory     so many failed tries, each with its reflection, are in the prompt of the next;
               ValueError below 1

    Returns the last try's answer, whether it passes or not, and a `Round` a try as the trace.
    """
    if rounds < 0 or memory < 1:
        raise ValueError(f"rounds must be at least 0, memory 1, not {rounds} and {memory}")
    question, greedy = problem.question, replace(params, n=1, temperature=0.0)
    outputs = [reply(llm, prompts.ask(question), greedy)]
    attempt, failures = outputs[0].completions[0], []
    trace = [Round(attempt.text, accepted=True)]
    while len(trace) <= rounds and not passes(attempt):
        sampling = replace(params, n=1, seed=params.seed + len(trace))
        outputs.append(feedback(llm, question, attempt.text, sampling))
        failures.append((attempt.text, outputs[-1].completions[0].text))
        outputs.append(revise(llm, question, failures[-memory:], sampling))
        attempt = outputs[-1].completions[0]
        trace.append(Round(*failures[-1], attempt.text, accepted=True))
    cost = sum((output.cost for output in outputs), Cost())
    completions = [output.completions[0] for output in outputs]
    return Solution(final_answer(attempt), completions, cost, trace=[asdict(r) for r in trace])


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


def refine_in_one_way(
    llm: LLM,
    problem: Problem,
    *,
    n: int,
    params: SamplingParams,
    rounds: int,
    gates: dict[str, Gate],
    way: str,
) -> Solution:
    """The way of that name alone; n, which all scripts have, is of no use here."""
    return ways_to_refine(gates)[way](llm, problem, rounds=rounds, params=params)


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

    The trace says which way sampled which completion in which round (see outcomes.py). Solutions,
    but not critiques, get every gate's score as a measure. The answer is that of the way
    `answer_of`.
    """
    shared, completions, trace, answers = Shared(llm), [], [], {}
    for way in ways:
        solution = ways_to_refine(gates)[way](shared, problem, rounds=rounds, params=params)
        trace += rounds_of_way(way, solution, add_new(completions, solution.completions))
        answers[way] = solution.answer
    if vote:
        asked = prompts.ask(problem.question)
        (output,) = shared.chat(asked, replace(params, n=n), enable_thinking=False)
        trace.append({"samples": add_new(completions, output.completions)})
    critiques = {entry.get("critique") for entry in trace}
    solutions = [c for i, c in enumerate(completions) if i not in critiques]
    cost = sum((o.cost for outputs in shared.replies.values() for o in outputs), Cost())
    for name, gate in gates.items():
        for completion in solutions:
            score = gate(shared, problem.question, completion)
            completion.measures[name] = checked(score, f"{name} of {completion.text[:40]!r}")
        cost += scoring_cost(shared, problem.question, gate, solutions)
    return Solution(answers[answer_of], completions, cost, trace=trace)


def add_new(completions: list[Completion], others: list[Completion]) -> list[int]:
    """Append those of the others that are not there yet; the place of each of the others.

    Ways that made the same request hold the same object, so objects are compared, not texts.
    """
    places = {id(completion): i for i, completion in enumerate(completions)}
    for other in others:
        if id(other) not in places:
            places[id(other)] = len(completions)
            completions.append(other)
    return [places[id(other)] for other in others]


def rounds_of_way(way: str, solution: Solution, places: list[int]) -> list[dict]:
    """A way's rounds as a trace that refers to its completions by their places."""
    sampled, entries = iter(places), []
    for number, this in enumerate(solution.trace):
        entry = {"way": way, "round": number, "accepted": this["accepted"]}
        entry["critique"] = next(sampled) if number > 0 else None
        has_solution = number == 0 or this["revision"] is not None
        entry["solution"] = next(sampled) if has_solution else None
        entries.append(entry)
    return entries


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
            raise UserError(f"rounds must be at least 1, not {args.rounds}")
        way, ways = args.way or args.gates[-1], list(ways_to_refine(dict.fromkeys(args.gates)))
        if way not in ways:
            raise UserError(f"way must be one of {', '.join(ways)}, not {way!r}")
        if args.pool and not args.compare:
            raise UserError("--pool is for --compare: one way alone needs no samples")
        drawn = None
        if args.pool:  # before a long run
            with setting_up():
                problems = load_problems(args.problems, split=args.split, limit=args.limit)
                drawn = read_drawn(args.pool, [problem.question for problem in problems])
        gates, settings = {"likelihood": likelihood, "judge": own_judgement}, {}
        if "reward" in (args.gates if args.compare else way):
            dtype = getattr(torch, args.dtype or "float32")
            with setting_up():
                model = ProcessRewardModel.from_folder(args.reward_model, args.device, dtype)
            gates["reward"] = reward(model)
            settings["reward_weights"] = weights_fingerprint(model)
        options = {"rounds": args.rounds, "gates": {name: gates.get(name) for name in args.gates}}
        if args.compare:
            options |= {"ways": ways, "answer_of": way, "vote": drawn is None}
            evaluation = evaluate_as_told(refine_in_ways, args, options, settings)
            if evaluation.num_errors < len(evaluation.records):
                print_comparison(evaluation, drawn)
        else:
            options["way"] = way
            evaluation = evaluate_as_told(refine_in_one_way, args, options, settings)
    print_result(evaluation, None if args.base_url else model_config(args.model))
    if evaluation.num_errors:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
