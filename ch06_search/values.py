"""What is a partial solution worth? Values for the searches of `search.py`.

A value is a function of a model, a question and nodes; it returns a score from 0 to 1 for each node
and what it cost to find out. None sees the gold answer.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch

from shared import LLM, Cost, prompts
from shared.arithmetic import wrong_equations
from shared.model import Qwen
from shared.prefill import read, token_logprobs
from shared.prefix_cache import PrefixCache
from shared.scorers import ProcessRewardModel, encode_steps

if TYPE_CHECKING:
    from ch06_search.search import Node, Value

# The shipped model knows no question about half a solution: for it take prompts.JUDGE.
SO_FAR = "Is this solution correct so far? Answer Yes or No."


def arithmetic(llm: LLM, question: str, nodes: list[Node]) -> tuple[list[float], Cost]:
    """0 where an equation so far is wrong, else 1: a value that costs nothing."""
    return [float(not wrong_equations(node.text)) for node in nodes], Cost()


def judge(ask: str = SO_FAR) -> Value:
    """The value that the model itself gives when it is asked in words: the probability of "Yes"."""

    def judge(llm: LLM, question: str, nodes: list[Node]) -> tuple[list[float], Cost]:
        encode_chat = llm.tokenizer.encode_chat
        asked = prompts.ask(question)
        before = encode_chat(asked, enable_thinking=False)
        after = encode_chat(prompts.follow_up(asked, "", ask))[len(encode_chat(asked)) :]
        # Between them the reply's own tokens, as they were sampled: the cache knows them.
        replies = [node.ids[:-1] if node.finish_reason == "stop" else node.ids for node in nodes]
        return probability_of_yes(llm, [before + ids + after for ids in replies])

    return judge


def probability_of_yes(llm: LLM, texts: list[list[int]]) -> tuple[list[float], Cost]:
    """P("Yes") / (P("Yes") + P("No")) as what follows each text, given as token ids."""
    asked = [(ids, word) for ids in texts for word in ("Yes", "No")]
    with ThreadPoolExecutor(len(asked)) as pool:  # all at once, so that they share a batch
        found = list(pool.map(lambda each: sum(llm.score(*each)), asked))
    scores = [1 / (1 + math.exp(min(no - yes, 700))) for yes, no in zip(found[::2], found[1::2])]
    return scores, Cost(scored_tokens=len(asked), forward_passes=len(asked))


def reward(reward_model: ProcessRewardModel) -> Value:
    """The value that a process reward model gives to the last step so far."""

    def reward(llm: LLM, question: str, nodes: list[Node]) -> tuple[list[float], Cost]:
        steps = reward_model.step_scores(question, [node.text for node in nodes])
        num_tokens = sum(len(node.ids) for node in nodes)
        cost = Cost(scored_tokens=num_tokens, forward_passes=len(nodes))
        return [scores[-1] for scores in steps], cost

    return reward


class StepReader:
    """`reward` for the shipped reward model, reading every step once; same scores up to rounding.

    `reward` reads a partial solution from its first token on each time, in a search of thirty steps
    fifteen times too much. Here keys and values of what was read are kept as a tree, and so is each
    node's likelihood, so that only what is new is read. One serves any number of threads.

    At most `max_bytes` are kept; what was forgotten is read again. Raises ValueError for a reward
    model of Qwen's layout, which reads a separator after each step.
    """

    def __init__(self, reward_model: ProcessRewardModel, max_bytes: int = 1 << 30) -> None:
        if reward_model.separated:
            raise ValueError("a reward model with separators does not read steps as they are")
        self.made_of = reward_model, max_bytes
        self.tokenizer, self.head = reward_model.tokenizer, reward_model.score
        decoder = reward_model.model
        with torch.device("meta"):
            self.model = Qwen(decoder.config)
        self.model.model, self.model.lm_head.weight = decoder, decoder.embed_tokens.weight
        self.prefixes = PrefixCache(max_bytes)
        self.known: WeakKeyDictionary[Node, tuple[list[int], float]] = WeakKeyDictionary()
        self.lock = threading.Lock()

    def __reduce__(self) -> tuple:
        """Sent to a worker of a Ray cluster it is made anew there: what was read stays here."""
        return StepReader, self.made_of

    @torch.inference_mode()
    def __call__(self, llm: LLM, question: str, nodes: list[Node]) -> tuple[list[float], Cost]:
        """The score of each node's last step, 0 to 1."""
        with self.lock:
            texts, starts, before = zip(*(self.start(question, node) for node in nodes))
            _, hidden, reused = read(self.model, texts, starts, self.prefixes)
            scores = []
            for node, ids, start, likelihood, states in zip(nodes, texts, starts, before, hidden):
                log_p = self.model.lm_head(states[:-1]).float().log_softmax(dim=-1)  # [new, V]
                tokens = torch.tensor(ids[start + 1 :], device=self.model.device)
                likelihood += token_logprobs(log_p, tokens).sum().item()
                self.known[node] = (ids, likelihood)
                features = torch.cat([states[-1], states.new_tensor([likelihood])])
                scores.append(self.head(features).float().sigmoid().item())
        num_new = sum(map(len, texts)) - sum(reused)
        return scores, Cost(scored_tokens=num_new, forward_passes=len(nodes))

    def start(self, question: str, node: Node) -> tuple[list[int], int, float]:
        """A node's token ids, the last position whose likelihood is known, and that likelihood.

        The likelihood counts from the end of the first step, as in `ProcessRewardModel.features`.
        """
        ids, ends = encode_steps(self.tokenizer, question, node.text)
        for ancestor in reversed(node.path[:-1]):
            known, likelihood = self.known.get(ancestor, ([], 0.0))
            if len(known) > ends[0] and ids[: len(known)] == known:
                return ids, len(known) - 1, likelihood
        return ids, ends[0], 0.0
