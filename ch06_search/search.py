"""Search over solution paths: sample a step, judge the path so far, continue where it looks good.

    python ch06_search/search.py --method beam --n 16
    python ch06_search/search.py --method mcts --value arithmetic --limit 50
    python ch06_search/search.py --method beam --value judge --model DIR --problems gym:gsm_symbolic

A step is a line (--step-end). All methods grow the tree of `tree.py` and have one signature; they
differ in which nodes they continue from. The finished paths vote, each with its score as weight.
"""

from __future__ import annotations

import argparse
import bisect
import inspect
import itertools
import math
import random
from collections import Counter
from functools import partial

from ch06_search.tree import PARAMS, Node, Tree
from ch06_search.values import SO_FAR, ArithmeticValue, JudgeSoFar, reward_value
from shared import LLM, Problem, SamplingParams, Solution, prompts
from shared.errors import UserError
from shared.evaluation.cli import (
    add_common_flags,
    add_reward_model_flag,
    friendly_errors,
    load_reward_model,
    run,
)
from shared.rewards.interfaces import Scorer
from shared.scores import checked_scores

# What the searches have in common:
#
# n       how wide, as each docstring says; a search does not spend the tokens of n whole solutions
#         exactly, but what `cost` says
# value   scores partial solutions and, for the final vote, finished ones
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
    that, the value is not asked."""
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
    value: Scorer,
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
    value: Scorer,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    branch: int = 4,
) -> Solution:
    """Diverse verifier tree search: n / branch searches (at least one) that do not compete. Each
    continues from the best of its `branch` steps (Beeching 2024), so no good start crowds out the
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
    value: Scorer,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    branch: int = 4,
) -> Solution:
    """Always continue from the best node of the whole tree; ties go to the longest (Koh 2024). Stop
    when n / branch paths are finished, or n times max_tokens tokens are sampled.

    Without that bound a value that likes every beginning would search nearly the whole tree.
    """
    tree = Tree(llm, problem, value, params, step_end, n=n, branch=branch)
    frontier, budget = [tree.root], n * params.max_tokens
    while frontier and len(tree.finished) < max(1, n // branch):
        if tree.cost.generated_tokens >= budget:
            break
        frontier.sort(key=lambda node: len(node.token_ids), reverse=True)
        (node,) = best(tree, frontier, 1)
        frontier.remove(node)
        frontier += unfinished(tree.expand([node], branch))
    return tree.solution()


def mcts(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Scorer,
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
    value: Scorer,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
) -> Solution:
    """n particles, each a partial solution; after every step they are drawn anew, the better ones
    more often (Puri 2025). In the end each particle has one vote: its score has already decided how
    many copies of it there are."""
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
    add_reward_model_flag(parser)
    add = parser.add_argument
    add("--method", choices=METHODS, default="beam", help="which nodes to continue from")
    add("--value", choices=["reward", "judge", "arithmetic"], default="reward", help="what judges")
    add("--branch", type=int, metavar="B", help="next steps of a node; None: the method's own")
    add("--step-end", default="\n", help="the text that ends a step")
    parser.set_defaults(temperature=PARAMS.temperature, max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Search with one method and one value."""
    args = parse_args()
    method, value, settings = METHODS[args.method], ArithmeticValue(), {}
    options = {"step_end": args.step_end.replace("\\n", "\n")}
    with friendly_errors():
        if args.branch is not None:
            if "branch" not in inspect.signature(method).parameters:
                raise UserError(f"--method {args.method} does not branch: leave out --branch")
            if args.branch < 1:
                raise UserError(f"--branch must be at least 1, not {args.branch}")
            options["branch"] = args.branch
        if args.value == "judge":
            value = JudgeSoFar(prompts.JUDGE if args.model == "tiny" else SO_FAR)
            settings["judge_asks"] = value.ask
        if args.value == "reward":
            reward_model, settings = load_reward_model(args)
            value = reward_value(reward_model)
    run(method, args, value=value, settings=settings, **options)


if __name__ == "__main__":
    main()
