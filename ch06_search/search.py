"""Search over solution paths: sample a step, judge what there is so far, go on where it looks good.

    python ch06_search/search.py --method beam --n 16
    python ch06_search/search.py --method mcts --value arithmetic --limit 50
    python ch06_search/search.py --method beam --value judge --model DIR --problems gym:gsm_symbolic

A step is a line (--step-end). All methods share one tree, whose nodes are partial solutions, and
one signature; they differ in which nodes they go on from. The finished paths vote, each weighing
its score. What has been read once is rarely read again: the cache keeps the recent trees.
"""

from __future__ import annotations

import argparse
import bisect
import inspect
import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from ch06_search.values import SO_FAR, arithmetic, judge, reward
from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.backends.openai_protocol import NotServed
from shared.errors import UserError, setting_up
from shared.evaluation.cli import add_common_flags, friendly_errors, run
from shared.evaluation.evaluate import name_of
from shared.grading.answers import final_answer
from shared.grading.voting import most_frequent
from shared.loading.checkpoint import weights_fingerprint
from shared.rewards.process_reward import ProcessRewardModel
from shared.rewards.step_reader import StepReader
from shared.scores import checked_scores

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
    finish_reason  "stop", "length" or "loop" of a finished solution, else ""
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


# Of a question and partial solutions: their scores, 0 to 1, and what it cost to find them.
Value = Callable[[LLM, str, list[Node]], tuple[list[float], Cost]]


class Tree:
    """The search of one problem: its nodes, those that are finished, and what all of it cost.

    A path has at most `params.max_tokens` tokens, or as many as the model's context holds. Raises
    ValueError where one of `counts` (n, branch) is below 1.
    """

    def __init__(
        self,
        llm: LLM,
        problem: Problem,
        value: Value,
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
        try:
            room = llm.model.config.max_positions - len(self.prompt_ids)
            self.max_tokens = max(1, min(params.max_tokens, room))
        except NotServed:
            pass  # a server does not tell its context, and looks after it itself
        self.root = Node([])
        self.finished: list[Node] = []  # each once, in the order of sampling
        self.cost = Cost()
        self.seeds = itertools.count(params.seed, SEED_STEP)

    def expand(self, nodes: list[Node], k: int = 1, **changes: object) -> list[Node]:
        """Sample k next steps of each node: the children, in the nodes' order.

        A node may stand in the list several times, and so may a child that was sampled several
        times. A blank line is no step: it is gone on from. `changes` are to the sampling.
        """
        children = self.sample([node for node in nodes for _ in range(k)], **changes)
        while blank := [child for child in children if child.is_blank]:
            further = iter(self.sample(blank, **changes))
            children = [next(further) if child.is_blank else child for child in children]
        return children

    def sample(self, nodes: list[Node], **changes: object) -> list[Node]:
        """Sample a child of each node. One request serves all that are wanted equally often."""
        changes = {"max_tokens": STEP_TOKENS, "stop": self.step_end} | changes
        groups: defaultdict[tuple[int, int], list[Node]] = defaultdict(list)
        for node, times in Counter(nodes).items():
            room = min(changes["max_tokens"], self.max_tokens - len(node.ids))
            groups[times, room].append(node)
        seeds: defaultdict[int, int] = defaultdict(lambda: next(self.seeds))
        children = {}
        for (times, room), group in groups.items():
            request = changes | {"n": times, "max_tokens": room, "seed": seeds[times]}
            params = replace(self.params, **request)
            # Token ids, not text: what the cache knows is found again only as the same tokens.
            outputs = self.llm.generate([self.prompt_ids + node.ids for node in group], params)
            for node, output in zip(group, outputs):
                self.cost += output.cost
                steps = [self.add_child(node, each, params.stop) for each in output.completions]
                children[node] = iter(steps)
        return [next(children[node]) for node in nodes]

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
            is_full = len(ids) >= self.max_tokens
            cut = "loop" if step.finish_reason == "loop" else "length" if is_full else ""
            child.finish_reason = "stop" if is_end else cut
            self.finished += [child] if child.is_finished else []
        child.count += 1
        return child

    def rate(self, nodes: list[Node]) -> None:
        """Ask the value function about those nodes that have no score yet.

        Raises ValueError for a score that is not a finite number.
        """
        new = [node for node in dict.fromkeys(nodes) if node.score is None]
        if new:
            scores, cost = self.value(self.llm, self.question, new)
            self.cost += cost
            for node, score in zip(new, checked_scores(scores, name_of(self.value), len(new))):
                node.score = score

    def solution(self, votes: Counter[Node] | None = None) -> Solution:
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
    return Completion(node.text, node.ids, logprobs, node.finish_reason)


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
#
# n       how wide, as each docstring says; a search does not spend the tokens of n whole solutions
#         exactly, but what `cost` says
# value   what partial solutions and, in the final vote, finished ones are worth
# params  how steps are sampled; max_tokens bounds a whole path, and n is not used
# branch  next steps of a node
#
# All raise ValueError for an n or branch below 1, and what `value` raises.


def unfinished(nodes: list[Node]) -> list[Node]:
    """Each node once, without those that are finished."""
    return [node for node in dict.fromkeys(nodes) if not node.is_finished]


def ranked(tree: Tree, nodes: list[Node]) -> list[Node]:
    """The nodes from the highest score to the lowest; ties keep their order."""
    tree.rate(nodes)
    return sorted(nodes, key=lambda node: node.score, reverse=True)


def best(tree: Tree, nodes: list[Node], count: int) -> list[Node]:
    """The `count` nodes with the highest scores; ties go to the first. If there are no more than
    that, the value function is not called."""
    return ranked(tree, nodes)[:count] if len(nodes) > count else nodes


def shared_out(nodes: list[Node], places: int) -> list[Node]:
    """Each node as often as it gets a place: as evenly as possible, the first ones one more."""
    each, extra = divmod(places, len(nodes))
    return [node for i, node in enumerate(nodes) for _ in range(each + (i < extra))]


def beam_search(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Value,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    branch: int = 2,
    depth: int = 0,
) -> Solution:
    """Sample n first steps, keep the best n / branch, sample n next steps of these, and so on
    (Snell 2024, section 5.2). The next steps are shared out as evenly as possible; where they
    cannot be equal, better beams get one more. Each finished path uses up one of the n places. The
    search stops when no beam is left, usually with fewer than n distinct paths.

    With a `depth` a step is judged by where so many greedy steps more lead (lookahead, Snell 2024).
    Those steps stay in the tree, and a path that ends in them counts and votes like any other.
    """
    tree = Tree(llm, problem, value, params, step_end, n=n, branch=branch)
    beams = unfinished(tree.expand([tree.root], n))
    while beams and (room := n - len(tree.finished)) > 0:
        width = math.ceil(room / branch)
        if len(beams) > width or room % len(beams):  # otherwise no beam is preferred
            if depth:
                look_ahead(tree, beams, depth)
            beams = ranked(tree, beams)[:width]
        beams = unfinished(tree.expand(shared_out(beams, room)))
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
    """Diverse verifier tree search: n / branch searches (at least one) that do not compete, each of
    which goes on from the best of its `branch` steps (Beeching 2024). No good start crowds out
    others."""
    tree = Tree(llm, problem, value, params, step_end, n=n, branch=branch)
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
    """Always go on from the best node of the whole tree, of equals the longest (Koh 2024), until
    n / branch paths are finished, or n times max_tokens tokens are sampled.

    Without that bound a value that likes every beginning would search nearly the whole tree.
    """
    tree = Tree(llm, problem, value, params, step_end, n=n, branch=branch)
    frontier, budget = [tree.root], n * params.max_tokens
    while frontier and len(tree.finished) < max(1, n // branch):
        if tree.cost.generated_tokens >= budget:
            break
        frontier.sort(key=lambda node: len(node.ids), reverse=True)
        (node,) = best(tree, frontier, 1)
        frontier.remove(node)
        frontier += unfinished(tree.expand([node], branch))
    return tree.solution()


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
    """Monte Carlo tree search with UCT (Kocsis 2006; of language models Hao 2023): n rollouts, each
    a greedy solution from where it promises most, and `branch` steps sampled there.

    `exploration`, 0 or more, is the weight of the bonus for what was rarely visited.
    """
    tree = Tree(llm, problem, value, params, step_end, n=n, branch=branch)
    for _ in range(n):
        leaf = select(tree.root, exploration)
        child = expansion(tree, leaf, branch)
        back_up(child, rollout(tree, child))
    return tree.solution()


def select(root: Node, exploration: float) -> Node:
    """Walk down to a node without open children, each time to the child with the best sum of mean
    score and bonus; one that was never visited comes first."""
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
        (node,) = tree.expand([node], max_tokens=tree.max_tokens, stop=(), temperature=0)
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
    more often (Puri 2025). In the end each particle has one vote: how good it is has already
    decided how often it is there."""
    tree = Tree(llm, problem, value, params, step_end, n=n)
    return tree.solution(votes=Counter(drift(tree, n, random.Random(params.seed))))


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
    of their cumulated weights (systematic resampling). All weights 0: the nodes as they are.

    Raises ValueError for a weight that is negative or not a finite number.
    """
    weights = checked_scores(weights, "the weight", len(nodes))
    if min(weights, default=0.0) < 0:
        raise ValueError(f"the weight must not be negative, but the lowest one is {min(weights)}")
    if not any(weights):
        return nodes
    most = max(weights)  # the sum of very large weights would overflow
    cumulated = list(itertools.accumulate(weight / most for weight in weights))
    spacing, start = cumulated[-1] / len(nodes), rng.random()
    points = [
        min((i + start) * spacing, math.nextafter(cumulated[-1], 0)) for i in range(len(nodes))
    ]
    return [nodes[bisect.bisect_right(cumulated, point)] for point in points]


METHODS = {
    "beam": beam_search,
    "dvts": dvts,
    "best-first": best_first,
    "lookahead": partial(beam_search, depth=2),
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
    method, value, settings = METHODS[args.method], arithmetic, {}
    options = {"step_end": args.step_end.replace("\\n", "\n")}
    with friendly_errors():
        if args.branch is not None:
            if "branch" not in inspect.signature(method).parameters:
                raise UserError(f"--method {args.method} does not branch: leave out --branch")
            if args.branch < 1:
                raise UserError(f"--branch must be at least 1, not {args.branch}")
            options["branch"] = args.branch
        if args.value == "judge":
            settings["judge_asks"] = prompts.JUDGE if args.model == "tiny" else SO_FAR
            value = judge(settings["judge_asks"])
        if args.value == "reward":
            dtype = getattr(torch, args.dtype or "float32")
            with setting_up():
                model = ProcessRewardModel.from_folder(args.reward_model, args.device, dtype)
            settings["reward_model"] = weights_fingerprint(model)
            value = reward(model) if model.separated else StepReader(model)
    run(method, args, value=value, settings=settings, **options)


if __name__ == "__main__":
    main()
