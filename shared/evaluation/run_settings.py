"""What decides the result of an evaluation, written down beside its records."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict

from shared.backends.protocol import Backend
from shared.evaluation.problem import Problem
from shared.sampling_params import SamplingParams
from shared.solution import Solution

Technique = Callable[..., Solution]


def all_settings(technique: Technique, llm: object, problems: list[Problem], more: dict) -> dict:
    """What decides the result: technique and options, model and weights, problems, and more.

    They are JSON-ready; an infinite number is written as text. A server does not show its weights:
    of its model the name and the address are known.
    """
    settings = {
        "technique": name_of(getattr(technique, "func", technique)),  # .func: what a partial calls
        "model": getattr(llm, "name", name_of(llm)),
        "num_problems": len(problems),
        "problems_fingerprint": fingerprint(problems),
    }
    if isinstance(llm, Backend):
        settings |= llm.identity()
    parameters = inspect.signature(technique).parameters.values()
    options = {p.name: p.default for p in parameters if p.default is not p.empty}
    for name, value in {**options, **getattr(technique, "keywords", {}), **more}.items():
        if isinstance(value, SamplingParams):  # each under its own name
            settings = asdict(value) | settings
        else:
            settings[name] = value
    return json.loads(json.dumps(settings, default=name_of), parse_constant=str)


def name_of(thing: object) -> str:
    """What settings call something that is not JSON: the same in every session.

    Its `name` if it has one (a scorer, a verifier), else a function's or class's name, else the
    class of an object.
    """
    name = getattr(thing, "name", None)
    return name if isinstance(name, str) else getattr(thing, "__name__", type(thing).__name__)


def fingerprint(problems: list[Problem]) -> str:
    """A short hash of the problems' texts and answers."""
    content = json.dumps([(p.id, p.question, p.answer) for p in problems])
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:12]
