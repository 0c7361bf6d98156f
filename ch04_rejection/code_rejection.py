"""Rejection sampling on code: draw programs until one passes the visible unit tests.

    python ch04_rejection/code_rejection.py --model Qwen/Qwen2.5-Coder-0.5B-Instruct --n 16

The hidden tests only grade. If no program passes the visible ones, the first draw is the answer.
Programs run in shared/sandbox. `study.py code` compares all budgets on one pool of programs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from ch04_rejection.code_tasks import (
    CodeTask,
    extract_code,
    fingerprint,
    load_tasks,
    share_passed,
)
from ch04_rejection.rejection import rejection_sampling
from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution
from shared.errors import UserError, setting_up
from shared.evaluation.cli import (
    add_common_flags,
    friendly_errors,
    load_llm,
    print_result,
    recorded_flags,
    sampling_params,
)
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.run_settings import Technique
from shared.rewards.interfaces import Text, Verdicts, Verifier
from shared.sandbox.run import layers, not_contained

INSTRUCTION = "Write only this function, in one Python code block, without examples or tests."
PASSES, FAILS = "passes", "fails"  # the hidden tests: gold answer, and the two that are given


def code_problems(tasks: list[CodeTask]) -> list[Problem]:
    """The tasks as problems. Their gold answer is the grader's verdict, not a text."""
    return [Problem(task.prompt, PASSES, f"code/{task.name}", "code") for task in tasks]


@dataclass(frozen=True)
class UnitTests:
    """The "visible" or the "hidden" tests of some tasks.

    As a verifier they accept a program that passes every test of its task (Chen 2021). `share` says
    how close a program comes.
    """

    tasks: Sequence[CodeTask]
    kind: str = "visible"

    @property
    def name(self) -> str:
        """For example "visible_tests"; a run's settings record it."""
        return f"{self.kind}_tests"

    def share(self, question: str, reply: str) -> float:
        """The share, from 0 to 1, of the tests that the program in a reply passes. The question is
        the task's prompt. Raises ValueError for the prompt of none of the tasks."""
        task = next((task for task in self.tasks if task.prompt == question), None)
        if task is None:
            raise ValueError(f"no task has this prompt: {question!r}")
        return share_passed(extract_code(reply, task.name), task.name, getattr(task, self.kind))

    def verify(self, llm: LLM | None, question: str, solutions: Sequence[Text]) -> Verdicts:
        """Each program runs in the sandbox. No model reads it, so it costs nothing here."""
        return Verdicts([self.share(question, s.text) == 1 for s in solutions], Cost())


def first_reply(completions: list[Completion], accepted: list[bool]) -> str:
    """The first accepted reply; if there is none, the first of all, since programs cannot vote."""
    texts = [completion.text for completion in completions]
    return next((text for text, is_accepted in zip(texts, accepted) if is_accepted), texts[0])


def verdict(is_right: bool) -> str:
    """The grader's word for it, which the evaluation compares with the gold answer."""
    return PASSES if is_right else FAILS


def draw_and_grade(
    llm: LLM,
    problem: Problem,
    *,
    n: int,
    params: SamplingParams,
    verifier: Verifier,
    hidden: UnitTests,
) -> Solution:
    """Rejection sampling, then the grade. The technique sees only the verifier; the hidden tests
    run on the one reply that it returns."""
    solution = rejection_sampling(
        llm,
        problem,
        n=n,
        params=params,
        verifier=verifier,
        instruction=INSTRUCTION,
        choose=first_reply,
    )
    return replace(solution, answer=verdict(hidden.share(problem.question, solution.answer) == 1))


# --- The command line -----------------------------------------------------------------------------


def add_code_flags(parser: argparse.ArgumentParser) -> None:
    """The common flags, with defaults for code."""
    add_common_flags(parser)
    parser.set_defaults(problems="code", n=16, temperature=0.8, max_tokens=400)


def chosen_tasks(args: argparse.Namespace) -> list[CodeTask]:
    """The first tasks, as many as --limit says. Raises UserError for flags that have no effect
    here, and limit < 1."""
    if (args.problems, args.split) != ("code", "test"):
        raise UserError("this script brings its own tasks: no --problems and no --split but test")
    if args.limit < 1:
        raise UserError(f"--limit must be at least 1, not {args.limit}")
    return load_tasks()[: args.limit]


def say_what_holds() -> None:
    """Say what holds a program on this machine, and what does not, before any program runs."""
    print("sandbox:", ", ".join(sorted(layers())) or "a wall clock only", flush=True)
    for sentence in not_contained():
        print("NOT CONTAINED: a model's code runs on this machine.", sentence, flush=True)


def evaluate_on_tasks(
    technique: Technique, args: argparse.Namespace, tasks: list[CodeTask], kind: str
) -> Evaluation:
    """Evaluate as the flags say. The technique is called with n, params and the hidden tests; the
    settings record what `kind` of run this is."""
    say_what_holds()
    with setting_up():
        params, llm = sampling_params(args), load_llm(args)
    return evaluate(
        partial(technique, n=args.n, params=params, hidden=UnitTests(tasks, "hidden")),
        llm,
        code_problems(tasks),
        out=args.out,
        settings=recorded_flags(args) | {"tests": fingerprint(tasks), "kind": kind},
        num_threads=args.threads,
    )


def main() -> None:
    """Draw until the visible tests pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_code_flags(parser)
    args = parser.parse_args()
    with friendly_errors():
        tasks = chosen_tasks(args)
        technique = partial(draw_and_grade, verifier=UnitTests(tasks))
        evaluation = evaluate_on_tasks(technique, args, tasks, kind="code draws")
    print_result(evaluation, args)
    if evaluation.total_failure:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
