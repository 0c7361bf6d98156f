"""Answers to chapter 6's exercises: right ones in several styles, and plausible mistakes.

Each wrong answer comes with a piece of the message that the check must give.
"""

from __future__ import annotations

import bisect
import copy
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from ch06_search import checks
from ch06_search.particles import resample
from ch06_search.scripted import ScriptedModel
from ch06_search.search import beam_search
from ch06_search.selection import best, unfinished
from ch06_search.tree import PARAMS, Tree
from shared import Completion, Cost, Problem, Solution
from shared.rewards.interfaces import Scorer, Scores

RIGHT: list[tuple[Callable, Callable]] = []
WRONG: list[tuple[Callable, Callable, str]] = []


def right(check: Callable) -> Callable:
    """The decorated function is a right answer to this check's exercise."""
    return lambda function: RIGHT.append((check, function)) or function


def wrong(check: Callable, message: str) -> Callable:
    """The decorated function is a wrong answer, to which the check must say this."""
    return lambda function: WRONG.append((check, function, message)) or function


# --- 1. branches_needed ---------------------------------------------------------------------------

one = checks.check_branches_needed


@right(one)
def by_a_loop(right, num_steps, goal):
    branch = 1
    while (1 - (1 - right) ** branch) ** num_steps < goal:
        branch += 1
    return branch


@right(one)
def by_counting_up(right, num_steps, goal):
    chances = ((b, (1 - (1 - right) ** b) ** num_steps) for b in itertools.count(1))
    return next(b for b, chance in chances if chance >= goal)


@wrong(one, "0.75 or more")
def more_than_the_goal(right, num_steps, goal):
    branch = 1
    while branch < 99 and (1 - (1 - right) ** branch) ** num_steps <= goal:
        branch += 1
    return branch


@wrong(one, "should be 2")
def one_step_only(right, num_steps, goal):
    branch = 1
    while 1 - (1 - right) ** branch < goal:
        branch += 1
    return branch


@wrong(one, "should be 2")
def whole_solutions(right, num_steps, goal):
    branch = 1
    while 1 - (1 - right**num_steps) ** branch < goal and branch < 10_000:
        branch += 1
    return branch


@wrong(one, "and never zero")
def starts_at_zero(right, num_steps, goal):
    branch = 0
    while branch < 1 or (1 - (1 - right) ** branch) ** num_steps < goal:
        branch += 1
    return branch if right < 1 else 0


@wrong(one, "at least once")
def zero_for_no_goal(right, num_steps, goal):
    return by_a_loop(right, num_steps, goal) if goal > 0 else 0


@wrong(one, "should be")
def one_too_many(right, num_steps, goal):
    return by_a_loop(right, num_steps, goal) + 1


@wrong(one, "a little too low")
def rounds_to_the_nearest(right, num_steps, goal):
    if right == 1 or goal == 0:
        return 1
    return max(1, round(math.log(1 - goal ** (1 / num_steps)) / math.log(1 - right)))


@wrong(one, "should be")
def rounds_down(right, num_steps, goal):
    if right == 1 or goal == 0:
        return 1
    return max(1, math.floor(math.log(1 - goal ** (1 / num_steps)) / math.log(1 - right)))


@wrong(one, "should be")
def swaps_right_and_wrong(right, num_steps, goal):
    return by_a_loop(max(0.01, 1 - right), num_steps, goal)


@wrong(one, "should be")
def always_two(right, num_steps, goal):
    return 2


@wrong(one, "stopped with ValueError")
def logarithm_of_zero(right, num_steps, goal):
    return max(1, math.ceil(math.log(1 - goal ** (1 / num_steps)) / math.log(1 - right)))


@wrong(one, "Is a `return` missing?")
def returns_nothing(right, num_steps, goal):
    by_a_loop(right, num_steps, goal)


@right(one)
def by_two_logarithms(right, num_steps, goal):
    each = goal ** (1 / num_steps)
    return 1 if right == 1 else max(1, math.ceil(math.log(1 - each) / math.log(1 - right)))


@wrong(one, "0.95^20 is 0.36")
def samples_of_all_steps(right, num_steps, goal):
    return num_steps * by_a_loop(right, num_steps, goal)


@wrong(one, "reached with 0.75 or more")
def rounds_down_and_adds_one(right, num_steps, goal):
    each = goal ** (1 / num_steps)
    return 1 if right == 1 else int(math.log(1 - each) / math.log(1 - right)) + 1


@wrong(one, "one sample is enough")
def expected_tries(right, num_steps, goal):
    return math.ceil(1 / right)


@wrong(one, "reached with 0.5625 or more")
def sum_of_failures(right, num_steps, goal):
    return next(b for b in itertools.count(1) if num_steps * (1 - right) ** b <= 1 - goal)


@wrong(one, "more than 100 samples")
def stops_at_a_hundred(right, num_steps, goal):
    for branch in range(1, 101):
        if (1 - (1 - right) ** branch) ** num_steps >= goal:
            return branch
    return 100


# --- 2. resample_independently --------------------------------------------------------------------

two = checks.check_resample_independently


@right(two)
def by_choices(nodes, weights, rng):
    return rng.choices(nodes, weights, k=len(nodes)) if any(weights) else nodes


@right(two)
def by_the_cumulative_weights(nodes, weights, rng):
    sums = list(itertools.accumulate(weights))
    if not sums or sums[-1] == 0:
        return list(nodes)
    return [nodes[bisect.bisect_right(sums, rng.random() * sums[-1])] for _ in nodes]


@wrong(two, "Draw every node anew")
def one_draw_for_all(nodes, weights, rng):
    return rng.choices(nodes, weights) * len(nodes) if any(weights) else nodes


@wrong(two, "evenly spaced points")
def systematic(nodes, weights, rng):
    return resample(nodes, weights, rng)


@wrong(two, "in proportion to its weight")
def uniform(nodes, weights, rng):
    if not any(weights):
        return nodes
    alive = [node for node, weight in zip(nodes, weights) if weight]
    return rng.choices(alive, k=len(nodes))


@wrong(two, "unchanged where all weights are 0")
def no_case_for_zero(nodes, weights, rng):
    if not nodes:
        return []
    return rng.choices(nodes, [weight + 1e-12 for weight in weights], k=len(nodes))


@wrong(two, "stopped with ValueError")
def zero_weights_fail(nodes, weights, rng):
    return rng.choices(nodes, weights, k=len(nodes))


@wrong(two, "in proportion to its weight")
def squared_weights(nodes, weights, rng):
    return by_choices(nodes, [weight**2 for weight in weights], rng)


@wrong(two, "as many nodes as there were")
def one_too_few(nodes, weights, rng):
    return by_choices(nodes, weights, rng)[1:]


@wrong(two, "use rng")
def global_state(nodes, weights, rng):
    return random.choices(nodes, weights, k=len(nodes)) if any(weights) else nodes


@wrong(two, "use rng")
def own_generator(nodes, weights, rng, own=random.Random(0)):  # noqa: B008
    return by_choices(nodes, weights, own)


@wrong(two, "different seeds give the same")
def same_seed_each_time(nodes, weights, rng):
    return by_choices(nodes, weights, random.Random(0))


@wrong(two, "different seeds give the same")
def best_one_only(nodes, weights, rng):
    if not any(weights):
        return nodes
    return [nodes[weights.index(max(weights))]] * len(nodes)


@wrong(two, "different seeds give the same")
def rounded_shares(nodes, weights, rng):
    if not any(weights):
        return nodes
    total, size = sum(weights), len(nodes)
    drawn = [n for n, w in zip(nodes, weights) for _ in range(round(size * w / total))]
    heaviest = nodes[weights.index(max(weights))]
    return (drawn + [heaviest] * size)[:size]


@wrong(two, "Is a `return` missing?")
def draws_and_forgets(nodes, weights, rng):
    by_choices(nodes, weights, rng)


@right(two)
def by_rejection(nodes, weights, rng):
    drawn, most = [], max(weights, default=0)
    if not most:
        return nodes
    while len(drawn) < len(nodes):
        place = rng.randrange(len(nodes))
        if rng.random() * most < weights[place]:
            drawn.append(nodes[place])
    return drawn


@wrong(two, "A node may stand in the list twice")
def by_a_dict_of_weights(nodes, weights, rng):
    if not any(weights):
        return nodes
    table = dict(zip(nodes, weights))
    return rng.choices(list(table), list(table.values()), k=len(nodes))


@wrong(two, "as many nodes as there were")
def weights_taken_for_shares(nodes, weights, rng):
    if not any(weights):
        return nodes
    drawn = []
    for _ in nodes:
        point, reached = rng.random(), 0.0
        for node, weight in zip(nodes, weights):
            reached += weight
            if point < reached:
                drawn.append(node)
                break
    return drawn


@wrong(two, "Independent draws vary more")
def stratified(nodes, weights, rng):
    if not any(weights):
        return nodes
    cumulative = list(itertools.accumulate(weights))
    points = [(i + rng.random()) / len(nodes) * cumulative[-1] for i in range(len(nodes))]
    return [nodes[min(bisect.bisect(cumulative, p), len(nodes) - 1)] for p in points]


@wrong(two, "in proportion to its weight")
def finds_the_node_by_its_weight(nodes, weights, rng):
    if not any(weights):
        return nodes
    return [nodes[weights.index(w)] for w in rng.choices(weights, weights, k=len(nodes))]


@wrong(two, "as many nodes as there were")
def without_replacement(nodes, weights, rng):
    left, drawn = dict(zip(nodes, weights)), []
    while any(left.values()):
        drawn += rng.choices(list(left), list(left.values()))
        left.pop(drawn[-1])
    return drawn or nodes


@wrong(two, "unchanged where all weights are 0")
def small_sums_count_as_zero(nodes, weights, rng):
    return rng.choices(nodes, weights, k=len(nodes)) if int(sum(weights) + 0.5) else nodes


# --- 3. duplicate_share ---------------------------------------------------------------------------

three = checks.check_duplicate_share


@right(three)
def by_sums(trace):
    samples = sum(node["count"] for node in trace)
    return 1 - len(trace) / samples if samples else 0.0


@right(three)
def by_surplus(trace):
    surplus = sum(node["count"] - 1 for node in trace)
    return surplus / max(1, surplus + len(trace))


@wrong(three, "stopped with ZeroDivisionError")
def divides_by_zero(trace):
    return 1 - len(trace) / sum(node["count"] for node in trace)


@wrong(three, "should be")
def share_of_nodes(trace):
    return fmean(node["count"] > 1 for node in trace) if trace else 0.0


@wrong(three, "should be")
def share_of_new(trace):
    samples = sum(node["count"] for node in trace)
    return len(trace) / samples if samples else 0.0


@wrong(three, "should be")
def samples_of_repeated_nodes(trace):
    samples = sum(node["count"] for node in trace)
    return sum(n["count"] for n in trace if n["count"] > 1) / samples if samples else 0.0


@wrong(three, "should be")
def mean_over_nodes(trace):
    return fmean(1 - 1 / node["count"] for node in trace) if trace else 0.0


@wrong(three, "count nodes, not texts")
def different_texts(trace):
    samples = sum(node["count"] for node in trace)
    return 1 - len({node["step"] for node in trace}) / samples if samples else 0.0


@wrong(three, "should be")
def number_of_duplicates(trace):
    return float(sum(node["count"] - 1 for node in trace))


@wrong(three, "should be")
def per_node(trace):
    return sum(node["count"] - 1 for node in trace) / len(trace) if trace else 0.0


@wrong(three, "should be")
def always_zero(trace):
    return 0.0


@wrong(three, "Is a `return` missing?")
def none_for_an_empty_trace(trace):
    if trace:
        return by_sums(trace)


@wrong(three, "nodes with the same parent are different nodes")
def different_parents(trace):
    samples = sum(node["count"] for node in trace)
    return 1 - len({node["parent"] for node in trace}) / samples if samples else 0


@wrong(three, "should be")
def takes_the_first_for_the_root(trace):
    return by_sums(trace[1:])


@wrong(three, "should be")
def in_percent(trace):
    return 100 * by_sums(trace)


@wrong(three, "should be")
def rounded(trace):
    return round(by_sums(trace), 2)


@wrong(three, "nodes with the same parent are different nodes")
def different_parents_and_counts(trace):
    samples = sum(node["count"] for node in trace)
    different = {(node["parent"], node["count"]) for node in trace}
    return 1 - len(different) / samples if samples else 0


# --- 4. Both --------------------------------------------------------------------------------------

four = checks.check_both


@dataclass(frozen=True)
class ByIndex:
    """A right value: products are filled in by position."""

    first: Scorer
    second: Scorer
    name: str = "both"

    def score(self, llm, question, nodes):
        scores, cost = self.first.score(llm, question, nodes)
        products = list(scores)
        alive = [i for i, score in enumerate(scores) if score > 0]
        if alive:
            more, more_cost = self.second.score(llm, question, [nodes[i] for i in alive])
            cost = cost + more_cost
            for i, factor in zip(alive, more):
                products[i] *= factor
        return Scores(products, cost)


def combined(combine=lambda a, b: a * b, **changes) -> type:
    """A class like the right answer; the changes make mistakes."""

    class Changed:
        name = "both"

        def __init__(self, first, second):
            self.first, self.second = first, second

        def score(self, llm, question, nodes):
            scores, cost = self.first.score(llm, question, nodes)
            keep = changes.get("keep", lambda score: score > 0)
            alive = [node for node, score in zip(nodes, scores) if keep(score)]
            if not alive and not changes.get("asks_about_none"):
                return Scores(scores, cost)
            asked = changes.get("question", question)
            more, more_cost = self.second.score(changes.get("llm", llm), asked, alive)
            factor = dict(zip(alive, more))
            products = [combine(s, factor.get(n, 0.0)) for n, s in zip(nodes, scores)]
            if changes.get("drops_the_dead"):
                products = [p for p, s in zip(products, scores) if s > 0]
            if changes.get("alive_first"):
                products = sorted(products, key=lambda p: p == 0)
            total = changes.get("total", lambda a, b: a + b)
            return Scores(products, total(cost, more_cost))

    return Changed


def named(name: str, made: type | Callable) -> type | Callable:
    """The same class under a name of its own."""
    made.__name__ = name
    return made


right(four)(ByIndex)
right(four)(named("by_a_dict", combined()))
wrong(four, "the products")(named("minimum", combined(min)))
wrong(four, "the products")(named("mean", combined(lambda a, b: (a + b) / 2 if a else 0.0)))
wrong(four, "the products")(named("second_only", combined(lambda a, b: b if a else 0.0)))
wrong(four, "the products")(named("first_only", combined(lambda a, b: a)))
wrong(four, "about no others")(named("asks_about_all", combined(keep=lambda score: True)))
wrong(four, "the products")(named("above_a_half", combined(keep=lambda score: score > 0.5)))
wrong(four, "an empty list")(named("asks_about_none", combined(asks_about_none=True)))
wrong(four, "Costs add up")(named("drops_first_cost", combined(total=lambda a, b: b)))
wrong(four, "Costs add up")(named("drops_second_cost", combined(total=lambda a, b: a)))
wrong(four, "one per node")(named("drops_the_dead", combined(drops_the_dead=True)))
wrong(four, "the order of the nodes")(named("alive_first", combined(alive_first=True)))
wrong(four, "pass the question on")(named("no_question", combined(question="")))
wrong(four, "pass llm on")(named("no_llm", combined(llm=None)))


@wrong(four, "once, about all nodes together")
class OneByOne(ByIndex):
    def score(self, llm, question, nodes):
        scores, cost = self.first.score(llm, question, nodes)
        products = []
        for node, score in zip(nodes, scores):
            if score > 0:
                (factor,), more = self.second.score(llm, question, [node])
                score, cost = score * factor, cost + more
            products.append(score)
        return Scores(products, cost)


@wrong(four, "return Scores(scores, cost)")
class PlainList(ByIndex):
    def score(self, llm, question, nodes):
        return ByIndex.score(self, llm, question, nodes).scores


@wrong(four, "return Scores(scores, cost), not None")
class NoReturn(ByIndex):
    def score(self, llm, question, nodes):
        ByIndex.score(self, llm, question, nodes)


@right(four)
class InOnePass(ByIndex):
    def score(self, llm, question, nodes):
        scores, cost = self.first.score(llm, question, nodes)
        alive = [node for node, score in zip(nodes, scores) if score]
        if not alive:
            return Scores([0.0] * len(nodes), cost)
        more, more_cost = self.second.score(llm, question, alive)
        factors = iter(more)
        return Scores([s * next(factors) if s else 0.0 for s in scores], cost + more_cost)


@wrong(four, "the order of the nodes")
class FindsTheNodeByItsScore(ByIndex):
    def score(self, llm, question, nodes):
        scores, cost = self.first.score(llm, question, nodes)
        alive = [node for node, score in zip(nodes, scores) if score]
        if not alive:
            return Scores(scores, cost)
        more, more_cost = self.second.score(llm, question, alive)
        left = [score for score in scores if score]
        products = [score * more[left.index(score)] if score else 0.0 for score in scores]
        return Scores(products, cost + more_cost)


@wrong(four, "generated tokens")
class AddsScoredTokensOnly(ByIndex):
    def score(self, llm, question, nodes):
        scores, cost = ByIndex.score(self, llm, question, nodes)
        return Scores(scores, Cost(scored_tokens=cost.scored_tokens))


@wrong(four, "ask the first value once")
class FirstOneByOne(ByIndex):
    def score(self, llm, question, nodes):
        for node in nodes:
            self.first.score(llm, question, [node])
        return ByIndex.score(self, llm, question, nodes)


@wrong(four, "ask the first value once")
class AsksForScoresAndThenForCosts(ByIndex):
    def score(self, llm, question, nodes):
        scores = ByIndex.score(self, llm, question, nodes).scores
        return Scores(scores, ByIndex.score(self, llm, question, nodes).cost)


@wrong(four, "Costs add up")
class NothingLeftCostsNothing(ByIndex):
    def score(self, llm, question, nodes):
        scores, cost = ByIndex.score(self, llm, question, nodes)
        return Scores(scores, cost if any(scores) else Cost())


# --- 5. thrifty_beam ------------------------------------------------------------------------------

five = checks.check_thrifty_beam


def thrifty(next_beams: Callable) -> Callable:
    """The search of the exercise, whose next beams `next_beams` finds."""

    def search(llm, problem, *, n=8, value, params=PARAMS, branch=2, sure=0.9):
        tree = Tree(llm, problem, value, params, "\n")
        beams = unfinished(tree.expand([tree.root], n))
        while beams and (room := n - len(tree.finished)) > 0:
            beams = best(tree, beams, math.ceil(room / branch))
            beams = next_beams(tree, beams, branch, sure)
        return tree.solution()

    return named(next_beams.__name__, search)


def probability(node) -> float:
    """Of all tokens of a step together."""
    return math.exp(sum(node.logprobs))


def unsure_beams(beams, firsts, sure) -> list:
    """The beams whose first step was improbable."""
    return [beam for beam, first in zip(beams, firsts) if probability(first) < sure]


def all_next(tree, beams, branch, sure) -> list:
    """The next beams, as the exercise asks."""
    firsts = tree.expand(beams)
    return unfinished(firsts + tree.expand(unsure_beams(beams, firsts, sure), branch - 1))


@right(five)
@thrifty
def all_at_once(tree, beams, branch, sure):
    return all_next(tree, beams, branch, sure)


@right(five)
@thrifty
def beam_by_beam(tree, beams, branch, sure):
    children = []
    for beam in beams:
        (first,) = tree.expand([beam])
        children.append(first)
        if probability(first) < sure and branch > 1:
            children += tree.expand([beam] * (branch - 1))
    return unfinished(children)


@wrong(five, "not below 0.5")
@thrifty
def at_most_sure(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = [beam for beam, first in zip(beams, firsts) if probability(first) <= sure]
    return unfinished(firsts + tree.expand(again, branch - 1))


@wrong(five, "the exponential of a sum")
@thrifty
def mean_logprob(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = [b for b, first in zip(beams, firsts) if math.exp(fmean(first.logprobs)) < sure]
    return unfinished(firsts + tree.expand(again, branch - 1))


@wrong(five, "should be")
@thrifty
def no_exponential(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = [b for b, first in zip(beams, firsts) if sum(first.logprobs) < sure]
    return unfinished(firsts + tree.expand(again, branch - 1))


@wrong(five, "should be")
@thrifty
def branch_more(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    return unfinished(firsts + tree.expand(unsure_beams(beams, firsts, sure), branch))


@wrong(five, "should be")
@thrifty
def expands_the_children(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = [first for first in unfinished(firsts) if probability(first) < sure]
    return unfinished(firsts + tree.expand(again, branch - 1))


@wrong(five, "should be")
@thrifty
def drops_the_first_samples(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = unsure_beams(beams, firsts, sure)
    return unfinished(tree.expand(again, branch - 1) if again else firsts)


@wrong(five, "should be")
@thrifty
def drops_the_later_samples(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    tree.expand(unsure_beams(beams, firsts, sure), branch - 1)
    return unfinished(firsts)


@wrong(five, "should be")
@thrifty
def branches_where_it_is_sure(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = [beam for beam, first in zip(beams, firsts) if probability(first) >= sure]
    return unfinished(firsts + tree.expand(again, branch - 1))


@wrong(five, "should be")
@thrifty
def branches_everywhere(tree, beams, branch, sure):
    return unfinished(tree.expand(beams, branch))


@wrong(five, "should be")
@thrifty
def never_branches(tree, beams, branch, sure):
    return unfinished(tree.expand(beams))


@wrong(five, "two more samples, three in all")
@thrifty
def one_more_sample(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    return unfinished(firsts + tree.expand(unsure_beams(beams, firsts, sure), min(1, branch - 1)))


@wrong(five, "stopped with")
@thrifty
def continues_finished_paths(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    children = firsts + tree.expand(unsure_beams(beams, firsts, sure), branch - 1)
    if len(children) > 99 or any(node.text.count("boxed") > 1 for node in children):
        raise RuntimeError("a finished path was continued")
    return list(dict.fromkeys(children))


@right(five)
@thrifty
def by_a_product(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = [
        b for b, first in zip(beams, firsts) if math.prod(map(math.exp, first.logprobs)) < sure
    ]
    return unfinished(firsts + tree.expand(again, branch - 1))


@right(five)
@thrifty
def by_logarithms(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    bound = math.log(sure) if sure > 0 else -math.inf
    again = [beam for beam, first in zip(beams, firsts) if sum(first.logprobs) < bound]
    return unfinished(firsts + tree.expand(again * (branch - 1)))


@wrong(five, "must not become two beams")
@thrifty
def keeps_equal_beams(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    children = firsts + tree.expand(unsure_beams(beams, firsts, sure), branch - 1)
    return [child for child in children if not child.is_finished]


@wrong(five, "Only the first sample decides")
@thrifty
def samples_until_it_is_sure(tree, beams, branch, sure):
    children = []
    for beam in beams:
        for _ in range(branch):
            children += tree.expand([beam])
            if probability(children[-1]) >= sure:
                break
    return unfinished(children)


@wrong(five, "the first ones too")
@thrifty
def greedy_first_samples(tree, beams, branch, sure):
    firsts = tree.expand(beams, temperature=0)
    return unfinished(firsts + tree.expand(unsure_beams(beams, firsts, sure), branch - 1))


@wrong(five, "should be")
@thrifty
def step_before(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = [beam for beam in beams if probability(beam) < sure]
    return unfinished(firsts + tree.expand(again, branch - 1))


@wrong(five, "should be")
@thrifty
def all_if_one_is_unsure(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = beams if unsure_beams(beams, firsts, sure) else []
    return unfinished(firsts + tree.expand(again, branch - 1))


@wrong(five, "should be")
@thrifty
def least_probable_token(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    again = [beam for beam, first in zip(beams, firsts) if math.exp(min(first.logprobs)) < sure]
    return unfinished(firsts + tree.expand(again, branch - 1))


@wrong(five, "should be")
@thrifty
def whole_path(tree, beams, branch, sure):
    firsts = tree.expand(beams)
    sums = [sum(logprob for node in first.path for logprob in node.logprobs) for first in firsts]
    again = [beam for beam, each in zip(beams, sums) if math.exp(each) < sure]
    return unfinished(firsts + tree.expand(again, branch - 1))


@wrong(five, "should be")
@thrifty
def drops_finished_ones_before_pairing(tree, beams, branch, sure):
    firsts = unfinished(tree.expand(beams))
    return unfinished(firsts + tree.expand(unsure_beams(beams, firsts, sure), branch - 1))


@wrong(five, "compare nodes, not the texts")
@thrifty
def merges_equal_steps_of_different_beams(tree, beams, branch, sure):
    return list({child.step: child for child in all_next(tree, beams, branch, sure)}.values())


@wrong(five, "return a Solution, not None")
def forgets_the_solution(llm, problem, **options):
    all_at_once(llm, problem, **options)


# --- 6. my_search ---------------------------------------------------------------------------------

SCRIPT = {
    "": [("1+1=2\n", 0.5), ("2+2=4\n", 0.25), ("3+3=6\n", 0.25)],
    "1+1=2\n": [("\\boxed{2}", 1.0)],
    "2+2=4\n": [("\\boxed{4}", 1.0)],
    "3+3=6\n": [("\\boxed{6}", 1.0)],
}
PROBLEMS = [Problem("First?", "8"), Problem("Second?", "10"), Problem("Third?", "12")]
BUDGET = 80


def six(my_search: Callable) -> None:
    """Exercise 6 on a scripted model."""
    checks.check_my_search(my_search, ScriptedModel(SCRIPT), PROBLEMS, BUDGET)


six.__name__ = "check_my_search"
VALUE = checks.LastLetter()


@right(six)
def small_beam(llm, problem):
    return beam_search(llm, problem, n=4, value=VALUE)


@right(six)
def very_small_beam(llm, problem):
    return beam_search(llm, problem, n=1, branch=1, value=VALUE)


@wrong(six, "more than the budget")
def over_budget(llm, problem):
    return beam_search(llm, problem, n=30, value=VALUE)


@wrong(six, "but the model generated")
def hides_its_cost(llm, problem):
    solution = small_beam(llm, problem)
    solution.cost = Cost()
    return solution


@wrong(six, "but the model generated")
def two_searches_one_cost(llm, problem):
    small_beam(llm, problem)
    return small_beam(llm, problem)


@wrong(six, "is that of no finished path")
def constant_answer(llm, problem):
    solution = small_beam(llm, problem)
    solution.answer = "1234"
    return solution


@wrong(six, "Sample for each problem anew")
def invents_a_path(llm, problem):
    path = Completion("\\boxed{2}", [1] * 9, [0.0] * 9, "stop")
    return Solution("2", [path], Cost())


@wrong(six, "Sample for each problem anew")
def keeps_the_first_solution(llm, problem, kept=[]):  # noqa: B006
    kept += [] if kept else [beam_search(ScriptedModel(SCRIPT), problem, n=2, value=VALUE)]
    return copy.deepcopy(kept[0])


@wrong(six, "is that of no finished path")
def gold_answer(llm, problem):
    solution = very_small_beam(llm, problem)
    solution.answer = {each.question: each.answer for each in PROBLEMS}[problem.question]
    return solution


@wrong(six, "no problem got an answer")
def no_answer(llm, problem):
    solution = small_beam(llm, problem)
    solution.answer = None
    return solution


@wrong(six, "return a Solution, not '2'")
def answer_only(llm, problem):
    return small_beam(llm, problem).answer


@wrong(six, "return a Solution, not None")
def forgets_to_return(llm, problem):
    small_beam(llm, problem)


@wrong(six, "stopped with TypeError")
def needs_the_gold_answer(llm, problem):
    solution = small_beam(llm, problem)
    solution.answer = problem.answer + ""
    return solution


@wrong(six, "with the `llm` that your search is given")
def another_model(llm, problem, model=ScriptedModel(SCRIPT)):  # noqa: B008
    return small_beam(model, problem)


@wrong(six, "but the model generated")
def better_of_two_searches(llm, problem):
    pair = [small_beam(llm, problem) for _ in range(2)]
    return max(pair, key=lambda solution: max(solution.scores))
