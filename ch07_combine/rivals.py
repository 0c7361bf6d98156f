"""What a recursive language model competes with: reading everything, and a fixed split.

    whole_context(llm, task)        the long text in one prompt, where it fits
    split_and_join(llm, task)       notes on each piece, then one call that joins the notes

The text comes first in a prompt and the question last: several questions about the same text then
share what the engine has read (`Cost.reused_tokens`).
"""

from __future__ import annotations

from dataclasses import replace

from ch07_combine.long_tasks import split_task
from shared import LLM, Problem, SamplingParams, Solution, prompts
from shared.grading.answers import final_answer

GREEDY = SamplingParams(temperature=0, max_tokens=400)
NOTE_TOKENS = 120
NOTE = (
    "These are lines {first} to {last} of a longer list. The question about the whole list is: "
    "{query}\nGive the part of the answer that these lines contribute, in one short sentence."
)
JOIN = "{notes}\n\nThese notes are about all parts of a list, in order. {query}"


def whole_context(llm: LLM, problem: Problem, *, params: SamplingParams = GREEDY) -> Solution:
    """Put the whole text into one prompt. Raises ValueError where it does not fit."""
    query, context = split_task(problem.question)
    messages = prompts.ask(f"{context}\n\n{query}")
    (output,) = llm.chat(messages, params, enable_thinking=False)
    return Solution(final_answer(output.completions[0]), output.completions, output.cost)


def split_and_join(
    llm: LLM, problem: Problem, *, size: int = 25, params: SamplingParams = GREEDY
) -> Solution:
    """Take notes on each piece of `size` lines, all at once; then answer from the notes.

    Raises ValueError for size < 1.
    """
    query, context = split_task(problem.question)
    lines = context.splitlines()
    asked = []
    for start in range(0, len(lines), size):
        piece = lines[start : start + size]
        note = NOTE.format(first=start + 1, last=start + len(piece), query=query)
        asked.append([{"role": "user", "content": "\n".join(piece) + f"\n\n{note}"}])
    short = replace(params, max_tokens=min(NOTE_TOKENS, params.max_tokens))
    outputs = llm.chat(asked, short, enable_thinking=False)
    taken = [output.completions[0] for output in outputs]
    notes = "\n".join(f"Part {i}: {note.text.strip()}" for i, note in enumerate(taken, 1))
    messages = prompts.ask(JOIN.format(notes=notes, query=query))
    (last,) = llm.chat(messages, params, enable_thinking=False)
    cost = sum((output.cost for output in outputs), last.cost)
    answer = final_answer(last.completions[0])
    return Solution(answer, taken + last.completions, cost, trace=[{"notes": notes}])
