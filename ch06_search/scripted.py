"""A model that writes what a table says: for the checks of the exercises, which need no network.

model = ScriptedModel({"": [("1+1=2\n", 0.7), ("1+1=3\n", 0.3)]})
model.samples["1+1=2\n"]    # how often a next step was sampled after this reply
"""

from __future__ import annotations

import math
from collections import Counter

from shared import Completion, Cost, RequestOutput, SamplingParams

END_OF_TURN = "\x03"
LAST_LINE = [("\\boxed{1}", 1.0)]  # what is written after a reply that the table does not have


class CharacterTokenizer:
    """A character is a token."""

    def encode(self, text: str) -> list[int]:
        """The characters' numbers."""
        return [ord(character) for character in text]

    def decode(self, ids: list[int]) -> str:
        """The text of these tokens."""
        return "".join(map(chr, ids))

    def encode_chat(self, messages: list[dict], enable_thinking: bool = True) -> list[int]:
        """The question, and a mark after which the reply begins."""
        return self.encode(f"{messages[-1]['content']}<reply>")


class ScriptedModel:
    """Of a reply so far, the k-th sample is the k-th line of its list, then the first one again.

    lines         reply so far: the next lines and their probabilities; a line without a line break
                  ends the reply. The probability is spread evenly over the line's tokens.
    samples       reply so far: how many lines were sampled there
    temperatures  at which lines were sampled
    """

    max_positions = None

    def __init__(self, lines: dict[str, list[tuple[str, float]]]) -> None:
        self.lines, self.tokenizer = lines, CharacterTokenizer()
        self.samples: Counter[str] = Counter()
        self.temperatures: set[float] = set()

    def generate(self, texts: list[list[int]], params: SamplingParams) -> list[RequestOutput]:
        """A line of each text, `params.n` times."""
        outputs = []
        self.temperatures.add(params.temperature)
        for ids in texts:
            reply = self.tokenizer.decode(ids).partition("<reply>")[2]
            completions = [self.next_line(reply) for _ in range(params.n)]
            generated = sum(len(completion.token_ids) for completion in completions)
            cost = Cost(len(ids), generated, forward_passes=generated)
            outputs.append(RequestOutput(ids, completions, cost))
        return outputs

    def next_line(self, reply: str) -> Completion:
        """The next line of the script after this reply."""
        lines = self.lines.get(reply, LAST_LINE)
        line, probability = lines[self.samples[reply] % len(lines)]
        self.samples[reply] += 1
        ids = self.tokenizer.encode(line if line.endswith("\n") else line + END_OF_TURN)
        return Completion(
            line.removesuffix("\n"), ids, [math.log(probability) / len(ids)] * len(ids), "stop"
        )
