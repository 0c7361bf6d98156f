"""Recursive calls: what is too long for one call becomes many calls on pieces.

    python ch07_combine/recursive.py --length 30 --size 3 --n 8      # stories, the shipped model
    python ch07_combine/recursive.py --method repl --length 50 --limit 5 --model DIR

By hand: a long story is cut into pieces. Each piece is solved in a call of its own, which starts
from the total of the piece before it. As published (Zhang, Kraska and Khattab 2025,
arXiv:2512.24601): the model sees only the beginning of the long text. It writes Python that
reads the rest, in a session in the sandbox (`repl.py`), and this code may call the model on pieces.
"""

from __future__ import annotations

import argparse
import ast
import re
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from ch07_combine.long_stories import SPLITS, Story, long_stories, read_story
from ch07_combine.long_tasks import long_tasks, split_task
from ch07_combine.repl import Answer, Repl, truncated
from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
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
from shared.grading.answers import final_answer
from shared.grading.voting import count_votes, winner

SAMPLING = SamplingParams(temperature=0.6, max_tokens=700)
GREEDY = SamplingParams(temperature=0, max_tokens=400)
CODE = re.compile(r"```(?:python|py|repl)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
FINAL = re.compile(r"^\W*FINAL\((.*)\)", re.MULTILINE)
SYSTEM = """You answer a question about a long text by writing Python. The whole text is the string
`context` in a Python session; you are shown only its beginning. Each reply is one short block
between ```python and ```. Besides Python's own functions there are
FINAL(answer): ends the session. Pass only the answer, a number or a word, not a sentence.
llm_query(text): asks a language model and returns its reply as a string. Use it for what code
cannot decide, such as llm_query("Is a rose a flower? Answer yes or no.").
If your block does not call FINAL, you are shown the first {output_chars} characters of what it
printed, and write another block. Variables stay defined."""
TASK = """`context` has {chars} characters in {lines} lines. It begins:
{start}

Question: {query}
Write a Python block that computes the answer from all of `context` and calls FINAL(answer)."""
EXAMPLE_TEXT = "07:15 train to Bern, 3 minutes late\n07:40 bus to Graz, 0 minutes late\n" * 80
EXAMPLE_QUERY = "How many trains were late?"
EXAMPLE_REPLY = r"""```python
import re

late = 0
for line in context.splitlines():
    found = re.search(r"train to (\w+), (\d+) minutes late", line)
    if found and int(found[2]) > 0:
        late += 1
FINAL(late)
```"""
NO_CODE = "There was no Python block in your reply. Write one between ```python and ```."
LAST_TURN = "This is your last turn: call FINAL now."
AGAIN = "That is the same block as before. Write a different one."
SUB_TASK = "Do what the context asks for, and pass the result to FINAL."


# --- By hand --------------------------------------------------------------------------------------


def solve_story(
    llm: LLM, problem: Problem, *, size: int = 3, n: int = 1, params: SamplingParams = SAMPLING
) -> Solution:
    """Solve a long story by recursive calls on pieces of about `size` sentences, each with a vote
    of n samples. Raises ValueError for a text that is no story, and for size < 1."""
    if size < 1:
        raise ValueError(f"a piece has at least 1 sentence, not {size}")
    return solve_rest(llm, read_story(problem.question), size, replace(params, n=n))


def solve_rest(llm: LLM, story: Story, size: int, params: SamplingParams) -> Solution:
    """Solve the first piece. What follows is a shorter story that starts from its answer.

    Without a usable answer to a piece there is none to the story.
    """
    end = end_of_piece(story.events, size)
    first = ask_with_vote(llm, replace(story, events=story.events[:end]), params)
    if end == len(story.events):
        return first
    if first.answer is None or not re.fullmatch(r"\d{1,9}", first.answer):
        return replace(first, answer=None)
    rest = replace(story, events=story.events[end:]).starting_with(first.answer)
    return joined(first, solve_rest(llm, rest, size, params))


def end_of_piece(events: tuple[str, ...], size: int) -> int:
    """How many sentences belong to the first piece. "Then Ana finds twice as many" needs the
    sentence before it, so no piece begins with it."""
    end = min(size, len(events))
    while end < len(events) and " as many" in events[end]:
        end += 1
    return end


def ask_with_vote(llm: LLM, story: Story, params: SamplingParams) -> Solution:
    """One call: sample params.n solutions and take the most frequent answer."""
    (output,) = llm.chat(prompts.ask(story.text), params, enable_thinking=False)
    votes = count_votes([final_answer(completion) for completion in output.completions])
    trace = [{"story": story.text, "votes": votes}]
    return Solution(winner(votes), output.completions, output.cost, trace=trace)


def joined(first: Solution, rest: Solution) -> Solution:
    """The answer of the last piece, with the samples and the cost of all pieces."""
    return Solution(
        rest.answer,
        first.completions + rest.completions,
        first.cost + rest.cost,
        trace=first.trace + rest.trace,
    )


# --- As published: the model writes the code that splits ------------------------------------------


@dataclass(frozen=True)
class Limits:
    """Where a recursive language model ends, whatever its code does.

    turns          replies in one session
    calls          calls of llm_query, of all sessions together
    depth          1: llm_query asks the plain model; 2: it starts a session of its own; ...
    tokens         generated, of everything together
    output_chars   of what a block printed that the model is shown
    context_chars  of the beginning of the text that it is shown
    """

    turns: int = 8
    calls: int = 30
    depth: int = 1
    tokens: int = 6_000
    output_chars: int = 800
    context_chars: int = 200


LIMITS = Limits()


@dataclass
class Run:
    """Everything that one problem has sampled and spent so far."""

    llm: LLM
    params: SamplingParams
    limits: Limits
    calls: int = 0
    cost: Cost = field(default_factory=Cost)
    completions: list[Completion] = field(default_factory=list)
    trace: list[dict] = field(default_factory=list)

    def chat(self, messages: list[dict[str, str]], stop: tuple[str, ...] = ()) -> str:
        """One reply, which is charged to this run. Raises OutOfBudget where no tokens are left, and
        ValueError for a prompt that fills the model's context."""
        left = self.limits.tokens - self.cost.generated_tokens
        if left < 1:
            raise OutOfBudget
        most = min(self.params.max_tokens, left)
        params = replace(self.params, n=1, max_tokens=most, stop=stop)
        (output,) = self.llm.chat(messages, params, enable_thinking=False)
        self.completions += output.completions
        self.cost += output.cost
        return output.completions[0].text


class OutOfBudget(Exception):
    """All tokens of a run are spent."""


def recursive_language_model(
    llm: LLM, problem: Problem, *, params: SamplingParams = GREEDY, limits: Limits = LIMITS
) -> Solution:
    """Answer a question about a long text of which the model sees only the beginning; see
    `long_tasks.split_task`.

    The answer is None where a limit ended the run. Raises RuntimeError where there is no sandbox.
    """
    query, context = split_task(problem.question)
    run = Run(llm, params, limits)
    try:
        answer = run_session(run, query, context, depth=1)
    except OutOfBudget:
        answer = None
    return Solution(answer, run.completions, run.cost, trace=run.trace)


def run_session(run: Run, query: str, context: str, depth: int) -> str | None:
    """Let the model write a block of code, show it the output, and so on until it calls FINAL."""
    repl = Repl(context, run.limits.calls - run.calls)
    messages = first_messages(query, context, run.limits)
    for turn in range(1, run.limits.turns + 1):
        reply = with_closed_block(run.chat(messages, stop=("\n```\n",)))
        cell = code_of(reply)
        ran = repl.run(cell, partial(answer_query, run, depth)) if cell else None
        seen = truncated(ran.output, run.limits.output_chars) if ran else NO_CODE
        step = {"depth": depth, "turn": turn, "reply": reply, "seen": seen}
        run.trace.append(step | {"asked": ran.questions if ran else []})
        if ran and ran.final is not None:
            return ran.final
        if cell and cell in repl.cells[:-1]:
            seen = f"{seen}\n{AGAIN}"
        if turn == run.limits.turns - 1:
            seen = f"{seen}\n{LAST_TURN}"
        messages = prompts.follow_up(messages, reply, f"Output:\n{seen}")
    return None


def first_messages(query: str, context: str, limits: Limits) -> list[dict[str, str]]:
    """What a session starts with: the rules, an example, and the task."""
    return [
        {"role": "system", "content": SYSTEM.format(output_chars=limits.output_chars)},
        {"role": "user", "content": task_text(EXAMPLE_QUERY, EXAMPLE_TEXT, 70)},
        {"role": "assistant", "content": EXAMPLE_REPLY},
        {"role": "user", "content": task_text(query, context, limits.context_chars)},
    ]


def task_text(query: str, context: str, shown: int) -> str:
    """The size of the text, its first characters, and the question."""
    return TASK.format(
        chars=len(context),
        lines=len(context.splitlines()),
        start=truncated(context, shown),
        query=query,
    )


def code_of(reply: str) -> str:
    """The first block of Python in a reply; else a call of FINAL in its text; else ""."""
    if block := CODE.search(reply):
        return block[1]
    call = FINAL.search(reply)
    return final_call(call[1]) if call else ""


def final_call(argument: str) -> str:
    """The call FINAL(argument). Where the argument is not Python, or names no variable, the answer
    is its text: FINAL(Mia) without quotes."""
    call, literal = f"FINAL({argument})", f"FINAL({argument!r})"
    try:
        ast.parse(call)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # all that the parser raises
        return literal
    return f"try:\n    {call}\nexcept NameError:\n    {literal}"


def with_closed_block(reply: str) -> str:
    """The reply with the end of its block, at which sampling stopped."""
    return f"{reply}\n```" if reply.count("```") % 2 else reply


def answer_query(run: Run, depth: int, text: str) -> Answer:
    """Answer a text that code passed to llm_query: with one call of the model, or, above the
    deepest level, with a session that has this text as its context."""
    if run.calls >= run.limits.calls:
        return Answer(error="no more calls of llm_query are allowed")
    run.calls += 1
    if depth < run.limits.depth:
        answer = run_session(run, SUB_TASK, text, depth + 1)
        return Answer(answer) if answer is not None else Answer(error="no answer was found")
    try:
        return Answer(run.chat([{"role": "user", "content": text}]))
    except ValueError as error:  # the text is empty, or too long for the model
        return Answer(error=str(error))


# --- The command line -----------------------------------------------------------------------------


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    add("--method", choices=["story", "repl"], default="story", help="by hand, or as published")
    add("--length", type=int, default=30, metavar="L", help="events of a story, or records")
    add("--size", type=int, default=3, metavar="K", help="story: sentences in a piece")
    add("--turns", type=int, default=Limits.turns, help="repl: replies in a session")
    add("--calls", type=int, default=Limits.calls, help="repl: calls of llm_query")
    add("--depth", type=int, default=Limits.depth, help="repl: levels of sessions")
    add("--tokens", type=int, default=Limits.tokens, help="repl: generated tokens in all")
    parser.set_defaults(n=1, temperature=0.0, problems="long", max_tokens=GREEDY.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Run one method on new problems of one length."""
    args = parse_args()
    with friendly_errors():
        if args.problems != "long" or args.split not in SPLITS:
            raise UserError(f"the problems here are made for it, with splits {', '.join(SPLITS)}")
        for name in ("limit", "length", "size"):
            if getattr(args, name) < 1:
                raise UserError(f"--{name} must be at least 1, not {getattr(args, name)}")
        with setting_up():
            params, llm = sampling_params(args), load_llm(args)
        if args.method == "story":
            technique = partial(solve_story, size=args.size, n=args.n, params=params)
            problems = long_stories(args.length, args.limit, args.split)
        else:
            limits = Limits(args.turns, args.calls, args.depth, args.tokens)
            technique = partial(recursive_language_model, params=params, limits=limits)
            problems = long_tasks(args.length, args.limit, args.split)
        args.problems = problems[0].source
        settings = recorded_flags(args) | {"length": args.length}
        if args.method == "repl":
            settings["limits"] = asdict(limits)
        evaluation = evaluate(
            technique, llm, problems, out=args.out, settings=settings, num_threads=args.threads
        )
    print_result(evaluation, args)


if __name__ == "__main__":
    main()
