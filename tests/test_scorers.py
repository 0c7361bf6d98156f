"""Judge and process reward model: against transformers' backbone, and on the shipped weights."""

import math

import pytest
import torch
from hub_models import random_hub_model

from shared import SamplingParams, load_problems, prompts
from shared.model import ModelConfig
from shared.scorers import ProcessRewardModel, aggregate_scores, encode_steps, judge
from shared.tiny.report import auc, is_right, sample


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
    model = ProcessRewardModel(ModelConfig.from_dict(hub.config.to_dict()), tokenizer=None).eval()
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


def test_the_auc_is_the_share_of_pairs_in_the_right_order():
    assert auc([1.0, 2.0], [0.0]) == 1.0
    assert auc([0.0, 2.0], [1.0]) == 0.5
    assert auc([1.0], [1.0]) == 0.5


def test_aggregates():
    steps = [0.5, 0.25, 1.0]
    values = {"min": 0.25, "prod": 0.125, "last": 1.0, "mean": 1.75 / 3}
    for method, value in values.items():
        assert aggregate_scores(steps, method) == pytest.approx(value)
    with pytest.raises(ValueError, match="'max'"):
        aggregate_scores(steps, "max")
    with pytest.raises(ValueError, match="without steps"):
        aggregate_scores([])
