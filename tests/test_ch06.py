"""Chapter 6: searches over solution paths, against exhaustive search on small trees."""

from __future__ import annotations

import itertools
import json
import math
import pickle
import random
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from scripts import run_script, start_script

from ch06_search import (
    equal_tokens,
    figures,
    game24,
    mcts,
    particles,
    selection,
    study,
    study_game24,
    tables,
    values,
)
from ch06_search import search as chapter
from ch06_search import tree as trees
from ch06_search.tree import Node, Tree
from shared import (
    LLM,
    Completion,
    Cost,
    Problem,
    RequestOutput,
    SamplingParams,
    Solution,
    load_problems,
    prompts,
)
from shared.evaluation.evaluate import evaluate
from shared.evaluation.pool import POOLS_FOLDER, PooledProblem, Sample
from shared.grading.answers import extract_answer
from shared.grading.arithmetic import value_of
from shared.loading.checkpoint import weights_fingerprint
from shared.rewards import judge as judge_module
from shared.rewards import step_reader
from shared.rewards.judge import judge as shared_judge
from shared.rewards.process_reward import ProcessRewardModel, SeparatorRewardModel
from shared.rewards.scorers import Reward
from shared.rewards.step_reader import Call, StepReader

SCRIPT = Path(chapter.__file__)
METHODS = {name: method for name, (method, _) in chapter.METHODS.items()}
PROBLEM = Problem("Which word?", None)
END = chr(3)  # the toy model's end-of-turn token
ASKED = "<user>Which word?\n" + prompts.STEP_BY_STEP + "<assistant>"


# --- A toy model: a tree of letters, a letter a line, whose probabilities and values we set --------


class ToyTokenizer:
    """A character is a token."""

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))

    def encode_chat(self, messages, enable_thinking=True) -> list[int]:
        turns = [f"<{message['role']}>{message['content']}" for message in messages]
        return self.encode("".join(turns) + "<assistant>")


class ToyLLM:
    """`steps(reply)` gives the next lines and their probabilities; a line without "\\n" ends it."""

    def __init__(self, steps, max_positions: int = 100_000) -> None:
        self.steps, self.tokenizer, self.calls = steps, ToyTokenizer(), []
        self.max_positions = max_positions

    def generate(self, texts, params):
        self.calls.append(([self.reply(ids) for ids in texts], params))
        return [self.output(ids, params) for ids in texts]

    def reply(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids).rpartition("<assistant>")[2]

    def output(self, ids, params) -> RequestOutput:
        samples = [self.sample(ids, params, i) for i in range(params.n)]
        generated = sum(len(sample.token_ids) for sample in samples)
        return RequestOutput(ids, samples, Cost(len(ids), generated, forward_passes=generated))

    def sample(self, ids, params, index) -> Completion:
        rng = random.Random(f"{params.seed} {ids} {index}")
        text, logprobs = "", []
        while not text.endswith((END, *params.stop)):
            lines = self.steps(self.reply(ids) + text)
            line = rng.choices(list(lines), list(lines.values()))[0]
            line = max(lines, key=lines.get) if params.temperature == 0 else line
            text += line if line.endswith("\n") else line + END
            logprobs += [math.log(lines[line])] + [0.0] * (len(text) - len(logprobs) - 1)
        tokens = self.tokenizer.encode(text)[: params.max_tokens]
        is_cut = len(tokens) < len(text)
        text = text.removesuffix(END).removesuffix("\n")[: len(tokens)]
        reason = "length" if is_cut else "stop"
        return Completion(text, tokens, logprobs[: len(tokens)], reason)


def letters(reply: str) -> str:
    """The word that a reply has spelt so far."""
    return "".join(re.findall(r"^[a-z]$", reply, re.MULTILINE))


def speller(*probabilities: dict[str, float]) -> ToyLLM:
    """A model that writes one letter a line, with these probabilities, and then boxes the word."""

    def steps(reply: str) -> dict[str, float]:
        place = reply.count("\n")
        if place == len(probabilities):
            return {f"\\boxed{{{letters(reply)}}}": 1.0}
        return {f"{letter}\n": p for letter, p in probabilities[place].items()}

    return ToyLLM(steps)


def words(*alphabets: str) -> list[str]:
    """Every word with a letter of each alphabet."""
    return ["".join(word) for word in itertools.product(*alphabets)]


class scorer:
    """A function as a scorer, with the function's name."""

    def __init__(self, score) -> None:
        self.score, self.name = score, score.__name__


def valued(worth: dict[str, float], rule=max):
    """The value that knows the words' worth: of a beginning, the best (`rule`) it can lead to."""

    @scorer
    def value(llm, question, nodes):
        value.asked += [letters(node.text) for node in nodes]
        below = [
            [worth[word] for word in worth if word.startswith(letters(node.text))] for node in nodes
        ]
        return [rule(each) for each in below], Cost(scored_tokens=len(nodes))

    value.asked = []
    return value


def found(solution) -> set[str]:
    """The words that a search finished."""
    return {extract_answer(completion.text) for completion in solution.completions}


EVEN = {"a": 0.5, "b": 0.5}
FLAT = valued(dict.fromkeys(words("ab", "ab", "ab"), 0.5))


def tree(llm, value=FLAT, **changes) -> Tree:
    params = SamplingParams(**{"max_tokens": 100} | changes)
    return Tree(llm, PROBLEM, value, params, "\n")


# --- The tree -------------------------------------------------------------------------------------


def test_equal_children_are_one_node_that_stands_there_several_times():
    root = (searched := tree(speller(EVEN, EVEN))).root
    children = searched.expand([root], 20)
    assert len(children) == 20 and set(children) == set(root.children.values())
    assert {child.text for child in children} == {"a\n", "b\n"}
    assert Counter(children) == {child: child.count for child in children}
    assert all(child.parent is root and child.step == child.text for child in children)


def test_all_nodes_share_a_request_and_repeated_ones_are_asked_once():
    llm = speller(EVEN, EVEN, EVEN)
    searched = tree(llm)
    first, second = sorted(set(searched.expand([searched.root], 20)), key=lambda n: n.text)
    children = searched.expand([first, second, first, second], 3)
    assert len(llm.calls) == 2
    texts, params = llm.calls[1]
    assert texts == ["a\n", "b\n"] and params.n == 6
    parents = [child.parent for child in children]
    assert parents == [first] * 3 + [second] * 3 + [first] * 3 + [second] * 3
    searched.expand([first, first, second])
    assert [(call[0], call[1].n) for call in llm.calls[2:]] == [(["a\n"], 2), (["b\n"], 1)]


def test_who_comes_back_for_more_gets_other_samples():
    llm = speller({letter: 1 / 26 for letter in map(chr, range(97, 123))})
    searched = tree(llm)
    once = searched.expand([searched.root], 8)
    again = searched.expand([searched.root], 8)
    assert [node.text for node in once] != [node.text for node in again]
    assert sum(node.count for node in searched.root.children.values()) == 16
    assert len({params.seed for _, params in llm.calls}) == 2


def test_a_path_ends_with_the_turn_or_when_it_is_too_long():
    searched = tree(speller({"a": 1.0}))
    (line,) = searched.expand([searched.root])
    assert not line.is_finished and line.text == "a\n" and line.token_ids == [97, 10]
    (end,) = searched.expand([line])
    assert end.finish_reason == "stop" and end.text == "a\n\\boxed{a}"
    assert end.token_ids[-1] == ord(END) and searched.finished == [end]
    whole = trees.completion_of(end)
    assert len(whole.logprobs) == len(whole.token_ids) == len(end.token_ids)
    (short,) = (cut := tree(speller({"a": 1.0}), max_tokens=2)).expand([cut.root])
    assert short.finish_reason == "length" and cut.finished == [short]


def test_a_rollout_writes_all_lines_at_once():
    searched = tree(speller({"a": 1.0}, {"b": 1.0}))
    (line,) = searched.expand([searched.root])
    assert mcts.rollout(searched, line) == 0.5
    (end,) = searched.finished
    assert end.parent is line and end.text == "a\nb\n\\boxed{ab}" and end.finish_reason == "stop"


def test_an_empty_line_is_no_step():
    def steps(reply: str) -> dict[str, float]:
        return {"a\n": 1.0} if reply.endswith("\n\n") else {"\n": 1.0}

    searched = tree(ToyLLM(steps))
    (node, other) = searched.expand([searched.root], 2)
    assert node is other and node.text == "\n\na\n" and node.step.strip() == "a"


def test_a_model_that_writes_only_empty_lines_comes_to_an_end():
    searched = tree(ToyLLM(lambda reply: {"\n": 1.0}), max_tokens=1_500)
    (node,) = searched.expand([searched.root])
    assert node.finish_reason == "length" and len(node.token_ids) == len(node.path) == 1_500


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("max_tokens", [1, 5, 200])
def test_no_path_is_longer_than_asked(name, max_tokens):
    llm = speller(EVEN, EVEN, {"a" * 150: 0.5, "b" * 150: 0.5}, EVEN)  # longer than STEP_TOKENS
    solution = METHODS[name](
        llm,
        PROBLEM,
        n=4,
        value=values.ArithmeticValue(),
        params=SamplingParams(max_tokens=max_tokens),
    )
    lengths = [len(completion.token_ids) for completion in solution.completions]
    assert max(lengths) == max_tokens if max_tokens < 200 else 150 < max(lengths) <= max_tokens
    reasons = {completion.finish_reason for completion in solution.completions}
    assert reasons == {"length"} or max_tokens == 200


@pytest.mark.parametrize("name", METHODS)
def test_a_path_ends_where_the_models_context_does(name, random_llm):
    context = random_llm.model.config.max_positions
    solution = METHODS[name](random_llm, PROBLEM, n=16, value=values.ArithmeticValue())
    prompt = random_llm.tokenizer.encode_chat(prompts.ask(PROBLEM.question), enable_thinking=False)
    ends = {(c.finish_reason, len(prompt) + len(c.token_ids)) for c in solution.completions}
    assert ("length", context) in ends and all(length <= context for _, length in ends)


def test_who_has_a_score_is_not_asked_again():
    value = valued({"a": 0.2, "b": 0.7})
    searched = tree(speller(EVEN), value)
    children = searched.expand([searched.root], 9)
    searched.rate(children)
    searched.rate(children)
    assert sorted(value.asked) == ["a", "b"] and searched.cost.scored_tokens == 2
    assert {node.text: node.score for node in children} == {"a\n": 0.2, "b\n": 0.7}


def test_nobody_is_asked_where_there_is_no_choice():
    value = valued({"a": 0.2, "b": 0.7})
    searched = tree(speller(EVEN), value)
    nodes = selection.unfinished(searched.expand([searched.root], 9))
    assert selection.best(searched, nodes, 2) == nodes and not value.asked
    assert [node.text for node in selection.best(searched, nodes, 1)] == ["b\n"]


def test_paths_weigh_their_scores_or_the_votes_for_them():
    scores = {"a": 0.2, "b": 0.5}
    searched = tree(
        speller(EVEN),
        scorer(lambda llm, q, nodes: ([scores[letters(n.text)] for n in nodes], Cost())),
    )
    searched.expand(searched.expand([searched.root], 9))
    assert searched.solution().answer == "b" and len(searched.finished) == 2
    few = searched.solution(Counter({node: 3 for node in searched.finished if "a" in node.text}))
    assert few.answer == "a" and few.scores == [0.2] and found(few) == {"a"}
    assert [completion.measures["weight"] for completion in few.completions] == [3.0]


def test_the_drawing_has_every_node_after_its_parent():
    searched = tree(speller(EVEN, EVEN))
    searched.expand(selection.unfinished(searched.expand([searched.root], 9)), 9)
    drawn = trees.drawing(searched.root)
    assert [each["node"] for each in drawn] == list(range(1, 7))
    assert all(each["parent"] < each["node"] for each in drawn)
    assert Counter(each["step"] for each in drawn) == {"a": 3, "b": 3}
    assert json.loads(json.dumps(drawn)) == drawn


# --- The searches ---------------------------------------------------------------------------------

ALL = words("abc", "abc")
WORTH = {word: (i * 7 % 9) / 10 for i, word in enumerate(ALL)}
THIRDS = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
WIDE = {
    "beam": {"n": 600, "branch": 2},
    "dvts": {"n": 600, "branch": 2},
    "best-first": {"n": 600, "branch": 20},
    "lookahead": {"n": 600, "branch": 2},
    "mcts": {"n": 100, "branch": 40},
    "particles": {"n": 300},
}


@pytest.mark.parametrize("name", METHODS)
def test_a_search_that_is_wide_enough_is_exhaustive(name):
    # With equal values everywhere nothing is preferred, so that every word must be found.
    llm = speller(THIRDS, THIRDS)
    solution = METHODS[name](llm, PROBLEM, value=valued(dict.fromkeys(ALL, 0.5)), **WIDE[name])
    assert found(solution) == set(ALL)


@pytest.mark.parametrize("name", METHODS)
def test_a_perfect_value_leads_to_the_best_word(name):
    llm = speller(THIRDS, THIRDS, THIRDS)
    best = "bca"
    value = valued({word: float(word == best) for word in words("abc", "abc", "abc")})
    solution = METHODS[name](llm, PROBLEM, n=48, value=value)
    assert solution.answer == best and max(solution.scores) == 1.0


@pytest.mark.parametrize("name", METHODS)
def test_a_search_counts_all_it_spent_and_the_same_seed_gives_the_same(name):
    method, runs = METHODS[name], []
    for _ in range(2):
        llm = speller(EVEN, EVEN, EVEN)
        value = valued({word: i / 10 for i, word in enumerate(words("ab", "ab", "ab"))})
        runs.append(method(llm, PROBLEM, n=6, value=value))
    one, other = runs
    assert one.trace == other.trace and one.answer == other.answer and one.cost == other.cost
    assert one.cost.generated_tokens == sum(
        len(completion.token_ids)
        for texts, params in llm.calls
        for text in texts
        for completion in llm.output(llm.tokenizer.encode(ASKED + text), params).completions
    )
    assert one.cost.scored_tokens == len(value.asked) > 0


def test_beam_search_keeps_the_best_of_all_children():
    # "b" looks best at first, but what follows it is worth less than what follows "a".
    worth = {"aa": 0.6, "ab": 0.8, "ba": 0.1, "bb": 0.2, "ca": 0.0, "cb": 0.0}
    scores = {"a": 0.5, "b": 0.9, "c": 0.1} | worth

    @scorer
    def value(llm, question, nodes):
        return [scores[letters(node.text)] for node in nodes], Cost()

    llm = speller(THIRDS, EVEN)
    solution = chapter.beam_search(llm, PROBLEM, n=32, value=value, branch=16)
    assert {text for texts, _ in llm.calls for text in texts} >= {"a\n", "b\n", "a\nb\n", "a\na\n"}
    assert "c\n" not in {text for texts, _ in llm.calls for text in texts}
    assert found(solution) == {"aa", "ab"} and solution.answer == "ab"


class ListedLLM(ToyLLM):
    """Writes these lines first, in turn; each is followed by a line that boxes it."""

    def __init__(self, *lines: str) -> None:
        super().__init__(
            lambda reply: {"more\n": 1.0} if reply.count("\n") < 3 else {"\\boxed{1}": 1.0}
        )
        self.lines = lines

    def sample(self, ids, params, index) -> Completion:
        if self.reply(ids):
            return super().sample(ids, params, index)
        tokens = self.tokenizer.encode(self.lines[index])
        return Completion(self.lines[index], tokens, [0.0] * len(tokens), "stop")


@pytest.mark.parametrize(
    ("ended", "counts"),
    [
        (0, {"a": 2, "b": 2, "c": 2, "d": 2}),
        (1, {"a": 2, "b": 2, "c": 2, "d": 1}),  # seven places, four beams
        (2, {"a": 2, "b": 2, "c": 2}),
        (3, {"a": 2, "b": 2, "c": 1}),
        (5, {"a": 2, "b": 1}),
        (7, {"a": 1}),
    ],
)
def test_beams_share_the_places_as_evenly_as_can_be_and_the_best_get_more(ended, counts):
    scores = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6, "e": 0.5, "f": 0.4, "g": 0.3, "h": 0.2}

    @scorer
    def value(llm, question, nodes):
        return [scores.get(node.text[0], 1.0) for node in nodes], Cost()

    ends = [f"\\boxed{{{i}}}{END}" for i in range(ended)]
    letters_left = list(scores)[: 8 - ended][::-1]  # the best ones come last
    llm = ListedLLM(*ends, *(f"{letter}\n" for letter in letters_left))
    chapter.beam_search(llm, PROBLEM, n=8, value=value, branch=2)
    second = {}
    for texts, params in llm.calls:
        second |= {text[0]: params.n for text in texts if text.count("\n") == 1}
    assert second == counts


@pytest.mark.parametrize("beams", [2, 3])
def test_few_beams_share_the_places_too(beams):
    # Fewer beams than may be kept: seven places for two or three of them, and nobody is pruned.
    firsts = ["b\n", "c\n", "a\n"][-beams:]
    lines = [f"\\boxed{{1}}{END}", *firsts, *firsts, firsts[0]]
    scores = {"a": 0.9, "b": 0.1, "c": 0.5}

    @scorer
    def value(llm, question, nodes):
        return [scores.get(node.text[0], 1.0) for node in nodes], Cost()

    llm = ListedLLM(*lines, *[firsts[0]] * 8)
    chapter.beam_search(llm, PROBLEM, n=8, value=value, branch=2)
    second = {text[0]: params.n for texts, params in llm.calls for text in texts if text in firsts}
    assert second == ({"a": 4, "c": 3} if beams == 2 else {"a": 3, "c": 2, "b": 2})


def test_next_steps_are_distributed_evenly():
    a, b, c, d = nodes = [Node([], letter) for letter in "abcd"]
    assert selection.distribute(nodes, 7) == [a, a, b, b, c, c, d]
    assert selection.distribute(nodes, 8) == [a, a, b, b, c, c, d, d]
    assert selection.distribute([a], 3) == [a, a, a]
    for count in range(1, 5):
        for total in range(count, 30):
            shares = Counter(selection.distribute(nodes[:count], total))
            assert shares.total() == total and len(shares) == count
            assert max(shares.values()) - min(shares.values()) <= 1


def test_where_slots_divide_evenly_the_search_is_what_it_was():
    # As beam search was before: equal shares, so that fixed seeds give the same texts.
    def search_draft(llm, value, n, branch):
        searched = Tree(llm, PROBLEM, value, chapter.PARAMS, "\n")
        beams = selection.unfinished(searched.expand([searched.root], n))
        while beams and (room := n - len(searched.finished)) > 0:
            beams = selection.best(searched, beams, math.ceil(room / branch))
            assert room % len(beams) == 0
            beams = selection.unfinished(searched.expand(beams, room // len(beams)))
        return searched.solution()

    alphabet = {letter: 1 / 26 for letter in map(chr, range(97, 123))}
    value = valued(
        {word: hash_ / 25 for hash_, word in enumerate(words("abcdefghijklmnopqrstuvwxyz"))}
    )

    @scorer
    def first_letter(llm, question, nodes):
        return value.score(llm, question, [Node([], node.text[:2]) for node in nodes])

    one, other = speller(alphabet, alphabet, alphabet), speller(alphabet, alphabet, alphabet)
    before = search_draft(one, first_letter, 4, 4)
    after = chapter.beam_search(other, PROBLEM, n=4, value=first_letter, branch=4)
    assert before == after and one.calls[1][1].n == 4


def test_the_subtrees_of_dvts_do_not_compete():
    # The value likes only what begins with "a"; a beam of two keeps nothing else.
    @scorer
    def value(llm, question, nodes):
        return [1.0 if node.text.startswith("a") else 0.1 for node in nodes], Cost()

    alphabet = {"a": 0.2, "b": 0.4, "c": 0.4}
    beam = chapter.beam_search(speller(alphabet, EVEN), PROBLEM, n=24, value=value, branch=12)
    assert {word[0] for word in found(beam)} == {"a"}
    diverse = chapter.dvts(speller(alphabet, EVEN), PROBLEM, n=24, value=value, branch=2)
    assert {word[0] for word in found(diverse)} == {"a", "b", "c"}


def test_best_first_goes_back_when_a_path_disappoints():
    scores = {"a": 0.9, "b": 0.6, "aa": 0.3, "ab": 0.2, "ba": 0.5, "bb": 0.4}
    order = []

    @scorer
    def value(llm, question, nodes):
        order.extend(letters(node.text) for node in nodes)
        return [scores[letters(node.text)] for node in nodes], Cost()

    llm = speller(EVEN, EVEN)
    solution = chapter.best_first(llm, PROBLEM, n=8, value=value, branch=8)
    expanded = [letters(text) for texts, _ in llm.calls for text in texts]
    assert expanded == ["", "a", "b", "ba"] and found(solution) == {"ba"}


def test_best_first_goes_deep_where_the_value_likes_everything():
    llm = speller(*[EVEN] * 6)
    value = valued(dict.fromkeys(words(*["ab"] * 6), 1.0))
    solution = chapter.best_first(llm, PROBLEM, n=8, value=value, branch=4)
    assert len(solution.completions) == 2 and len(llm.calls) <= 8  # 64 words, found in no time


def test_best_first_stops_when_its_tokens_are_spent():
    # Every line ends nowhere, and the value likes what is short: without a bound it goes on.
    llm = ToyLLM(lambda reply: {f"{letter}\n": 1 / 26 for letter in map(chr, range(97, 123))})

    @scorer
    def value(llm, question, nodes):
        return [1 / len(node.token_ids) for node in nodes], Cost()

    params = SamplingParams(max_tokens=20)
    solution = chapter.best_first(llm, PROBLEM, n=8, value=value, params=params, branch=4)
    assert solution.answer is None and 160 <= solution.cost.generated_tokens < 160 + 4 * 2


def test_lookahead_sees_what_a_step_leads_to():
    worth = {"aa": 0.1, "ab": 0.1, "ba": 0.9, "bb": 0.9}
    scores = {"a": 0.8, "b": 0.2} | worth  # the first letter alone misleads

    @scorer
    def value(llm, question, nodes):
        return [scores[letters(node.text)] for node in nodes], Cost()

    blind, seeing = (
        chapter.beam_search(speller(EVEN, EVEN), PROBLEM, n=8, value=value, branch=8, depth=depth)
        for depth in (0, 1)
    )
    assert {word[0] for word in found(blind)} == {"a"}
    assert {word[0] for word in found(seeing)} == {"b"}


def test_lookahead_spends_nothing_where_there_is_no_choice():
    sure = {"a": 1.0}
    plain, ahead = (
        chapter.beam_search(speller(sure, sure, sure), PROBLEM, n=4, value=FLAT, depth=depth)
        for depth in (0, 2)
    )
    assert plain.cost == ahead.cost and found(ahead) == {"aaa"}


def test_a_tree_search_spends_its_rollouts_where_they_promise_most():
    llm = speller(*[EVEN] * 7)
    value = valued({word: 0.9 if word[0] == "b" else 0.1 for word in words(*["ab"] * 7)})
    solution = chapter.mcts(llm, PROBLEM, n=30, value=value)
    rollouts = [text for texts, params in llm.calls if not params.stop for text in texts]
    begun = Counter(text[0] for text in rollouts)
    assert begun["b"] > 3 * begun["a"] and solution.answer[0] == "b"


def test_rollouts_are_told_to_every_node_above():
    root = Node([])
    child = Node([], parent=root)
    leaf = Node([], parent=child)
    mcts.back_up(leaf, 0.75)
    mcts.back_up(child, 0.25)
    assert [(n.visits, n.total) for n in (root, child, leaf)] == [(2, 1.0), (2, 1.0), (1, 0.75)]


def test_the_upper_bound_is_the_mean_and_a_bonus_for_few_visits():
    root = Node([], visits=8)
    child = Node([], parent=root, visits=2, total=1.0)
    assert mcts.upper_bound(child, 0.5) == pytest.approx(0.5 + 0.5 * math.sqrt(math.log(8) / 2))
    assert mcts.upper_bound(Node([], parent=root), 0.5) == math.inf


def test_selection_walks_down_to_a_node_without_open_children():
    root = Node([], visits=3, total=1.5)
    good = Node([], "a", parent=root, visits=2, total=1.4)
    bad = Node([], "b", parent=root, visits=1, total=0.1)
    done = Node([], "ab", parent=good, finish_reason="stop")
    root.children, good.children = {"a": good, "b": bad}, {"ab": done}
    assert mcts.select(root, 0.0) is good
    assert mcts.select(root, 9.0) is bad


def test_resampling_is_in_proportion_and_even():
    rng = random.Random(0)
    nodes, weights = [Node([]) for _ in range(5)], [0.0, 1.0, 2.0, 3.0, 1.5]
    total: Counter[Node] = Counter()
    for _ in range(4_000):
        drawn = Counter(particles.resample(nodes, weights, rng))
        for node, weight in zip(nodes, weights):
            assert abs(drawn[node] - 5 * weight / 7.5) < 1  # the next whole number up or down
        total += drawn
    for node, weight in zip(nodes, weights):
        assert total[node] / 20_000 == pytest.approx(weight / 7.5, abs=0.01)
    assert particles.resample(nodes, [0.0] * 5, rng) == nodes


@pytest.mark.parametrize("weight", [1e308, 5e-324, 1e-300])
def test_resampling_copes_with_the_largest_and_the_smallest_weights(weight):
    nodes, rng = [Node([]) for _ in range(4)], random.Random(0)
    assert particles.resample(nodes, [weight] * 4, rng) == nodes
    assert set(particles.resample(nodes, [0.0, weight, 0.0, 0.0], rng)) == {nodes[1]}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, None, -1.0])
def test_resampling_by_what_is_no_weight_is_an_error(wrong, place):
    weights = [0.5, 0.5, 0.5]
    weights[place] = wrong
    with pytest.raises(ValueError, match=re.escape(f"{wrong}")):
        particles.resample([Node([]) for _ in range(3)], weights, random.Random(0))


@pytest.mark.parametrize("zero", [True, False])
def test_particles_that_are_worth_nothing_survive(zero):
    value = valued({word: 0.0 if zero else 5e-324 for word in words("ab", "ab")})
    solution = chapter.particle_filter(speller(EVEN, EVEN), PROBLEM, n=8, value=value)
    assert sum(completion.measures["weight"] for completion in solution.completions) == 8


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, None])
def test_a_value_that_is_no_number_is_an_error_that_names_it(name, wrong):
    @scorer
    def shaky_value(llm, question, nodes):
        return [wrong if node.text.startswith("b") else 0.5 for node in nodes], Cost()

    llm = speller(EVEN, EVEN, EVEN)
    with pytest.raises(ValueError, match=f"shaky_value of sample . is {wrong}, but a score must"):
        METHODS[name](llm, PROBLEM, n=8, value=shaky_value)


def test_a_value_for_each_node_is_needed():
    searched = tree(speller(EVEN), scorer(lambda llm, question, nodes: ([0.5], Cost())))
    with pytest.raises(ValueError, match="1 numbers .* for 2 samples"):
        searched.rate(searched.expand([searched.root], 9))


def test_particles_end_as_often_as_their_probability_times_their_score():
    first, second = {"a": 0.7, "b": 0.3}, {"a": 0.4, "b": 0.6}
    worth = {"aa": 0.2, "ab": 0.4, "ba": 0.9, "bb": 0.3}
    partial = {"a": 0.5, "b": 0.25}  # misleads, but what it adds is taken back later

    @scorer
    def value(llm, question, nodes):
        return [(partial | worth)[letters(node.text)] for node in nodes], Cost()

    target = {word: first[word[0]] * second[word[1]] * worth[word] for word in worth}
    ends: Counter[str] = Counter()
    for seed in range(150):
        searched = tree(speller(first, second), value, seed=seed)
        ends.update(letters(n.text) for n in particles.drift(searched, 60, random.Random(seed)))
    assert ends.total() == 150 * 60
    for word, weight in target.items():
        assert ends[word] / ends.total() == pytest.approx(weight / sum(target.values()), abs=0.02)


def test_a_particles_vote_counts_as_often_as_it_is_there():
    @scorer
    def value(llm, question, nodes):
        return [{"a": 0.4, "b": 0.5, "c": 0.0}[node.text[0]] for node in nodes], Cost()

    llm = speller({"a": 0.8, "b": 0.1, "c": 0.1})
    solution = chapter.particle_filter(llm, PROBLEM, n=60, value=value)
    assert found(solution) == {"a", "b"}  # "c" was sampled too, and died
    assert solution.answer == "a"  # a vote of different paths by their scores would say "b"
    assert sum(completion.measures["weight"] for completion in solution.completions) == 60


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("wrong", [{"n": 0}, {"branch": 0}, {"branch": -1}])
def test_numbers_below_one_are_refused_by_name(name, wrong):
    if name == "particles" and "branch" in wrong:
        pytest.skip("particles have no branches")
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least 1, not"):
        METHODS[name](speller(EVEN), PROBLEM, value=FLAT, **wrong)


# --- Values ---------------------------------------------------------------------------------------


def test_arithmetic_knows_wrong_equations():
    nodes = [Node([], "Plan: in order.\n3*4=12\n"), Node([], "3*4=12\n12+5=18\n"), Node([], "")]
    assert values.ArithmeticValue().score(None, "?", nodes) == ([1.0, 0.0, 1.0], Cost())


class FakeReward:
    """Scores each line by the number that stands in it."""

    def step_scores(self, question: str, solutions: list[str]) -> list[list[float]]:
        return [[float(line) for line in solution.split()] for solution in solutions]


def test_the_reward_of_a_partial_solution_is_that_of_its_last_step():
    nodes = [Node([1, 2], "0.25\n0.75\n"), Node([1, 2, 3], "0.5\n")]
    scores, cost = Reward(FakeReward()).score(None, "?", nodes)
    assert scores == [0.75, 0.5] and cost == Cost(scored_tokens=5, forward_passes=2)


class FakeJudge:
    """Gives log-probabilities of Yes and No to texts in turn, and remembers the texts."""

    def __init__(self, *answers: dict[str, float]) -> None:
        self.answers, self.texts, self.tokenizer = answers, [], ToyTokenizer()

    def score(self, ids: list[int], word: str) -> list[float]:
        text = self.tokenizer.decode(ids)
        self.texts += [] if text in self.texts else [text]
        # Its calls come on threads: by the text, and not by their order.
        return [next(a[word] for a in self.answers if a["about"] in text)]


def test_the_judge_is_asked_after_the_very_tokens_of_the_reply():
    llm = FakeJudge(
        {"about": "a\n", "Yes": math.log(0.3), "No": math.log(0.1)},
        {"about": "b\n", "Yes": -900.0, "No": -0.1},
    )
    nodes = [Node([ord(c) for c in text], text) for text in ("a\n", "b\n" + END)]
    nodes[1].finish_reason = "stop"
    scores, cost = values.JudgeSoFar().score(llm, "Which?", nodes)
    assert scores == pytest.approx([0.75, 0.0])
    asked = f"<user>Which?\n{prompts.STEP_BY_STEP}<assistant>"
    after = f"<user>{values.SO_FAR}<assistant>"
    assert sorted(llm.texts) == [f"{asked}a\n{after}", f"{asked}b\n{after}"]
    read = sum(map(len, llm.texts))  # a character is a token, "Yes" and "No" have five
    expected = Cost(prompt_tokens=read, scored_tokens=10, forward_passes=4, num_prompts=2)
    assert cost == expected


def test_a_model_that_can_think_is_asked_to_judge_at_once(tiny, tmp_path):
    for file in Path("shared/tiny/checkpoint").resolve().iterdir():
        shutil.copy(file, tmp_path)
    template = Path(__file__).parent / "data" / "qwen3_chat_template.jinja"
    shutil.copy(template, tmp_path / "chat_template.jinja")
    llm = FakeJudge({"about": "", "Yes": -1.0, "No": -1.0})
    llm.tokenizer = type(tiny.tokenizer).from_folder(tmp_path)
    values.JudgeSoFar().score(llm, "?", [Node(llm.tokenizer.encode("1+1=2\n"), "1+1=2\n")])
    no_thought = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    (asked,) = llm.texts
    asks = f"<|im_end|>\n<|im_start|>user\n{values.SO_FAR}<|im_end|>\n"
    assert asked.endswith(f"{no_thought}1+1=2\n{asks}{no_thought}")


def test_many_questions_start_a_bounded_number_of_threads():
    llm = FakeJudge({"about": "", "Yes": -1.0, "No": -1.0})
    with ThreadPoolExecutor(8) as callers:
        asked = [[[97 + i] for i in range(50)]] * 8
        for scores, _ in callers.map(lambda texts: values.probability_of_yes(llm, texts), asked):
            assert scores == [0.5] * 50
    askers = [each for each in threading.enumerate() if each.name.startswith("judge")]
    assert 0 < len(askers) <= judge_module.ASKED_AT_ONCE


def test_the_judge_agrees_with_the_models_own_log_probabilities(tiny):
    (problem,) = load_problems("word", split="dev", limit=1)
    value = values.JudgeSoFar(prompts.JUDGE)
    searched = Tree(tiny, problem, value, chapter.PARAMS, "\n")
    nodes = list(dict.fromkeys(searched.expand(searched.expand([searched.root], 4))))
    scores, _ = value.score(tiny, problem.question, nodes)
    expected = [shared_judge(tiny, problem.question, node.text) for node in nodes]
    assert len(set(scores)) > 1 and scores == pytest.approx(expected, abs=1e-4)


@pytest.fixture(scope="module")
def reward_model() -> ProcessRewardModel:
    return ProcessRewardModel.from_folder()


@pytest.mark.parametrize("max_bytes", [1 << 30, 100_000])  # enough for all, and for a few steps
def test_reading_step_by_step_gives_the_same_scores(tiny, reward_model, max_bytes):
    slow, fast = Reward(reward_model), StepReader(reward_model, max_bytes)
    pairs, costs = [], []

    @scorer
    def both(llm, question, nodes):
        expected, whole = slow.score(llm, question, nodes)
        scores, new = fast.score(llm, question, nodes)
        pairs.extend(zip(scores, expected))
        costs.append((new.scored_tokens, whole.scored_tokens))
        return expected, whole

    for problem in load_problems("word", split="dev", limit=1):
        chapter.beam_search(tiny, problem, n=8, value=both, branch=2)
    assert len(pairs) > 10
    assert all(score == pytest.approx(expected, abs=1e-3) for score, expected in pairs)
    read, all_of_it = map(sum, zip(*costs))
    assert (read < 0.7 * all_of_it) == (max_bytes > 100_000)  # what was forgotten is read again


def test_calls_from_many_threads_are_read_together_by_one(reward_model, monkeypatch):
    reader, batches, readers = StepReader(reward_model), [], set()
    problems = load_problems("word", split="dev", limit=12)
    texts = ["Plan: in order.\n", "Plan: in order.\n3*14=42\n", "Plan: both sums.\n1+1=3\n"]
    nodes = [[Node([], text) for text in texts] for _ in problems]
    real = step_reader.read

    def read(model, texts, *more):
        batches.append(len(texts))
        readers.add(threading.current_thread().name)
        return real(model, texts, *more)

    monkeypatch.setattr(step_reader, "read", read)
    ready = threading.Barrier(12)

    def ask(i: int) -> list[float]:
        ready.wait()
        return reader.score(None, problems[i].question, nodes[i]).scores

    with ThreadPoolExecutor(12) as pool:
        scores = list(pool.map(ask, range(12)))
    assert sum(batches) == 36 and len(batches) < 24 and readers == {"models"}
    for problem, each in zip(problems, scores):
        expected = reward_model.step_scores(problem.question, texts)
        assert each == pytest.approx([steps[-1] for steps in expected], abs=1e-3)


def test_an_error_while_reading_reaches_the_caller_and_the_next_call_works(
    reward_model, monkeypatch
):
    reader, node, real = StepReader(reward_model), Node([], "Plan: in order.\n"), step_reader.read

    def fails(*args):
        monkeypatch.setattr(step_reader, "read", real)
        raise MemoryError("no room")

    monkeypatch.setattr(step_reader, "read", fails)
    with pytest.raises(MemoryError, match="no room"):
        reader.score(None, "What is 3*14?", [node])
    scores, _ = reader.score(None, "What is 3*14?", [node])
    (steps,) = reward_model.step_scores("What is 3*14?", [node.text])
    assert scores == pytest.approx(steps, abs=1e-3)


def test_a_whole_solution_can_be_read_at_once(tiny, reward_model):
    (problem,) = load_problems("word", split="dev", limit=1)
    params = SamplingParams(temperature=0.6, max_tokens=300, n=3)
    (output,) = tiny.chat(prompts.ask(problem.question), params, enable_thinking=False)
    nodes = [Node(c.token_ids, c.text) for c in output.completions]
    scores, _ = StepReader(reward_model).score(tiny, problem.question, nodes)
    steps = reward_model.step_scores(problem.question, [node.text for node in nodes])
    assert scores == pytest.approx([each[-1] for each in steps], abs=1e-3)


def test_a_step_that_cannot_be_read_fails_alone(tiny, reward_model, monkeypatch):
    """Calls that wait at the same time share a batch, but not each other's errors."""
    reader, real = StepReader(reward_model), StepReader.read_batch
    fine, broken, overflowing = (
        Call("One and one?", [Node([], f"Plan: in order.\n{text}\n")])
        for text in ("1+1=2", "1+1=3", "1+1=4")
    )
    empty = Call("One and one?", [])

    def read_batch(self, batch):
        if any(each.node is broken.nodes[0] for each in batch):
            raise RuntimeError("cannot be read")
        scores = real(self, batch)
        bad = overflowing.nodes[0]
        return scores | ({bad: (math.nan, 1)} if bad in scores else {})

    monkeypatch.setattr(StepReader, "read_batch", read_batch)
    reader.work([fine, broken, overflowing, empty])
    (score,) = fine.future.result(0).scores
    assert 0 < score < 1 and empty.future.result(0).scores == []
    assert "cannot be read" in str(broken.future.exception(0))
    assert isinstance(overflowing.future.exception(0), ValueError)


def test_a_worker_elsewhere_can_have_the_reader(tiny, reward_model):
    reader, node = StepReader(reward_model), Node([], "Plan: in order.\n3*14=42\n")
    sent = pickle.loads(pickle.dumps(reader))
    question = "What is 3*14?"
    assert sent.score(tiny, question, [node]) == reader.score(tiny, question, [node])


def test_a_reward_model_with_separators_cannot_be_read_step_by_step(reward_model):
    config, tokenizer = reward_model.model.config, reward_model.tokenizer
    with pytest.raises(TypeError, match="separators"):
        StepReader(SeparatorRewardModel(config, tokenizer))


def test_what_was_read_is_not_read_again(reward_model):
    (problem,) = load_problems("word", split="dev", limit=1)
    solutions = [
        chapter.beam_search(llm, problem, n=8, value=StepReader(reward_model), branch=2)
        for llm in (LLM("tiny"), LLM("tiny", prefix_cache_bytes=0))  # neither has read anything
    ]
    cost, without = (solution.cost for solution in solutions)
    # All but the question and one or two tokens of each step: the last one sampled was never read.
    assert cost.reused_tokens > 0.95 * cost.prompt_tokens and without.reused_tokens == 0
    assert cost.generated_tokens > 200


# --- The Game of 24 -------------------------------------------------------------------------------


def fractions(*numbers: int) -> tuple[Fraction, ...]:
    return tuple(sorted(map(Fraction, numbers)))


def test_a_step_combines_two_numbers_in_every_way():
    states = game24.next_states(fractions(3, 8), ("3", "8"))
    values = {11, -5, 5, 24, Fraction(3, 8), Fraction(8, 3)}
    assert {state[0] for state in states} == values
    assert all(value_of(text) == state[0] for state, (text,) in states.items())
    assert len(game24.next_states(fractions(0, 1, 2), ("0", "1", "2"))) > 5  # no division by 0


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((3, 3, 8, 8), True),  # 8/(3-8/3)
        ((1, 5, 5, 5), True),  # 5*(5-1/5)
        ((1, 3, 4, 6), True),  # 6/(1-3/4)
        ((1, 1, 1, 1), False),
        ((1, 6, 7, 7), False),
        ((13, 13, 13, 13), False),
    ],
)
def test_known_games(numbers, expected):
    assert game24.is_solvable(fractions(*numbers), 24) is expected


def test_solvable_games_are_those_that_trying_every_expression_solves():
    shapes = ["(({}{}{}){}{}){}{}", "({}{}({}{}{})){}{}", "({}{}{}){}({}{}{})"]
    shapes += ["{}{}(({}{}{}){}{})", "{}{}({}{}({}{}{}))"]

    def by_expressions(numbers: tuple[int, ...]) -> bool:
        for order in set(itertools.permutations(numbers)):
            for signs in itertools.product("+-*/", repeat=3):
                parts = [order[0], signs[0], order[1], signs[1], order[2], signs[2], order[3]]
                if any(value_of(shape.format(*parts)) == 24 for shape in shapes):
                    return True
        return False

    rng = random.Random(0)
    games = [tuple(sorted(rng.randint(1, 13) for _ in range(4))) for _ in range(12)]
    truth = [game24.is_solvable(fractions(*game), 24) for game in games]
    assert truth == [by_expressions(game) for game in games]
    assert len(set(truth)) == 2


def test_a_judge_errs_as_often_as_it_should_and_does_not_change_its_mind():
    states = [fractions(a, b) for a in range(1, 60) for b in range(a, 60)]
    truth = [game24.is_solvable(state, 24) for state in states]
    verdicts = game24.erring_judge(0.2)(states, 24)
    errors = sum(bool(verdict) != right for verdict, right in zip(verdicts, truth))
    assert errors / len(states) == pytest.approx(0.2, abs=0.04)
    assert game24.erring_judge(0.2)(states[::-1], 24) == verdicts[::-1]
    assert game24.erring_judge(0.0)(states, 24) == truth


def test_a_perfect_judge_needs_no_width_and_the_expression_makes_the_target():
    for numbers, target in game24.draw_games(12):
        text, value = game24.tree_of_thoughts(numbers, target, game24.erring_judge(0.0), breadth=1)
        assert value == target == value_of(text)
        assert sorted(map(int, re.findall(r"\d+", text))) == numbers


def test_with_every_state_kept_and_the_end_checked_the_search_is_exhaustive():
    judge = game24.erring_judge(0.5)
    for numbers, target in game24.draw_games(4, seed=1):
        _, value = game24.tree_of_thoughts(numbers, target, judge, breadth=10**6, checks_end=True)
        assert value == target
    _, value = game24.tree_of_thoughts([1, 1, 1, 1], 24, judge, breadth=10**6, checks_end=True)
    assert value != 24


def test_random_games_are_those_that_steps_lead_to():
    for numbers, target in game24.draw_games(6):
        text, value = game24.random_games(numbers, target, game24.erring_judge(0.0), samples=5)
        assert value_of(text) == value and sorted(map(int, re.findall(r"\d+", text))) == numbers
    # Of 24 = 24 * 1 and its like a third of all steps or so is right: enough games find it.
    for options in ({"checks_end": True}, {}):
        judge = game24.erring_judge(0.0 if not options else 0.5)
        _, value = game24.random_games([1, 24], 24, judge, samples=60, **options)
        assert value == 24
    text, value = game24.random_games([1, 24], 24, game24.erring_judge(1.0), samples=60)
    assert value != 24


def test_every_state_that_is_asked_about_is_counted():
    games = [([1, 24], 24)]
    states = len(game24.next_states(fractions(1, 24), ("1", "24")))
    assert study_game24.states_judged(games, game24.erring_judge(0.0), 3) == states


def test_what_makes_no_sense_is_refused():
    judge = game24.erring_judge(0.0)
    with pytest.raises(ValueError, match="from 0 to 1, not 2"):
        game24.erring_judge(2)
    with pytest.raises(ValueError, match="breadth must be at least 1"):
        game24.tree_of_thoughts([1, 24], 24, judge, breadth=0)
    with pytest.raises(ValueError, match="samples must be at least 1"):
        game24.random_games([1, 24], 24, judge, samples=0)


def test_countdown_says_when_there_are_too_few_games(monkeypatch):
    five = Problem("?", "1", metadata={"numbers": [1, 2, 3, 4, 5], "target": 7})
    monkeypatch.setattr(game24, "load_problems", lambda *args, **options: [five] * 6)
    with pytest.raises(ValueError, match="only 0 of 6 problems"):
        game24.countdown_games(1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--games", "0"], "--games must be at least 1"),
        (["--games", "2", "--breadth", "0"], "breadth must be at least 1"),
        (["--error", "2"], "from 0 to 1"),
    ],
)
@pytest.mark.parametrize("script", [game24, study_game24])
def test_a_wrong_flag_of_the_game_is_one_line(script, flags, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["game24.py", *flags])
    with pytest.raises(SystemExit) as stopped:
        script.main()
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.startswith("error: ") and message in error


def test_the_games_study_has_every_judge_and_rival(tmp_path, monkeypatch, capsys):
    flags = ["--games", "3", "--breadth", "1", "2", "--error", "0", "--chapter", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["study_game24.py", *flags])
    study_game24.main()
    lines = capsys.readouterr().out.splitlines()
    trees = [line for line in lines if line.startswith("| errs in 0%, tree")]
    assert len(trees) == 2 and all(line.count("1.00 [0.44, 1.00]") == 2 for line in trees)
    assert sum(line.startswith("| errs in 0%, random games") for line in lines) == 2
    content = json.loads((tmp_path / "results" / "game24.json").read_text())
    assert tables.section(content) in (tmp_path / "RESULTS.md").read_text()


def test_the_game_prints_every_expression_and_the_share_solved(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["game24.py", "--games", "3", "--error", "0"])
    game24.main()
    *games, summary = capsys.readouterr().out.splitlines()
    assert len(games) == 3 and summary == "solved 1.000 [0.439, 1.000]  games 3"
    for line in games:
        assert value_of(re.fullmatch(r"solved  24: (.*) = 24", line)[1]) == 24


def test_a_better_judge_solves_more():
    games = game24.draw_games(40)
    shares = [game24.share_solved(games, game24.erring_judge(e), breadth=2) for e in (0, 0.1, 0.5)]
    assert shares[0] == 1.0 > shares[1] > shares[2]


def test_countdown_is_solved_as_reasoning_gym_wants_it():
    reasoning_gym = pytest.importorskip("reasoning_gym")
    dataset = reasoning_gym.create_dataset("countdown", size=1, seed=0)
    for numbers, target in game24.countdown_games(2):
        text, value = game24.tree_of_thoughts(numbers, target, game24.erring_judge(0.0))
        entry = {"answer": str(target), "metadata": {"numbers": numbers, "target": target}}
        entry["metadata"]["source_dataset"] = "countdown"
        assert value == target and dataset.score_answer(text, entry) == 1.0


def test_a_model_is_asked_about_each_state():
    llm = FakeJudge(
        {"about": "numbers 4, 6 be", "Yes": -0.1, "No": -3.0},
        {"about": "numbers 1/3, 2 be", "Yes": -900.0, "No": 0.0},
    )
    scores = game24.model_judge(llm)([fractions(4, 6), (Fraction(1, 3), Fraction(2))], 24)
    assert scores == pytest.approx([1 / (1 + math.exp(-2.9)), 0.0])
    assert all(" to 24? " in text for text in llm.texts)


# --- The comparison -------------------------------------------------------------------------------


def pooled(*samples: tuple[str, float, int]) -> PooledProblem:
    """A problem whose right answer is 1, with samples of (answer, value, tokens)."""
    made = [
        Sample(answer, answer, answer == "1", tokens, "stop", {"value": value, "logprob": -1.0})
        for answer, value, tokens in samples
    ]
    return PooledProblem("?", "1", 10, made)


POOL = [
    pooled(("1", 0.9, 10), ("2", 0.5, 20)),
    pooled(("2", 0.1, 30), ("1", 0.8, 20)),
]


def test_rivals_are_read_off_at_any_number_of_samples():
    assert equal_tokens.samples_for(POOL, 30.0) == pytest.approx(1.5)  # 15 and 25 tokens a sample
    one = equal_tokens.accuracy_at_any(POOL, equal_tokens.weighted, 1)
    two = equal_tokens.accuracy_at_any(POOL, equal_tokens.weighted, 2)
    assert all(0.1 < share < 0.9 for share in one) and two == [1.0, 1.0]
    between = equal_tokens.accuracy_at_any(POOL, equal_tokens.weighted, 1.25)
    assert between == pytest.approx([0.75 * a + 0.25 * b for a, b in zip(one, two)])
    for n in (0.9, 2.1):
        with pytest.raises(ValueError, match="not within the pool"):
            equal_tokens.accuracy_at_any(POOL, equal_tokens.weighted, n)


def test_a_pool_without_values_has_no_weighted_rival():
    unknown = [replace(sample, measures={}) for sample in POOL[0].samples]
    not_a_number = [replace(sample, measures={"value": math.nan}) for sample in POOL[0].samples]
    for samples in (unknown, not_a_number):
        with pytest.raises(ValueError, match="the score of sample 1 is (None|nan)"):
            equal_tokens.weighted(samples)


def test_a_rivals_curve_costs_its_tokens():
    rows = equal_tokens.curve(POOL, equal_tokens.majority, "vote")
    assert [row["tokens_per_problem"] for row in rows] == pytest.approx([20.0, 40.0])
    assert rows[1]["accuracy"] == 0.5 and rows[1]["low"] < 0.5 < rows[1]["high"]


def test_the_comparison_runs_and_writes_its_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "SIZES", {"beam": (4,)})
    monkeypatch.setattr(study, "OTHER_SIZES", ())
    monkeypatch.setattr(study, "COIN_SIZE", 4)
    flags = ["--limit", "2", "--split", "dev", "--records", str(tmp_path)]
    flags += ["--pool", "8", "--chapter", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["study.py", *flags])
    study.main()
    content = json.loads((tmp_path / "results" / "compared.json").read_text())
    (row,) = content["searches"]
    assert row["name"] == "beam" and row["n"] == 4 and row["reused"] > 0.9
    assert 1 < row["rival_n"] < 8 and len(content["rivals"]) == 2 * 8
    settings = content["settings"]
    assert row["branch"] == 2 and settings["reward_weights"] and settings["seed"] == 0
    names = ["beam, coin", "beam, plain vote", "beam, coin, plain vote"]
    assert [control["name"] for control in content["controls"]] == names
    assert [(p["a"], p["b"]) for p in content["differences"]] == study.PAIRS
    for rival in equal_tokens.RIVALS:
        assert row[rival]["low"] <= row[rival]["gain"] <= row[rival]["high"]
    line = "| {name} | 4 | 2 | {accuracy:.3f} [".format(**row)
    assert line in capsys.readouterr().out and line in (tmp_path / "RESULTS.md").read_text()
    assert (tmp_path / "results" / "compared.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "pool.jsonl").exists() and (tmp_path / "beam_4.jsonl").exists()


def test_the_coin_prunes_and_the_value_votes():
    asked = []

    @scorer
    def value(llm, question, nodes):
        asked.extend(nodes)
        return [0.75] * len(nodes), Cost(scored_tokens=len(nodes))

    nodes = [Node([], text) for text in "abcd"]
    nodes[2].finish_reason = "stop"
    scores, cost = study.SplitValue(study.Coin(), value).score(None, "?", nodes)
    assert asked == [nodes[2]] and scores[2] == 0.75 and cost.scored_tokens == 1
    assert len(set(scores)) == 4 and all(0 <= score < 1 for score in scores)
    again, nothing = study.SplitValue(study.Coin(), value).score(None, "?", nodes[:2])
    assert again == scores[:2] and nothing == Cost()
    assert study.SplitValue(study.Coin(1), value).score(None, "?", nodes[:2])[0] != again


def test_a_path_that_was_cut_off_is_not_covered_and_has_no_vote():
    def search(llm, problem, *, n=1):
        cut = Completion("2 and 3", [1], [0.0], "length")
        other = Completion("\\boxed{4}", [1], [0.0], "stop")
        third = Completion("\\boxed{5}", [1], [0.0], "stop")
        cost = Cost(prompt_tokens=1, generated_tokens=25)
        return Solution("4", [cut, other, third, third], cost, [0.5, 0.9, 0.1, 0.1])

    problems = [Problem(str(gold), gold, id=gold) for gold in ("3", "4")]
    run = evaluate(search, None, problems, settings={"n": 1}, progress=False)
    row = equal_tokens.compare(run, POOL, "search")
    assert row["accuracy"] == 0.5 and row["covered"] == 0.5  # the "3" of the cut one is no answer
    assert equal_tokens.revoted(run, equal_tokens.majority).accuracy == 0.0


def test_a_comparison_with_failed_questions_is_not_made(tmp_path, monkeypatch, capsys):
    def fails(*args, **options):
        raise RuntimeError("no luck")

    monkeypatch.setattr(study, "sample_and_score", fails)
    flags = ["--limit", "2", "--split", "dev", "--chapter", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["study.py", *flags])
    with pytest.raises(SystemExit):
        study.main()
    error = capsys.readouterr().err
    assert "error: pool: 2 of 2 questions failed: RuntimeError: no luck (2)" in error


def test_the_page_of_results_is_made_from_the_recorded_results():
    folder = SCRIPT.parent / "results"
    contents = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    page = (SCRIPT.parent / "RESULTS.md").read_text("utf-8")
    assert len(contents) == 4 and all(tables.section(content) in page for content in contents)


def test_a_recorded_search_is_compared_with_its_pool():
    recorded = study.study_recorded(POOLS_FOLDER / "qwen2.5-coder-0.5b_gsm_symbolic")
    assert recorded["search"]["n"] == 4 and recorded["search"]["reused"] > 0.9
    for rival in recorded["recorded_rivals"]:
        assert rival["low"] < rival["gain"] < rival["high"]
        assert recorded["search"]["accuracy"] - rival["accuracy"] == pytest.approx(rival["gain"])


def test_a_drawn_tree_has_a_place_for_every_node_and_ends_where_the_score_is_highest():
    value = valued({"aa": 0.1, "ab": 0.2, "ba": 0.9, "bb": 0.3})
    trace = chapter.beam_search(speller(EVEN, EVEN), PROBLEM, n=40, value=value, branch=4).trace
    steps = {node["node"]: node["step"] for node in trace}
    assert [steps[i] for i in sorted(figures.best_path(trace))] == ["b", "a", "\\boxed{ba}"]
    places = figures.layout(trace)
    assert len(set(places.values())) == len(trace) + 1 and places[0][0] == 0
    assert {depth for depth, _ in places.values()} == {0, 1, 2, 3}


# --- The script, for real -------------------------------------------------------------------------

SUMMARY = re.compile(
    r"accuracy (\d\.\d{3}) \[(\d\.\d{3}), (\d\.\d{3})\]  problems (\d+)  "
    r"generated tokens (\d+)  seconds \d+\.\d"
)


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return run_script(SCRIPT, *arguments, cwd=cwd)


def test_the_script_searches_from_any_folder(tmp_path):
    flags = ("--limit", "2", "--n", "4", "--branch", "2", "--split", "dev", "--out", "a.jsonl")
    done = start_script(SCRIPT, *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    accuracy, low, high, problems, tokens = SUMMARY.fullmatch(done.stdout.splitlines()[-1]).groups()
    assert float(low) <= float(accuracy) <= float(high)
    assert int(problems) == 2 and int(tokens) > 2 * 4 * 20
    records = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert all(len(record["scores"]) == len(record["completions"]) for record in records)
    settings = json.loads((tmp_path / "a.settings.json").read_text())["settings"]
    assert (settings["technique"], settings["step_end"]) == ("beam_search", "\n")
    fingerprint = weights_fingerprint(ProcessRewardModel.from_folder())
    assert settings["reward_weights"] == fingerprint
    assert settings["value"] == "step_reward"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--reward-model", "no/such/place/at all"], "neither a folder"),
        (["--branch", "0"], "--branch must be at least 1, not 0"),
        (["--method", "particles", "--branch", "4"], "particles does not branch"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(flags, message, tmp_path):
    done = run(*flags, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
