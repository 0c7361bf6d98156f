"""Which nodes of a tree does a search continue from? The choices that the searches share."""

from __future__ import annotations

from ch06_search.tree import Node, Tree


def unfinished(nodes: list[Node]) -> list[Node]:
    """Each node once, without those that are finished."""
    return [node for node in dict.fromkeys(nodes) if not node.is_finished]


def ranked(tree: Tree, nodes: list[Node]) -> list[Node]:
    """The nodes from the highest score to the lowest; ties keep their order."""
    tree.rate(nodes)
    return sorted(nodes, key=lambda node: node.score, reverse=True)


def best(tree: Tree, nodes: list[Node], count: int) -> list[Node]:
    """The `count` nodes with the highest scores; ties go to the first. If there are no more than
    that, the value is not called."""
    return ranked(tree, nodes)[:count] if len(nodes) > count else nodes


def distribute(nodes: list[Node], count: int) -> list[Node]:
    """`count` nodes: shared out evenly; the remainder goes to the first ones."""
    each, extra = divmod(count, len(nodes))
    return [node for i, node in enumerate(nodes) for _ in range(each + (i < extra))]
