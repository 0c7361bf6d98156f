"""Self-refinement: draft, critique, revise; and a gate that accepts only what scores no worse.

    python ch05_refine/refine.py --way reward                   # one way to refine
    python ch05_refine/refine.py --way judge --gates judge --model Qwen/Qwen3-0.6B

Ways: "ungated" (self-refine as published), one for each gate of --gates, "GATE, no stop" (does not
stop where the critique finds nothing), "arithmetic" (a verifier, not the model, points at the wrong
step), "arithmetic + GATE", "reflexion"; GATE is the last one of --gates.
study.py compares all of them on the same drafts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

from ch05_refine.critique import finds_nothing, never
from ch05_refine.feedback import (
    PARAMS,
    Feedback,
    Round,
    arithmetic_feedback,
    own_critique,
    reply,
    revise,
)
from ch05_refine.gates import add_gate_flags, check_flags, load_gates
from ch05_refine.reflexion import reflexion
from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.evaluation.cli import add_common_flags, friendly_errors, run
from shared.grading.answers import final_answer
from shared.rewards.interfaces import Scorer
from shared.scores import checked


def gate_score(
    gate: Scorer, llm: LLM, question: str, solution: Completion, which: str
) -> tuple[float, Cost]:
    """A gate's score of one solution, and its cost.

    Raises ValueError for a score that is not a finite number; it names the gate and `which`
    solution it is.
    """
    (score,), cost = gate.score(llm, question, [solution])
    return checked(score, f"{gate.name} of {which}"), cost


def self_refine(
    llm: LLM,
    problem: Problem,
    *,
    rounds: int = 3,
    params: SamplingParams = PARAMS,
    gate: Scorer | None = None,
    feedback: Feedback = own_critique,
    stop: Callable[[str], bool] = finds_nothing,
) -> Solution:
    """Draft, then critique and revise until `stop` accepts the critique (Madaan 2023).

    rounds     of critique and revision, at most; 0 is the draft alone, ValueError below
    params     of critiques and revisions; round k has the seed params.seed + k. The draft is
               greedy. (Greedy decoding would criticize a kept draft in the same words again.)
    gate       refuses a revision that scores lower than the draft, and accepts a tie. None: every
               revision is accepted, as published. ValueError for a score that is not finite.
    feedback   who looks for a wrong step
    stop       which critiques end the loop

    Returns the last draft's answer, all completions in order, and as the trace a `Round` for the
    draft and one for each round.
    """
    if rounds < 0:
        raise ValueError(f"rounds must be at least 0, not {rounds}")
    question, greedy = problem.question, replace(params, n=1, temperature=0.0)
    outputs = [reply(llm, prompts.ask(question), greedy)]
    draft = outputs[0].completions[0]
    scores, cost = [], Cost()
    if gate:
        score, cost = gate_score(gate, llm, question, draft, "the draft")
        scores = [score]
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
        if gate:
            score, spent = gate_score(gate, llm, question, revision, f"revision {number}")
            scores, cost = [scores[0], score], cost + spent
        accepted = not gate or scores[1] >= scores[0]
        trace[-1] = Round(draft.text, critique, revision.text, scores, accepted)
        if accepted:
            draft, scores = revision, scores[1:]
    cost = sum((output.cost for output in outputs), cost)
    completions = [output.completions[0] for output in outputs]
    return Solution(final_answer(draft), completions, cost, trace=[asdict(r) for r in trace])


def ways_to_refine(gates: dict[str, Scorer]) -> dict[str, Callable[..., Solution]]:
    """Every way to refine, by its name. The last gate also guards the arithmetic feedback."""
    last = list(gates)[-1]
    ways = {"ungated": self_refine}
    ways |= {name: partial(self_refine, gate=gate) for name, gate in gates.items()}
    ways[f"{last}, no stop"] = partial(self_refine, gate=gates[last], stop=never)
    ways["arithmetic"] = partial(self_refine, feedback=arithmetic_feedback)
    ways[f"arithmetic + {last}"] = partial(
        self_refine, feedback=arithmetic_feedback, gate=gates[last]
    )
    return ways | {"reflexion": reflexion}


def refine_in_one_way(
    llm: LLM,
    problem: Problem,
    *,
    n: int,
    params: SamplingParams,
    rounds: int,
    gates: dict[str, Scorer],
    way: str,
) -> Solution:
    """Refine in the way of that name. Every script passes n; it is ignored here."""
    return ways_to_refine(gates)[way](llm, problem, rounds=rounds, params=params)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add_gate_flags(parser)
    parser.set_defaults(max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Refine in one way."""
    args = parse_args()
    with friendly_errors():
        way = check_flags(args, list(ways_to_refine(dict.fromkeys(args.gates))))
        gates, settings = load_gates(args, [name for name in args.gates if name in way])
    evaluation = run(refine_in_one_way, args, settings, rounds=args.rounds, gates=gates, way=way)
    if evaluation.num_errors:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
