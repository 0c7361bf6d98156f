"""Reflexion: try again until a verifier accepts, with earlier failures in the prompt.

python ch05_refine/refine.py --way reflexion
"""

from __future__ import annotations

from dataclasses import asdict, replace

from ch05_refine.feedback import PARAMS, Feedback, Round, own_critique, reply, revise
from shared import LLM, Cost, Problem, SamplingParams, Solution, prompts
from shared.grading.answers import final_answer
from shared.rewards.interfaces import Verifier
from shared.rewards.verifiers import ArithmeticHolds


def reflexion(
    llm: LLM,
    problem: Problem,
    *,
    rounds: int = 3,
    params: SamplingParams = PARAMS,
    verifier: Verifier = ArithmeticHolds(),
    feedback: Feedback = own_critique,
    memory: int = 2,
) -> Solution:
    """Try again until a verifier accepts a try, with earlier failures in the prompt (Shinn 2023).

    rounds     of reflection and a new try, at most; 0 is the first try alone, ValueError below
    params     as in `self_refine`; the first try is greedy
    verifier   what accepts a try
    feedback   the reflection on a try that was rejected
    memory     this many rejected tries, each with its reflection, are in the prompt of the next;
               ValueError below 1

    Returns the last try's answer, accepted or not, and one `Round` per try as the trace.
    """
    if rounds < 0 or memory < 1:
        raise ValueError(f"rounds must be at least 0, memory 1, not {rounds} and {memory}")
    question, greedy = problem.question, replace(params, n=1, temperature=0.0)
    outputs = [reply(llm, prompts.ask(question), greedy)]
    attempt, failures = outputs[0].completions[0], []
    trace = [Round(attempt.text, accepted=True)]
    cost = Cost()
    while len(trace) <= rounds:
        (accepted,), reading_cost = verifier.verify(llm, question, [attempt])
        cost += reading_cost
        if accepted:
            break
        sampling = replace(params, n=1, seed=params.seed + len(trace))
        outputs.append(feedback(llm, question, attempt.text, sampling))
        failures.append((attempt.text, outputs[-1].completions[0].text))
        outputs.append(revise(llm, question, failures[-memory:], sampling))
        attempt = outputs[-1].completions[0]
        trace.append(Round(*failures[-1], attempt.text, accepted=True))
    cost = sum((output.cost for output in outputs), cost)
    completions = [output.completions[0] for output in outputs]
    return Solution(final_answer(attempt), completions, cost, trace=[asdict(r) for r in trace])
