"""Judge and process reward model: against transformers' backbone, and on the shipped weights."""

import json
import math
import re
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hub_models import random_hub_model

from ch03_best_of_n import best_of_n
from ch06_search.tree import Node
from ch06_search.values import JudgeSoFar
from shared import Cost, SamplingParams, load_problems, prompts
from shared.decoder.config import ModelConfig
from shared.evaluation.intervals import auc
from shared.evaluation.pool import sample_pool
from shared.rewards.judge import judge, judge_all
from shared.rewards.process_reward import (
    REWARD_FOLDER,
    LineRewardModel,
    ProcessRewardModel,
    encode_steps,
)
from shared.rewards.scorers import Judge
from shared.scores import aggregate_scores, checked, checked_scores
from shared.tiny.report import is_right, sample


@pytest.fixture(scope="module")
def reward_model():
    return ProcessRewardModel.from_folder()


@pytest.fixture(scope="module")
def graded(tiny):
    """Sampled solutions of dev problems: (question, solution, is it right?)."""
    problems = load_problems("word", split="dev", limit=40)
    params = SamplingParams(n=2, temperature=0.6, max_tokens=600)
    pool = sample(tiny, problems, prompts.STEP_BY_STEP, params)
    return [(p.question, c.text, is_right(c, p)) for p, row in zip(problems, pool) for c in row]


def test_scores_are_a_linear_head_on_transformers_hidden_states_and_likelihood():
    hub = random_hub_model("qwen3")
    model = LineRewardModel(ModelConfig.from_dict(hub.config.to_dict()), tokenizer=None).eval()
    model.model.load_state_dict(hub.model.state_dict())
    ids, first_ends = torch.randint(0, hub.config.vocab_size, (2, 17)), [4, 9]
    hidden = hub.model(ids).last_hidden_state  # [2, 17, hidden]
    log_p = (hidden @ hub.model.embed_tokens.weight.T).log_softmax(-1)
    logits = model(ids, torch.tensor(first_ends))
    for row, end in [(0, 6), (0, 16), (1, 10), (1, 15)]:
        since = range(first_ends[row], end)
        likelihood = sum(log_p[row, i, ids[row, i + 1]] for i in since)
        seen = torch.cat([hidden[row, end], likelihood[None]])
        expected = seen @ model.score.weight[0] + model.score.bias[0]
        torch.testing.assert_close(logits[row, end], expected, atol=1e-4, rtol=0)


def test_every_step_has_one_score_and_they_do_not_depend_on_the_batch(reward_model):
    question = "Ana has 45 shells. Ana buys 12 more. How many shells does Ana have now?"
    solutions = [
        "Plan: in order.\n45+12=57\nThe answer is \\boxed{57}.",
        "Plan: in order.\n",
        "Plan: backwards, split.\n12+40=52\n52+5=57\nThe answer is \\boxed{57}.",
        "57",
    ]
    together = reward_model.step_scores(question, solutions)
    assert [len(scores) for scores in together] == [3, 1, 4, 1]
    for solution, scores in zip(solutions, together):
        assert all(0 <= score <= 1 for score in scores)
        assert reward_model.step_scores(question, [solution])[0] == pytest.approx(scores, abs=1e-5)


def test_a_step_is_scored_without_seeing_what_follows(reward_model):
    question = "Ana has 45 shells. Ana buys 12 more. How many shells does Ana have now?"
    begun = "Plan: in order.\n45+12=57\n"
    ((first, second),) = reward_model.step_scores(question, [begun])
    ((a, b, _),) = reward_model.step_scores(question, [begun + "The answer is \\boxed{9}."])
    assert (a, b) == pytest.approx((first, second), abs=1e-5)


def test_steps_end_at_newlines_and_at_the_end(tiny):
    ids, ends = encode_steps(tiny.tokenizer, "q", "Plan: in order.\n1+1=2\nThe answer")
    pieces = [tiny.tokenizer.decode(ids[a + 1 : b + 1]) for a, b in zip(ends, ends[1:])]
    assert pieces == ["1+1=2\n", "The answer"]


def test_the_shipped_reward_model_ranks_right_above_wrong(reward_model, graded):
    scores = [aggregate_scores(*reward_model.step_scores(q, [text])) for q, text, _ in graded]
    right = [score for score, (_, _, ok) in zip(scores, graded) if ok]
    wrong = [score for score, (_, _, ok) in zip(scores, graded) if not ok]
    assert len(right) > 15 and len(wrong) > 15
    assert auc(right, wrong) > 0.8


def test_the_shipped_judge_is_better_than_chance(tiny, graded):
    scores = [judge(tiny, question, text) for question, text, _ in graded]
    right = [score for score, (_, _, ok) in zip(scores, graded) if ok]
    wrong = [score for score, (_, _, ok) in zip(scores, graded) if not ok]
    assert auc(right, wrong) > 0.55


def test_the_judges_probability_is_that_of_yes_among_yes_and_no(tiny):
    messages = prompts.follow_up(prompts.ask("q"), "The answer is 3.", prompts.JUDGE)
    yes, no = (math.exp(sum(tiny.score(messages, word))) for word in ("Yes", "No"))
    assert judge(tiny, "q", "The answer is 3.") == pytest.approx(yes / (yes + no), abs=1e-5)


@pytest.mark.parametrize("words", [(math.nan, -1.0), (-1.0, math.nan), (math.nan, math.nan)])
def test_a_judge_without_a_probability_is_an_error(tiny, words, monkeypatch):
    given = dict(zip(("Yes", "No"), words))
    monkeypatch.setattr(tiny, "score", lambda prompt, word: [given[word]])
    with pytest.raises(ValueError, match="the judge's probability of Yes is nan"):
        judge(tiny, "q", "The answer is 3.")


def test_the_judges_cost_is_what_was_read_wherever_it_is_asked(tiny, monkeypatch):
    (problem,) = load_problems("word", split="dev", limit=1)
    read = []  # the prompts that a judge has the model read, and how many tokens it looks up
    score = tiny.score

    def watched(prompt, completion):
        found = score(prompt, completion)
        read.append((tuple(prompt), len(found)))
        return found

    monkeypatch.setattr(tiny, "score", watched)
    options = {"n": 2, "params": SamplingParams(temperature=1.0, max_tokens=300)}
    plain = best_of_n.best_of_n(tiny, problem, **options)
    sampled, solutions = plain.cost, plain.completions
    texts = [completion.text for completion in solutions]
    nodes = [Node(c.token_ids, c.text, finish_reason=c.finish_reason) for c in solutions]
    assert len(set(texts)) == 2 and not read
    judged = partial(best_of_n.best_of_n, scorer=Judge())
    costs = {
        "best of n": judged(tiny, problem, **options).cost,
        "pool": sample_pool(tiny, problem, **options).cost,
        "search": sampled + JudgeSoFar(prompts.JUDGE).score(tiny, problem.question, nodes).cost,
        "gate": sampled + Judge().score(tiny, problem.question, solutions).cost,
        "the judge itself": sampled + judge_all(tiny, problem.question, texts).cost,
    }
    read = read[:4]  # by the first of them: each text twice
    expected = sampled + Cost(
        prompt_tokens=sum(map(len, {prompt for prompt, _ in read})),
        scored_tokens=sum(words for _, words in read),
        forward_passes=len(read),
        num_prompts=2,
    )
    for name, cost in costs.items():
        assert replace(cost, reused_tokens=sampled.reused_tokens) == expected, name


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, None, "0.5", [0.5]])
def test_a_score_that_is_no_number_is_an_error_that_names_its_source(wrong):
    with pytest.raises(ValueError, match=re.escape(f"the judge is {wrong}, but a score must be")):
        checked(wrong, "the judge")
    with pytest.raises(ValueError, match="reward of sample 2 is"):
        checked_scores([0.1, wrong], "reward", 2)
    for method in ("min", "prod", "last", "mean"):
        for steps in ([wrong, 0.5, 0.5], [0.5, wrong, 0.5], [0.5, 0.5, wrong]):
            with pytest.raises(ValueError, match="the score of step . is"):
                aggregate_scores(steps, method)
    for right, wrong_ones in (([wrong], [0.1]), ([0.1], [0.1, wrong])):
        with pytest.raises(ValueError, match="the score of sample"):
            auc(right, wrong_ones)


def test_numbers_of_any_library_are_scores():
    numbers = [0.5, 1, True, np.float32(0.5), np.int64(2), torch.tensor(0.5)]
    assert checked_scores(numbers, "s", 6) == [0.5, 1.0, 1.0, 0.5, 2.0, 0.5]
    for count in (0, 5, 7):
        with pytest.raises(ValueError, match=f"6 numbers .s. for {count} samples"):
            checked_scores(numbers, "s", count)


def test_the_auc_is_the_share_of_pairs_in_the_right_order():
    assert auc([1.0, 2.0], [0.0]) == 1.0
    assert auc([0.0, 2.0], [1.0]) == 0.5
    assert auc([1.0], [1.0]) == 0.5


def test_scores_that_are_no_numbers_are_an_error():
    model = ProcessRewardModel.from_folder(device="cpu")
    model.score.weight[:] = math.nan
    with pytest.raises(ValueError, match="logits are NaN or infinite"):
        model.step_scores("1 + 1 =", ["2"])


def test_a_damaged_folder_is_refused_before_a_model_is_built(tmp_path):
    folder = shutil.copytree(REWARD_FOLDER, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 999}))
    with pytest.raises(ValueError, match="config.json: num_hidden_layers is 999, expected 4"):
        ProcessRewardModel.from_folder(folder)
    (folder / "config.json").write_text(json.dumps({**config, "architectures": 7}))
    with pytest.raises(ValueError, match="config.json: architectures is 7, expected"):
        ProcessRewardModel.from_folder(folder)
    with pytest.raises(ValueError, match="device is 'gpu', expected cpu"):
        ProcessRewardModel.from_folder(device="gpu")


def test_aggregates():
    steps = [0.5, 0.25, 1.0]
    values = {"min": 0.25, "prod": 0.125, "last": 1.0, "mean": 1.75 / 3}
    for method, value in values.items():
        assert aggregate_scores(steps, method) == pytest.approx(value)
    with pytest.raises(ValueError, match="'max'"):
        aggregate_scores(steps, "max")
    with pytest.raises(ValueError, match="without steps"):
        aggregate_scores([])
