"""Scores of partial solutions from a process reward model that reads every step once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakKeyDictionary

import torch

from shared.engine.model_thread import Inbox
from shared.engine.overflow import overflow_error
from shared.engine.prefill import batches_by_length, read
from shared.engine.prefix_cache import PrefixCache
from shared.llm import LLM
from shared.rewards.interfaces import Scores, Text
from shared.rewards.process_reward import LineRewardModel
from shared.solution import Cost
from shared.threads import wait_for

BATCH_ROWS, BATCH_TOKENS = 64, 1_024  # a batch has at most this many rows, and tokens with padding


class Node(Text, Protocol):
    """A partial solution that grew out of others."""

    path: list[Node]  # from the first step to this one


@dataclass(eq=False)
class Call:
    """Nodes to be scored; `future` receives their scores and the cost."""

    question: str
    nodes: Sequence[Node]
    future: Future = field(default_factory=Future)


@dataclass(eq=False)
class Unread:
    """A node's token ids, the last position whose likelihood is known, and that likelihood: of all
    tokens after the first step, as in `LineRewardModel.features`."""

    node: Node
    ids: list[int]
    start: int
    likelihood: float


class StepReader:
    """A scorer of nodes that reads every step once; same scores as `Reward`, up to rounding.

    `Reward` reads a partial solution from its first token on each time: in a search of thirty steps
    it reads fifteen times too much. Here the keys and values of what was read are kept as a tree,
    and so is each node's likelihood, so that only what is new is read. Any number of threads may
    call it: nodes that wait at the same time are read in one batch.

    At most `max_bytes` are kept; what was forgotten is read again. A `SeparatorRewardModel` cannot
    be read this way: the separators that it wants stand in no sampled text. Raises TypeError.
    """

    name = "step_reward"

    def __init__(self, reward_model: LineRewardModel, max_bytes: int = 1 << 30) -> None:
        if not isinstance(reward_model, LineRewardModel):
            raise TypeError("only a LineRewardModel reads steps as they are, without separators")
        self.max_bytes = max_bytes
        self.reward_model, self.decoder = reward_model, reward_model.model
        self.prefixes = PrefixCache(max_bytes)
        self.known: WeakKeyDictionary[Node, tuple[list[int], float]] = WeakKeyDictionary()
        self.questions: set[str] = set()  # that have been read
        self.inbox: Inbox[Call] = Inbox(self.work)

    def __reduce__(self) -> tuple:
        """Sent to a worker of a Ray cluster it is made anew there: what was read stays here."""
        return StepReader, (self.reward_model, self.max_bytes)

    def score(self, llm: LLM, question: str, nodes: Sequence[Node]) -> Scores:
        """The score of each node's last step, from 0 to 1."""
        call = Call(question, nodes)
        self.inbox.put(call)
        return wait_for(call.future)

    def work(self, calls: list[Call]) -> bool:
        """In the model thread: read what waits, for all who called meanwhile. Returns False."""
        try:
            found = self.read_new({node: call.question for call in calls for node in call.nodes})
        except BaseException as error:  # whoever waits gets the error
            if len(calls) == 1:
                calls[0].future.set_exception(error)
            else:  # one by one, so that it reaches only the caller whose nodes cause it
                for call in calls:
                    self.work([call])
            return False
        for call in calls:
            scores = [found[node][0] for node in call.nodes]
            new = [found[node][1] for node in call.nodes]
            if all(map(math.isfinite, scores)):
                cost = Cost(scored_tokens=sum(new), forward_passes=len(new))
                call.future.set_result(Scores(scores, cost))
            else:
                call.future.set_exception(overflow_error(self.decoder.dtype))
        return False

    @torch.inference_mode()
    def read_new(self, asked: dict[Node, str]) -> dict[Node, tuple[float, int]]:
        """For each node with its question: the score, and how many tokens were read for it."""
        unread = [self.unread(question, node) for node, question in asked.items()]
        # One node of a new question is read before the others, which then begin where it differs.
        first = {q: u for q, u in zip(asked.values(), unread) if q not in self.questions}
        found = self.read_all(list(first.values()))
        self.questions |= first.keys()
        return found | self.read_all([each for each in unread if each.node not in found])

    def unread(self, question: str, node: Node) -> Unread:
        """The part of a node that has not been read."""
        ids, ends = self.reward_model.encode(question, node.text)
        for ancestor in reversed(node.path[:-1]):
            known, likelihood = self.known.get(ancestor, ([], 0.0))
            if len(known) > ends[0] and ids[: len(known)] == known:
                return Unread(node, ids, len(known) - 1, likelihood)
        return Unread(node, ids, ends[0], 0.0)

    def read_all(self, waiting: list[Unread]) -> dict[Node, tuple[float, int]]:
        """Read nodes with about as many new tokens together, in batches of bounded size."""
        lengths = [len(each.ids) - each.start for each in waiting]
        found = {}
        for numbers in batches_by_length(lengths, BATCH_TOKENS, BATCH_ROWS):
            found |= self.read_batch([waiting[i] for i in numbers])
        return found

    def read_batch(self, batch: list[Unread]) -> dict[Node, tuple[float, int]]:
        """Read nodes in one batch, and remember their likelihoods."""
        texts, starts = [each.ids for each in batch], [each.start for each in batch]
        _, hidden, reused = read(self.decoder, texts, starts, self.prefixes)  # [new, hidden] each
        following = [ids[start + 1 :] for ids, start in zip(texts, starts)]
        padded = [token for ids in following for token in [*ids, 0]]  # nothing follows the last one
        tokens = torch.tensor(padded, device=self.decoder.device)
        log_p = self.reward_model.token_logprobs(torch.cat(hidden), tokens)
        for node, after in zip(batch, log_p.split([len(states) for states in hidden])):
            node.likelihood += sum(after[:-1].tolist())
            self.known[node.node] = node.ids, node.likelihood
        last = torch.stack([states[-1] for states in hidden])  # [nodes, hidden]
        likelihoods = torch.tensor([each.likelihood for each in batch], device=last.device)
        features = self.reward_model.head_features(last, likelihoods)
        scores = self.reward_model.score(features)[:, 0].float().sigmoid().tolist()
        new = (len(ids) - count for ids, count in zip(texts, reused))
        return {each.node: found for each, found in zip(batch, zip(scores, new))}
