"""Search over solution paths: sample a step, judge what there is so far, go on where it looks good.

    python ch06_search/search.py --method beam --n 16
    python ch06_search/search.py --method mcts --value arithmetic --limit 50
    python ch06_search/search.py --method beam --value judge --model DIR --problems gym:gsm_symbolic

A step is a line (--step-end). All methods share one tree, whose nodes are partial solutions, and
one signature; they differ in which nodes they go on from. The finished paths vote, each weighing
its score. What has been read once is not read again: the cache keeps the whole tree.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from ch06_search.values import SO_FAR, StepReader, arithmetic, judge, reward
from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.answers import final_answer, normalize_answer
from shared.cli import add_common_flags, friendly_errors, run
from shared.scorers import ProcessRewardModel

PARAMS = SamplingParams(temperature=1.0, max_tokens=700)
STEP_TOKENS = 128  # a step that is longer is cut here, and goes on as the next one
SEED_STEP = 1_000  # between the seeds of successive requests: runs with seeds 0, 1, … differ


@dataclass(eq=False)
class Node:
    """A partial solution.

    ids            token ids of the reply so far; the last step's are those after the parent's
    logprobs       of the last step's tokens, natural log
    score          what the value function says of it, 0 to 1; None where nobody asked
    count          how often it was sampled
    finish_reason  "stop" or "length" of a finished solution, else ""
    visits, total  of `mcts`: rollouts below this node, and the sum of their scores
    """

    ids: list[int]
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
    def path(self) -> list[Node]:
        """The nodes from the first step to this one."""
        return [*self.parent.path, self] if self.parent else []


# Of a question and partial solutions: their scores, 0 to 1, and what it cost to find them.
Value = Callable[[LLM, str, list[Node]], tuple[list[float], Cost]]


class Tree:
    """The search of one problem: its nodes, those that are finished, and what all of it cost."""

    def __init__(
        self, llm: LLM, problem: Problem, value: Value, params: SamplingParams, step_end: str
    ) -> None:
        self.llm, self.question, self.value = llm, problem.question, value
        self.params, self.step_end = params, step_end
        asked = prompts.ask(problem.question)
        self.prompt_ids = llm.tokenizer.encode_chat(asked, enable_thinking=False)
        self.root = Node([])
        self.finished: list[Node] = []  # each once, in the order of sampling
        self.cost = Cost()
        self.seeds = itertools.count(params.seed, SEED_STEP)

    def expand(self, nodes: list[Node], k: int = 1, **changes: object) -> list[Node]:
        """Sample k next steps of each node: the children, in the nodes' order.

        A node may stand in the list several times, and so may a child that was sampled several
        times. Empty lines are no step: they are gone on from. `changes` are to the sampling.
        """
        draws = {}
        for node, times in Counter(nodes).items():
            draws.setdefault(times, []).append(node)
        children: dict[Node, list[Node]] = {}
        for times, group in draws.items():
            params = replace(
                self.params,
                n=times * k,
                seed=next(self.seeds),
                **{"max_tokens": STEP_TOKENS, "stop": self.step_end} | changes,
            )
            # Token ids, not text: what the cache knows is found again only as the same tokens.
            outputs = self.llm.generate([self.prompt_ids + node.ids for node in group], params)
            for node, output in zip(group, outputs):
                self.cost += output.cost
                children[node] = [self.add_child(node, c, params.stop) for c in output.completions]
        found = [children[node].pop(0) for node in nodes for _ in range(k)]
        empty = [child for child in found if not child.step.strip() and not child.is_finished]
        more = iter(self.expand(empty, **changes) if empty else [])
        return [next(more) if child in empty else child for child in found]

    def add_child(self, node: Node, step: Completion, stops: tuple[str, ...]) -> Node:
        """The child that a sampled step leads to; a new one unless it was sampled before."""
        ids = node.ids + step.token_ids
        text = self.llm.tokenizer.decode(ids)
        stopped = any(stop in text[len(node.text) :] for stop in stops)
        is_end = step.finish_reason == "stop" and not stopped
        if is_end:
            text = self.llm.tokenizer.decode(ids[:-1])  # without the end-of-turn token
        child = node.children.get(text)
        if child is None:
            child = node.children[text] = Node(ids, text, step.logprobs, node)
            is_full = len(ids) >= self.params.max_tokens
            child.finish_reason = "stop" if is_end else "length" if is_full else ""
            self.finished += [child] if child.is_finished else []
        child.count += 1
        return child

    def rate(self, nodes: list[Node]) -> None:
        """Ask the value function about those nodes that have no score yet."""
        new = [node for node in dict.fromkeys(nodes) if node.score is None]
        if new:
            scores, cost = self.value(self.llm, self.question, new)
            self.cost += cost
            for node, score in zip(new, scores):
                node.score = score

    def solution(self) -> Solution:
        """The finished paths, and the answer whose scores add up to the most."""
        self.rate(self.finished)
        paths = [completion_of(node) for node in self.finished]
        scores = [node.score for node in self.finished]
        answer = weighted_vote([final_answer(path) for path in paths], scores)
        return Solution(answer, paths, self.cost, scores, drawing(self.root))


def completion_of(node: Node) -> Completion:
    """A finished path as if it had been sampled in one go."""
    logprobs = [logprob for step in node.path for logprob in step.logprobs]
    return Completion(node.text, node.ids, logprobs, node.finish_reason)


def weighted_vote(answers: list[str | None], scores: list[float]) -> str | None:
    """The answer whose scores add up to the most (Li 2023); None where there is no answer."""
    totals: Counter[str] = Counter()
    for answer, score in zip(answers, scores):
        if answer is not None:
            totals[normalize_answer(answer)] += score
    return max(totals, key=totals.get, default=None)


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


# --- The searches ---------------------------------------------------------------------------------


def unfinished(nodes: list[Node]) -> list[Node]:
    """Each node once, without those that are finished."""
    return [node for node in dict.fromkeys(nodes) if not node.is_finished]


def best(tree: Tree, nodes: list[Node], count: int) -> list[Node]:
    """The `count` nodes with the highest scores; nobody is asked where there is no choice."""
    if len(nodes) > count:
        tree.rate(nodes)
        nodes = sorted(nodes, key=lambda node: node.score, reverse=True)[:count]
    return nodes


def beam_search(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Value,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    branch: int = 2,
) -> Solution:
    """Sample n first steps, keep the best n / branch, sample `branch` next steps of each, and so on
    (Snell 2024, section 5.2), until n paths are finished."""
    tree = Tree(llm, problem, value, params, step_end)
    beams = unfinished(tree.expand([tree.root], n))
    while beams and (room := n - len(tree.finished)) > 0:
        beams = best(tree, beams, math.ceil(room / branch))
        beams = unfinished(tree.expand(beams, max(1, room // len(beams))))
    return tree.solution()


def dvts(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Value,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    branch: int = 4,
) -> Solution:
    """Diverse verifier tree search: n / branch searches that do not compete, each of which goes on
    from the best of its `branch` steps (Beeching 2024). No good start crowds out others."""
    tree = Tree(llm, problem, value, params, step_end)
    heads = [tree.root] * max(1, n // branch)
    while heads:
        children = tree.expand(heads, branch)
        families = [children[i : i + branch] for i in range(0, len(children), branch)]
        choices = [unfinished(family) for family in families]
        tree.rate([node for choice in choices for node in choice if len(choice) > 1])
        heads = [best(tree, choice, 1)[0] for choice in choices if choice]
    return tree.solution()


def best_first(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Value,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    branch: int = 4,
) -> Solution:
    """Always go on from the best node of the whole tree (Yao 2023 calls it tree of thoughts), until
    n / branch paths are finished: then about as much was sampled as for n whole solutions."""
    tree = Tree(llm, problem, value, params, step_end)
    frontier = [tree.root]
    while frontier and len(tree.finished) < max(1, n // branch):
        (node,) = best(tree, frontier, 1)
        frontier.remove(node)
        frontier += unfinished(tree.expand([node], branch))
    return tree.solution()


def lookahead(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Value,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    branch: int = 2,
    depth: int = 2,
) -> Solution:
    """Beam search that judges a step by where `depth` greedy steps more lead (Snell 2024)."""
    tree = Tree(llm, problem, value, params, step_end)
    beams = unfinished(tree.expand([tree.root], n))
    while beams and (room := n - len(tree.finished)) > 0:
        look_ahead(tree, beams, depth)
        beams = best(tree, beams, math.ceil(room / branch))
        beams = unfinished(tree.expand(beams, max(1, room // len(beams))))
    return tree.solution()


def look_ahead(tree: Tree, nodes: list[Node], depth: int) -> None:
    """Give each node the score of where `depth` greedy steps lead from it."""
    ends = nodes
    for _ in range(depth):
        further = iter(tree.expand([end for end in ends if not end.is_finished], temperature=0))
        ends = [end if end.is_finished else next(further) for end in ends]
    tree.rate(ends)
    for node, end in zip(nodes, ends):
        node.score = end.score


def mcts(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Value,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    branch: int = 4,
    exploration: float = 0.5,
) -> Solution:
    """Monte Carlo tree search: n rollouts, each from where it promises most."""
    tree = Tree(llm, problem, value, params, step_end)
    for _ in range(n):
        leaf = select(tree.root, exploration)
        child = expansion(tree, leaf, branch)
        back_up(child, rollout(tree, child))
    return tree.solution()


def select(root: Node, exploration: float) -> Node:
    """Walk down to a node without open children, each time to the child with the best sum of mean
    score and a bonus for few visits (UCT, Kocsis 2006); one that was never visited comes first."""
    node = root
    while children := unfinished(list(node.children.values())):
        node = max(children, key=lambda child: upper_bound(child, exploration))
    return node


def upper_bound(node: Node, exploration: float) -> float:
    """Mean score of the rollouts below a node, and the bonus."""
    if not node.visits:
        return math.inf
    bonus = math.sqrt(math.log(node.parent.visits) / node.visits)
    return node.total / node.visits + exploration * bonus


def expansion(tree: Tree, leaf: Node, branch: int) -> Node:
    """Sample next steps of a leaf; the one that was sampled most often is tried first."""
    children = tree.expand([leaf], branch)
    return max(unfinished(children) or children, key=lambda node: node.count)


def rollout(tree: Tree, node: Node) -> float:
    """Write the solution to its end, greedily and in one go; its score."""
    if not node.is_finished:
        room = tree.params.max_tokens - len(node.ids)
        (node,) = tree.expand([node], max_tokens=room, stop=(), temperature=0)
    tree.rate([node])
    return node.score


def back_up(node: Node, score: float) -> None:
    """Tell all nodes on the way to the root what a rollout found."""
    while node:
        node.visits += 1
        node.total += score
        node = node.parent


def particle_filter(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Value,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
) -> Solution:
    """n particles, each a partial solution; after every step they are drawn anew, the better ones
    more often (Puri 2025). Every path that some particle finished has a vote."""
    tree = Tree(llm, problem, value, params, step_end)
    drift(tree, n, random.Random(params.seed))
    return tree.solution()


def drift(tree: Tree, n: int, rng: random.Random) -> list[Node]:
    """Move n particles until all are finished; where they end. A particle's weight is the factor by
    which its step raised its score: so it ends as often as the model samples it, times its score.
    """
    particles, before = [tree.root] * n, [1.0] * n
    while live := [node for node in particles if not node.is_finished]:
        stepped = iter(tree.expand(live))
        particles = [node if node.is_finished else next(stepped) for node in particles]
        tree.rate(particles)
        weights = [node.score / max(old, 1e-9) for node, old in zip(particles, before)]
        particles = resample(particles, weights, rng)
        before = [node.score for node in particles]
    return particles


def resample(nodes: list[Node], weights: list[float], rng: random.Random) -> list[Node]:
    """As many nodes, each on average in proportion to its weight: evenly spaced points on the line
    of their cumulated weights (systematic resampling). All weights 0: the nodes as they are."""
    if not any(weights):
        return nodes
    cumulated = list(itertools.accumulate(weights))
    spacing, start = cumulated[-1] / len(nodes), rng.random()
    points = [
        min((i + start) * spacing, math.nextafter(cumulated[-1], 0)) for i in range(len(nodes))
    ]
    return [nodes[bisect.bisect_right(cumulated, point)] for point in points]


METHODS = {
    "beam": beam_search,
    "dvts": dvts,
    "best-first": best_first,
    "lookahead": lookahead,
    "mcts": mcts,
    "particles": particle_filter,
}


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    add("--method", choices=METHODS, default="beam", help="which nodes to go on from")
    add("--value", choices=["reward", "judge", "arithmetic"], default="reward", help="what judges")
    add("--reward-model", default="tiny", metavar="R", help="tiny, a folder or a hub id")
    add("--branch", type=int, metavar="B", help="next steps of a node; None: the method's own")
    add("--step-end", default="\n", help="the text that ends a step")
    parser.set_defaults(temperature=PARAMS.temperature, max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Search with one method and one value."""
    args = parse_args()
    value = arithmetic
    if args.value == "judge":
        value = judge(prompts.JUDGE if args.model == "tiny" else SO_FAR)
    if args.value == "reward":
        with friendly_errors():
            dtype = getattr(torch, args.dtype or "float32")
            model = ProcessRewardModel.from_folder(args.reward_model, args.device, dtype)
            value = reward(model) if model.separated else StepReader(model)
    options = {"value": value, "step_end": args.step_end.replace("\\n", "\n")}
    if args.branch:
        options["branch"] = args.branch
    run(METHODS[args.method], args, **options)


if __name__ == "__main__":
    main()
