"""The shipped reward model as the value of a search, reading every step once.

`search.reward` reads a partial solution from its first token on each time, which in a search of
thirty steps is fifteen times too much. Here the keys and values of all that was read are kept as a
tree (`shared.prefix_cache`), and so is each node's likelihood, so only its last step is new. The
scores are the same up to rounding.
"""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

import torch

from ch06_search.search import Node
from shared import LLM, Cost
from shared.model import Qwen
from shared.prefill import read, token_logprobs
from shared.prefix_cache import PrefixCache
from shared.scorers import ProcessRewardModel, encode_steps


class StepReader:
    """A `search.Value`; one serves any number of questions and threads.

    At most `max_bytes` of keys and values are kept; what was forgotten is read again. Raises
    ValueError for a reward model of Qwen's layout, which reads a separator after each step.
    """

    def __init__(self, reward_model: ProcessRewardModel, max_bytes: int = 1 << 30) -> None:
        if reward_model.separated:
            raise ValueError("a reward model with separators does not read steps as they are")
        self.tokenizer, self.head = reward_model.tokenizer, reward_model.score
        decoder = reward_model.model
        with torch.device("meta"):
            self.model = Qwen(decoder.config)
        self.model.model, self.model.lm_head.weight = decoder, decoder.embed_tokens.weight
        self.prefixes = PrefixCache(max_bytes)
        self.known: WeakKeyDictionary[Node, tuple[list[int], float]] = WeakKeyDictionary()
        self.lock = threading.Lock()

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
