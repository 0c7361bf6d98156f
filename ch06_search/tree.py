"""The tree that all searches of this chapter grow: its nodes are partial solutions.

    tree = Tree(llm, problem, value, params, "\n")
    children = tree.expand([tree.root], 8)   # sample eight first steps; equal ones are one node
    tree.rate(children)                      # each gets a score from the value
    tree.solution()                          # the finished paths vote

A step is a line, or whatever ends in `step_end`. Token ids are kept, not text, so that a step is
sampled after exactly the tokens that were sampled before it, and the cache finds them again.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared import Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.backends.protocol import Engine
from shared.grading.answers import final_answer
from shared.grading.voting import most_frequent
from shared.rewards.interfaces import Scorer
from shared.scores import checked_scores

PARAMS = SamplingParams(temperature=1.0, max_tokens=700)
STEP_TOKENS = 128  # a longer step is cut here; what follows is the next step
SEED_STEP = 1_000  # between the seeds of successive requests: runs with seeds 0, 1, … differ


@dataclass(eq=False)
class Node:
    """A partial solution.

    token_ids      of the reply so far; the last step's are those after the parent's
    logprobs       of the last step's tokens, natural log
    score          what the value says, 0 to 1; None if it was not asked
    count          how often this node was sampled
    finish_reason  "stop", "length" or "loop" of a finished solution, else ""
    visits, total  of `mcts`: rollouts below this node, and the sum of their scores
    """

    token_ids: list[int]
    text: str = ""
    logprobs: list[float] = field(default_factory=list)
    parent: Node | None = None
    children: dict[str, Node] = field(default_factory=dict)  # by their text
    score: float | None = None
    count: int = 0
    finish_reason: str = ""
    visits: int = 0
    total: float = 0.0

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing to add."""
        return self.finish_reason != ""

    @property
    def step(self) -> str:
        """What the last step added to the text."""
        return self.text[len(self.parent.text) :] if self.parent else ""

    @property
    def is_blank(self) -> bool:
        """Whether the last step says nothing and another must follow."""
        return not self.step.strip() and not self.is_finished

    @property
    def path(self) -> list[Node]:
        """The nodes from the first step to this one."""
        nodes, node = [], self
        while node.parent:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]


class Tree:
    """The search of one problem: its nodes, those that are finished, and what all of it cost.

    A path has at most `params.max_tokens` tokens, or as many as the model's context holds. Raises
    ValueError where one of `counts` (n, branch) is below 1.
    """

    def __init__(
        self,
        llm: Engine,
        problem: Problem,
        value: Scorer,
        params: SamplingParams,
        step_end: str,
        **counts: int,
    ) -> None:
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1, not {count}")
        self.llm, self.question, self.value = llm, problem.question, value
        self.params, self.step_end = params, step_end
        asked = prompts.ask(problem.question)
        self.prompt_ids = llm.tokenizer.encode_chat(asked, enable_thinking=False)
        self.max_tokens = params.max_tokens
        if llm.max_positions is not None:
            room = llm.max_positions - len(self.prompt_ids)
            self.max_tokens = max(1, min(params.max_tokens, room))
        self.root = Node([])
        self.finished: list[Node] = []  # each once, in the order of sampling
        self.cost = Cost()
        self.seeds = itertools.count(params.seed, SEED_STEP)

    def expand(self, nodes: list[Node], k: int = 1, **changes: object) -> list[Node]:
        """Sample k next steps of each node: the children, in the nodes' order.

        A node may stand in the list several times, and so may a child that was sampled several
        times. A blank line is not a step: sampling continues after it. `changes` replace sampling
        parameters.
        """
        children = self.sample([node for node in nodes for _ in range(k)], **changes)
        while blank := [child for child in children if child.is_blank]:
            further = iter(self.sample(blank, **changes))
            children = [next(further) if child.is_blank else child for child in children]
        return children

    def sample(self, nodes: list[Node], **changes: object) -> list[Node]:
        """Sample a child of each node. Nodes that stand there equally often share a request."""
        changes = {"max_tokens": STEP_TOKENS, "stop": self.step_end} | changes
        groups: defaultdict[tuple[int, int], list[Node]] = defaultdict(list)
        for node, times in Counter(nodes).items():
            room = min(changes["max_tokens"], self.max_tokens - len(node.token_ids))
            groups[times, room].append(node)
        seeds: defaultdict[int, int] = defaultdict(lambda: next(self.seeds))
        children = {}
        for (times, room), group in groups.items():
            request = changes | {"n": times, "max_tokens": room, "seed": seeds[times]}
            params = replace(self.params, **request)
            texts = [self.prompt_ids + node.token_ids for node in group]
            for node, output in zip(group, self.llm.generate(texts, params)):
                self.cost += output.cost
                steps = [self.add_child(node, each, params.stop) for each in output.completions]
                children[node] = iter(steps)
        return [next(children[node]) for node in nodes]

    def add_child(self, node: Node, step: Completion, stops: tuple[str, ...]) -> Node:
        """The child that a sampled step leads to; a new one unless it was sampled before."""
        ids = node.token_ids + step.token_ids
        text = self.llm.tokenizer.decode(ids)
        stopped = any(stop in text[len(node.text) :] for stop in stops)
        is_end = step.finish_reason == "stop" and not stopped
        if is_end:
            text = self.llm.tokenizer.decode(ids[:-1])  # without the end-of-turn token
        child = node.children.get(text)
        if child is None:
            child = node.children[text] = Node(ids, text, step.logprobs, node)
            is_full = len(ids) >= self.max_tokens
            cut = "loop" if step.finish_reason == "loop" else "length" if is_full else ""
            child.finish_reason = "stop" if is_end else cut
            self.finished += [child] if child.is_finished else []
        child.count += 1
        return child

    def rate(self, nodes: list[Node]) -> None:
        """Ask the value about those nodes that have no score yet.

        Raises ValueError for a score that is not a finite number.
        """
        new = [node for node in dict.fromkeys(nodes) if node.score is None]
        if new:
            scores, cost = self.value.score(self.llm, self.question, new)
            self.cost += cost
            for node, score in zip(new, checked_scores(scores, self.value.name, len(new))):
                node.score = score

    def solution(self, votes: Mapping[Node, float] | None = None) -> Solution:
        """The finished paths, and the answer whose weights add up to the most (Li 2023).

        A path weighs its score, and votes once however often it was sampled; or it weighs as
        much as `votes` say, and others have no vote.
        """
        self.rate(self.finished)
        nodes = list(votes or self.finished)
        paths, scores = [completion_of(node) for node in nodes], [node.score for node in nodes]
        weights = list(votes.values()) if votes else scores
        for path, weight in zip(paths, weights):
            path.measures["weight"] = float(weight)
        answer = most_frequent([final_answer(path) for path in paths], weights, "the weight")
        return Solution(answer, paths, self.cost, scores, drawing(self.root))


def completion_of(node: Node) -> Completion:
    """A finished path as if it had been sampled in one go."""
    logprobs = [logprob for step in node.path for logprob in step.logprobs]
    return Completion(node.text, node.token_ids, logprobs, node.finish_reason)


def drawing(root: Node) -> list[dict]:
    """The tree as JSON-ready dicts, parents before their children; the root has number 0."""
    nodes = [root]
    for node in nodes:  # grows while it is walked through
        nodes += node.children.values()
    number = {node: i for i, node in enumerate(nodes)}
    return [
        {
            "node": number[node],
            "parent": number[node.parent],
            "step": node.step.strip(),
            "score": node.score,
            "count": node.count,
            "is_finished": node.is_finished,
        }
        for node in nodes[1:]
    ]
