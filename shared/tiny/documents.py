"""Training documents: chats about word problems, as token ids with a mask of what is learned from.

Kinds, in the shares that a stage's `Recipe` says:
    solve    one to three problems of one chat, each solved step by step along a random path
    direct   the final answer at once (it is mostly unlearnable, which is the point of chapter 1)
    drill    a dozen bare equations: what makes the model learn its arithmetic
    review   a wrong or right draft, then "is it correct?", or the first wrong step and a revision
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from shared import prompts
from shared.evaluation.word_problems import (
    EASY,
    FULL,
    HABITS,
    Ranges,
    WordProblem,
    equations,
    sample_problem,
    sample_solution,
)
from shared.text.prompts import ALL_RIGHT
from shared.text.tokenizer import Tokenizer

DRILL = "Work out each line."
YES, NO = "Yes", "No"


@dataclass(frozen=True)
class Recipe:
    """What a stage trains on: shares of the kinds, sizes of the problems, habits of solving."""

    mix: dict[str, float]
    ranges: Ranges
    plan_weights: tuple[int, ...] = (1, 1, 1, 1)  # in the order of PLANS
    split_share: float = 0.5  # solutions with arithmetic split into tens and ones


SOLVING = {"solve": 0.55, "direct": 0.08, "drill": 0.37}
BASE = Recipe(SOLVING, EASY)
LARGER = Recipe(SOLVING, FULL)
FINAL = Recipe({"solve": 0.4, "direct": 0.05, "drill": 0.2, "review": 0.35}, FULL, *HABITS)
REVIEW = Recipe({"solve": 0.25, "direct": 0.03, "drill": 0.07, "review": 0.65}, FULL, *HABITS)


class Document(NamedTuple):
    """Token ids, and for each whether the model is trained to predict it."""

    ids: list[int]
    trained: list[bool]


@dataclass(frozen=True)
class Draft:
    """A solution that the model itself sampled, right or wrong."""

    problem: WordProblem
    text: str
    is_right: bool
    wrong_step: str  # the first line that is wrong; "" where the answer is right


def draw_documents(
    rng: random.Random, tokenizer: Tokenizer, recipe: Recipe, drafts: list[Draft]
) -> Iterator[Document]:
    """An endless stream of documents as a recipe says; `drafts` are what reviews are about."""
    kinds, weights = list(recipe.mix), list(recipe.mix.values())
    while True:
        kind = rng.choices(kinds, weights)[0]
        if kind == "solve":
            yield chat_document(tokenizer, solved_problems(rng, recipe))
        elif kind == "direct":
            problem = sample_problem(rng, "train", recipe.ranges)
            messages = prompts.ask(problem.question, prompts.DIRECT)
            yield chat_document(tokenizer, [*messages, reply(f"\\boxed{{{problem.answer}}}")])
        elif kind == "drill":
            yield drill_document(rng, tokenizer, recipe.ranges)
        else:
            yield review_document(rng, tokenizer, recipe, rng.choice(drafts))


def reply(content: str) -> dict[str, str]:
    """An assistant's turn."""
    return {"role": "assistant", "content": content}


def solved_problems(rng: random.Random, recipe: Recipe) -> list[dict[str, str]]:
    """A chat of one problem, or now and then of two or three: what few-shot prompts look like."""
    messages = []
    for _ in range(rng.choice((1, 1, 1, 1, 1, 1, 1, 1, 2, 3))):
        problem = sample_problem(rng, "train", recipe.ranges)
        solution = sample_solution(rng, problem, recipe.plan_weights, recipe.split_share)
        messages += [*prompts.ask(problem.question), reply(solution)]
    return messages


def chat_document(
    tokenizer: Tokenizer, messages: list[dict[str, str]], first_trained: int = 0
) -> Document:
    """Encode a chat; trained on the assistant's turns (from message `first_trained` on)."""
    ids: list[int] = []
    trained: list[bool] = []
    for turn, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt = tokenizer.encode_chat(messages[:turn])
        with_reply = tokenizer.encode_chat(messages[: turn + 1], add_generation_prompt=False)
        trained += [False] * (len(prompt) - len(ids))
        ids = with_reply[:-1]  # without the newline that follows <|im_end|>
        trained += [turn >= first_trained] * (len(ids) - len(prompt))
    return Document(ids, trained)


def drill_document(rng: random.Random, tokenizer: Tokenizer, ranges: Ranges) -> Document:
    """Bare equations; trained on the results alone, since the questions cannot be foreseen."""
    lines = [line for _ in range(12) for line in drill(rng, ranges)]
    messages = [{"role": "user", "content": DRILL}, reply("\n".join(lines))]
    ids, trained = chat_document(tokenizer, messages)
    (equals,), (newline,) = tokenizer.encode("="), tokenizer.encode("\n")
    in_result = False
    for i, token_id in enumerate(ids):
        trained[i] = trained[i] and in_result
        in_result = token_id == equals or (in_result and token_id != newline)
    return Document(ids, trained)


def drill(rng: random.Random, ranges: Ranges) -> list[str]:
    """One sum, difference, product or half, in the ranges of the problems."""
    left, right = rng.randint(2, ranges.total), rng.randint(2, ranges.number)
    operator = rng.choice("++--*/")
    if operator == "-":
        left, right = max(left, right), min(left, right)
    elif operator == "*":
        factors = [rng.randint(2, 9), rng.choice((rng.randint(2, ranges.group), right, left))]
        left, right = rng.sample(factors, 2)
    elif operator == "/":
        left, right = 2 * rng.randint(1, ranges.half), 2
    return equations(left, operator, right, split=rng.random() < 0.3)


def review_document(
    rng: random.Random, tokenizer: Tokenizer, recipe: Recipe, draft: Draft
) -> Document:
    """A draft and what is said of it: a verdict, or the first wrong step and a new solution."""
    asked = prompts.ask(draft.problem.question)
    if rng.random() < 0.35:
        messages = prompts.follow_up(asked, draft.text, prompts.JUDGE)
        verdict = YES if draft.is_right else NO
        return chat_document(tokenizer, [*messages, reply(verdict)], first_trained=3)
    messages = prompts.follow_up(asked, draft.text, prompts.CRITIQUE)
    critique = f"This step is wrong: {draft.wrong_step}" if draft.wrong_step else ALL_RIGHT
    messages = prompts.follow_up(messages, critique, prompts.REVISE)
    solution = sample_solution(rng, draft.problem, recipe.plan_weights, recipe.split_share)
    return chat_document(tokenizer, [*messages, reply(solution)], first_trained=3)
