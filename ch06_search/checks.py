"""The checks of the exercises in `exercises.ipynb`.

    check_branches_needed(branches_needed)    prints that all is well, or stops and says why

Exercises 1 to 5 are checked on small inputs that were worked out by hand, without a network: where
a search needs a model, `ScriptedModel` writes what a table says. Each message names the input, the
result and, for well-known mistakes, what to look for.
"""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ch06_search.scripted import ScriptedModel
from ch06_search.tree import PARAMS, Node
from shared import LLM, Cost, Problem, RequestOutput, SamplingParams, Solution
from shared.evaluation.exercise_checks import call, check_number, close
from shared.grading.answers import final_answer
from shared.rewards.interfaces import Scorer, Scores

# --- 1. How many branches are enough? -------------------------------------------------------------

BRANCHES = [  # right, num_steps, goal, expected, what to think of
    (0.95, 1, 0.9, 1, "One step that is right in 95%: one sample is enough"),
    (0.95, 20, 0.9, 2, "0.95^20 is 0.36, but (1 - 0.05^2)^20 is 0.95"),
    (0.5, 1, 0.75, 2, "1 - 0.5^2 is exactly 0.75, and the goal is reached with 0.75 or more"),
    (0.5, 2, 0.5625, 2, "0.75^2 is exactly 0.5625, and the goal is reached with 0.5625 or more"),
    (0.5, 1, 0.76, 3, "1 - 0.5^2 is 0.75, a little too low"),
    (0.5, 30, 0.99, 12, "All 30 steps must succeed, each within `branch` samples"),
    (0.5, 1, 0.99, 7, "1 - 0.5^7 is 0.992"),
    (0.2, 5, 0.5, 10, "(1 - 0.8^10)^5 is 0.57, and (1 - 0.8^9)^5 is 0.49"),
    (1.0, 30, 0.99, 1, "A model that is always right needs one sample, and never zero"),
    (0.3, 4, 0.0, 1, "A search samples each step at least once"),
    (0.02, 2, 0.9, 147, "Where right steps are rare, more than 100 samples can be needed"),
]


def check_branches_needed(branches_needed: Callable[[float, int, float], int]) -> None:
    """Exercise 1."""
    for right, num_steps, goal, expected, hint in BRANCHES:
        case = f"branches_needed({right}, {num_steps}, {goal})"
        result = check_number(call(branches_needed, right, num_steps, goal, case=case), case)
        assert result == expected, (
            f"{case} returned {result:g}, but it should be {expected}. {hint}"
        )
    print("Exercise 1 is right.")


# --- 2. Another way to resample -------------------------------------------------------------------

DRAWS = 4_000
WEIGHTED = [  # nodes, weights: the count of each node has mean n p and variance n p (1 - p)
    ("abcd", [0.1, 0.2, 0.3, 0.4]),
    ("abc", [6.0, 1.0, 3.0]),
    ("abcde", [0.0, 1.0, 1.0, 0.0, 2.0]),
    ("aab", [3.0, 1.0, 1.0]),  # as after an earlier resampling: copies of a node
]


def check_resample_independently(
    resample: Callable[[list, list[float], random.Random], list],
) -> None:
    """Exercise 2."""
    seeded = with_seed(resample)
    for nodes, weights, expected in (
        (["a", "b", "c", "d"], [0.0, 0.0, 2.0, 0.0], ["c"] * 4),
        (["a", "b", "c"], [0.0, 0.0, 0.0], ["a", "b", "c"]),
        (["b", "a"], [0.0, 0.0], ["b", "a"]),
        (["a"], [0.3], ["a"]),
        (["a", "b"], [0.001, 0.0], ["a", "a"]),
        ([], [], []),
    ):
        case = f"resample_independently({nodes}, {weights}, rng)"
        result = call(seeded, nodes, weights, case=case, seed=1)
        assert list(result) == expected, (
            f"{case} returned {result}, but it should be {expected}: as many nodes as there were, "
            "none without weight, and unchanged where all weights are 0"
        )
    check_random_state(seeded)
    for text, weights in WEIGHTED:
        check_draws(seeded, list(text), weights)
    print("Exercise 2 is right.")


def with_seed(resample: Callable) -> Callable:
    """The student's function, with a random generator that is made from a seed."""

    @functools.wraps(resample)
    def seeded(nodes: list, weights: list[float], *, seed: int) -> list:
        """Resample with a generator of this seed."""
        return resample(nodes, weights, random.Random(seed))

    return seeded


def check_draws(seeded: Callable, nodes: list[str], weights: list[float]) -> None:
    """Raise AssertionError unless counts have the mean and the variance of independent draws."""
    size, case = len(nodes), f"resample_independently({nodes}, {weights}, rng), {DRAWS} times"
    counts = []
    for seed in range(DRAWS):
        drawn = call(seeded, nodes, weights, case=case, seed=seed)
        assert len(drawn) == size, f"{case}: return {size} nodes, not {len(drawn)}"
        counts.append(Counter(drawn))
    has_copies = len(set(nodes)) < size
    hint = ". A node may stand in the list twice; both places count" if has_copies else ""
    for node in dict.fromkeys(nodes):
        p = sum(w for each, w in zip(nodes, weights) if each == node) / sum(weights)
        mean = sum(count[node] for count in counts) / DRAWS
        variance = sum((count[node] - mean) ** 2 for count in counts) / DRAWS
        assert abs(mean - size * p) < 0.08, (
            f"{case}: {node} is drawn {mean:.2f} times on average, but it should be "
            f"{size * p:.2f}: in proportion to its weight{hint}"
        )
        expected = size * p * (1 - p)
        assert variance < 1.15 * expected + 0.01, (
            f"{case}: the count of {node} has variance {variance:.2f}, but it should be "
            f"{expected:.2f}. Draw every node anew, instead of one draw for all"
        )
        assert variance > 0.85 * expected - 0.01, (
            f"{case}: the count of {node} has variance {variance:.2f}, but it should be "
            f"{expected:.2f}. Independent draws vary more than evenly spaced points"
        )


def check_random_state(seeded: Callable) -> None:
    """Raise AssertionError if the draws do not come from the generator that is passed in."""
    nodes, weights, before = list("abcdefgh"), [0.05, 0.2] * 4, random.getstate()
    case = f"resample_independently({nodes}, {weights}, rng)"
    drawn = [list(call(seeded, nodes, weights, case=case, seed=seed)) for seed in range(20)]
    again = list(call(seeded, nodes, weights, case=case, seed=0))
    assert random.getstate() == before, "use rng, not the functions of the module `random`"
    assert again == drawn[0], "two generators with the same seed must give the same: use rng"
    differs = any(each != drawn[0] for each in drawn)
    assert differs, "generators with different seeds give the same nodes each time: use rng"


# --- 3. What was sampled twice --------------------------------------------------------------------


def traced(*counts: int, step: str = "") -> list[dict]:
    """A trace with nodes that were sampled this often, each a child of the one before."""
    return [
        {"node": i, "parent": i - 1, "step": step or f"step {i}", "score": None, "count": count,
         "is_finished": i == len(counts)}
        for i, count in enumerate(counts, 1)
    ]  # fmt: skip


TRACES = [  # the trace, expected, what to think of
    (traced(), 0.0, "Nothing was sampled"),
    (traced(1, 1), 0.0, "Two samples, two nodes"),
    (traced(5, 1, 1), 4 / 7, "Seven samples led to three nodes: four of seven added none"),
    (traced(3, 1), 2 / 4, "Four samples, two nodes"),
    (traced(2, 2, 2, 1), 3 / 7, "Seven samples, four nodes"),
    (traced(4), 3 / 4, "Four samples, one node"),
    (traced(1, 2, 1, step="1+1=2"), 1 / 4,
     "The same step after different steps is a node of its own: count nodes, not texts"),
    ([node | {"parent": 0} for node in traced(2, 2, 2)], 3 / 6,
     "Six samples, three nodes: nodes with the same parent are different nodes"),
]  # fmt: skip


def check_duplicate_share(duplicate_share: Callable[[list[dict]], float]) -> None:
    """Exercise 3."""
    for trace, expected, hint in TRACES:
        case = f"duplicate_share of nodes with the counts {[node['count'] for node in trace]}"
        result = check_number(call(duplicate_share, trace, case=case), case)
        assert close(result, expected), (
            f"{case} returned {result:.4f}, but it should be {expected:.4f}. {hint}"
        )
    print("Exercise 3 is right.")


# --- 4. Two judges in one -------------------------------------------------------------------------


@dataclass
class TableValue:
    """A value that looks scores up, and keeps which texts it was asked about and what it cost."""

    table: dict[str, float]
    name: str
    asked: list[list[str]] = field(default_factory=list)
    spent: Cost = field(default_factory=Cost)

    def score(self, llm: object, question: str, nodes: Sequence[Node]) -> Scores:
        """Scores of the texts; a cost of one scored token per node, and 10 and a written one per
        call."""
        assert llm == "model", f"pass llm on to both values: {self.name} got {llm!r}"
        assert question == "2+2?", (
            f"pass the question on to both values: {self.name} got {question!r}"
        )
        assert len(nodes) > 0, (
            f"{self.name} was asked about an empty list of nodes, at which a reward model stops "
            "with an error: call it only if a node is left"
        )
        self.asked.append([node.text for node in nodes])
        cost = Cost(generated_tokens=1, scored_tokens=10 + len(nodes))
        self.spent += cost
        return Scores([self.table[node.text] for node in nodes], cost)


FIRST = {"a": 0.0, "b": 1.0, "c": 0.5, "d": 0.0, "e": 0.8, "f": 0.25, "g": 1.0}
SECOND = {"a": 0.9, "b": 0.3, "c": 0.4, "d": 0.7, "e": 0.9, "f": 0.0, "g": 0.6}
BOTH = [  # texts, expected scores, texts for the second value
    ("b", [0.3], "b"),
    ("c", [0.2], "c"),
    ("abcd", [0.0, 0.3, 0.2, 0.0], "bc"),
    ("efb", [0.72, 0.0, 0.3], "efb"),
    ("ad", [0.0, 0.0], ""),
    ("daecb", [0.0, 0.0, 0.72, 0.2, 0.3], "ecb"),
    ("gab", [0.6, 0.0, 0.3], "gb"),  # the first value scores g and b alike
]


def check_both(both: Callable[..., Scorer]) -> None:
    """Exercise 4: `both(first, second)` is a value."""
    for texts, expected, seconds in BOTH:
        first, second = TableValue(FIRST, "the first value"), TableValue(SECOND, "the second value")
        nodes = [Node([], text) for text in texts]
        table = ", ".join(f"{FIRST[text]:g} and {SECOND[text]:g}" for text in texts)
        case = f"nodes whose two scores are {table}"
        result = scores_of(both(first, second), nodes, case)
        assert [node.text for node in nodes] == list(texts), f"{case}: do not change the nodes"
        found = [check_number(score, case) for score in result.scores]
        assert len(found) == len(expected), f"{case}: {len(found)} scores, one per node is needed"
        assert all(map(close, found, expected)), (
            f"{case}: the scores are {[round(score, 3) for score in found]}, but the products, in "
            f"the order of the nodes, are {expected}"
        )
        for value in (first, second):
            assert len(value.asked) <= 1, (
                f"{case}: ask {value.name} once, about all nodes together; it was asked "
                f"{len(value.asked)} times"
            )
        asked = "".join(text for texts in second.asked for text in texts)
        assert sorted(asked) == sorted(seconds), (
            f"{case}: the second value was asked about {len(asked)} nodes. Ask it about those that "
            "the first value does not score 0, and about no others"
        )
        spent = first.spent + second.spent
        for kind in ("scored_tokens", "generated_tokens"):
            reported, paid = getattr(result.cost, kind), getattr(spent, kind)
            assert reported == paid, (
                f"{case}: the cost has {reported} {kind.replace('_', ' ')}, but both values "
                f"together spent {paid}. Costs add up"
            )
    print("Exercise 4 is right.")


def scores_of(value: Scorer, nodes: list[Node], case: str) -> Scores:
    """What a student's value says of some nodes."""
    try:
        result = value.score("model", "2+2?", nodes)
    except NotImplementedError:
        raise AssertionError(
            "`score` is not written yet: replace `raise NotImplementedError`"
        ) from None
    except AssertionError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(f"{case}: your value stopped with {kind}: {error}") from error
    assert isinstance(result, Scores), f"{case}: return Scores(scores, cost), not {result!r}"
    return result


# --- 5. Branch only where the model is unsure -----------------------------------------------------

SCRIPT = {  # reply: the lines that are sampled after it, in turn, and their probabilities
    "": [("a\n", 0.4), ("b\n", 0.3), ("a\n", 0.4), ("c\n", 0.3)],
    "a\n": [("d\n", 0.5), ("e\n", 0.3), ("g\n", 0.2)],
    "b\n": [("f\n", 0.75), ("h\n", 0.25)],
}
ENDS_EARLY = SCRIPT | {"b\n": [("\\boxed{2}", 0.5), ("f\n", 0.5)]}
SAME_TWICE = SCRIPT | {"a\n": [("d\n", 0.4), ("d\n", 0.4), ("e\n", 0.2)]}
SAME_STEP = SCRIPT | {"a\n": [("d\n", 0.9)], "b\n": [("d\n", 0.9)]}
LATER_SURE = SCRIPT | {"a\n": [("d\n", 0.3), ("e\n", 0.6), ("g\n", 0.1)]}
LETTERS = {"a": 0.9, "b": 0.8, "c": 0.1, "d": 0.7, "e": 0.6, "f": 0.5, "g": 0.95, "h": 0.4}
THRIFTY = [  # script, n, branch, sure, expected samples after each reply, what to think of
    (SCRIPT, 4, 2, 0.8, {"": 4, "a": 2, "b": 2, "ad": 1, "ae": 1},
     "f has probability 0.75: that of all its tokens together, the exponential of a sum"),
    (SCRIPT, 4, 2, 0.6, {"": 4, "a": 2, "b": 1, "ad": 1, "ae": 1},
     "The step d after a has probability 0.5, so a gets a second sample; b's step has 0.75"),
    (SCRIPT, 4, 2, 0.5, {"": 4, "a": 1, "b": 1, "ad": 1, "bf": 1},
     "d has probability 0.5, which is not below 0.5"),
    (SCRIPT, 4, 2, 0.0, {"": 4, "a": 1, "b": 1, "ad": 1, "bf": 1},
     "With sure = 0 no beam is sampled twice"),
    (SCRIPT, 6, 3, 0.6, {"": 6, "a": 3, "b": 1, "ag": 1, "ad": 1},
     "With branch = 3, an unsure beam gets two more samples, three in all"),
    (SCRIPT, 2, 1, 0.9, {"": 2, "a": 1, "b": 1, "ad": 1, "bf": 1},
     "With branch = 1 there is nothing left to sample a second time"),
    (ENDS_EARLY, 4, 2, 0.6, {"": 4, "a": 2, "b": 2, "ad": 1, "ae": 1},
     "One path of b is finished: continue only from unfinished ones"),
    (SAME_TWICE, 4, 2, 0.5, {"": 4, "a": 2, "b": 1, "ad": 1, "bf": 1},
     "Both samples after a are d, which is one node: it must not become two beams"),
    (SAME_STEP, 4, 2, 0.5, {"": 4, "a": 1, "b": 1, "ad": 1, "bd": 1},
     "d after a and d after b are two nodes: compare nodes, not the texts of their last steps"),
    (LATER_SURE, 6, 3, 0.5, {"": 6, "a": 3, "b": 1, "ag": 1, "ad": 1},
     "Only the first sample decides: d has 0.3, so a gets two more, though the next has 0.6"),
]  # fmt: skip


@dataclass(frozen=True)
class LastLetter:
    """The value of the scripts: it looks at the last letter of a reply."""

    name: str = "last_letter"

    def score(self, llm: object, question: str, nodes: Sequence[Node]) -> Scores:
        """Scores without a cost."""
        last = [node.text.strip()[-1:] for node in nodes]
        return Scores([LETTERS.get(letter, 0.5) for letter in last], Cost())


def check_thrifty_beam(thrifty_beam: Callable[..., Solution]) -> None:
    """Exercise 5."""
    problem = Problem("Which letters?", None)
    for script, n, branch, sure, expected, hint in THRIFTY:
        case = f"a scripted model, n = {n}, branch = {branch}, sure = {sure}"
        model = ScriptedModel(script)
        options = {"n": n, "value": LastLetter(), "branch": branch, "sure": sure}
        solution = call_search(thrifty_beam, model, problem, case, **options)
        assert isinstance(solution, Solution), f"{case}: return a Solution, not {solution!r}"
        found = {reply.replace("\n", ""): count for reply, count in model.samples.items()}
        assert found == expected, (
            f"{case}: the samples after each beam were {found}, but they should be {expected}. "
            f"{hint}"
        )
        assert solution.completions, f"{case}: no path was finished"
        assert model.temperatures == {PARAMS.temperature}, (
            f"{case}: steps were sampled at the temperatures {sorted(model.temperatures)}, but all "
            f"should be sampled at {PARAMS.temperature}, the first ones too"
        )
    print("Exercise 5 is right.")


def call_search(search: Callable, llm: object, problem: Problem, case: str, **options) -> Solution:
    """Run a student's search. Raises AssertionError for one that is not written or that fails."""
    try:
        return search(llm, problem, **options)
    except NotImplementedError:
        raise AssertionError(
            f"{search.__name__} is not written yet: replace `raise NotImplementedError`"
        ) from None
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(f"{case}: your search stopped with {kind}: {error}") from error


# --- 6. The best use of the budget ----------------------------------------------------------------


class Metered:
    """A model that counts what it generates."""

    def __init__(self, llm: LLM) -> None:
        self.llm, self.generated = llm, 0
        self.tokenizer, self.max_positions = llm.tokenizer, llm.max_positions

    def generate(
        self, texts: list[list[int]], params: SamplingParams | None = None
    ) -> list[RequestOutput]:
        """As the model does."""
        return self.counted(self.llm.generate(texts, params))

    def chat(self, messages: list, params: SamplingParams | None = None, **options) -> list:
        """As the model does."""
        return self.counted(self.llm.chat(messages, params, **options))

    def score(self, prompt: list[int], continuation: str | list[int]) -> list[float]:
        """As the model does; no token is generated."""
        return self.llm.score(prompt, continuation)

    def counted(self, outputs: list[RequestOutput]) -> list[RequestOutput]:
        """The same outputs, after adding up their generated tokens."""
        self.generated += sum(output.cost.generated_tokens for output in outputs)
        return outputs


def check_my_search(
    my_search: Callable[[LLM, Problem], Solution], llm: LLM, problems: list[Problem], budget: float
) -> None:
    """Exercise 6: raise AssertionError for a search over budget, or with answers from elsewhere.

    `budget` is in generated tokens per problem, on average over the problems; the model counts.
    """

    def searched(problem: Problem) -> tuple[Solution, int]:
        """The solution of one problem, and the tokens that the model generated for it."""
        metered = Metered(llm)
        case = f"the problem {problem.question[:40]!r}"
        return call_search(my_search, metered, problem.without_answer(), case), metered.generated

    with ThreadPoolExecutor(len(problems)) as pool:  # all at once, so that they share a batch
        found = list(pool.map(searched, problems))
    for problem, (solution, generated) in zip(problems, found):
        check_honest(solution, generated, f"the problem {problem.question[:40]!r}")
    answered = sum(solution.answer is not None for solution, _ in found)
    assert answered, "no problem got an answer"
    tokens = sum(generated for _, generated in found) / len(problems)
    assert tokens <= budget, (
        f"your search generates {tokens:.0f} tokens per problem, more than the budget of "
        f"{budget:.0f}: choose a smaller n or fewer branches"
    )
    print(f"Within the budget: {tokens:.0f} of {budget:.0f} tokens per problem.")


def check_honest(solution: Solution, generated: int, case: str) -> None:
    """Raise AssertionError unless an answer comes from paths that were paid for."""
    assert isinstance(solution, Solution), f"{case}: return a Solution, not {solution!r}"
    answers = [final_answer(completion) for completion in solution.completions]
    assert solution.answer is None or solution.answer in answers, (
        f"{case}: the answer {solution.answer!r} is that of no finished path"
    )
    assert solution.cost.generated_tokens >= generated, (
        f"{case}: the cost says {solution.cost.generated_tokens} generated tokens, but the model "
        f"generated {generated}"
    )
    longest = max((len(each.token_ids) for each in solution.completions), default=0)
    assert longest <= generated, (
        f"{case}: a path has {longest} tokens, but the model generated {generated} for this "
        "problem. Sample for each problem anew, with the `llm` that your search is given"
    )
