"""Self-refinement: the loop on scripted replies, the study of its records, the script for real."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import nbformat
import pytest
from scripts import run_script, start_script
from wrong_answers.ch05 import RIGHT, WRONG

from ch05_refine import checks, controls, outcomes, study
from ch05_refine import critique as reading
from ch05_refine import refine as chapter
from ch05_refine.metered import Metered
from shared import (
    Completion,
    Cost,
    Problem,
    RequestOutput,
    SamplingParams,
    extract_answer,
    load_problems,
    prompts,
)
from shared.errors import UserError
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import load_evaluation
from shared.evaluation.pool import POOLS_FOLDER, PooledProblem, Sample, read_pool, to_pool
from shared.evaluation.records import VERSION, Record
from shared.evaluation.word_problems import solve
from shared.rewards.interfaces import Scores, Verdicts
from shared.rewards.judge import judge_all
from shared.rewards.scorers import Judge, Likelihood, Reward, reading_cost
from shared.rewards.verifiers import ArithmeticHolds
from shared.text.prompts import ALL_RIGHT

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "ch05_refine" / "refine.py"
STUDY = SCRIPT.with_name("study.py")
PROBLEM = Problem("How many?", None)
COMPLAINT = "This step is wrong: 1+1=3"


# --- What a critique says -------------------------------------------------------------------------


FINE = [
    ALL_RIGHT,
    "All of the steps in the solution are correct.",
    "Every step is right, so the answer stands.",
    "To determine which step is wrong, let's go through each step.\n1. 2+2=4\nAll steps are correct.",
    "There are no mistakes in the solution.",
    "None of the steps is wrong.",
    "No step is incorrect.",
    "Nothing is wrong.",
    "All the steps look good.",
    "The calculations are correct.",
    "I checked the solution again: the final answer and the steps are fine; the answer is correct.",
    # What Qwen2.5-Coder-0.5B-Instruct wrote:
    "The total cost is correct. Therefore, there is no step that is wrong.",
    "Since both steps are correct, the problem does not contain any errors. Therefore, the final "
    "answer is:\n\\[\n\\boxed{\\text{All steps are correct.}}\n\\]",
    "The total number of bananas William has is indeed 1332. Therefore, there is no mistake in "
    "any of the steps.\n\nThe final answer is:\n\\[\n\\boxed{1332}\n\\]",
]
FAULTY = [
    COMPLAINT,
    "Step 3 should be 42, not 45. All other steps are correct.",
    "There is no unit in step 2: it should be 5*3=15.",
    "The solution is correct up to step 3, where 12 should be 15.",
    "I find the last step wrong; all other steps are correct.",
    "Not all steps are correct.",
    "Both steps are correct, but the last one is wrong.",
    "All steps are correct except step 3.",
    "Step 2 has no errors. Step 3 is incorrect.",
    "The solution is not correct.",
    "The answer is correct, but the second step is a mistake.",
    # What Qwen2.5-Coder-0.5B-Instruct wrote about right and wrong drafts:
    "The difference calculated in step 3 is indeed 40 euros, which matches the cost of 5 loaves of "
    "bread.\n\nTherefore, the step that is wrong is \\(\\boxed{3}\\).",
    "Since the total amount is correct, the step that is wrong is:\n\n\\boxed{\\text{Step 4}}",
]
NEITHER = [
    "To determine which step is wrong, let's go through the process step by step.\n"
    "Therefore, the number of people infected after 3 days is \\(\\boxed{351}\\).",
    "The correct answer is 5.",
    "",
]


@pytest.mark.parametrize(
    ("critique", "said"),
    [
        (c, said)
        for said, cs in zip(("fine", "wrong", "neither"), (FINE, FAULTY, NEITHER))
        for c in cs
    ],
)
def test_what_a_critique_says(critique, said):
    assert reading.verdict(critique) == said
    assert reading.finds_nothing(critique) == (said == "fine")  # doubt is a complaint


def test_how_often_the_verdict_agrees_with_a_reader():
    """The labels are of all 100 critiques of the recorded Qwen; the chapter states these numbers."""
    said = json.loads(
        (ROOT / "ch05_refine" / "results" / "labels.json").read_text(encoding="utf-8")
    )
    pool = read_pool(POOLS_FOLDER / "qwen2.5-coder-0.5b_gsm_symbolic_refine.jsonl")
    critiques = [outcomes.first_critique(p, "ungated").text for p in pool]
    assert len(said["labels"]) == len(critiques) == 100
    pairs = list(zip(said["labels"], map(reading.verdict, critiques)))
    assert sum(label == found for label, found in pairs) == 89
    assert sum((label == "fine") != (found == "fine") for label, found in pairs) == 6


def test_patterns_take_no_longer_than_the_text_is_long():
    def seconds(times: int) -> float:
        text = "all each every not a no none of the which step is " * times
        started = time.perf_counter()
        assert reading.verdict(text) == "neither"
        return time.perf_counter() - started

    seconds(1_000)
    assert seconds(40_000) < 40 * max(seconds(4_000), 0.01)  # ten times the text; a square: 100


def test_the_verifier_names_the_first_wrong_equation_and_costs_nothing():
    output = chapter.arithmetic_feedback(None, "?", "1+1=2\n2*3=7\n7-1=5", SamplingParams())
    assert output.completions[0].text == "This step is wrong: 2*3=7"
    assert output.cost == Cost() and output.completions[0].token_ids == []
    fine = chapter.arithmetic_feedback(None, "?", "1+1=2", SamplingParams()).completions[0].text
    assert fine == ALL_RIGHT and reading.finds_nothing(fine)


# --- The gates ------------------------------------------------------------------------------------


def completion(text: str, logprobs: tuple[float, ...] = (-0.1,) * 5) -> Completion:
    return Completion(text, list(range(len(logprobs))), list(logprobs), "stop")


def score(gate, solution: Completion, llm=None, question: str = "?") -> float:
    return chapter.gate_score(gate, llm, question, solution, "the draft")[0]


def test_likelihood_is_the_geometric_mean_of_the_tokens_probabilities():
    half_and_eighth = completion("a", (math.log(0.5), math.log(0.125)))
    assert score(Likelihood(), half_and_eighth) == pytest.approx(0.25)


def test_a_reward_looks_at_the_last_step_unless_told_otherwise():
    class FakeReward:
        def step_scores(self, question, solutions):
            return [[float(line) for line in text.split("\n")] for text in solutions]

    solution = completion("0.25\n0.75\n0.5")
    assert score(Reward(FakeReward()), solution) == 0.5
    assert score(Reward(FakeReward(), "min"), solution) == 0.25
    assert Reward(FakeReward(), "min").name == "reward_min"


def test_the_model_is_asked_about_the_solution():
    class SaysYes:
        """A model that is sure of "Yes" where the solution is "57"; it is its own tokenizer."""

        def encode_chat(self, messages, enable_thinking):
            return messages

        def score(self, messages, word):
            assert [m["role"] for m in messages] == ["user", "assistant", "user"]
            assert "How many?" in messages[0]["content"] and messages[2]["content"] == prompts.JUDGE
            is_sure = (word == "Yes") == (messages[1]["content"] == "57")
            return [math.log(0.9 if is_sure else 0.1)]

        def encode(self, word):
            return [word]

    model = SaysYes()
    model.tokenizer = model
    for text, probability in (("57", 0.9), ("58", 0.1)):
        found = score(Judge(), completion(text), model, "How many?")
        assert found == pytest.approx(probability)


def test_what_a_gate_costs(tiny):
    def cost(gate) -> Cost:  # five tokens
        return chapter.gate_score(gate, tiny, "How many?", completion("a"), "the draft")[1]

    assert cost(Likelihood()) == Cost()
    assert cost(Judge()) == judge_all(tiny, "How many?", ["a"]).cost
    assert cost(Worth("always", [0.5])) == Cost(scored_tokens=5, forward_passes=1)


# --- Self-refine ----------------------------------------------------------------------------------


class ScriptedLLM:
    """Gives the replies of a script, and remembers what it was asked."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.asked, self.params = list(replies), [], []

    def chat(self, messages, params, *, enable_thinking=True):
        assert params.n == 1 and not enable_thinking
        self.asked.append([message["content"] for message in messages])
        self.params.append(params)
        cost = Cost(prompt_tokens=7, generated_tokens=5, forward_passes=5)
        return [RequestOutput([1], [completion(self.replies.pop(0))], cost)]


class Worth:
    """A gate that takes the number in the box as the score, or gives the scores it was told."""

    def __init__(self, name: str = "worth", scores: list | None = None) -> None:
        self.name, self.scores = name, scores

    def score(self, llm, question, solutions):
        """Reading costs something."""
        scores = [float(extract_answer(s.text)) for s in solutions if self.scores is None]
        scores += [self.scores.pop(0) for _ in solutions if self.scores is not None]
        return Scores(scores, reading_cost(solutions))


worth = Worth()


def boxed(answer: float) -> str:
    return f"\\boxed{{{answer}}}"


def test_without_a_gate_every_revision_is_the_next_draft():
    llm = ScriptedLLM(boxed(5), COMPLAINT, boxed(3), COMPLAINT, boxed(4))
    solution = chapter.self_refine(llm, PROBLEM, rounds=2)
    assert solution.answer == "4" and not llm.replies
    assert [c.text for c in solution.completions] == [
        boxed(5),
        COMPLAINT,
        boxed(3),
        COMPLAINT,
        boxed(4),
    ]
    assert solution.cost == Cost(prompt_tokens=35, generated_tokens=25, forward_passes=25)
    first, second, third = solution.trace
    assert first["draft"] == boxed(5) and first["accepted"] and first["revision"] is None
    assert (second["draft"], second["critique"], second["revision"]) == (
        boxed(5),
        COMPLAINT,
        boxed(3),
    )
    assert third["draft"] == boxed(3) and third["accepted"] and third["scores"] == []
    json.dumps(solution.trace)


def test_a_round_sees_its_own_draft_only_in_the_words_of_the_prompts():
    llm = ScriptedLLM(boxed(5), COMPLAINT, boxed(3), COMPLAINT, boxed(4))
    chapter.self_refine(llm, PROBLEM, rounds=2)
    (question,) = llm.asked[0]
    assert question == prompts.ask("How many?")[0]["content"]
    assert llm.asked[1] == [question, boxed(5), prompts.CRITIQUE]
    assert llm.asked[2] == [question, boxed(5), prompts.CRITIQUE, COMPLAINT, prompts.REVISE]
    assert llm.asked[4] == [question, boxed(3), prompts.CRITIQUE, COMPLAINT, prompts.REVISE]


def test_it_ends_when_the_critique_finds_nothing():
    llm = ScriptedLLM(boxed(5), COMPLAINT, boxed(3), ALL_RIGHT, "never asked for")
    solution = chapter.self_refine(llm, PROBLEM, rounds=9)
    assert solution.answer == "3" and llm.replies == ["never asked for"]
    assert solution.trace[-1]["revision"] is None and not solution.trace[-1]["accepted"]
    at_once = chapter.self_refine(ScriptedLLM(boxed(5), ALL_RIGHT), PROBLEM)
    assert at_once.answer == "5" and len(at_once.trace) == 2


def test_it_need_not_believe_a_critique_that_finds_nothing():
    llm = ScriptedLLM(boxed(5), ALL_RIGHT, boxed(8))
    solution = chapter.self_refine(llm, PROBLEM, rounds=1, gate=worth, stop=reading.never)
    assert solution.answer == "8" and llm.asked[2][3:] == [ALL_RIGHT, prompts.REVISE]


def test_no_rounds_are_one_greedy_answer():
    for technique in (chapter.self_refine, chapter.reflexion):
        assert technique(ScriptedLLM(boxed(5)), PROBLEM, rounds=0).answer == "5"
        with pytest.raises(ValueError, match="rounds must be at least 0"):
            technique(ScriptedLLM(), PROBLEM, rounds=-1)


def test_a_gate_refuses_what_scores_lower_and_takes_what_scores_the_same():
    llm = ScriptedLLM(
        boxed(5), COMPLAINT, boxed(3), COMPLAINT, "again \\boxed{5}", COMPLAINT, boxed(8)
    )
    solution = chapter.self_refine(llm, PROBLEM, rounds=3, gate=worth)
    assert solution.answer == "8"
    assert [r["accepted"] for r in solution.trace] == [True, False, True, True]
    assert [r["scores"] for r in solution.trace] == [[], [5, 3], [5, 5], [5, 8]]
    assert [r["draft"] for r in solution.trace] == [boxed(5)] * 3 + ["again \\boxed{5}"]


def test_the_answer_after_a_refusal_is_the_draft_s():
    llm = ScriptedLLM(boxed(5), COMPLAINT, boxed(3))
    assert chapter.self_refine(llm, PROBLEM, rounds=1, gate=worth).answer == "5"


def test_the_draft_is_greedy_and_every_round_has_a_seed_of_its_own():
    params = SamplingParams(n=9, temperature=0.6, max_tokens=99, seed=100)
    for gate in (None, worth):
        llm = ScriptedLLM(boxed(5), *[COMPLAINT, boxed(3)] * 2)
        chapter.self_refine(llm, PROBLEM, rounds=2, params=params, gate=gate)
        assert [p.temperature for p in llm.params] == [0, 0.6, 0.6, 0.6, 0.6]
        assert [p.seed for p in llm.params[1:]] == [101, 101, 102, 102]
        assert {p.max_tokens for p in llm.params} == {99}


@pytest.mark.parametrize("wrong", [math.nan, math.inf, None])
@pytest.mark.parametrize(("place", "source"), [(0, "of the draft"), (1, "of revision 1")])
def test_a_gate_that_gives_no_number_is_an_error_that_names_it(wrong, place, source):
    scores = [0.5, 0.5]
    scores[place] = wrong

    replies = (boxed(5), COMPLAINT, boxed(3))
    with pytest.raises(ValueError, match=f"shaky {source} is {wrong}"):
        chapter.self_refine(ScriptedLLM(*replies), PROBLEM, rounds=1, gate=Worth("shaky", scores))


def test_the_comparison_notes_no_score_that_is_no_number():
    gates = {"mine": Worth("mine", [1.0, math.nan])}
    options = {
        "n": 1,
        "params": chapter.PARAMS,
        "rounds": 1,
        "gates": gates,
        "answer_of": "ungated",
    }
    llm = ScriptedLLM(boxed(5), COMPLAINT, boxed(3))
    with pytest.raises(ValueError, match="mine of .* is nan"):
        study.refine_in_ways(llm, PROBLEM, ways=["ungated"], **options)


def test_a_recorded_score_that_is_no_number_is_an_error():
    for measures in ({"g": math.nan}, {"g": math.inf}, {}):
        with pytest.raises(ValueError, match="is (nan|inf)|hold no score"):
            outcomes.score_of(Sample("", "1", True, 5, "stop", measures), "g")
    with pytest.raises(ValueError, match="hold no score"):
        outcomes.score_of(Sample("", "1", True, 5, "stop", {}), "likelihood")


def test_a_gate_that_reads_costs_what_it_reads():
    replies = (boxed(5), COMPLAINT, boxed(3))
    read = chapter.self_refine(ScriptedLLM(*replies), PROBLEM, rounds=1, gate=worth)
    assert read.cost == Cost(21, 15, scored_tokens=10, forward_passes=15 + 2)
    free = chapter.self_refine(ScriptedLLM(*replies), PROBLEM, rounds=1, gate=Likelihood())
    assert free.cost.scored_tokens == 0


def test_the_verifier_takes_the_place_of_the_critique():
    llm = ScriptedLLM("1+1=3\n\\boxed{3}", "1+1=2\n\\boxed{2}")
    solution = chapter.self_refine(llm, PROBLEM, rounds=5, feedback=chapter.arithmetic_feedback)
    assert solution.answer == "2" and len(llm.asked) == 2
    assert llm.asked[1][2:] == [prompts.CRITIQUE, "This step is wrong: 1+1=3", prompts.REVISE]
    assert solution.trace[-1]["critique"] == ALL_RIGHT


# --- Reflexion ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Accepts:
    """A verifier of fixed texts; reading a solution costs one token."""

    text: str | None = None
    name: str = "accepts"

    def verify(self, llm, question, solutions) -> Verdicts:
        return Verdicts([s.text == self.text for s in solutions], Cost(scored_tokens=1))


def test_reflexion_tries_until_the_verifier_accepts():
    llm = ScriptedLLM(boxed(1), "one", boxed(2), "two", boxed(3), "never asked for")
    solution = chapter.reflexion(llm, PROBLEM, rounds=9, verifier=Accepts(boxed(3)))
    assert solution.answer == "3" and llm.replies == ["never asked for"]
    assert [r["critique"] for r in solution.trace] == [None, "one", "two"]
    assert solution.cost.generated_tokens == 25 and len(solution.completions) == 5
    assert solution.cost.scored_tokens == 3  # each try was verified once


def test_reflexion_remembers_the_last_failures_with_the_reflections():
    llm = ScriptedLLM(boxed(1), "one", boxed(2), "two", boxed(3), "three", boxed(4))
    solution = chapter.reflexion(llm, PROBLEM, rounds=3, verifier=Accepts(), memory=2)
    assert solution.answer == "4" and not llm.replies
    first, second, third = (
        [boxed(i), prompts.CRITIQUE, word, prompts.REVISE]
        for i, word in enumerate(("one", "two", "three"), 1)
    )
    assert llm.asked[4][1:] == first + second
    assert llm.asked[6][1:] == second + third
    assert llm.asked[5][1:] == [boxed(3), prompts.CRITIQUE]  # it reflects on one try at a time
    assert [p.temperature for p in llm.params] == [0] + [0.6] * 6
    assert [p.seed for p in llm.params[1:]] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("memory", [0, -1])
def test_reflexion_remembers_something(memory):
    with pytest.raises(ValueError, match="memory 1"):
        chapter.reflexion(ScriptedLLM(), PROBLEM, memory=memory)


def test_the_test_of_reflexion_is_the_arithmetic():
    llm = ScriptedLLM("1+1=3\n\\boxed{3}", "hm", "1+1=2\n\\boxed{2}")
    assert chapter.reflexion(llm, PROBLEM).answer == "2"
    assert chapter.reflexion(ScriptedLLM("1+1=2\n\\boxed{2}"), PROBLEM).answer == "2"


@pytest.mark.parametrize(
    "text", ["", "1+1=2", "1+1=2\n\\boxed{2", "\\boxed{2}", "1+1=3 \\boxed{3}"]
)
def test_the_arithmetic_accepts_a_finished_solution_only(text):
    for finish_reason in ("stop", "length"):
        for attempt in (text, "1+1=2\n\\boxed{2}"):
            solution = Completion(attempt, [1], [0.0], finish_reason)
            (accepted,), _ = ArithmeticHolds().verify(None, "?", [solution])
            assert accepted == (finish_reason == "stop" and attempt != text)


# --- All ways at once -----------------------------------------------------------------------------


def test_the_same_request_is_worked_on_once():
    llm = ScriptedLLM("a", "b", "c")
    shared = study.CachedReplies(llm)
    ask, greedy = prompts.ask("?"), SamplingParams(temperature=0)
    reply = partial(shared.chat, enable_thinking=False)
    assert reply(ask, greedy) is reply(ask, greedy)
    assert reply(ask, SamplingParams(temperature=0, seed=1))[0].completions[0].text == "b"
    assert reply(prompts.ask("!"), greedy)[0].completions[0].text == "c"


def critique_ids(problem: PooledProblem) -> set[int]:
    """The ids of the objects that are critiques."""
    places = (entry.get("critique") for entry in problem.trace)
    return {id(problem.samples[place]) for place in places if place is not None}


@pytest.fixture(scope="module")
def recorded(tiny, tmp_path_factory):
    """Five problems refined in every way, as their records say."""
    path = tmp_path_factory.mktemp("ch05") / "refine.jsonl"
    gates = {"judge": Judge(), "likelihood": Likelihood()}
    ways = list(chapter.ways_to_refine(gates))
    technique = partial(
        study.refine_in_ways,
        n=3,
        params=chapter.PARAMS,
        rounds=2,
        gates=gates,
        ways=ways,
        answer_of="judge",
        vote=True,
    )
    problems = load_problems("word", split="dev", limit=5)
    evaluate(technique, tiny, problems, out=path, progress=False)
    evaluation = load_evaluation(path)
    assert not evaluation.num_errors
    return gates, evaluation


def test_the_records_say_what_each_way_would_have_done_alone(tiny, recorded):
    gates, evaluation = recorded
    pool = to_pool(evaluation)
    ways = chapter.ways_to_refine(gates)
    assert outcomes.ways_of(pool) == list(ways) and len(ways) == 7
    problems = load_problems("word", split="dev", limit=5)

    def run_alone(technique):
        technique = partial(technique, rounds=2, params=chapter.PARAMS)
        return evaluate(technique, tiny, problems, progress=False)

    with ThreadPoolExecutor(len(ways)) as threads:  # so that they share a batch
        runs = list(threads.map(run_alone, ways.values()))
    for way, alone in zip(ways, runs):
        finals = [outcomes.draft_after(problem, way, 2) for problem in pool]
        assert all(id(final) not in critique_ids(problem) for final, problem in zip(finals, pool))
        # Another batch rounds otherwise, and a text may then go on differently.
        pairs = list(zip(finals, alone.records))
        assert sum(final.answer != record.predicted for final, record in pairs) <= 1
        spent = sum(outcomes.tokens_after(problem, way, 2) for problem in pool)
        assert spent == pytest.approx(alone.cost.generated_tokens, rel=0.2)
    total = sum(sample.num_tokens for problem in pool for sample in problem.samples)
    assert evaluation.cost.generated_tokens == total  # what is shared is generated once


def test_one_way_alone_uses_no_other_gate():
    gates = {"other": Worth("never asked", []), "mine": worth}
    options = {"n": 8, "params": chapter.PARAMS, "rounds": 1, "gates": gates}
    replies = (boxed(5), COMPLAINT, boxed(3))
    gated = chapter.refine_in_one_way(ScriptedLLM(*replies), PROBLEM, way="mine", **options)
    assert gated.answer == "5" and gated.cost.scored_tokens == 10
    ungated = chapter.refine_in_one_way(ScriptedLLM(*replies), PROBLEM, way="ungated", **options)
    assert ungated.answer == "3" and ungated.cost.scored_tokens == 0


def test_every_solution_has_every_score_and_no_critique_has_one(recorded):
    _, evaluation = recorded
    pool = to_pool(evaluation)
    pairs = [(s, id(s) in critique_ids(problem)) for problem in pool for s in problem.samples]
    solutions = [sample for sample, is_critique in pairs if not is_critique]
    assert all(s.measures.keys() == {"logprob", "judge", "likelihood"} for s in solutions)
    assert len(solutions) < len(pairs)
    assert all(s.measures.keys() == {"logprob"} for s, is_critique in pairs if is_critique)
    for solution in solutions:
        recorded_score = solution.measures["likelihood"]
        assert outcomes.score_of(solution, "likelihood") == pytest.approx(recorded_score, abs=1e-3)


def test_the_answer_is_that_of_the_way_asked_for(recorded):
    _, evaluation = recorded
    for problem, record in zip(to_pool(evaluation), evaluation.records):
        assert outcomes.draft_after(problem, "judge", 2).answer == record.predicted


def test_the_samples_are_those_of_a_vote(tiny, recorded):
    _, evaluation = recorded
    pool = to_pool(evaluation)
    problem = load_problems("word", split="dev", limit=1)[0]
    params = SamplingParams(n=3, temperature=0.6, max_tokens=700)
    (output,) = tiny.chat(prompts.ask(problem.question), params, enable_thinking=False)
    drawn = outcomes.drawn_samples(pool)[problem.question]
    assert len(drawn) == 3
    pairs = zip(drawn, output.completions)  # sampled in another batch: one may differ
    assert sum(sample.text == completion.text for sample, completion in pairs) >= 2


# --- Counting what becomes of drafts --------------------------------------------------------------


def sample(answer: str, tokens: int, **measures: float) -> Sample:
    named = {name: float(value) for name, value in measures.items()}
    return Sample("text", answer, answer == "1", tokens, "stop", {"logprob": -1.0} | named)


def turn(number: int, solution: int | None, accepted: bool, critique: int | None = None) -> dict:
    """A round of the way "g", which refers to texts by their places."""
    entry = {"way": "g", "round": number, "accepted": accepted}
    return entry | {"critique": critique, "solution": solution}


def pooled(question: str, *samples: Sample, trace: tuple[dict, ...] = ()) -> PooledProblem:
    return PooledProblem(question, "1", 10, list(samples), list(trace))


def refined(question: str, *texts: tuple[str, int], trace: tuple[dict, ...]) -> PooledProblem:
    """Texts as pairs of answer and tokens."""
    return pooled(question, *(sample(*text) for text in texts), trace=trace)


FIRST = turn(0, 0, True)
KEPT = refined("a", ("1", 10), ("?", 2), ("2", 20), trace=(FIRST, turn(1, 2, False, 1)))
BROKEN = refined("b", ("1", 10), ("?", 2), ("2", 20), trace=(FIRST, turn(1, 2, True, 1)))
REPAIRED = refined(
    "c", ("2", 10), ("2", 20), ("1", 30), trace=(FIRST, turn(1, 1, False), turn(2, 2, True))
)
UNREPAIRED = refined("d", ("2", 10), ("?", 2), trace=(FIRST, turn(1, None, False, 1)))
POOL = [KEPT, BROKEN, REPAIRED, UNREPAIRED, REPAIRED]


def test_drafts_and_tokens_after_each_round():
    assert [outcomes.draft_after(REPAIRED, "g", k).answer for k in range(4)] == ["2", "2", "1", "1"]
    assert [outcomes.tokens_after(REPAIRED, "g", k) for k in range(4)] == [10, 30, 60, 60]
    again = refined("e", ("1", 10), ("2", 20), trace=(FIRST, turn(1, 1, True), turn(2, 0, True)))
    assert [outcomes.draft_after(again, "g", k).answer for k in range(3)] == ["1", "2", "1"]
    assert outcomes.tokens_after(again, "g", 2) == 40  # the first text twice
    with pytest.raises(ValueError, match="'h'"):
        outcomes.draft_after(REPAIRED, "h", 1)


def test_outcomes_are_counted():
    assert outcomes.ways_of(POOL) == ["g"]
    counts = outcomes.count_outcomes(POOL, "g", 2)
    assert counts == {"kept": 1, "broken": 1, "repaired": 2, "unrepaired": 1}
    assert outcomes.count_outcomes(POOL, "g", 1)["repaired"] == 0
    assert outcomes.count_outcomes(POOL, "g", 0)["kept"] == 2


def test_as_many_samples_as_cost_no_more_than_the_tokens():
    drawn = {"a": [sample("1", 10)] * 4, "b": [sample("1", 30)] * 5}
    assert outcomes.tokens_of(drawn) == [20, 40, 60, 80]
    assert outcomes.samples_for(19, drawn) is None  # not even one
    assert [outcomes.samples_for(tokens, drawn) for tokens in (20, 39, 40, 99)] == [1, 1, 2, 4]
    assert outcomes.samples_for(100, drawn) is None  # a fifth, which "a" has not
    assert outcomes.tokens_of({"a": []}) == [] and outcomes.samples_for(9, {}) is None


def test_the_first_draft_may_stand_at_once():
    pool = (KEPT, BROKEN, REPAIRED, UNREPAIRED)
    assert [outcomes.ends_at_once(p, "g") for p in pool] == [False] * 3 + [True]
    passed = refined("f", ("1", 10), trace=(FIRST,))  # its test passed: no critique
    assert outcomes.ends_at_once(passed, "g")
    with pytest.raises(ValueError, match="'g' has criticized nothing"):
        outcomes.first_critique(passed, "g")
    assert outcomes.first_critique(UNREPAIRED, "g") is UNREPAIRED.samples[1]


def test_a_score_that_was_not_recorded_is_named():
    with pytest.raises(ValueError, match="no score by the name of 'reward'"):
        outcomes.best_is_right([pooled("a")], {"a": [sample("1", 5)]}, 1, "reward")


def test_votes_and_best_samples_of_the_first_n():
    drawn = {
        "a": [sample("2", 5, g=0.2), sample("1", 5, g=0.9), sample("1", 5, g=0.1)],
        "b": [sample("1", 5, g=0.2), sample("2", 5, g=0.9), sample("2", 5, g=0.1)],
    }
    pool = [pooled("a"), pooled("b")]
    assert outcomes.vote_is_right(pool, drawn, 1) == [False, True]
    assert outcomes.vote_is_right(pool, drawn, 3) == [True, False]
    assert outcomes.best_is_right(pool, drawn, 3, "g") == [True, False]
    assert outcomes.best_is_right(pool, drawn, 1, "g") == [False, True]


def test_the_comparison_is_paired_with_the_draft_and_with_samples_at_equal_cost():
    drawn = {q: [sample("1", 30, g=0.5), sample("2", 30, g=0.9)] for q in "abcd"}
    draft, gated = outcomes.compare_ways(POOL, ["g"], 2, drawn)
    assert draft["accuracy"] == 0.4 and draft["gain"] == (0, 0, 0, 1)
    assert gated["accuracy"] == pytest.approx(3 / 5) and gated["gain"][0] == pytest.approx(1 / 5)
    assert gated["gain"][1] < 0.2 < gated["gain"][2] and gated["gain"][3] == 1  # 2 against 1
    assert gated["tokens"] == pytest.approx((32 + 32 + 60 + 12 + 60) / 5)
    assert (draft["n"], gated["n"]) == (None, 1)  # 39 tokens buy one sample of 30, 10 buy none
    assert gated["vote"] == 1 and gated["above vote"][0] == pytest.approx(-2 / 5)
    assert gated["best"] == 1 and "vote" not in draft
    assert "vote" not in outcomes.compare_ways(POOL, ["g"], 2)[0]


def test_a_summary_has_every_round_and_every_number_of_samples():
    voting = [sample("2", 5, g=0.2), sample("1", 15, g=0.9)]
    pool = []
    for name, problem in zip("abcde", POOL):
        places = [len(problem.samples), len(problem.samples) + 1]
        trace = (*problem.trace, {"samples": places})
        pool.append(pooled(name, *problem.samples, *voting, trace=trace))
    summary = json.loads(json.dumps(outcomes.summarize(pool, 2, gate="g")))
    assert summary["problems"] == 5 and list(summary["ways"]) == ["g"]
    rounds = summary["ways"]["g"]
    assert [row["accuracy"] for row in rounds] == pytest.approx([0.4, 0.2, 0.6])
    assert [row["repaired"] for row in rounds] == [0, 0, 2]
    assert [row["tokens"] for row in rounds] == pytest.approx(
        [10, (32 * 2 + 30 * 2 + 12) / 5, 39.2]
    )
    assert [row["tokens"] for row in summary["samples"]] == [5, 20]
    assert [row["vote"] for row in summary["samples"]] == [0, 0]
    assert [row["best"] for row in summary["samples"]] == [0, 1]
    assert summary["ends at once"] == {"g": {"right": 0, "wrong": 1}}
    assert outcomes.summarize(POOL, 2)["samples"] == []
    elsewhere = outcomes.summarize(POOL, 2, drawn={q: voting for q in "abcd"})  # no such gate
    assert elsewhere["samples"] == [{"tokens": 5, "vote": 0}, {"tokens": 20, "vote": 0}]


def test_a_pool_of_samples_alone_is_what_votes():
    only = [PooledProblem("a", "1", 10, [Sample("t", "1", True, 5, "stop", {"judge": 0.5})])]
    assert outcomes.drawn_samples(only) == {"a": only[0].samples}
    assert outcomes.drawn_samples([KEPT]) == {"a": []}


# --- The script, for real -------------------------------------------------------------------------

SUMMARY = re.compile(
    r"accuracy (\d\.\d{3}) \[(\d\.\d{3}), (\d\.\d{3})\]  problems (\d+)  "
    r"generated tokens (\d+)  seconds \d+\.\d"
)


def run(*arguments: str, cwd: Path, script: Path = SCRIPT) -> subprocess.CompletedProcess:
    return run_script(script, *arguments, cwd=cwd)


def test_the_script_refines_in_one_way_from_any_folder(tmp_path):
    small = ("--limit", "4", "--split", "dev", "--rounds", "1", "--out", "a.jsonl")
    done = start_script(SCRIPT, *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    accuracy, low, high, problems, _ = SUMMARY.fullmatch(done.stdout.splitlines()[-1]).groups()
    assert float(low) <= float(accuracy) <= float(high) and int(problems) == 4
    settings = json.loads((tmp_path / "a.settings.json").read_text())["settings"]
    assert settings["way"] == "reward" and settings["gates"]["reward"] == "reward_last"
    assert re.fullmatch("[0-9a-f]{12}", settings["reward_weights"])
    done = run("--records", "a.jsonl", script=STUDY, cwd=tmp_path)  # it holds no comparison
    assert done.returncode == 2 and "study.py" in done.stderr


def test_the_comparison_prints_every_way_and_votes_from_a_recorded_pool(tmp_path):
    small = ("--limit", "4", "--split", "dev", "--rounds", "1", "--n", "2")
    compare = partial(run, script=STUDY, cwd=tmp_path)
    done = compare(*small, "--gates", "likelihood", "reward", "--out", "a.jsonl")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert SUMMARY.fullmatch(lines[-1])
    names = ["the draft", "ungated", "likelihood", "reward", "reward, no stop"]
    names += ["arithmetic", "arithmetic + reward", "reflexion"]
    tables = lines[: 2 * len(names) + 3]  # two headings and an empty line between
    named = [line[:24].strip() for line in tables]
    assert [name for name in named if name in names] == names * 2
    here = ("--chapter", str(tmp_path))
    done = start_script(STUDY, "--records", "a.jsonl", "--summary", "a", *here, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[: len(tables)] == tables
    results = tmp_path / "results"
    assert {path.name for path in results.iterdir()} == {"a.json", "a_flow.png", "a_rounds.png"}
    summary = json.loads((results / "a.json").read_text())
    assert [row["name"] for row in summary["equal cost"]] == names
    page = (tmp_path / "RESULTS.md").read_text()
    assert all(f"\n| {name} |" in page for name in names[1:]) and "\n| *the draft* |" in page
    assert compare("--tables", *here).returncode == 0
    assert (tmp_path / "RESULTS.md").read_text() == page
    assert list(summary["ways"]) == list(summary["ends at once"]) == names[1:]
    assert all("best" in row for row in summary["samples"]) and len(summary["samples"]) == 2

    samples_of = ("--gates", "judge", "--pool", "a.jsonl", "--out", "b.jsonl")
    again = compare(*small, *samples_of)
    assert again.returncode == 0, again.stderr
    records = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert not [entry for record in records for entry in record["trace"] if "samples" in entry]
    assert "at equal cost" in again.stdout
    # Another gate than "reward", and samples from elsewhere, which it has not scored.
    done = compare("--records", "b.jsonl", "--pool", "a.jsonl", "--summary", "b", *here)
    assert done.returncode == 0, done.stderr
    samples = json.loads((results / "b.json").read_text())["samples"]
    assert [row.keys() for row in samples] == [{"tokens", "vote"}] * 2
    without = compare("--records", "b.jsonl", "--summary", "c", *here)
    assert without.returncode == 0, without.stderr
    # A pool of other problems is refused before the run, and before the study.
    other = compare(*small, "--gates", "judge", "--pool", "a.jsonl", "--problems", "word:hard")
    assert other.returncode == 2 and "a.jsonl has no samples of 4 of the 4" in other.stderr


def test_a_question_that_failed_is_left_out_and_counted(recorded, tmp_path, capsys):
    _, evaluation = recorded
    path = tmp_path / "failed.jsonl"
    first, *others = evaluation.records
    failed = Record(first.index, first.id, first.question, first.gold, error="OSError: gone")
    path.write_text("".join(json.dumps(asdict(r)) + "\n" for r in (failed, *others)))
    settings = {"version": VERSION, "settings": evaluation.settings}
    path.with_suffix(".settings.json").write_text(json.dumps(settings))
    study.print_comparison(load_evaluation(path))
    printed = capsys.readouterr().out
    assert printed.startswith("1 of 5 problems ended in an error") and "reflexion" in printed
    path.write_text(
        "".join(json.dumps(asdict(replace(failed, id=str(i), index=i))) + "\n" for i in range(5))
    )
    with pytest.raises(ValueError, match="5 of 5 questions failed: OSError: gone"):
        study.print_comparison(load_evaluation(path))


@pytest.mark.parametrize(
    "change",
    [
        {"way": 7},
        {"round": -1},
        {"round": None},
        {"accepted": 1},
        {"critique": "0"},
        {"critique": 99},
        {"solution": 99},
        {"solution": None},
        {"samples": 1},
        {"samples": [99]},
        {"samples": [None]},
    ],
)
def test_a_trace_that_is_damaged_is_named(recorded, change):
    _, evaluation = recorded
    record = evaluation.records[2]
    trace = [record.trace[0] | change, *record.trace[1:]]
    records = [*evaluation.records[:2], replace(record, trace=trace)]
    with pytest.raises(UserError, match="has a wrong entry: {"):
        outcomes.refined_pool(replace(evaluation, records=records))


def test_the_trace_says_what_measures_said(recorded, tmp_path):
    """Every text has its place in the trace, and what ways share they share by its place."""
    _, evaluation = recorded
    for record in evaluation.records:
        *rounds, last = record.trace
        named = [entry[name] for entry in rounds for name in ("critique", "solution")]
        used = {place for place in named if place is not None} | set(last["samples"])
        assert used == set(range(len(record.completions)))
        firsts = {entry["solution"] for entry in rounds if entry["round"] == 0}
        assert firsts == {0}  # the greedy draft, of all ways


@pytest.mark.parametrize("name", ["nothing.jsonl", "qwen2.5-coder-0.5b_gsm_symbolic.jsonl"])
def test_what_is_no_comparison_is_one_line(tmp_path, name):
    done = run("--records", str(POOLS_FOLDER / name), script=STUDY, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--reward-model", "no/such/place/at all"), "neither a folder"),
        (("--rounds", "0"), "rounds must be at least 1"),
        (("--pool", "nothing.jsonl"), "nothing"),
        (("--way", "backwards"), "way must be one of ungated"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(tmp_path, arguments, message):
    script = STUDY if "--pool" in arguments else SCRIPT
    done = run(*arguments, script=script, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# --- Different critiques of the same drafts -------------------------------------------------------


def test_a_random_complaint_names_a_step_and_always_the_same():
    draft = "Plan: in order.\n1+1=2\n2+2=4\nThe answer is \\boxed{4}."
    found = {controls.random_complaint(draft + " " * i) for i in range(20)}
    assert found == {controls.SAYS + "1+1=2", controls.SAYS + "2+2=4"}
    assert controls.random_complaint(draft) == controls.random_complaint(draft)
    assert controls.random_complaint("57") == "Some step is wrong."


def test_the_oracle_names_the_first_step_that_departs_from_the_plan():
    oracle = controls.Oracle.of_word("dev", 3)
    for question, problem in oracle.problems.items():
        solution = solve(problem, "in order", split=False)
        assert oracle.complaint(question, solution) == ALL_RIGHT
        lines = solution.split("\n")
        wrong = [*lines[:-2], lines[-2] + "0", f"The answer is \\boxed{{{problem.answer}0}}."]
        found = oracle.complaint(question, "\n".join(wrong))
        assert found == controls.SAYS + lines[-2] + "0"


def test_every_critic_speaks_about_the_same_draft():
    question, problem = next(iter(controls.Oracle.of_word("dev", 1).problems.items()))
    draft = solve(problem, "in order", split=False).replace("boxed{", "boxed{9")
    llm = ScriptedLLM(draft, COMPLAINT, boxed(1), boxed(2), boxed(3), boxed(4), boxed(5))
    solution = controls.revise_after_each(
        llm,
        Problem(question, None),
        n=1,
        params=chapter.PARAMS,
        oracle=controls.Oracle({question: problem}),
    )
    *critics, samples = solution.trace
    assert [entry["critic"] for entry in critics] == list(controls.CRITICS)
    assert [solution.completions[entry["solution"]].text for entry in critics] == [
        boxed(number) for number in (1, 2, 3, 4)
    ]
    said = [asked[3] for asked in llm.asked[2:6]]
    assert said == [entry["critique"] for entry in critics] and len(set(said)) == 4
    assert said[0] == COMPLAINT and said[2] == ALL_RIGHT
    assert solution.completions[samples["samples"][0]].text == boxed(5)
    assert [p.seed for p in llm.params[1:6]] == [1] * 5  # as in round 1 of self_refine


def test_critics_are_counted_over_right_and_wrong_drafts():
    def of(*answers: str) -> PooledProblem:
        """The answers of the draft, after each critic, and of one sample; "1" is right."""
        trace = [{"critic": c, "solution": i} for i, c in enumerate(controls.CRITICS, 1)]
        return pooled("?", *(sample(a, 5) for a in answers), trace=(*trace, {"samples": [5]}))

    pool = [of("1", "1", "2", "1", "1", "1"), of("1", "2", "1", "1", "1", "2")]
    pool += [of("2", "2", "2", "1", "1", "2")]
    rows = controls.compare_critics(pool)
    assert [row["critic"] for row in rows] == [*controls.CRITICS, "samples"]
    assert [row["kept"] for row in rows] == [1, 1, 2, 2, 1]
    assert [row["repaired"] for row in rows] == [0, 0, 1, 1, 0]
    assert {(row["right drafts"], row["wrong drafts"]) for row in rows} == {(2, 1)}
    assert rows[2]["above own"][0] == pytest.approx(2 / 3) and "above own" not in rows[0]


def test_the_controls_are_run_and_written(tmp_path):
    script = SCRIPT.with_name("controls.py")
    small = ("--limit", "2", "--split", "dev", "--n", "2", "--chapter", str(tmp_path))
    done = start_script(script, *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "results" / "controls.json").read_text())["critics"]
    assert [row["right drafts"] + row["wrong drafts"] for row in rows] == [2] * 5
    assert "| random step |" in (tmp_path / "RESULTS.md").read_text()


# --- The exercises --------------------------------------------------------------------------------


def check_name(check) -> str:
    """The name of a check, which may have been given its pool."""
    return getattr(check, "func", check).__name__


def names(cases: list[tuple]) -> list[str]:
    return [f"{check_name(check)}: {function.__name__}" for check, function, *_ in cases]


@pytest.mark.parametrize(("check", "answer"), RIGHT, ids=names(RIGHT))
def test_right_answers_pass(check, answer, capsys):
    check(answer)
    assert re.search("Exercise . (is right|keeps to the rules)", capsys.readouterr().out)


@pytest.mark.parametrize(("check", "answer", "message"), WRONG, ids=names(WRONG))
def test_wrong_answers_are_rejected_with_words_that_help(check, answer, message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check(answer)


def test_every_exercise_has_eight_wrong_answers_and_two_right_ones():
    cells = nbformat.read(SCRIPT.with_name("exercises.ipynb"), as_version=4).cells
    called = re.findall(r"checks\.(\w+)\(", "\n".join(cell.source for cell in cells))
    wrong, right = (Counter(check_name(check) for check, *_ in each) for each in (WRONG, RIGHT))
    assert len(called) == 6
    for name in called:
        assert wrong[name] >= 8 and right[name] >= 2


def test_an_unsolved_exercise_says_so():
    def stopped(problem, enough, rounds=3):
        raise NotImplementedError

    def combined(problem):
        raise NotImplementedError

    with pytest.raises(AssertionError, match="not written yet"):
        checks.check_stopped(stopped)
    with pytest.raises(AssertionError, match="not written yet"):
        checks.check_combined(combined, checks.TOY, 99)


def test_a_metered_text_is_paid_for_once_and_shows_no_grade():
    problem = Metered(checks.TOY[0])
    assert problem.tokens == 0 and problem.answers == []
    assert problem.critique() == "?" and problem.tokens == 43  # with the draft
    assert problem.draft().answer == "1" and problem.tokens == 43
    assert problem.revision().scores == {"reward": 0.1} and problem.tokens == 77
    assert problem.sample(0) == problem.sample(0) and problem.tokens == 105
    assert problem.answers == ["1", "2", "1"]
    assert not hasattr(problem.sample(1), "is_right")
    assert not any(isinstance(value, Sample) for value in vars(problem).values())
    assert Metered(checks.TOY[2]).revision() is None
    for number in (-1, 4):
        with pytest.raises(IndexError, match=f"no sample {number}"):
            problem.sample(number)
