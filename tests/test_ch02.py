"""Self-consistency and its variants: votes, weights, stopping, on toy numbers and for real."""

import json
import math
import random
import re
import shutil
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import nbformat
import pytest
from scipy.stats import beta
from scripts import run_script, start_script
from wrong_answers.ch02 import RIGHT, WRONG

from ch02_self_consistency import deepconf, figures, rules, study, tables
from ch02_self_consistency import self_consistency as chapter
from shared import Completion, Cost, Problem, RequestOutput, SamplingParams, load_problems
from shared.evaluation.evaluation import load_evaluation
from shared.evaluation.pool import PooledProblem, Sample, to_pool

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "ch02_self_consistency" / "self_consistency.py"
DEEPCONF = SCRIPT.with_name("deepconf.py")
STUDY = ROOT / "ch02_self_consistency" / "study.py"
PROBLEM = Problem("How many?", None, "toy/0")


class FakeLLM:
    """Replies with texts in turn; remembers what it was asked. Each text is one token."""

    def __init__(self, *answers, logprobs=None, certainties=None):
        self.texts = [a if "Response" in a else f"so \\boxed{{{a}}}" for a in answers]
        self.logprobs = logprobs or [-1.0] * len(answers)
        self.certainties = certainties or [0.0] * len(answers)
        self.calls = []

    def chat(self, messages, params, *, enable_thinking=True):
        assert not enable_thinking
        self.calls.append((messages, params))
        taken = sum(p.n for _, p in self.calls[:-1])
        drawn = list(zip(self.texts, self.logprobs, self.certainties))[taken : taken + params.n]
        completions = [
            Completion(
                text, [taken + i, 0], [logprob] * 2, "stop", certainties=[sure - 1, sure + 1]
            )
            for i, (text, logprob, sure) in enumerate(drawn)
        ]
        return [RequestOutput([7], completions, Cost(1, 2 * len(drawn), 0, len(drawn)))]


def answers_of(solution):
    return [re.search(r"\\boxed\{(.*)\}", c.text)[1] for c in solution.completions]


def test_self_consistency_asks_once_for_n_and_takes_the_majority():
    llm = FakeLLM("3", "4", "4.0", "5")
    solution = chapter.self_consistency(llm, PROBLEM, n=4)
    assert solution.answer == "4"
    assert solution.trace == [{"votes": {"3": 1, "4": 2, "5": 1}}]
    assert [params.n for _, params in llm.calls] == [4]
    assert answers_of(solution) == ["3", "4", "4.0", "5"] and solution.cost.generated_tokens == 8


def test_a_cut_off_completion_has_no_vote():
    llm = FakeLLM("4")
    llm.texts = ["then 3 + 3 = 6", "so \\boxed{4}"]
    llm.logprobs, llm.certainties = [-1.0, -1.0], [0.0, 0.0]
    cut = llm.chat
    llm.chat = lambda *a, **k: [
        replace(o, completions=[replace(c, finish_reason="length") for c in o.completions])
        for o in cut(*a, **k)
    ]
    assert chapter.self_consistency(llm, PROBLEM, n=2).trace == [{"votes": {"4": 1}}]


def test_probabilities_are_relative_to_the_best_and_do_not_vanish():
    texts = [Completion("", [], [-900.0, -100.0], "stop"), Completion("", [], [-1998.0], "stop")]
    whole = chapter.probabilities([*texts, texts[0]], per_token=False)
    assert whole == pytest.approx([1.0, 0.0, 1.0])
    short, long = Completion("", [], [-2.0], "stop"), Completion("", [], [-1.0] * 4, "stop")
    assert chapter.probabilities([short, long], per_token=False) == pytest.approx(
        [1, 0.1353], abs=1e-4
    )
    assert chapter.probabilities([short, long], per_token=True) == pytest.approx(
        [0.3679, 1], abs=1e-4
    )


def test_probable_answers_weigh_more():
    for weight, expected in (("probability", 2 * 0.0224), ("probability per token", 2 * 0.1496)):
        llm = FakeLLM("3", "4", "4", logprobs=[-0.1, -2.0, -2.0])  # two tokens each
        solution = chapter.weighted_self_consistency(llm, PROBLEM, n=3, weight=weight)
        assert solution.answer == "3" and solution.cost.scored_tokens == 0
        assert solution.trace[0]["votes"] == pytest.approx({"3": 1.0, "4": expected}, abs=1e-4)


def test_ranks_by_certainty_weigh():
    assert chapter.rank_weights([5.0, 9.0, 1.0]) == [2, 3, 1]
    assert chapter.rank_weights([5.0, 9.0, 1.0], power=2) == [4, 9, 1]
    llm = FakeLLM("4", "4", "3", "3", certainties=[1.0, 2.0, 4.0, 3.0])
    solution = chapter.weighted_self_consistency(llm, PROBLEM, n=4, weight="certainty")
    assert solution.answer == "3" and solution.trace == [{"votes": {"4": 3, "3": 7}}]
    assert solution.scores == [1.0, 2.0, 4.0, 3.0]
    with pytest.raises(ValueError, match="weight"):
        chapter.weighted_self_consistency(llm, PROBLEM, n=1, weight="length")


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 1), (4, 4), (9, 5), (16, 0)])
def test_the_probability_ahead_with_the_betas_mass_above_one_half(first, second):
    votes = {"b": second, "a": first, "c": 0}
    expected = beta(first + 1, second + 1).sf(0.5)
    assert chapter.probability_ahead(votes) == pytest.approx(expected, abs=1e-12)


def test_adaptive_consistency_stops_when_sure_and_draws_new_samples_each_round():
    llm = FakeLLM("4", "4", "4", "4", "4", "3", "3", "3")
    solution = chapter.adaptive_consistency(llm, PROBLEM, n=8, batch=2, threshold=0.95)
    assert solution.answer == "4" and len(solution.completions) == 4  # 1 - 2^-5 = 0.969
    assert [round["probability_ahead"] for round in solution.trace] == [0.875, 0.96875]
    assert solution.cost.generated_tokens == 8
    seeds = [params.seed for _, params in llm.calls]
    assert seeds[0] == 0 and len(set(seeds)) == 2


def test_adaptive_consistency_never_draws_more_than_n():
    llm = FakeLLM("1", "2", "3", "4", "5")
    solution = chapter.adaptive_consistency(llm, PROBLEM, n=5, batch=3)
    assert [params.n for _, params in llm.calls] == [3, 2] and solution.answer == "1"


def test_on_recorded_answers_it_stops_where_the_technique_would():
    for answers in (["4"] * 8, ["4", "3"] * 4, ["3", "4", "4", "4", "4", "4", "4", "4"]):
        drawn = chapter.adaptive_consistency(FakeLLM(*answers), PROBLEM, n=8, batch=2)
        assert rules.samples_until_sure(answers, batch=2) == len(drawn.completions)
    assert rules.samples_until_sure(["4"] * 8, batch=2, threshold=0.95) == 4
    assert rules.samples_until_sure(["4", "3"] * 4, batch=2) == 8


def pooled(*answers, logprobs=None, tokens=10):
    """A problem with answer 4 and one sample for each of these answers."""
    logprobs = logprobs or [-1.0] * len(answers)
    samples = [
        Sample(
            "", a, a == "4", tokens, "stop", {"logprob": p, "certainty": p, "lowest_confidence": p}
        )
        for a, p in zip(answers, logprobs)
    ]
    return PooledProblem("?", "4", 1, samples)


@pytest.mark.parametrize(
    ("rule", "technique"),
    [
        (rules.by_probability, partial(chapter.weighted_self_consistency, weight="probability")),
        (rules.by_certainty, partial(chapter.weighted_self_consistency, weight="certainty")),
        (rules.by_confidence, deepconf.deepconf),
    ],
)
def test_a_rule_on_pooled_samples_answers_as_the_technique(rule, technique):
    for answers, numbers in (
        (("3", "4", "4", "5"), (-0.1, -2.0, -3.0, -4.0)),
        (("3", "3", "4", "4"), (-3.0, -2.0, -0.5, -0.4)),
        (("3", "4", "3", "4"), (-0.1, -0.2, -0.9, -0.3)),
    ):
        whole = [2 * number for number in numbers]  # FakeLLM's texts have two tokens
        noted = numbers if rule is not rules.by_probability else whole
        llm = FakeLLM(*answers, logprobs=list(numbers), certainties=list(numbers))
        expected = technique(llm, PROBLEM, n=4).answer
        assert rule(pooled(*answers, logprobs=noted).samples) == expected


def test_a_vote_that_stops_early_counts_the_tokens_until_then():
    pool = [pooled("4", "4", "4", "4"), pooled("3", "3", "3", "3")]
    shares, tokens = rules.stopped_votes(pool, lambda answers: 2)
    assert (shares, tokens) == ([1.0, 0.0], [20.0, 20.0])
    shares, tokens = rules.adaptive_votes(pool, threshold=2, batch=2)
    assert (shares, tokens) == ([1.0, 0.0], [40.0, 40.0])
    (share,), _ = rules.stopped_votes([pooled("4", "3")], lambda answers: 1, repeats=400)
    assert share == pytest.approx(0.5, abs=0.1)  # the orders are random


def test_stopping_is_compared_with_the_full_vote():
    pool = [pooled(*"44443333"), pooled(*"34443333"), pooled(*"44444444")]
    rows = {row["name"]: row for row in study.compare_stopping(pool)}
    assert rows["all 8"]["saved"] == 0 and rows["all 8"]["mean"] == 0
    assert rows["fixed vote of 4"]["saved"] == 0.5 and "fixed vote of 8" not in rows
    assert rows["stop at P >= 0.95"]["saved"] < rows["stop at P >= 0.8"]["saved"] < 0.5


def test_a_tie_counts_as_the_share_of_its_leaders_that_are_right():
    pool = [pooled(*"4343"), pooled(*"3435"), pooled(*"4443"), pooled(*"334455"), pooled(None)]
    credits = [rules.vote_credit(problem.samples, problem) for problem in pool]
    assert credits == pytest.approx([1 / 2, 0, 1, 1 / 3, 0])
    assert rules.leaders_of(pooled("3", None, "4.0", "4", "3.0").samples) == ["3", "4.0"]
    assert rules.leaders_of(pooled(None, None).samples) == []


def test_every_table_has_the_same_accuracy_for_the_vote_of_all_samples():
    pool = [pooled(*"4343"), pooled(*"3434"), pooled(*"4443"), pooled(*"3353")]
    assert rules.vote_accuracy(pool, 4) == [0.5, 0.5, 1.0, 0.0]
    assert rules.vote_accuracy(pool, 2)[2] == pytest.approx(0.75, abs=0.2)
    (full,) = (row for row in study.compare_stopping(pool) if row["name"] == "all 4")
    (vote,) = (row for row in study.compare_rules(pool) if row["name"] == "majority")
    assert full["accuracy"] == vote["mean"] == 0.5
    assert rules.fixed_votes(pool, 2) == (rules.vote_accuracy(pool, 2), [20, 20, 20, 20])
    with pytest.raises(ValueError, match="n is 5"):
        rules.vote_accuracy(pool, 5)


def test_leaders_that_stayed_compares_each_early_leader_with_all_samples():
    (sure,) = set(rules.leaders_that_stayed([pooled(*"4444")], sizes=(2,)))
    assert sure == (0.875, True, True)
    assert rules.leaders_that_stayed([pooled(None, None)], sizes=(1,)) == []
    found = rules.leaders_that_stayed([pooled(*"3334")], sizes=(1,), repeats=400)
    assert {row[1:] for row in found} == {(True, False), (False, True)}
    assert sum(stayed for _, stayed, _ in found) / 400 == pytest.approx(0.75, abs=0.1)
    spelled = rules.leaders_that_stayed([pooled("4", "4.0", "4.0")], sizes=(1,), repeats=20)
    assert all(stayed for _, stayed, _ in spelled)


def test_votes_of_one_plan_are_compared_with_as_many_samples_of_all_plans():
    problem = pooled(*"3334444444")
    samples = [
        replace(s, text="Plan: a.\n" if i < 4 else "") for i, s in enumerate(problem.samples)
    ]
    pool = [replace(problem, samples=samples), pooled(*"44")]
    within, overall = rules.votes_by_plan(pool, "Plan: a.", repeats=400)
    assert within == [(0.25, 0.0)] and overall[0][0] == 0.7
    exact = (math.comb(7, 4) + math.comb(7, 3) * 3 + math.comb(7, 2) * 3 / 2) / math.comb(10, 4)
    assert overall[0][1] == pytest.approx(exact, abs=0.08)


def test_the_calibration_table_has_a_row_for_each_range_of_probabilities():
    rows = tables.calibration_table([pooled(*"4444444444444444")]).splitlines()
    assert "leads all 16" in rows[0] and len(rows) == 2 + 5
    assert rows[2] == "| 0.5 to 0.6 | 0 |  |  |  |"
    assert rows[-1].startswith("| 0.95 to 1 | 30 |") and rows[-1].endswith("| 1.00 | 1.00 |")


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_the_toy_vote_agrees_with_the_exact_probability(n):
    binomial = [math.comb(n, k) * 0.4**k * 0.6 ** (n - k) for k in range(n + 1)]
    exact = sum(p * ((k > n - k) + 0.5 * (k == n - k)) for k, p in enumerate(binomial))
    assert figures.toy_vote(n, 1) == pytest.approx(exact, abs=0.01)
    assert n > 2 or figures.toy_vote(n, 20) == pytest.approx(0.4, abs=0.01)


def test_agreement_is_the_share_of_all_samples():
    assert rules.share_of_leader(pooled("4", "4.0", "3", None).samples) == 0.5
    assert rules.share_of_leader(pooled(None, None).samples) == 0


def test_the_best_share_keeps_one_at_least_and_ties():
    assert deepconf.best_share([1.0, 4.0, 3.0, 2.0], 0.5) == [False, True, True, False]
    assert deepconf.best_share([1.0, 4.0, 3.0], 0.01) == [False, True, False]
    assert deepconf.best_share([2.0, 2.0, 1.0], 0.34) == [True, True, False]
    for keep in (0, -1, 1.1):
        with pytest.raises(ValueError, match="keep"):
            deepconf.best_share([1.0], keep)


def test_confidence_is_that_of_the_shakiest_passage():
    shaky = [0.0] * 40 + [-1.0] * deepconf.GROUP + [0.0] * 40
    steady = [-0.5] * len(shaky)
    assert deepconf.confidence(Completion("", [], shaky, "stop")) == pytest.approx(0.3679, abs=1e-4)
    assert deepconf.confidence(Completion("", [], steady, "stop")) == pytest.approx(
        0.6065, abs=1e-4
    )


def test_deepconf_lets_only_the_confident_vote():
    llm = FakeLLM("3", "3", "3", "4", logprobs=[-2.0, -3.0, -0.5, -0.1])
    solution = deepconf.deepconf(llm, PROBLEM, n=4, keep=0.5)
    assert solution.answer == "4"  # e^-0.1 against e^-0.5; the other two are out
    assert solution.trace[0]["votes"] == pytest.approx({"3": 0.6065, "4": 0.9048}, abs=1e-4)
    assert deepconf.deepconf(FakeLLM("3", "3", "4"), PROBLEM, n=3, keep=1.0).answer == "3"


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_an_error(wrong):
    for place in range(3):
        scores = [0.5, 0.5, 0.5]
        scores[place] = wrong
        for function in (chapter.rank_weights, partial(deepconf.best_share, keep=0.5)):
            with pytest.raises(ValueError, match=f"the score of sample {place + 1} is {wrong}"):
                function(scores)
    techniques = [
        partial(chapter.weighted_self_consistency, weight=weight) for weight in chapter.WEIGHTS
    ]
    for technique in (*techniques, deepconf.deepconf):
        llm = FakeLLM("3", "4", logprobs=[-1.0, wrong], certainties=[1.0, wrong])
        with pytest.raises(ValueError, match="nan|inf"):
            technique(llm, PROBLEM, n=2)


@pytest.mark.parametrize("jitter", [0.0, 3e-7, -3e-7])
def test_equal_confidences_stay_equal_when_they_are_rounded_otherwise(jitter):
    assert deepconf.best_share([0.9, 0.9 * (1 + jitter), 0.5, 0.4], 0.25) == [
        True,
        True,
        False,
        False,
    ]
    llm = FakeLLM("3", "4", logprobs=[-0.1, -0.1 * (1 + jitter)])
    assert deepconf.deepconf(llm, PROBLEM, n=2, keep=0.5).answer == "3"


class ScriptedLLM(FakeLLM):
    """Warm-up samples as FakeLLM; then continues with scripted tokens, all equally likely."""

    def __init__(self, tokenizer, text, logprob, **options):
        super().__init__("3", "4", **options)
        self.tokenizer, self.logprob = tokenizer, logprob
        self.script = tokenizer.encode(text, allow_special=True)

    def generate(self, texts, params):
        (ids,) = texts
        begun = len(ids) - 1  # the prompt is one token
        tokens = self.script[begun : begun + params.max_tokens]
        reason = "stop" if begun + len(tokens) == len(self.script) else "length"
        special = self.tokenizer.special_tokens.values()
        text = self.tokenizer.decode(token for token in tokens if token not in special)
        found = [text.index(stop) for stop in params.stop if stop in text]
        text, reason = (text[: min(found)], "stop") if found else (text, reason)
        piece = Completion(text, tokens, [self.logprob] * len(tokens), reason)
        return [RequestOutput(ids, [piece], Cost(len(ids), len(tokens), 0, 1))]


@pytest.mark.parametrize("jitter", [0.0, 3e-7, -3e-7])
def test_a_sample_as_confident_as_the_threshold_is_kept_in_every_run(tiny, jitter):
    text = "1+1=2\n" * 20 + "so \\boxed{5}<|im_end|>"
    llm = ScriptedLLM(tiny.tokenizer, text, -0.1 * (1 + jitter), logprobs=[-0.1, -0.1])
    solution = deepconf.deepconf_online(llm, PROBLEM, n=4, warmup=2)
    assert [c.finish_reason for c in solution.completions] == ["stop"] * 4
    assert solution.trace[0]["votes"] == pytest.approx(
        {"3": 0.9048, "4": 0.9048, "5": 1.8097}, abs=1e-4
    )
    assert solution.answer == "5"
    weak = ScriptedLLM(tiny.tokenizer, text, -0.1001, logprobs=[-0.1, -0.1])
    reasons = [
        c.finish_reason for c in deepconf.deepconf_online(weak, PROBLEM, n=4, warmup=2).completions
    ]
    assert reasons == ["stop", "stop", "weak", "weak"]


@pytest.mark.parametrize("jitter", [0.0, 3e-7, -3e-7])
def test_a_consensus_that_is_just_reached_ends_the_sampling_in_every_run(tiny, jitter):
    llm = ScriptedLLM(tiny.tokenizer, "", 0.0, logprobs=[-0.1, -0.1 * (1 + jitter)])
    solution = deepconf.deepconf_online(llm, PROBLEM, n=4, warmup=2, consensus=0.5, keep=1.0)
    assert len(solution.completions) == 2 and solution.answer == "3"


@pytest.mark.parametrize("group", [1, 2, 3, 5, 32])
@pytest.mark.parametrize("text", ["日本語 → ½ 🙂 so \\boxed{4}", "é", "plain, plain"])
def test_a_character_that_spans_two_pieces_is_kept(tiny, monkeypatch, text, group):
    monkeypatch.setattr(deepconf, "GROUP", group)
    llm = ScriptedLLM(tiny.tokenizer, text + "<|im_end|>", -0.1)
    (whole,) = deepconf.draw_until_weak(llm, [7], chapter.SAMPLING, 0.0).completions
    assert whole.text == text and whole.finish_reason == "stop"
    assert whole.token_ids == llm.script and len(whole.logprobs) == len(llm.script)


@pytest.mark.parametrize("group", [1, 2, 3, 5, 32])
def test_a_stop_string_that_spans_two_pieces_is_found(tiny, monkeypatch, group):
    monkeypatch.setattr(deepconf, "GROUP", group)
    llm = ScriptedLLM(tiny.tokenizer, "1+1=2\n\nQuestion: 2+2?<|im_end|>", -0.1)
    params = replace(chapter.SAMPLING, stop=("Question:", "never"))
    (whole,) = deepconf.draw_until_weak(llm, [7], params, 0.0).completions
    assert whole.text == "1+1=2\n\n" and whole.finish_reason == "stop"


def test_a_weak_completion_is_given_up_and_a_good_one_is_not(tiny):
    problem = load_problems("word", split="dev", limit=1)[0]
    prompt = chapter.draw(tiny, problem, 1, replace(chapter.SAMPLING, max_tokens=1))
    ids = prompt.prompt_token_ids
    (whole,) = deepconf.draw_until_weak(tiny, ids, chapter.SAMPLING, 0.0).completions
    assert whole.finish_reason == "stop" and "\\boxed" in whole.text
    assert len(whole.token_ids) == len(whole.logprobs)
    rescored = tiny.score(ids, whole.token_ids)
    assert whole.logprobs == pytest.approx(rescored, abs=1e-3)
    stopped = deepconf.draw_until_weak(tiny, ids, chapter.SAMPLING, 1.1)
    (weak,) = stopped.completions
    assert weak.finish_reason == "weak" and weak.token_ids == whole.token_ids[: deepconf.GROUP]
    assert stopped.cost.generated_tokens == deepconf.GROUP
    (short,) = deepconf.draw_until_weak(
        tiny, ids, replace(chapter.SAMPLING, max_tokens=40), 0.0
    ).completions
    assert short.finish_reason == "length" and len(short.token_ids) == 40


def test_deepconf_online_stops_on_consensus_and_ignores_the_weak(tiny):
    problem = load_problems("word", split="dev", limit=3)[2]
    options = {"n": 8, "params": chapter.SAMPLING, "warmup": 4, "keep": 0.5}
    at_once = deepconf.deepconf_online(tiny, problem, consensus=0.0, **options)
    assert len(at_once.completions) == 4
    solution = deepconf.deepconf_online(tiny, problem, consensus=1.01, **options)
    assert len(solution.completions) == 8  # more than everything: never reached
    first = [completion.token_ids for completion in at_once.completions]
    assert [completion.token_ids for completion in solution.completions[:4]] == first
    generated = sum(len(c.token_ids) for c in solution.completions)
    assert solution.cost.generated_tokens == generated
    threshold = sorted(solution.scores[:4])[2]
    for completion, score in zip(solution.completions[4:], solution.scores[4:]):
        if completion.finish_reason == "weak":
            assert score < threshold and len(completion.token_ids) % deepconf.GROUP == 0
    voters = [s for s in solution.scores if s >= threshold]
    assert sum(solution.trace[0]["votes"].values()) <= sum(voters) + 1e-9


@pytest.mark.parametrize(
    ("reply", "answer", "chosen"),
    [
        ("The most consistent response is Response 2.", "4", 2),
        ("Response 1 is odd. The most consistent response is Response 3", "5", 3),
        ("I like them all, Response 9.", None, None),
        ("hmm Response", None, None),
    ],
)
def test_universal_self_consistency_takes_the_named_response(reply, answer, chosen):
    llm = FakeLLM("3", "4", "5", reply)
    solution = chapter.universal_self_consistency(llm, PROBLEM, n=3)
    assert solution.answer == answer and solution.trace[0]["chosen"] == chosen
    asked = llm.calls[1][0][0]["content"]
    assert "Response 3: so \\boxed{5}" in asked and PROBLEM.question in asked
    assert llm.calls[1][1].temperature == 0 and llm.calls[1][1].n == 1
    assert len(solution.completions) == 4 and solution.cost.generated_tokens == 8


def test_the_recorded_samples_are_those_that_the_notebook_shows():
    """SAMPLE_NOW = False reads these instead of sampling: the numbers must be the same."""
    folder = SCRIPT.with_name("recorded")
    pool, greedy = (load_evaluation(folder / f"word_{name}.jsonl") for name in ("pool", "greedy"))
    shares = rules.vote_accuracy(to_pool(pool), 16)
    notebook = nbformat.read(SCRIPT.with_suffix(".ipynb"), as_version=4)
    shown = "".join(
        output.get("text", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert f"greedy         {greedy.accuracy:.3f}\nmajority of  1" in shown
    assert f"majority of 16 {sum(shares) / 100:.3f} " in shown and len(shares) == 100


def run(*arguments, cwd, script=SCRIPT):
    return run_script(script, *arguments, cwd=cwd)


LAST_LINE = (
    r"accuracy (\d\.\d+) \[(\d\.\d+), (\d\.\d+)\]  problems (\d+)  "
    r"generated tokens (\d+)  seconds \d+\.\d"
)


def test_the_script_votes_and_resumes(tmp_path):
    small = ("--limit", "10", "--n", "8", "--out", "vote.jsonl")
    done = start_script(SCRIPT, *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    accuracy, low, high, problems, _ = map(float, re.fullmatch(LAST_LINE, last).groups())
    assert low <= accuracy <= high and problems == 10
    records = (tmp_path / "vote.jsonl").read_bytes()
    assert records.count(b"\n") == 10
    again = run(*small, cwd=tmp_path)
    assert again.stdout.splitlines()[-1].split("seconds")[0] == last.split("seconds")[0]
    assert (tmp_path / "vote.jsonl").read_bytes() == records


def test_the_study_compares_with_greedy_and_writes_what_it_prints(tmp_path):
    small = ("--limit", "10", "--n", "8", "--out", "pool.jsonl", "--chapter", str(tmp_path))
    done = run(*small, cwd=tmp_path, script=STUDY)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "results" / "tiny_word.json").read_text("utf-8"))
    greedy, vote, gain = content["greedy"]
    recorded = {
        name: load_evaluation(tmp_path / f"{name}.jsonl") for name in ("pool", "pool.greedy")
    }
    assert greedy["mean"] == recorded["pool.greedy"].accuracy
    assert abs(vote["mean"] - recorded["pool"].accuracy) <= 0.3  # ties are not decided by order
    assert gain["mean"] == pytest.approx(vote["mean"] - greedy["mean"])
    assert greedy["tokens"] < vote["tokens"] / 4
    (majority,) = [r for r in content["rules"] if r["n"] == 8 and r["name"] == "majority"]
    assert majority["mean"] == vote["mean"]
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert study.section(content) in page and study.section(content) in done.stdout
    assert (tmp_path / "results" / "tiny_word.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("problems", "name"), [("gsm_symbolic", "gym_gsm_symbolic"), ("gsm8k",) * 2]
)
def test_the_results_of_the_recorded_pools_are_those_in_the_chapter(problems, name, tmp_path):
    """The study of the recorded runs, done again, gives the numbers that the chapter shows."""
    model = "qwen2.5-coder-0.5b"
    recorded = ROOT / "shared" / "pools" / f"{model}_{problems}"
    runs = ("--pool", f"{recorded}.jsonl", "--greedy", f"{recorded}_cot.jsonl")
    done = run(*runs, "--chapter", str(tmp_path), cwd=tmp_path, script=STUDY)
    assert done.returncode == 0, done.stderr
    ours, again = (
        json.loads((folder / "results" / f"{model}_{name}.json").read_text("utf-8"))
        for folder in (SCRIPT.parent, tmp_path)
    )
    assert ours == again
    shutil.copytree(SCRIPT.parent / "results", tmp_path / "results", dirs_exist_ok=True)
    shown = study.write_results(tmp_path).read_text("utf-8")
    assert (SCRIPT.parent / "RESULTS.md").read_text("utf-8") == shown


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        (SCRIPT, ["--method", "adaptive"]),
        (SCRIPT, ["--method", "weighted"]),
        (SCRIPT, ["--method", "universal"]),
        (DEEPCONF, []),
        (DEEPCONF, ["--online"]),
    ],
)
def test_the_scripts_run_every_method(script, flags, tmp_path):
    done = run(*flags, "--limit", "3", "--n", "4", cwd=tmp_path, script=script)
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(LAST_LINE, done.stdout.strip().splitlines()[-1])
    assert match and match[4] == "3"


def test_a_user_error_is_told(tmp_path):
    done = run("--keep", "0", "--limit", "2", "--n", "2", cwd=tmp_path, script=DEEPCONF)
    assert done.returncode == 1 and "keep must be a share" in done.stdout.splitlines()[-1]


def test_defaults_are_those_of_the_book():
    assert chapter.SAMPLING == SamplingParams(temperature=0.6, max_tokens=700)


# --- The exercises --------------------------------------------------------------------------------


def exercise(check):
    return check.__name__.removeprefix("check_")


def names(cases):
    return [f"{exercise(check)}: {function.__name__}" for check, function, *_ in cases]


@pytest.mark.parametrize(("check", "answer"), RIGHT, ids=names(RIGHT))
def test_a_right_answer_passes_in_any_style(check, answer, capsys):
    check(answer)
    assert capsys.readouterr().out.startswith("Exercise ")


@pytest.mark.parametrize(("check", "answer", "message"), WRONG, ids=names(WRONG))
def test_a_wrong_answer_is_rejected_with_a_message_that_helps(check, answer, message):
    state = random.getstate()
    with pytest.raises(AssertionError, match=re.escape(message)):
        check(answer)
    assert random.getstate() == state, "a check must leave the global random numbers alone"


def test_every_exercise_is_tried_with_wrong_answers_and_is_in_the_notebook():
    tried = Counter(exercise(check) for check, *_ in WRONG)
    assert len(tried) == 8 and min(tried.values()) >= 8
    assert tried.keys() == {exercise(check) for check, _ in RIGHT}
    exercises = nbformat.read(SCRIPT.with_name("exercises.ipynb"), as_version=4)
    code = "\n".join(cell.source for cell in exercises.cells)
    for name in tried:
        assert f"def {name}(" in code and f"checks.check_{name}({name})" in code


def test_an_exercise_that_is_not_written_yet_is_told_so():
    def empty(*arguments, **options):
        raise NotImplementedError

    for check in {check for check, *_ in WRONG}:
        with pytest.raises(AssertionError, match="empty is not written yet"):
            check(empty)
