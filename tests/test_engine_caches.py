"""The cache changes nothing: logits with it equal those of reading each row from its start."""

import random
from itertools import pairwise

import pytest
import torch
from hub_models import random_hub_model
from torch import Tensor

from shared.decoder.config import ModelConfig
from shared.decoder.model import Qwen
from shared.engine.attention import attention_with_lse
from shared.engine.branch_cache import BLOCK_ROWS, BranchCache, compacted
from shared.engine.row_cache import RowCache

VOCAB = 50


@pytest.fixture(autouse=True)
def nan_in_fresh_memory():
    """Let unwritten memory hold NaN, so that a test fails if anything looks at it."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(params=["qwen2", "qwen3"], scope="module")
def model(request: pytest.FixtureRequest) -> Qwen:
    is_qwen3 = request.param == "qwen3"
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=VOCAB,
        hidden_size=24,
        intermediate_size=40,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=8,
        rope_theta=100.0,
        rms_norm_eps=1e-6,
        max_positions=256,
        qkv_bias=not is_qwen3,
        qk_norm=is_qwen3,
        tied_head=False,
    )
    model = Qwen(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(mean=float(parameter.ndim == 1), std=0.3)
    return model


def tokens(*shape: int) -> Tensor:
    return torch.randint(VOCAB, shape)


def check_step(model: Qwen, cache: RowCache, rows: list[list[int]], new: Tensor) -> None:
    """Feed `new` [B, T] to the cache and compare with reading each row alone; extends `rows`."""
    logits = model(new, cache)  # [B, T, V]
    for row, added, ours in zip(rows, new.tolist(), logits, strict=True):
        row += added
        expected = model(torch.tensor([row]))[0, -len(added) :]
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    assert cache.lengths.tolist() == [len(row) for row in rows]


def filled(model: Qwen, lengths: list[int]) -> tuple[RowCache, list[list[int]]]:
    """A cache of rows of these lengths, padded on the right at prefill; and their tokens."""
    cache, new = RowCache(model.config), tokens(len(lengths), max(lengths))
    cache.add_rows(len(lengths))
    logits = model(new, cache)
    cache.truncate(lengths)
    rows = [ids[:length] for ids, length in zip(new.tolist(), lengths, strict=True)]
    for row, ours in zip(rows, logits, strict=True):
        expected = model(torch.tensor([row]))[0]
        torch.testing.assert_close(ours[: len(row)], expected, atol=1e-4, rtol=1e-4)
    return cache, rows


@pytest.mark.parametrize("chunks", [[1] * 12, [5, 1, 3, 2, 1], [70, 1, 1, 80, 1]])
def test_reading_in_pieces_equals_reading_at_once(model: Qwen, chunks: list[int]) -> None:
    cache, rows = RowCache(model.config), [[], [], []]
    cache.add_rows(3)
    for size in chunks:
        check_step(model, cache, rows, tokens(3, size))


def test_rows_of_different_lengths(model: Qwen) -> None:
    cache, rows = filled(model, [3, 9, 1, 6])
    for size in (1, 1, 4, 1):
        check_step(model, cache, rows, tokens(4, size))


@pytest.mark.parametrize(
    "chosen",
    [[1, 3], [3, 2, 1, 0], [0] * 6, [2, 0, 0, 3, 1], [0, 1, 2, 3], [3]],
    ids=["prune", "reorder", "repeat", "mixed", "keep", "one"],
)
def test_select(model: Qwen, chosen: list[int]) -> None:
    cache, rows = filled(model, [3, 9, 1, 6])
    cache.select(chosen)
    rows = [list(rows[row]) for row in chosen]
    check_step(model, cache, rows, tokens(len(rows), 1))
    check_step(model, cache, rows, tokens(len(rows), 2))


def test_add_rows_from_another_cache(model: Qwen) -> None:
    cache, rows = filled(model, [3, 9])
    for lengths in ([2, 4, 5], [30, 2, 1]):  # shorter, and longer, than what is there
        other, others = filled(model, lengths)
        cache.add_rows_from(other, [2, 0, 2])
        rows += [list(others[row]) for row in (2, 0, 2)]
        check_step(model, cache, rows, tokens(len(rows), 1))
        check_step(model, other, others, tokens(3, 1))  # the other cache is untouched


def test_rows_enter_in_the_place_of_finished_ones(model: Qwen) -> None:
    cache, rows = filled(model, [3, 40, 5])
    cache.select([0])
    other, others = filled(model, [2, 1])
    cache.add_rows_from(other, [1, 0])
    rows = [rows[0], others[1], others[0]]
    for _ in range(3):
        check_step(model, cache, rows, tokens(3, 1))


def test_new_rows_beside_rows_that_have_read(model: Qwen) -> None:
    cache, rows = filled(model, [3, 9])
    cache.add_rows(2)
    check_step(model, cache, [*rows, [], []], tokens(4, 1))


def test_backtracking(model: Qwen) -> None:
    cache, rows = filled(model, [3, 9, 6])
    check_step(model, cache, rows, tokens(3, 5))
    cache.truncate([2, 12, 0])
    rows = [row[:length] for row, length in zip(rows, [2, 12, 0], strict=True)]
    for size in (1, 3, 1):
        check_step(model, cache, rows, tokens(3, size))


def test_any_sequence_of_operations(model: Qwen) -> None:
    rng = random.Random(0)
    cache, rows = filled(model, [4, 1])
    for _ in range(60):
        kind = rng.randrange(4)
        if kind == 0:
            chosen = [rng.randrange(len(rows)) for _ in range(rng.randint(1, 5))]
            cache.select(chosen)
            rows = [list(rows[row]) for row in chosen]
        elif kind == 1:
            rows = [row[: rng.randint(0, len(row))] for row in rows]
            cache.truncate([len(row) for row in rows])
        elif kind == 2 and len(rows) < 8:
            other, others = filled(model, [rng.randint(1, 90), rng.randint(1, 9)])
            cache.add_rows_from(other, [1, 0])
            rows += [others[1], others[0]]
        check_step(model, cache, rows, tokens(len(rows), rng.choice([1, 1, 1, 2, 7])))


@pytest.mark.parametrize("lengths", [[4, 9], [3, 9, 1], [3]])
def test_truncate_refuses_to_lengthen_and_other_counts(model: Qwen, lengths: list[int]) -> None:
    cache, _ = filled(model, [3, 9])
    with pytest.raises(ValueError, match="cannot truncate"):
        cache.truncate(lengths)


@pytest.mark.parametrize("rows", [[0, 2], [-1]])
def test_select_refuses_rows_that_do_not_exist(model: Qwen, rows: list[int]) -> None:
    cache, _ = filled(model, [3, 9])
    with pytest.raises(IndexError, match="2 rows"):
        cache.select(rows)


def test_selecting_no_rows_empties_the_cache(model: Qwen) -> None:
    cache, _ = filled(model, [3, 9])
    cache.select([])
    assert cache.num_rows == 0
    cache.add_rows(1)
    check_step(model, cache, [[]], tokens(1, 4))


@pytest.mark.parametrize("num_dropped", [0, 1, 7, 150, 300])
def test_longer_rows_come_first_block_by_block(num_dropped: int) -> None:
    rng = random.Random(num_dropped)
    lengths = torch.tensor(sorted((rng.randint(0, 90) for _ in range(300)), reverse=True))
    dropped = set(rng.sample(range(300), num_dropped))
    rows = compacted(lengths, dropped)
    assert sorted(rows) == sorted(set(range(300)) - dropped)
    blocks = lengths[rows].split(BLOCK_ROWS)
    assert all(a.min() >= b.max() for a, b in pairwise(blocks))
    moved = sum(row != place for place, row in enumerate(rows))
    assert moved <= num_dropped * (len(blocks) + 1)  # a hole passes through the blocks


def test_new_rows_are_put_behind_longer_ones() -> None:
    lengths = torch.tensor([5] * BLOCK_ROWS + [0, 7])
    ordered = lengths[compacted(lengths, set())].tolist()
    assert sorted(ordered[:BLOCK_ROWS]) == [5] * (BLOCK_ROWS - 1) + [7]
    assert sorted(ordered[BLOCK_ROWS:]) == [0, 5]


def test_room_that_no_live_row_needs_is_given_back_when_the_cache_grows():
    config = ModelConfig.from_dict(random_hub_model("qwen3").config.to_dict())
    cache = RowCache(config)
    cache.add_rows(50)
    cache.extend(300)
    cache.select([0, 1])
    cache.extend(1000)  # two rows of 1,300 columns, not fifty
    bytes_per_token = 2 * 4 * config.num_layers * config.num_kv_heads * config.head_dim
    assert cache.num_bytes <= 2 * 1400 * bytes_per_token
    cache.truncate([10, 10])
    cache.add_rows(60)
    assert cache.num_bytes <= 62 * 80 * bytes_per_token


def test_a_cache_does_not_grow_beyond_the_columns_that_it_can_need(model: Qwen) -> None:
    cache, rows = filled(model, [30, 9])
    cache.expect(45)
    for _ in range(15):
        check_step(model, cache, rows, tokens(2, 1))
    assert cache.keys[0].shape[2] == 45


def test_a_row_is_read_out_and_written_into_another_cache(model: Qwen) -> None:
    cache, rows = filled(model, [3, 9])
    other = RowCache(model.config)
    other.add_rows(2)
    other.write_row(1, 0, *(t[:, :, :4] for t in cache.read_row(1, 0)))
    other.write_row(1, 4, *cache.read_row(1, 4))
    check_step(model, other, [[], list(rows[1])], tokens(2, 3))


def branches(
    model: Qwen, prompt_lengths: list[int], prompt_of: list[int]
) -> tuple[BranchCache, list[list[int]]]:
    """A cache in which row i continues prompt `prompt_of[i]`; and the rows' tokens, prompt first."""
    read, prompts = filled(model, prompt_lengths)
    cache = BranchCache(model.config)
    cache.add(read, prompt_of)
    return cache, [list(prompts[i]) for i in prompt_of]


def check_branches(model: Qwen, cache: BranchCache, rows: list[list[int]]) -> None:
    """Decode one token of every row and compare with reading each row alone; extends `rows`."""
    new = tokens(len(rows), 1)
    logits = model(new, cache)
    for row, added, ours in zip(rows, new.tolist(), logits, strict=True):
        row += added
        expected = model(torch.tensor([row]))[0, -1:]
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "prompt_of",
    [[0, 0, 0, 1, 1, 1, 2, 2, 2], [2, 0, 1], [1, 1, 1, 1, 2, 0, 1], [0], [1, 2], [2] * 40 + [0, 1]],
    ids=["even", "one each", "uneven", "unused", "first unused", "most of one"],
)
def test_rows_that_branch_off_shared_prompts(model: Qwen, prompt_of: list[int]) -> None:
    cache, rows = branches(model, [5, 11, 2], prompt_of)
    for _ in range(3):
        check_branches(model, cache, rows)


@pytest.mark.parametrize("block_rows", [2, BLOCK_ROWS])
def test_branches_leave_and_others_enter(
    model: Qwen, block_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.engine.branch_cache.BLOCK_ROWS", block_rows)
    monkeypatch.setattr(
        "shared.engine.branch_cache.COLUMN_STEP", 4
    )  # so that blocks differ in columns
    rng = random.Random(1)
    cache, rows = branches(model, [4, 40], [0, 1, 1, 0, 1])
    prompt_of = [0, 1, 1, 0, 1]
    for _ in range(25):
        check_branches(model, cache, rows)
        if rng.random() < 0.5 and len(rows) > 2:
            dropped = set(rng.sample(range(len(rows)), 2))
            kept = compacted(cache.rows.lengths, dropped)
            prompts = sorted({prompt_of[i] for i in kept})
            cache.select(kept, prompts)
            rows, prompt_of = [rows[i] for i in kept], [prompts.index(prompt_of[i]) for i in kept]
        else:
            read, new = filled(model, [rng.randint(1, 50)])
            number = cache.prompts.num_rows
            cache.add(read, [number, 0, number])
            rows += [list(new[0]), None, list(new[0])]
            rows[-2] = prompt_tokens(rows, prompt_of, cache)
            prompt_of += [number, 0, number]


def prompt_tokens(rows: list, prompt_of: list[int], cache: BranchCache) -> list[int]:
    """The tokens of prompt 0, cut from any row that continues it."""
    row = rows[prompt_of.index(0)]
    return list(row[: int(cache.prompts.lengths[0])])


@pytest.mark.parametrize("head_dim", [32, 128])
@pytest.mark.parametrize("num_queries", [1, 15, 16])
def test_attention_with_lse_is_a_softmax_and_its_log_sum_exp(head_dim, num_queries):
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(3, 2, num_queries, head_dim, generator=generator)
    k, v = torch.randn(2, 3, 2, 11, head_dim, generator=generator)
    bias = torch.zeros(3, 1, 1, 11)
    bias[1, ..., 7:] = -torch.inf
    scores = q.double() @ k.double().mT / head_dim**0.5 + bias
    mixed, log_sum = attention_with_lse(q, k, v, bias)
    torch.testing.assert_close(
        mixed.double(), scores.softmax(-1) @ v.double(), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(log_sum[..., 0].double(), scores.logsumexp(-1), rtol=1e-4, atol=1e-5)
