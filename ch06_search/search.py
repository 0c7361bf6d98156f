"""Search over solution paths: sample a step, judge the path so far, continue where it looks good.

    python ch06_search/search.py --method beam --n 16
    python ch06_search/search.py --method mcts --value arithmetic --limit 50
    python ch06_search/search.py --method beam --value judge --model DIR --problems gym:gsm_symbolic

A step is a line (--step-end). All methods grow the tree of `tree.py` and have one signature; they
differ in which nodes they continue from. The finished paths vote, each with its score as weight.
"""

from __future__ import annotations

import argparse
import math
from functools import partial

from ch06_search.mcts import mcts
from ch06_search.particles import particle_filter
from ch06_search.selection import best, distribute, ranked, unfinished
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

# What the searches have in common:
#
# n       how wide, as each docstring says; a search does not spend the tokens of n whole solutions
#         exactly, but what `cost` says
# value   scores partial solutions and, for the final vote, finished ones
# params  how steps are sampled; max_tokens bounds a whole path, and n is not used
# branch  next steps of a node
#
# All raise ValueError for an n or branch below 1, and what `value` raises.


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
    (Snell 2024, section 5.2). The next steps are distributed as evenly as possible; where they
    cannot be equal, better beams get one more. Each finished path uses up one of the n slots. The
    search stops when no beam is left, usually with fewer than n distinct paths.

    With a `depth` a step is judged by where `depth` greedy steps lead (lookahead, Snell 2024).
    These steps stay in the tree, and a path that ends in them counts and votes like any other.
    """
    tree = Tree(llm, problem, value, params, step_end, n=n, branch=branch)
    beams = unfinished(tree.expand([tree.root], n))
    while beams and (room := n - len(tree.finished)) > 0:
        width = math.ceil(room / branch)
        some_are_dropped, some_get_more = len(beams) > width, room % len(beams) > 0
        must_rank = some_are_dropped or some_get_more
        if must_rank:  # else all beams are treated alike: scores would cost tokens for nothing
            if depth:
                look_ahead(tree, beams, depth)
            beams = ranked(tree, beams)[:width]
        beams = unfinished(tree.expand(distribute(beams, room)))
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

    Without that bound a value that scores every first step high would search nearly the whole tree.
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


METHODS = {  # name on the command line: the function, and its own flags
    "beam": (beam_search, ("branch",)),
    "dvts": (dvts, ("branch",)),
    "best-first": (best_first, ("branch",)),
    "lookahead": (partial(beam_search, depth=2), ("branch",)),
    "mcts": (mcts, ("branch",)),
    "particles": (particle_filter, ()),
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
    method, flags = METHODS[args.method]
    value, settings = ArithmeticValue(), {}
    options = {"step_end": args.step_end.replace("\\n", "\n")}
    with friendly_errors():
        if args.branch is not None:
            if "branch" not in flags:
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
