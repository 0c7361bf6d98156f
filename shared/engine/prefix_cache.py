"""What was read before need not be read again: keys and values of earlier texts, as a tree.

A search continues steps already taken, a judge reads a solution that was just written, a second
round starts from the first one's chat: all begin with tokens whose keys and values are known. They
are kept in a tree whose paths are token sequences (as in SGLang's RadixAttention, Zheng 2024), so
texts that begin alike share what they have in common. When the tree outgrows its budget, the ends
that were not used for longest are forgotten.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from shared.engine.row_cache import RowCache


@dataclass(eq=False)
class Node:
    """A run of tokens after those of its parents, with keys and values [num_layers, K, T, D]."""

    tokens: list[int]
    keys: Tensor | None
    values: Tensor | None
    parent: Node | None
    children: dict[int, Node] = field(default_factory=dict)  # by their first token
    last_used: int = 0

    @property
    def num_bytes(self) -> int:
        """Memory of the keys and values."""
        return 0 if self.keys is None else self.keys.nbytes + self.values.nbytes


class PrefixCache:
    """At most `max_bytes` of keys and values of texts read before; 0 switches it off."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self.root = Node([], None, None, None)
        self.clock = itertools.count(1)

    def load(self, ids: list[int], cache: RowCache, row: int, limit: int) -> int:
        """Copy what is stored of the beginning of `ids` into an empty row, at most `limit` tokens.

        Returns how many tokens were copied.
        """
        known = [
            (node.keys[:, :, :length], node.values[:, :, :length])
            for node, length in self._walk(ids[:limit])
            if length
        ]
        if not known:
            return 0
        keys, values = (torch.cat(pieces, dim=2) for pieces in zip(*known))
        cache.write_row(row, 0, keys, values)  # at once: it writes to every layer
        return keys.shape[2]

    def store(self, ids: list[int], cache: RowCache, row: int, offset: int = 0) -> None:
        """Remember `ids`, of which a cache's row holds the keys and values from `offset` on."""
        if not self.max_bytes:
            return
        path = list(self._walk(ids))
        known = sum(length for _, length in path)
        if known == len(ids) or known < offset:  # nothing new, or what comes between was forgotten
            return
        known_bytes, new_bytes = (
            count * cache.bytes_per_token for count in (known, len(ids) - known)
        )
        if known_bytes + new_bytes > self.max_bytes:
            return
        last, length = path[-1] if path else (self.root, 0)
        if length < len(last.tokens):  # the new branch leaves in the middle of a node
            last = self._split(last, length)
        if self.num_bytes + new_bytes > self.max_bytes:
            # A little more than there must be, so that it is not done every time.
            room = max(new_bytes, self.max_bytes // 10)
            self._forget(max(self.max_bytes - room, known_bytes))
        keys, values = cache.read_row(row, known - offset)
        node = Node(ids[known:], keys, values, last, last_used=next(self.clock))
        last.children[ids[known]] = node
        self.num_bytes += node.num_bytes

    def _walk(self, ids: list[int]) -> Iterator[tuple[Node, int]]:
        """Follow the tree along `ids`: each node, which counts as used now, and how many of its
        tokens are as in `ids`."""
        now, node, position = next(self.clock), self.root, 0
        while node := node.children.get(ids[position]) if position < len(ids) else None:
            node.last_used = now
            length = common_length(node.tokens, ids[position : position + len(node.tokens)])
            yield node, length
            if length < len(node.tokens):
                return
            position += length

    def _split(self, node: Node, length: int) -> Node:
        """Cut a node in two so that a branch can leave after `length` of its tokens."""
        head = Node(
            node.tokens[:length],
            node.keys[:, :, :length].clone(),
            node.values[:, :, :length].clone(),
            node.parent,
            last_used=node.last_used,
        )
        node.parent.children[head.tokens[0]] = head
        node.tokens, node.parent = node.tokens[length:], head
        node.keys, node.values = (t[:, :, length:].clone() for t in (node.keys, node.values))
        head.children[node.tokens[0]] = node
        return head

    def _forget(self, max_bytes: int) -> None:
        """Drop the least recently used ends until at most this much is left."""
        while self.num_bytes > max_bytes:
            for leaf in sorted(self._leaves(), key=lambda node: node.last_used):
                del leaf.parent.children[leaf.tokens[0]]
                self.num_bytes -= leaf.num_bytes
                if self.num_bytes <= max_bytes:
                    return

    def _leaves(self) -> list[Node]:
        """All nodes without children."""
        leaves, open_nodes = [], list(self.root.children.values())
        while open_nodes:
            node = open_nodes.pop()
            open_nodes += node.children.values()
            leaves += [] if node.children else [node]
        return leaves


def common_length(a: list[int], b: list[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    if a == b:
        return len(a)
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
