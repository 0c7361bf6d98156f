"""Chapter 7's combinations on hand-made samples: what they answer, when they stop, what they cost."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scripts import start_script

from ch03_best_of_n.best_of_n import weighted_answer
from ch07_combine import combine, knobs, outcomes, policy, study
from ch07_combine.latency import Clock, timed
from ch07_combine.replay import (
    NotedReward,
    NotedRewardAtLeast,
    Recorded,
    Replay,
    read_recording,
    recorded_search,
)
from shared import Completion, Cost, Problem, RequestOutput, SamplingParams, Solution, prompts
from shared.errors import UserError
from shared.evaluation.records import Record
from shared.loading.checkpoint import TINY_FOLDER

ROOT = Path(__file__).parents[1]
PROBLEM = Problem("How many?", None, "p/0")
ASKED = prompts.ask(PROBLEM.question)


def sample(answer: str | None, reward: float = 0.5, tokens: int = 10) -> Completion:
    """A solution with this answer (None: it was cut off), of this many tokens."""
    text = "no end" if answer is None else f"The answer is \\boxed{{{answer}}}."
    reason = "length" if answer is None else "stop"
    return Completion(text, [1] * tokens, [-0.1] * tokens, reason, measures={"reward": reward})


class Scripted:
    """A model that gives the next samples of a list, and remembers what it was asked."""

    def __init__(self, *samples: Completion) -> None:
        self.left, self.asked = list(samples), []
        self.tokenizer, self.max_positions = None, 2048

    def chat(self, messages, params, **options):
        self.asked.append((messages, params))
        drawn, self.left = self.left[: params.n], self.left[params.n :]
        assert len(drawn) == params.n, "more samples are drawn than the script has"
        generated = sum(len(each.token_ids) for each in drawn)
        cost = Cost(prompt_tokens=7, generated_tokens=generated, num_prompts=1)
        return [RequestOutput([], drawn, cost)]

    @property
    def seeds(self) -> list[int]:
        return [params.seed for _, params in self.asked]


def fixed(answer: str, score: float, tokens: int = 10):
    """A technique that always gives one solution, whatever the model."""
    return lambda llm, problem: Solution(
        answer, [sample(answer, score, tokens)], Cost(generated_tokens=tokens), [score]
    )


# --- The lead and the agreement -------------------------------------------------------------------


@pytest.mark.parametrize(
    "votes, expected",
    [({}, 0), ({"1": 0.4}, 0.4), ({"1": 0.4, "2": 0.9, "3": 0.1}, 0.5), ({"1": 2, "2": 2}, 0)],
)
def test_the_lead_is_first_minus_second(votes, expected):
    assert combine.lead(votes) == pytest.approx(expected)


def test_samples_without_an_answer_count_in_the_agreement():
    assert combine.agreement({"1": 2, "2": 1}, 4) == 0.5
    assert combine.agreement({}, 4) == 0


# --- The weight of a vote -------------------------------------------------------------------------


def test_checked_odds_are_odds_unless_an_equation_is_wrong():
    odds = combine.checked_odds
    assert odds(sample("1"), 0.5) == 1 and odds(sample("1"), 0.9) == pytest.approx(9)
    assert odds(sample("1"), 0.0) == 0
    assert odds(sample("1"), 1.0) == pytest.approx(100)  # no division by zero
    wrong = replace(sample("1"), text="1+1=3\nThe answer is \\boxed{3}.")
    assert odds(wrong, 0.9) == 0
    assert combine.as_scored(wrong, 0.9) == 0.9


# --- Escalation -----------------------------------------------------------------------------------


def test_escalation_stops_at_the_first_stage_that_is_sure():
    stages = {"a": fixed("1", 0.5), "b": fixed("1", 0.4), "c": fixed("2", 1.0)}
    solution = combine.escalate(None, PROBLEM, stages=stages, enough=0.9)
    assert solution.answer == "1"
    assert [each["stage"] for each in solution.trace] == ["a", "b"]
    assert solution.scores == [0.5, 0.4]
    assert solution.cost.generated_tokens == 20 and len(solution.completions) == 2


def test_a_lead_that_is_just_reached_is_enough():
    stages = {"a": fixed("1", 0.5), "b": fixed("2", 1.0)}
    assert len(combine.escalate(None, PROBLEM, stages=stages, enough=0.5).trace) == 1
    assert len(combine.escalate(None, PROBLEM, stages=stages, enough=0.51).trace) == 2


def test_a_rival_takes_from_the_lead_and_earlier_stages_keep_their_votes():
    stages = {"a": fixed("1", 0.6), "b": fixed("2", 0.5), "c": fixed("1", 0.2)}
    solution = combine.escalate(None, PROBLEM, stages=stages, enough=0.7)
    assert solution.answer == "1" and len(solution.trace) == 3  # 0.8 to 0.5: never decided
    assert solution.trace[-1]["votes"] == {"1": pytest.approx(0.8), "2": 0.5}


def test_weights_decide_when_it_stops_and_who_wins_but_the_scores_stay():
    stages = {"a": fixed("1", 0.6), "b": fixed("1", 0.6), "c": fixed("2", 0.9)}
    plain = combine.escalate(None, PROBLEM, stages=stages, enough=5)
    odds = combine.escalate(None, PROBLEM, stages=stages, enough=5, weigh=combine.checked_odds)
    assert (plain.answer, odds.answer) == ("1", "2")
    assert odds.scores == plain.scores == [0.6, 0.6, 0.9]
    assert odds.trace[-1]["votes"] == {"1": pytest.approx(3), "2": pytest.approx(9)}


def test_escalation_refuses_no_stages_and_missing_scores():
    with pytest.raises(ValueError, match="at least one stage"):
        combine.escalate(None, PROBLEM, stages={}, enough=1)
    unscored = {"vote": lambda llm, problem: Solution("1", [sample("1")], Cost())}
    with pytest.raises(ValueError, match="score of vote"):
        combine.escalate(None, PROBLEM, stages=unscored, enough=1)


# --- Sampling until sure --------------------------------------------------------------------------


def until_sure(llm, **options):
    defaults = {"scorer": NotedReward(), "n": 4, "enough": 1.0}
    return combine.sample_until_sure(llm, PROBLEM, **defaults | options)


def test_one_excellent_sample_is_enough():
    llm = Scripted(sample("1", 0.95), sample("2", 0.9))
    solution = until_sure(llm, enough=0.9)
    assert solution.answer == "1" and len(llm.left) == 1


def test_agreement_is_enough_too():
    llm = Scripted(*[sample("1", 0.4)] * 4)
    assert len(until_sure(llm).completions) == 3  # 1.2 is the first lead of at least 1


def test_the_budget_is_never_exceeded_and_each_round_has_its_own_seed():
    samples = [sample(str(i), 0.3) for i in range(7)]
    for batch, sizes in ((1, [1] * 7), (3, [3, 3, 1]), (9, [7])):
        llm = Scripted(*samples)
        solution = until_sure(llm, n=7, batch=batch)
        assert [params.n for _, params in llm.asked] == sizes
        assert len(set(llm.seeds)) == len(sizes)
        assert len(solution.completions) == len(solution.scores) == 7
        assert solution.cost.generated_tokens == 70 and solution.cost.scored_tokens == 70
        assert solution.answer == "0"  # all are tied: the first


def test_samples_that_were_cut_off_cast_no_vote():
    llm = Scripted(sample(None, 0.9), sample(None, 0.9), sample("3", 0.1))
    assert until_sure(llm, n=3).answer == "3"
    assert until_sure(Scripted(sample(None, 0.9)), n=1).answer is None


@pytest.mark.parametrize("options", [{"n": 0}, {"batch": 0}])
def test_counts_below_one_are_refused(options):
    with pytest.raises(ValueError, match="at least 1"):
        until_sure(Scripted(), **options)


# --- Vote, then refine ----------------------------------------------------------------------------

WRONG = Completion("This step is wrong: 1+1=3", [1] * 5, [-0.1] * 5, "stop")
FINE = Completion(prompts.ALL_RIGHT, [1] * 5, [-0.1] * 5, "stop")


def test_samples_that_agree_are_not_refined():
    llm = Scripted(sample("1"), sample("2"), sample("1"), sample("1"))
    solution = combine.vote_then_refine(llm, PROBLEM, n=4, agreed=0.75)
    assert solution.answer == "1" and len(llm.asked) == 1
    assert solution.cost.generated_tokens == 40


def test_where_samples_disagree_revisions_vote_along():
    llm = Scripted(sample("1"), sample("2"), WRONG, sample("2"), WRONG, sample("3"))
    solution = combine.vote_then_refine(llm, PROBLEM, n=2, agreed=0.75, revisions=2)
    assert solution.answer == "2"
    assert solution.trace[-1]["votes"] == {"1": 1, "2": 2, "3": 1}
    assert len(solution.completions) == 6 and solution.cost.generated_tokens == 50
    criticised = llm.asked[1][0]
    assert criticised[1]["content"] == sample("1").text  # the first of two tied answers
    assert criticised[-1]["content"] == prompts.CRITIQUE
    assert llm.asked[2][0][-1]["content"] == prompts.REVISE
    assert llm.seeds[1] != llm.seeds[3] and all(p.n == 1 for _, p in llm.asked[1:])


def test_a_critique_that_finds_nothing_ends_the_refinement():
    llm = Scripted(sample("1"), sample("2"), FINE, sample("3"))
    solution = combine.vote_then_refine(llm, PROBLEM, n=2, revisions=3)
    assert solution.answer == "1" and len(llm.left) == 1
    assert len(solution.completions) == 3


def test_the_share_that_is_just_reached_is_agreement():
    llm = Scripted(sample("1"), sample("1"), sample("1"), sample("2"))
    assert len(combine.vote_then_refine(llm, PROBLEM, n=4, agreed=0.75).trace) == 1


# --- Beams, prompts, techniques -------------------------------------------------------------------


def test_the_best_path_of_all_searches_wins(monkeypatch):
    seeds = []

    def search(llm, problem, *, n, value, params):
        seeds.append(params.seed)
        paths = [sample("1", 0.5), sample("1", 0.6)] if len(seeds) == 1 else [sample("2", 0.7)]
        scores = [path.measures["reward"] for path in paths]
        return Solution("?", paths, Cost(generated_tokens=30), scores)

    monkeypatch.setattr(combine, "beam_search", search)
    params = SamplingParams(seed=5)
    both = partial(combine.best_of_beams, None, PROBLEM, value=None, params=params)
    best = both()
    assert best.answer == "2" and seeds == [5, 6]
    assert best.cost.generated_tokens == 60 and best.scores == [0.5, 0.6, 0.7]
    seeds.clear()
    assert both(choose=weighted_answer).answer == "1"
    with pytest.raises(ValueError, match="at least 1 search"):
        both(searches=0)


def test_samples_are_shared_out_among_the_prompts():
    llm = Scripted(*[sample("1")] * 2, *[sample("2")] * 2, sample("2"))
    asks = [lambda q, i=i: [{"role": "user", "content": f"{i} {q}"}] for i in range(3)]
    solution = combine.several_prompts(llm, PROBLEM, asks=asks, n=5)
    assert [(m[0]["content"], p.n) for m, p in llm.asked] == [
        ("0 How many?", 2),
        ("1 How many?", 2),
        ("2 How many?", 1),
    ]
    assert solution.answer == "2" and len(set(llm.seeds)) == 3
    assert solution.cost.num_prompts == 3
    for wrong in ([], asks * 2):
        with pytest.raises(ValueError, match="shared out"):
            combine.several_prompts(llm, PROBLEM, asks=wrong, n=5)


def test_examples_are_solved_before_the_question():
    assert combine.WithExamples("word", 0)(PROBLEM.question) == ASKED
    messages = combine.WithExamples("word", 2)(PROBLEM.question)
    assert [m["role"] for m in messages] == ["user", "assistant"] * 2 + ["user"]
    assert messages[-1:] == ASKED and "\\boxed" in messages[1]["content"]


def test_each_technique_has_one_vote_and_ties_go_to_the_first():
    techniques = {"a": fixed("1", 0.1), "b": fixed("2", 0.9), "c": fixed("2.0", 0.1)}
    solution = combine.vote_over_techniques(None, PROBLEM, techniques=techniques)
    assert solution.answer == "2"  # as its first voter spells it
    assert solution.trace[0]["answers"] == {"a": "1", "b": "2", "c": "2.0"}
    assert solution.cost.generated_tokens == 30 and len(solution.completions) == 3
    del techniques["c"]
    assert combine.vote_over_techniques(None, PROBLEM, techniques=techniques).answer == "1"
    with pytest.raises(ValueError, match="at least one technique"):
        combine.vote_over_techniques(None, PROBLEM, techniques={})


# --- Waiting --------------------------------------------------------------------------------------


def test_requests_add_up_and_samples_of_one_request_do_not():
    llm = Scripted(sample("1", tokens=10), sample("2", tokens=30), WRONG, sample("3", tokens=20))
    refined = partial(combine.vote_then_refine, n=2, revisions=1)
    solution = timed(llm, PROBLEM, technique=refined)
    assert solution.trace[-1] == {"sequential_steps": 30 + 5 + 20, "requests": 3}
    clock = Clock(llm)
    assert clock.steps == clock.requests == 0


# --- Recorded samples -----------------------------------------------------------------------------


def recorded(*samples: Completion, **searches: Record) -> Recorded:
    return Recorded(replace(PROBLEM, answer="1"), 7, list(samples), searches, 0.5)


def test_a_replay_gives_each_recorded_sample_once_in_an_order_of_its_own():
    samples = [sample(str(i), tokens=i + 1) for i in range(8)]
    orders = []
    for order in (0, 0, 1):
        llm = Replay(recorded(*samples), order)
        (first,) = llm.chat(ASKED, SamplingParams(n=3), enable_thinking=False)
        (second,) = llm.chat(ASKED, SamplingParams(n=5), enable_thinking=False)
        drawn = first.completions + second.completions
        assert sorted(each.text for each in drawn) == sorted(each.text for each in samples)
        assert first.cost.generated_tokens == sum(len(c.token_ids) for c in first.completions)
        longest = [max(len(c.token_ids) for c in o.completions) for o in (first, second)]
        assert (llm.steps, llm.requests) == (sum(longest), 2)
        orders.append([each.text for each in drawn])
    assert orders[0] == orders[1] != orders[2]
    with pytest.raises(UserError, match="1 samples are wanted, 0 are left"):
        llm.chat(ASKED, SamplingParams(n=1))


def test_recorded_rewards_verify_well_formed_samples():
    verifier = NotedRewardAtLeast(0.8)
    samples = [sample("1", 0.8), sample("1", 0.79), sample(None, 0.9)]
    accepted, cost = verifier.verify(None, "?", samples)
    assert accepted == [True, False, False] and cost.scored_tokens == 30
    with pytest.raises(ValueError, match="recorded reward"):
        verifier.verify(None, "?", [replace(sample("1"), measures={})])


def test_what_was_not_recorded_goes_to_the_live_model():
    other, greedy = [{"role": "user", "content": "Why?"}], SamplingParams(temperature=0)
    llm = Replay(recorded(sample("1")), live=Scripted(sample("8"), sample("9")))
    assert llm.chat(other, SamplingParams())[0].completions[0].text == sample("8").text
    assert llm.chat(ASKED, greedy)[0].completions[0].text == sample("9").text
    assert len(llm.left) == 1
    with pytest.raises(UserError, match="no live model"):
        Replay(recorded(sample("1"))).chat(ASKED, greedy)


def test_a_recorded_search_comes_back_with_its_cost_and_its_waiting():
    record = Record(0, "p/0", PROBLEM.question, "1")
    search = Solution("1", [sample("1"), sample("2")], Cost(generated_tokens=50), [0.25, 0.5])
    search.trace.append({"sequential_steps": 44, "requests": 6})
    record.fill_in(search)
    llm = Replay(recorded(sample("1"), beam=record))
    again = recorded_search(llm, PROBLEM, name="beam")
    assert (again.answer, again.scores, again.cost) == ("1", [0.25, 0.5], search.cost)
    assert [c.text for c in again.completions] == [c.text for c in search.completions]
    assert (llm.steps, llm.requests) == (44, 6)
    with pytest.raises(UserError, match="lookahead was not recorded"):
        recorded_search(llm, PROBLEM, name="lookahead")


# --- The two knobs --------------------------------------------------------------------------------


def votes(*pairs: tuple[float, float]) -> list[dict]:
    return [{"accuracy": accuracy, "flops": flops} for accuracy, flops in pairs]


def test_the_flops_to_reach_an_accuracy_lie_between_two_sizes():
    curve = votes((0.2, 1e6), (0.4, 1e8), (0.3, 1e9), (0.6, 1e10))
    assert knobs.flops_to_reach(curve, 0.1) == knobs.flops_to_reach(curve, 0.2) == 1e6
    assert knobs.flops_to_reach(curve, 0.3) == pytest.approx(1e7)  # half-way on the log scale
    assert knobs.flops_to_reach(curve, 0.4) == pytest.approx(1e8)
    assert knobs.flops_to_reach(curve, 0.5) == pytest.approx(1e9 * 10 ** (2 / 3))
    assert knobs.flops_to_reach(curve, 0.7) is None


def test_the_extra_training_pays_after_extra_flops_over_saved_flops():
    cheap = {"name": "short", "training_flops": 100.0, "votes": votes((0.5, 10), (0.7, 40))}
    dear = {"name": "long", "training_flops": 400.0, "votes": votes((0.6, 10), (0.9, 40))}
    assert knobs.break_even(cheap, dear, 0.7) == pytest.approx(
        300 / (40 - knobs.flops_to_reach(dear["votes"], 0.7))
    )
    assert knobs.break_even(cheap, dear, 0.8) is None
    assert knobs.break_even(cheap, dear, 0.5) == float("inf")  # both need one sample
    rows = knobs.break_even_rows([cheap, dear], levels=(0.5, 0.7, 0.8))
    assert [(row["accuracy"], row["cheap"], row["dear"]) for row in rows] == [
        (0.5, "short", "long"),
        (0.7, "short", "long"),
    ]
    assert rows[0]["questions"] is None and rows[1]["questions"] > 0


def test_models_are_found_with_what_they_cost(tmp_path):
    for folder, flops in (("1/base", 7), ("1/review", 9), ("1_4/review", 2), ("1_4/base", 1)):
        (tmp_path / folder).mkdir(parents=True)
        content = json.dumps({"flops": flops, "tokens": 1, "steps": 1})
        (tmp_path / folder / "training.json").write_text(content)
    (tmp_path / "1_2" / "base").mkdir(parents=True)  # is being trained
    found = knobs.found_models(tmp_path)
    assert [model["name"] for model in found] == ["1/4", "1, after base", "1"]
    assert [model["is_length"] for model in found] == [True, False, True]


def test_the_knobs_are_measured_and_drawn(tmp_path):
    for name, flops in (("1_2", 1e12), ("1", 2e12)):
        own = tmp_path / "lengths" / name / "review"
        shutil.copytree(TINY_FOLDER, own)
        (own / "training.json").write_text(json.dumps({"flops": flops, "tokens": 5}))
    words = ("--lengths", "lengths", "--limit", "2", "--sizes", "1", "2", "--chapter", "out")
    done = start_script(ROOT / "ch07_combine" / "knobs.py", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out/results/knobs.json").read_text())
    for model in content["models"]:
        one, two = model["votes"]
        assert (one["n"], two["n"]) == (1, 2) and one["flops"] < two["flops"] < 2 * one["flops"]
        assert model["greedy"]["n"] == 1 and 0 <= model["greedy"]["accuracy"] <= 1
    assert (tmp_path / "out/results/knobs.png").read_bytes().startswith(b"\x89PNG")


# --- The compute-optimal choice -------------------------------------------------------------------

RIGHT = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]], dtype=float)  # [arms, cases]
TOKENS = np.array([[1, 1, 1, 1], [4, 4, 4, 4], [10, 10, 10, 10]], dtype=float)
HARD = np.array([1, 1, 0, 0])  # bin 0 holds the hard cases


def test_the_best_technique_within_a_budget_and_ties_go_to_the_cheaper():
    assert policy.best_within(RIGHT, TOKENS, 0.5) is None
    assert [policy.best_within(RIGHT, TOKENS, budget) for budget in (1, 4, 9, 10)] == [0, 1, 1, 2]
    assert policy.best_within(RIGHT[:, :2], TOKENS[:, :2], 10) == 0  # all are right there


def test_each_bin_with_the_same_budget():
    assert policy.same_budget(RIGHT, TOKENS, HARD, 4) == {0: 1, 1: 0}
    assert policy.same_budget(RIGHT, TOKENS, HARD, 10) == {0: 2, 1: 0}
    longer = TOKENS * [[1, 1, 1.5, 1.5]]  # prices are means over all cases
    assert policy.same_budget(RIGHT, longer, HARD, 5) == {0: 1, 1: 0}


def test_what_easy_problems_leave_goes_to_hard_ones():
    assert policy.shared_budget(RIGHT, TOKENS, HARD, 5.5) == {0: 2, 1: 0}
    assert policy.shared_budget(RIGHT, TOKENS, HARD, 2.5) == {0: 1, 1: 0}
    assert policy.shared_budget(RIGHT, TOKENS, HARD, 1) == {0: 0, 1: 0}
    assert policy.shared_budget(RIGHT, TOKENS, HARD, 0.9) is None


def test_a_policy_is_followed_and_empty_bins_take_the_nearest():
    right, tokens = policy.follow(RIGHT, TOKENS, np.array([0, 3, 0, 5]), {0: 2, 3: 0})
    assert right.tolist() == [1, 1, 1, 0] and tokens.tolist() == [10, 1, 10, 1]


def test_bins_are_about_equally_full_and_equal_values_stay_together():
    feature = np.arange(10.0)
    assert np.bincount(policy.bins_of(feature, policy.edges_of(feature))).tolist() == [2] * 5
    lumpy = np.array([0.25] * 6 + [0.5] + [1.0] * 3)
    bins = policy.bins_of(lumpy, policy.edges_of(lumpy))
    assert len({*bins[:6].tolist()}) == 1 and len({*bins[7:].tolist()}) == 1
    assert (np.diff(bins) >= 0).all()


def test_a_prediction_costs_the_first_samples_unless_they_are_used_again():
    cases = policy.Cases(
        ["one sample", "vote of 8", "greedy"],
        right=np.zeros((3, 2)),
        tokens=np.array([[10, 20], [90, 80], [30, 30]]),
        first=np.array([40, 50]),
        samples=np.array([True, True, False]),
        features={},
        orders=1,
    )
    assert cases.priced(policy.ORACLE).tolist() == cases.tokens.tolist()
    assert cases.priced(policy.REWARD).tolist() == [[40, 50], [90, 80], [70, 80]]


# --- The study ------------------------------------------------------------------------------------


def outcome(name, *right, tokens):
    many = [float(tokens)] * len(right)
    return outcomes.Outcome(name, [float(r) for r in right], many, many, many, many)


def test_the_threshold_is_the_best_within_the_budget():
    sweep = {
        1.0: outcome("a", 1, 0, 0, tokens=10),
        2.0: outcome("a", 1, 1, 0, tokens=30),
        3.0: outcome("a", 1, 1, 0, tokens=20),
        4.0: outcome("a", 1, 1, 1, tokens=50),
    }
    budgets = (5, 10, 40, 50)
    assert [study.choose_threshold(sweep, budget) for budget in budgets] == [None, 1, 3, 4]


def test_a_rival_at_equal_tokens_lies_between_two_sizes():
    curve = [outcome("a", 0, 1, tokens=10), outcome("a", 1, 1, tokens=30)]
    assert study.at_tokens(curve, 15) == [0.25, 1]
    assert study.at_tokens(curve, 10) == [0, 1] and study.at_tokens(curve, 30) == [1, 1]
    assert study.at_tokens(curve, 9) is None and study.at_tokens(curve, 31) is None


def write_recording(folder: Path, split: str, count: int, gap: int | None = None) -> None:
    """A recording of `count` problems whose samples are right as often as their number says."""
    for name in ("pool_0", "beam_8", "greedy"):
        records = []
        for i in range(count):
            record = Record(i, f"{split}/{i}", f"{i}?", "1")
            rng = random.Random(f"{split}/{i}/{name}")
            draws = 1 if name == "greedy" else 16
            right = [rng.random() < (i + 1) / count for _ in range(draws)]
            drawn = [sample(str(int(r)), 0.3 + 0.5 * r * rng.random()) for r in right]
            spent = Cost(prompt_tokens=7, generated_tokens=10 * draws, num_prompts=1)
            scores = [each.measures["reward"] for each in drawn]
            found = Solution(str(int(right[0])), drawn, spent, scores)
            found.trace.append({"sequential_steps": 10, "requests": 1})
            record.fill_in(found)
            record.correct = right[0]
            if i != gap or name != "greedy":
                records.append(json.dumps(vars(record)))
        (folder / f"{split}_{name}.jsonl").write_text("\n".join(records) + "\n")


def test_only_problems_that_all_parts_have_are_used(tmp_path):
    write_recording(tmp_path, "test", count=6, gap=4)
    recorded = read_recording(tmp_path, "test")
    assert [each.problem.id for each in recorded] == [f"test/{i}" for i in range(4)]
    assert len(read_recording(tmp_path, "test", ["pool_0", "beam_8"])) == 6
    assert recorded[0].searches.keys() == {"greedy", "beam_8"}
    assert len(recorded[0].samples) == 16 and recorded[0].prompt_tokens == 7
    with pytest.raises(UserError, match="no recording of the split dev"):
        read_recording(tmp_path, "dev")


def test_the_study_writes_tables_and_figures(tmp_path, monkeypatch, capsys):
    for split in ("dev", "test"):
        write_recording(tmp_path, split, count=10)
    words = ["study.py", "--records", str(tmp_path), "--chapter", str(tmp_path), "--orders", "2"]
    monkeypatch.setattr("sys.argv", words)
    study.main()
    content = json.loads((tmp_path / "results/combine.json").read_text())
    reference = content["goals"]["reference"]
    assert reference["tokens_per_problem"] == 160 and reference["requests_per_problem"] == 1
    for row in content["chosen"]:
        assert row["dev_tokens"] <= 160 * study.BUDGETS[row["budget"]]
        assert (
            row["tokens_per_problem"] <= 16 * 10 + 160
        )  # never more than all samples and a search
    assert {row["name"] for row in content["others"]} == {"vote over techniques"}
    page = (tmp_path / "RESULTS.md").read_text()
    assert "The two goals" in page and "hardest" in page
    for name in ("combine", "policy", "policy_map"):
        assert (tmp_path / f"results/{name}.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr("sys.argv", [*words, "--tables"])
    study.main()
    assert (tmp_path / "RESULTS.md").read_text() == page
