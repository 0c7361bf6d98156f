"""What counts as a loop, in made-up passages and in the recorded texts; and models that loop."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from shared import LLM, SamplingParams
from shared.engine.loops import (
    CHECK_EVERY,
    FEW_KINDS,
    LOOP_TOKENS,
    REPEATS,
    TABLE_TOKENS,
    WINDOW,
    is_looping,
)
from shared.evaluation.pool import graded
from shared.evaluation.records import Record, read_records, summary
from shared.grading.answers import final_answer
from shared.solution import Completion, Cost, Solution

POOLS = sorted((Path(__file__).parents[1] / "shared" / "pools").glob("*.jsonl"))


def passage(length: int, seed: int = 0, kinds: int = 10**5) -> list[int]:
    """Tokens without any order."""
    rng = random.Random(seed)
    return [rng.randrange(kinds) for _ in range(length)]


@pytest.mark.parametrize("period", [FEW_KINDS, 13, 64, 65, 100, 255, 1_000, 1_024])
@pytest.mark.parametrize("before", [0, 1, 300, 5_000])
def test_a_loop_is_found_once_it_is_long_enough(period: int, before: int) -> None:
    needed = max(LOOP_TOKENS, REPEATS * period)
    looping = passage(before) + passage(period, seed=1) * (needed // period + 1)
    start = passage(before)
    assert is_looping(looping[: len(start) + needed])
    assert not is_looping(looping[: len(start) + needed - 1][: before + needed - 1])
    assert not is_looping([*looping, -1])  # it has ended


def test_longer_passages_than_the_window_shows_are_no_loops() -> None:
    assert not is_looping(passage(WINDOW // REPEATS + 1) * 10)


@pytest.mark.parametrize("kinds", [1, 2, FEW_KINDS - 1])
def test_a_table_of_few_kinds_of_tokens_must_be_longer(kinds: int) -> None:
    row = list(range(kinds)) * 2
    rows = row * TABLE_TOKENS
    assert is_looping(rows[:TABLE_TOKENS])
    assert not is_looping(rows[: TABLE_TOKENS - 1])
    assert not is_looping(passage(3_000) + rows[: TABLE_TOKENS - 1])


def test_one_difference_breaks_a_loop() -> None:
    unit = passage(40)
    loop = unit * 10
    for place in (len(loop) - 1, len(loop) - 30, len(loop) - LOOP_TOKENS + 60):
        changed = [*loop[:place], -1, *loop[place + 1 :]]
        assert not is_looping(changed), place
    assert is_looping([-1, *loop[1:]])  # before the last 256 tokens


def test_counting_is_no_loop() -> None:
    lines = [[7, 8, 9, number, 5, 6, 4, 3, 2, 1, 0, 11, 12, 13] for number in range(100, 400)]
    assert not is_looping([token for line in lines for token in line])


def test_a_plain_search_agrees() -> None:
    def plain(ids: list[int]) -> bool:
        """The rule as the module says it, one period after the other."""
        ids = ids[-WINDOW:]
        for period in range(1, len(ids) // REPEATS + 1):
            few = len(set(ids[-period:])) < FEW_KINDS
            covered = max(REPEATS * period, TABLE_TOKENS if few else LOOP_TOKENS)
            run = ids[-covered:]
            if len(run) == covered and run[period:] == run[:-period]:
                return True
        return False

    rng = random.Random(5)
    outcomes = []
    for seed in range(300):
        kinds = rng.choice([1, 2, 5, 11, 12, 30, 1_000])
        unit = passage(rng.choice([1, 3, 12, 20, 77, 130, 300]), seed, kinds)
        ids = passage(rng.randrange(400), seed + 1, kinds) + unit * rng.randrange(1, 90)
        ids = ids[: rng.randrange(1, 2_500)]
        outcomes.append(is_looping(np.array(ids)))
        assert outcomes[-1] == plain(ids), seed
    assert 30 < sum(outcomes) < 270


@pytest.mark.parametrize("path", POOLS, ids=lambda path: path.stem)
def test_no_text_that_ended_by_itself_would_have_been_cut(path: Path) -> None:
    # Characters in the place of tokens: a loop of tokens is one of characters, but longer.
    for record in read_records(path):
        for completion in record.completions:
            if completion["finish_reason"] == "stop":
                letters = np.array(list(map(ord, completion["text"])))
                for end in range(LOOP_TOKENS, len(letters) + CHECK_EVERY, CHECK_EVERY):
                    assert not is_looping(letters[:end]), completion["text"]


def test_loops_in_recorded_texts_are_found() -> None:
    found = [
        completion["text"]
        for record in read_records(POOLS[0])
        for completion in record.completions
        if is_looping(np.array(list(map(ord, completion["text"]))))
    ]
    assert any(text.endswith("initials]\n    initials = [initial[0] for") for text in found)


# --- A model that loops ---------------------------------------------------------------------------

SIZE, LAST = 20, 40
GREEDY = SamplingParams(temperature=0, max_tokens=400)


def looping_model(folder: Path, size: int) -> LLM:
    """A model in which each token decides the next: 0 .. size - 1 are repeated over and over, and
    so is `LAST`, to which the tokens in between lead."""
    llm = LLM(str(folder), device="cpu")
    model = llm.model
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    embeddings = torch.eye(*model.lm_head.weight.shape)
    head = torch.zeros_like(embeddings)
    tokens = torch.arange(LAST + 1)
    head[(tokens + 1).clamp(max=LAST), tokens] = 50.0
    head[0, size - 1] = 99.0
    model.model.embed_tokens.weight = torch.nn.Parameter(embeddings, requires_grad=False)
    model.model.norm.weight.fill_(1.0)
    model.lm_head.weight = torch.nn.Parameter(head, requires_grad=False)
    return llm


@pytest.fixture(scope="module")
def long_folder(random_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small random model with a context of 2,048 tokens."""
    folder = shutil.copytree(random_folder, tmp_path_factory.mktemp("long") / "model")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["max_position_embeddings"] = 2_048
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def looping_llm(long_folder: Path) -> LLM:
    """A model with a cycle of `SIZE` tokens."""
    return looping_model(long_folder, SIZE)


def complete(llm: LLM, prompt: list[int], params: SamplingParams) -> Completion:
    """The one completion of a prompt."""
    return llm.generate([prompt], params)[0].completions[0]


def test_a_completion_that_repeats_itself_ends_as_a_loop(looping_llm: LLM) -> None:
    completion = complete(looping_llm, [SIZE - 1], GREEDY)
    assert completion.finish_reason == "loop"
    assert completion.token_ids == [i % SIZE for i in range(LOOP_TOKENS)]
    assert len(completion.logprobs) == len(completion.certainties) == LOOP_TOKENS
    assert completion.text == looping_llm.tokenizer.decode(completion.token_ids)


def test_the_tokens_before_a_loop_do_not_count(looping_llm: LLM) -> None:
    completion = complete(looping_llm, [2], GREEDY)  # the first 17 tokens belong to no whole cycle
    assert completion.finish_reason == "loop" and len(completion.token_ids) == LOOP_TOKENS
    other = complete(looping_llm, [SIZE], GREEDY)
    assert other.finish_reason == "length" and set(other.token_ids[LAST:]) == {LAST}  # of one kind


def test_loops_may_be_left_alone(looping_llm: LLM) -> None:
    for more in ({"stop_loops": False}, {"ignore_eos": True}):
        params = SamplingParams(temperature=0, max_tokens=400, **more)
        completion = complete(looping_llm, [SIZE - 1], params)
        assert (completion.finish_reason, len(completion.token_ids)) == ("length", 400)


def test_a_loop_that_runs_into_the_limit_is_called_one(looping_llm: LLM) -> None:
    limit = LOOP_TOKENS + CHECK_EVERY // 2
    for max_tokens, reason in ((LOOP_TOKENS - 1, "length"), (LOOP_TOKENS, "loop"), (limit, "loop")):
        completion = complete(
            looping_llm, [SIZE - 1], SamplingParams(temperature=0, max_tokens=max_tokens)
        )
        assert completion.finish_reason == reason
        assert len(completion.token_ids) == min(max_tokens, LOOP_TOKENS)


def test_a_loop_of_few_kinds_of_tokens_takes_longer(long_folder: Path) -> None:
    llm = looping_model(long_folder, 3)
    params = SamplingParams(temperature=0, max_tokens=1_500)
    completion = complete(llm, [2], params)
    assert (completion.finish_reason, len(completion.token_ids)) == ("loop", TABLE_TOKENS)


def test_a_loop_is_found_at_the_same_token_in_any_company(looping_llm: LLM) -> None:
    alone = complete(looping_llm, [SIZE - 1], GREEDY)
    params = [SamplingParams(temperature=0, max_tokens=count) for count in (3, 40, 57, 300)]
    prompts = [[0], [1, 1, 1], [5], [SIZE]]
    requests = [looping_llm._request(ids, p) for ids, p in zip(prompts, params)]
    requests += [looping_llm._request([SIZE - 1], GREEDY) for _ in range(3)]
    together = looping_llm._run(requests)
    for output in together[-3:]:
        assert output.completions == [alone]
        assert output.cost.generated_tokens == LOOP_TOKENS
    assert len(together[0].completions[0].token_ids) == 3


# --- What follows from it -------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "answer"), [("so 5, so 5, so", None), ("\\boxed{7} 5 5 5", "7")])
def test_a_loop_has_an_answer_only_in_a_box(text: str, answer: str | None) -> None:
    completion = Completion(text, [1], [0.0], "loop")
    assert final_answer(completion) == answer
    assert graded(summary(completion), "7").answer == answer


def test_loops_count_as_cut_off() -> None:
    reasons = ["stop", "length", "loop", "loop"]
    record = Record(0, "id", "question", "7")
    record.fill_in(Solution(None, [Completion("", [1], [0.0], r) for r in reasons], Cost()))
    assert record.truncated == 3
