"""Best-of-N: the ranking on toy data, the script for real, and a hub reward model's layout."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

import nbformat
import pytest
import torch
import transformers
from safetensors.torch import save_file
from scripts import run_script, start_script
from wrong_answers.ch03 import RIGHT, WRONG

from ch03_best_of_n import best_of_n as chapter
from ch03_best_of_n import checks, figures, measures, study, tables
from shared import Completion, Cost, Problem, RequestOutput, SamplingParams, load_problems
from shared.evaluation.evaluate import evaluate
from shared.evaluation.pool import (
    PooledProblem,
    Sample,
    accuracy_at,
    majority,
    read_pool,
    to_pool,
)
from shared.rewards.interfaces import Scores
from shared.rewards.judge import judge
from shared.rewards.process_reward import SEPARATED_SYSTEM, ProcessRewardModel, encode_separated
from shared.rewards.scorers import Certainty, Judge, Length, Likelihood, Reward

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "ch03_best_of_n" / "best_of_n.py"
STUDY = ROOT / "ch03_best_of_n" / "study.py"
TINY = ROOT / "shared" / "tiny" / "checkpoint"
QUESTION = "Ana has 45 shells. Ana buys 12 more. How many shells does Ana have now?"
SOLUTION = "Plan: in order.\n\n45+12=57\n\nThe answer is \\boxed{57}."


# --- A reward model in the layout of Qwen/Qwen2.5-Math-PRM-7B -------------------------------------


def write_hub_reward_model(folder: Path, with_lm_head: bool = False) -> tuple:
    """A small random one, written by transformers and torch; returns its backbone and its head."""
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(TINY / name, folder)
    tokenizer = json.loads((TINY / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer["added_tokens_decoder"]["530"] = {"content": "<extra_0>", "special": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=531,
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        attn_implementation="eager",
    )
    backbone = transformers.Qwen2Model(config).eval().requires_grad_(False)
    linear = torch.nn.Linear
    head = torch.nn.Sequential(linear(32, 32), torch.nn.ReLU(), linear(32, 2)).requires_grad_(False)
    for name, parameter in [*backbone.named_parameters(), *head.named_parameters()]:
        parameter.normal_(mean=float(name.endswith("norm.weight")), std=0.3)
    tensors = {f"model.{name}": tensor for name, tensor in backbone.state_dict().items()}
    tensors |= {f"score.{name}": tensor for name, tensor in head.state_dict().items()}
    if with_lm_head:
        tensors["lm_head.weight"] = torch.ones(531, 32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    hub = config.to_dict() | {"architectures": ["Qwen2ForProcessRewardModel"]}
    (folder / "config.json").write_text(json.dumps(hub), encoding="utf-8")
    return backbone, head


@pytest.mark.parametrize("with_lm_head", [False, True])
def test_a_hub_reward_model_scores_as_transformers_backbone_and_its_head(tmp_path, with_lm_head):
    backbone, head = write_hub_reward_model(tmp_path, with_lm_head)
    # The reference of the model card: the whole chat as text, a separator after each step, and
    # the softmax probability of the second label wherever the separator stands.
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    steps = SOLUTION.split("\n\n")
    chat = [
        {"role": "system", "content": SEPARATED_SYSTEM},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"},
    ]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    ids = tokenizer(text, return_tensors="pt").input_ids
    probabilities = head(backbone(ids).last_hidden_state).softmax(dim=-1)
    expected = probabilities[ids == tokenizer.convert_tokens_to_ids("<extra_0>")][:, 1]
    assert len(expected) == 3 and expected.std() > 0.01

    model = ProcessRewardModel.from_folder(tmp_path, device="cpu")
    together = model.step_scores(QUESTION, [SOLUTION, "57"])
    torch.testing.assert_close(torch.tensor(together[0]), expected, atol=1e-5, rtol=0)
    assert len(together[1]) == 1
    assert not hasattr(model, "lm_head")


def test_a_separator_that_a_user_wrote_is_text(tmp_path):
    write_hub_reward_model(tmp_path)
    tokenizer = ProcessRewardModel.from_folder(tmp_path, device="cpu").tokenizer
    ids, ends = encode_separated(tokenizer, "What is <extra_0>?", "<extra_0>\n\n\n\nIt is 1.")
    assert ids.count(530) == len(ends) == 2
    assert [ids[end] for end in ends] == [530, 530]


def test_the_shipped_reward_model_goes_by_the_name_of_its_policy():
    scores = ProcessRewardModel.from_folder("tiny", device="cpu").step_scores(QUESTION, [SOLUTION])
    assert scores == ProcessRewardModel.from_folder(device="cpu").step_scores(QUESTION, [SOLUTION])


def test_a_vocabulary_without_the_separator_is_refused(tiny):
    with pytest.raises(ValueError, match="<extra_0>"):
        encode_separated(tiny.tokenizer, QUESTION, SOLUTION)


# --- Choosing by scores ---------------------------------------------------------------------------


def test_the_best_answer_is_that_of_the_highest_score_which_has_one():
    assert chapter.best_answer(["1", "2", None], [0.1, 0.5, 0.9]) == "2"
    assert chapter.best_answer(["1", "2"], [0.5, 0.5]) == "1"
    assert chapter.best_answer(["1", "2"], [0.0, -1.0]) == "1"
    assert chapter.best_answer([None], [0.9]) is None
    assert chapter.best_answer([], []) is None


def test_scores_of_equal_answers_add_up():
    assert chapter.weighted_answer(["1", "2", "1", None], [0.3, 0.5, 0.3, 9.0]) == "1"
    assert chapter.weighted_answer(["1", "2", "1"], [0.2, 0.5, 0.2]) == "2"
    assert chapter.weighted_answer(["2", "1,000", "1000"], [0.5, 0.3, 0.3]) == "1,000"
    assert chapter.weighted_answer([None, None], [1.0, 1.0]) is None
    with pytest.raises(ValueError, match="-1.0"):
        chapter.weighted_answer(["1", "2"], [0.5, -1.0])


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, None])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_score_that_is_no_number_is_an_error_wherever_it_stands(wrong, place):
    scores = [0.25] * 4
    scores[place] = wrong
    for choose in (chapter.best_answer, chapter.weighted_answer):
        with pytest.raises(ValueError, match=f"the score of sample {place + 1} is {wrong}"):
            choose(["1", "2", "1", None], scores)


def test_there_is_a_score_for_every_answer():
    for choose in (chapter.best_answer, chapter.weighted_answer):
        with pytest.raises(ValueError, match="1 numbers .* for 2 samples"):
            choose(["1", "2"], [0.5])


def test_equal_weights_are_a_vote_and_large_powers_are_best_of_n():
    answers, scores = ["2", "1", "2", "3"], [0.5, 0.8, 0.4, 0.1]
    assert chapter.weighted_answer(answers, [1.0] * 4) == "2"
    assert chapter.weighted_answer(answers, [s**50 for s in scores]) == "1"
    assert chapter.best_answer(answers, scores) == "1"


# --- The scorers ----------------------------------------------------------------------------------


def completion(text: str, logprobs: list[float], finish_reason: str = "stop") -> Completion:
    return Completion(text, list(range(len(logprobs))), logprobs, finish_reason)


def test_length_counts_tokens_of_finished_solutions_with_a_box():
    samples = [
        completion("\\boxed{1}", [-1.0] * 3),
        completion("it is 1", [-1.0] * 4),
        completion("\\boxed{1}", [-1.0] * 5, "length"),
    ]
    assert Length().score(None, "?", samples) == Scores([3, 0, 0], Cost())


def test_likelihood_is_the_geometric_mean_of_the_tokens_probabilities():
    half_and_eighth = completion("a", [math.log(0.5), math.log(0.125)])
    assert Likelihood().score(None, "?", [half_and_eighth]).scores == [pytest.approx(0.25)]
    longer = completion("a", [math.log(0.5)] * 9)
    assert Likelihood().score(None, "?", [longer]) == ([pytest.approx(0.5)], Cost())


class FakeReward:
    """Scores each line by the number that stands in it."""

    def step_scores(self, question: str, solutions: list[str]) -> list[list[float]]:
        return [[float(line) for line in solution.split("\n")] for solution in solutions]


@pytest.mark.parametrize(
    ("aggregate", "expected"), [("last", 0.5), ("min", 0.25), ("mean", 0.5), ("prod", 0.09375)]
)
def test_a_reward_is_the_aggregate_of_the_steps(aggregate, expected):
    scorer = Reward(FakeReward(), aggregate)
    scores, cost = scorer.score(None, "?", [completion("0.25\n0.75\n0.5", [-1.0] * 9)])
    assert scores == [pytest.approx(expected)]
    assert cost == Cost(scored_tokens=9, forward_passes=1)
    assert scorer.name == f"reward_{aggregate}"  # so that runs with others do not mix


def test_certainty_is_the_mean_of_what_sampling_noted():
    sure, unsure = completion("a", [-0.1] * 2), completion("b", [-0.1] * 3)
    sure.certainties, unsure.certainties = [5.0, 7.0], [1.0, 2.0, 3.0]
    assert Certainty().score(None, "?", [sure, unsure]) == Scores([6.0, 2.0], Cost())


def test_the_model_is_asked_about_every_solution(tiny):
    samples = [completion("The answer is \\boxed{57}.", [-0.1]), completion("57", [-0.1])]
    expected = [judge(tiny, QUESTION, sample.text) for sample in samples]
    assert abs(expected[0] - expected[1]) > 1e-3
    assert Judge().score(tiny, QUESTION, samples).scores == pytest.approx(expected, abs=1e-5)


# --- The technique --------------------------------------------------------------------------------


class FakeLLM:
    """Replies with given solutions, and remembers what it was asked."""

    def __init__(self, *texts: str) -> None:
        self.completions = [completion(text, [-0.1] * (10 + i)) for i, text in enumerate(texts)]

    def chat(self, messages, params, *, enable_thinking=True):
        self.messages, self.params, self.thinking = messages, params, enable_thinking
        cost = Cost(prompt_tokens=7, generated_tokens=33, forward_passes=31)
        return [RequestOutput([1], self.completions[: params.n], cost)]


class GivenScores:
    """A scorer that returns given numbers, at the price of one forward pass each."""

    name = "given scores"

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def score(self, llm, question, solutions):
        return Scores(self.scores, Cost(scored_tokens=33, forward_passes=len(solutions)))


def test_best_of_n_answers_by_score_and_adds_what_scoring_cost():
    llm = FakeLLM("\\boxed{1}", "\\boxed{2}", "\\boxed{1}")
    problem, scorer = Problem("How many?", None), GivenScores(0.4, 0.7, 0.5)
    best = chapter.best_of_n(llm, problem, n=3, scorer=scorer)
    assert best.answer == "2" and best.scores == [0.4, 0.7, 0.5]
    assert llm.params.n == 3 and llm.params.temperature == 0.6 and not llm.thinking
    assert "How many?" in llm.messages[0]["content"]
    assert best.cost == Cost(7, 33, scored_tokens=33, forward_passes=31 + 3)
    sum_of_scores = chapter.weighted_answer
    assert chapter.best_of_n(llm, problem, n=3, scorer=scorer, choose=sum_of_scores).answer == "1"
    free = chapter.best_of_n(llm, problem, n=3, scorer=Length())
    assert free.answer == "1" and free.cost.scored_tokens == 0


def test_a_scorer_that_gives_no_number_is_named():
    for choose in (chapter.best_answer, chapter.weighted_answer):
        llm = FakeLLM("\\boxed{1}", "\\boxed{2}")
        with pytest.raises(ValueError, match="given scores of sample 1 is nan"):
            shaky = GivenScores(math.nan, 0.5)
            chapter.best_of_n(llm, Problem("?", None), n=2, scorer=shaky, choose=choose)
    unlikely = FakeLLM("\\boxed{1}", "\\boxed{2}")
    unlikely.completions[1].logprobs[3] = math.nan
    with pytest.raises(ValueError, match="likelihood of sample 2 is nan"):
        chapter.best_of_n(unlikely, Problem("?", None), n=2, scorer=Likelihood())


# --- The comparison -------------------------------------------------------------------------------


def sample(answer: str | None, certainty: float, *, right: str = "1", tokens: int = 5) -> Sample:
    measures = {"certainty": certainty, "logprob": -0.5 * tokens, "log_reward_min": -1.0}
    return Sample("\\boxed{}", answer, answer == right, tokens, "stop", measures)


def pooled(*samples: Sample) -> PooledProblem:
    return PooledProblem("?", "1", 10, list(samples))


def test_scores_of_pooled_samples_are_those_of_the_scorers():
    one = sample("1", 3.0, tokens=8)
    assert measures.score_of(one, "certainty") == 3.0
    assert measures.score_of(one, "likelihood") == pytest.approx(math.exp(-0.5))
    assert measures.score_of(one, "reward_min") == pytest.approx(math.exp(-1.0))
    assert measures.score_of(one, "length") == 8
    assert measures.score_of(Sample("1", "1", True, 8, "stop", {}), "length") == 0
    for measure in ("certainty", "likelihood", "reward_min", "judge"):
        for noted in ({}, {"certainty": math.nan, "logprob": math.nan, "log_reward_min": math.inf}):
            with pytest.raises(ValueError, match=f"{measure} of the sample 'text' is"):
                measures.score_of(Sample("text", "1", True, 8, "stop", noted), measure)


def test_a_pool_is_ranked_between_the_vote_and_the_oracle():
    pool = [pooled(sample("2", 1.0), sample("2", 2.0), sample("1", 3.0))]
    ways = {
        "vote": majority,
        "best": measures.ranked_by("certainty"),
        "weighted": measures.ranked_by("certainty", chapter.weighted_answer),
        "oracle": measures.oracle,
    }
    accuracy = {name: accuracy_at(pool, choose, 3) for name, choose in ways.items()}
    assert accuracy == {"vote": [0.0], "best": [1.0], "weighted": [0.0], "oracle": [1.0]}
    assert measures.oracle([sample("2", 1.0)]) is None


def test_ranks_show_what_an_auc_hides():
    tricky = pooled(sample("1", 5.0), sample("1", 6.0), sample("2", 2.0), sample("2", 9.0))
    assert measures.auc_within([tricky], "certainty") == pytest.approx(0.5)
    assert measures.share_right_by_rank([tricky, tricky], "certainty") == [0.0, 1.0, 1.0, 0.0]
    assert measures.one_sample([tricky]) == [0.5]


def test_curves_are_exact_where_there_are_few_draws():
    pool = [pooled(sample("1", 3.0), sample("2", 1.0), sample("2", 2.0), sample("3", 0.5))]
    assert figures.accuracy_of_draws(pool, majority, 1) == [0.25]
    assert figures.accuracy_of_draws(pool, majority, 2) == [0.25]  # a tie goes to the first
    assert figures.accuracy_of_draws(pool, measures.ranked_by("certainty"), 2) == [0.5]
    assert figures.accuracy_of_draws(pool, measures.ranked_by("certainty"), 4) == [1.0]


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.1, 0.5], [0.1, 0.5]),
        ([0.5, 0.5], [0.475, 0.525]),
        ([0.2, 0.49, 0.5, 0.51], [0.2, 0.45, 0.5, 0.55]),
        ([0.40, 0.44, 0.5], [0.395, 0.445, 0.5]),
        ([], []),
    ],
)
def test_the_names_of_lines_keep_their_distance(heights, expected):
    assert figures.spread(heights, 0.05) == pytest.approx(expected)


def test_the_dev_pool_has_all_scores_and_no_test_problem():
    pool = read_pool(SCRIPT.with_name("dev_pool.jsonl"))
    assert len(pool) == 400 and {len(each.samples) for each in pool} == {8}
    for name in measures.MEASURES:
        assert all(measures.score_of(s, name) >= 0 for each in pool[:20] for s in each.samples)
    asked = {problem.question for problem in load_problems("word", limit=400)}
    assert asked.isdisjoint(each.question for each in pool)


def test_the_auc_within_problems_ignores_which_problem_is_easy():
    easy = pooled(sample("1", 8.0), sample("1", 9.0))
    hard = pooled(sample("1", 1.0), sample("2", 2.0), sample("3", 0.5), sample("3", 1.0))
    assert measures.auc_within([easy, hard], "certainty") == pytest.approx(1.5 / 3)
    assert math.isnan(measures.auc_within([easy], "certainty"))


def test_the_printed_votes_say_what_two_ways_choose(capsys):
    votes = [sample(a, s) for a, s in (("2", 0.9), ("1", 0.6), ("1", 0.5), (None, 0.95))]
    tables.print_votes(pooled(*votes), "certainty")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["2", "0.90", "=", "0.90"]
    assert lines[1].split() == ["1", "right", "1.10", "=", "0.60", "+", "0.50"]
    assert lines[-2:] == ["best-of-4: 2, weighted vote: 1", ""]


def test_the_table_by_right_samples_counts_what_weighting_wins(capsys):
    def rewarded(answer, reward):
        return Sample("", answer, answer == "1", 5, "stop", {"log_reward_last": math.log(reward)})

    won = pooled(rewarded("2", 0.1), rewarded("2", 0.2), rewarded("1", 0.9))
    lost = pooled(rewarded("1", 0.1), rewarded("1", 0.2), rewarded("2", 0.9))
    tables.print_by_number_right([won, won, lost])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:3]] == [
        ["1", "2", "0%", "100%"],
        ["2", "1", "100%", "0%"],
    ]
    assert lines[3] == "won by weighting: 2 problems; lost: 1"
    assert [each.samples for each in tables.fooled([won, lost])] == [lost.samples]


def test_the_comparison_is_paired_with_the_vote():
    won = pooled(sample("2", 1.0), sample("2", 2.0), sample("1", 3.0))
    lost = pooled(sample("1", 1.0), sample("1", 2.0), sample("2", 3.0))
    rows = study.compare_scorers([won, won, lost, won], ("certainty",))
    fixed = ["one sample", "majority vote", "oracle: pass@3"]
    assert [row["name"] for row in rows] == fixed + ["certainty"] * 2
    one, vote, ceiling, best, weighted = rows
    assert one["accuracy"] == pytest.approx((3 * 1 / 3 + 2 / 3) / 4)
    assert one["low"] < one["accuracy"] < one["high"]
    assert one["gain"] == pytest.approx(one["accuracy"] - 0.25) == -vote["over_one"]
    assert best["over_one"] == pytest.approx(0.75 - one["accuracy"]) and one["over_one"] == 0
    assert (vote["accuracy"], ceiling["accuracy"], best["accuracy"]) == (0.25, 1.0, 0.75)
    assert (vote["gain"], best["gain"]) == (0.0, 0.5)
    assert best["gain_low"] < 0.5 < best["gain_high"]
    assert best["low"] < 0.75 < best["high"]
    assert best["auc"] == pytest.approx(6 / 8) and vote["auc"] is None
    assert weighted["method"] == "weighted"


def test_products_of_many_steps_survive_the_records(tiny):
    params = SamplingParams(temperature=0.6, max_tokens=400)
    technique = partial(measures.sample_and_measure, n=2, params=params)
    problems = load_problems("word", split="dev", limit=2)

    class Strict:
        def step_scores(self, question, solutions):
            return [[0.1] * 30 for _ in solutions]

    strict = partial(technique, reward_model=Strict())
    evaluation = evaluate(strict, tiny, problems, progress=False)
    for problem in to_pool(evaluation):
        for each in problem.samples:
            assert measures.score_of(each, "reward_prod") == pytest.approx(1e-30, rel=1e-3)
            assert measures.score_of(each, "reward_mean") == pytest.approx(0.1, rel=1e-3)
            assert {"certainty", "judge"} <= each.measures.keys()
    read = sum(record.scored_tokens for record in evaluation.records)
    generated = sum(record.generated_tokens for record in evaluation.records)
    assert read == generated + 2 * 4  # the reward model, and two tokens of the judge each


# --- The exercises --------------------------------------------------------------------------------


def names(cases: list[tuple]) -> list[str]:
    return [f"{check.__name__}: {function.__name__}" for check, function, *_ in cases]


@pytest.mark.parametrize(("check", "answer"), RIGHT, ids=names(RIGHT))
def test_right_answers_pass(check, answer, capsys):
    check(answer)
    assert re.search("is right|unseen problems", capsys.readouterr().out)


@pytest.mark.parametrize(("check", "answer", "message"), WRONG, ids=names(WRONG))
def test_wrong_answers_are_rejected_with_words_that_help(check, answer, message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check(answer)


def test_every_exercise_has_eight_wrong_answers_and_two_right_ones():
    cells = nbformat.read(SCRIPT.with_name("exercises.ipynb"), as_version=4).cells
    called = re.findall(r"checks\.(\w+)\(", "\n".join(cell.source for cell in cells))
    wrong, right = (Counter(check.__name__ for check, *_ in each) for each in (WRONG, RIGHT))
    assert len(called) == 7 and called[-1] == "compare_on_unseen"
    for name in (*called[:-1], "seven"):  # `seven` is the comparison on a small pool
        assert wrong[name] >= 8 and right[name] >= 2


def test_an_unsolved_exercise_says_so():
    def expected_best_of_n(scores, is_right, n):
        raise NotImplementedError

    with pytest.raises(AssertionError, match="not written yet"):
        checks.check_expected_best_of_n(expected_best_of_n)


# --- The script, for real -------------------------------------------------------------------------

SUMMARY = re.compile(
    r"accuracy (\d\.\d{3}) \[(\d\.\d{3}), (\d\.\d{3})\]  problems (\d+)  "
    r"generated tokens (\d+)  seconds \d+\.\d"
)


def run(*arguments: str, cwd: Path, script: Path = SCRIPT) -> subprocess.CompletedProcess:
    return run_script(script, *arguments, cwd=cwd)


def test_the_script_ranks_from_any_folder(tmp_path):
    small = ("--limit", "6", "--n", "4", "--split", "dev", "--out", "a.jsonl")
    done = start_script(SCRIPT, *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    accuracy, low, high, problems, tokens = SUMMARY.fullmatch(done.stdout.splitlines()[-1]).groups()
    assert float(low) <= float(accuracy) <= float(high)
    assert int(problems) == 6 and int(tokens) > 6 * 4 * 20
    records = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(records) == 6 and {len(record["scores"]) for record in records} == {4}
    settings = json.loads((tmp_path / "a.settings.json").read_text())["settings"]
    assert settings["scorer"] == "reward_last" and settings["choose"] == "weighted_answer"


def test_the_study_compares_every_scorer_on_one_pool_and_writes_what_it_prints(tmp_path):
    small = ("--limit", "6", "--n", "4", "--split", "dev", "--chapter", str(tmp_path))
    done = run(*small, cwd=tmp_path, script=STUDY)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert SUMMARY.fullmatch(lines[-1])
    table = [line for line in lines if re.search(r"[+-]\d+\.\d \[", line)]
    assert [line.split()[0] for line in table[3::2]] == list(measures.MEASURES)
    content = json.loads((tmp_path / "results" / "tiny_word.json").read_text("utf-8"))
    accuracies = [row["accuracy"] for row in content["rows"]]
    for line, accuracy in zip(table, accuracies):
        assert f" {100 * accuracy:.1f} [" in line
    assert max(accuracies) == accuracies[2]  # the oracle
    assert f"accuracy {accuracies[1]:.3f}" in lines[-1]  # the vote is what the run itself answers
    assert content["settings"]["reward_weights"] and content["settings"]["num_problems"] == 6
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    for accuracy in accuracies:
        assert f"| {accuracy:.3f} [" in page
    assert (tmp_path / "results" / "tiny_word.png").stat().st_size > 10_000


def test_the_results_of_the_recorded_pool_are_those_in_the_chapter(tmp_path):
    """The study of the recorded pool, run again, gives the numbers that the chapter shows."""
    name = "qwen2.5-coder-0.5b_gsm_symbolic"
    recorded = ROOT / "shared" / "pools" / f"{name}.jsonl"
    arguments = ("--pool", str(recorded), "--chapter", str(tmp_path))
    done = run(*arguments, cwd=tmp_path, script=STUDY)
    assert done.returncode == 0, done.stderr
    ours, again = (
        json.loads((folder / "results" / f"{name}.json").read_text("utf-8"))
        for folder in (SCRIPT.parent, tmp_path)
    )
    assert ours == again
    shutil.copytree(SCRIPT.parent / "results", tmp_path / "results", dirs_exist_ok=True)
    shown = study.write_results(tmp_path).read_text("utf-8")
    assert (SCRIPT.parent / "RESULTS.md").read_text("utf-8") == shown


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (SCRIPT, ("--reward-model", "no/such/place/at all"), "neither a folder"),
        (SCRIPT, ("--scorer", "likelihood", "--n", "0"), "n must be at least 1"),
        (STUDY, ("--problems", "nonsense"), "nonsense"),
        (STUDY, ("--pool", "nothing.jsonl"), "nothing"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(tmp_path, script, arguments, message):
    done = run(*arguments, cwd=tmp_path, script=script)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
