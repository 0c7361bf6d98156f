"""The model's own solutions of training problems: what it learns to judge and to revise.

Real mistakes are better teachers than made-up ones: they look the way that its mistakes look, and
they are carried on through the later steps.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from shared import prompts
from shared.evaluation.word_problems import PLANS, WordProblem, sample_problem, solve
from shared.grading.answers import answers_match, extract_answer
from shared.llm import LLM
from shared.sampling_params import SamplingParams
from shared.tiny.documents import Draft


def training_problem(seed: int, index: int, split: str = "train") -> WordProblem:
    """Problem number `index` of a stream of its own, so that a file need only store the number."""
    return sample_problem(random.Random(f"drafts/{seed}/{index}"), split)


def first_wrong_step(problem: WordProblem, text: str) -> str:
    """The first line that differs from what its own plan asks for; "" where none does."""
    lines = text.split("\n")
    for plan in PLANS:
        for split in (False, True):
            expected = solve(problem, plan, split).split("\n")
            if lines[0] == expected[0]:
                wrong = (line for line, right in zip(lines, expected) if line != right)
                return next(wrong, "" if len(lines) == len(expected) else lines[-1])
    return lines[0]


def sample_drafts(
    llm: LLM, indices: range, *, samples: int = 1, seed: int = 0, temperature: float = 0.8
) -> list[dict]:
    """Sample solutions of training problems: {"seed", "index", "text", "is_right"} each."""
    problems = [training_problem(seed, index) for index in indices]
    asked = [llm.tokenizer.encode_chat(prompts.ask(problem.question)) for problem in problems]
    params = SamplingParams(n=samples, temperature=temperature, max_tokens=700, seed=seed)
    outputs = llm.generate(asked, params)
    return [
        {
            "seed": seed,
            "index": index,
            "text": completion.text,
            "is_right": answers_match(extract_answer(completion.text), str(problem.answer)),
        }
        for index, problem, output in zip(indices, problems, outputs)
        for completion in output.completions
        if completion.finish_reason == "stop"  # one cut short has no wrong step to point at
    ]


def write_drafts(path: Path, drafts: list[dict]) -> None:
    """One JSON line a draft; the file appears when it is whole."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text("".join(json.dumps(d) + "\n" for d in drafts), encoding="utf-8")
    unfinished.replace(path)


def read_drafts(path: Path, seed: int = 0) -> list[Draft]:
    """Drafts with their problems and first wrong steps."""
    drafts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        problem = training_problem(seed, record["index"])
        wrong_step = "" if record["is_right"] else first_wrong_step(problem, record["text"])
        drafts.append(Draft(problem, record["text"], record["is_right"], wrong_step))
    return drafts
