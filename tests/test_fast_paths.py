"""The linear layer gives `nn.Linear`'s results, however its weights lie and its products are made."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from shared.engine import fast_paths
from shared.engine.fast_paths import FastLinear, sum_of_rows

SHAPES = [(384, 128), (300, 260), (896, 900), (7, 9_363), (1024, 96), (1100, 1030)]  # out, in


def layer_of(out_features: int, in_features: int, bias: bool = False) -> FastLinear:
    torch.manual_seed(0)
    return FastLinear(torch.nn.Linear(in_features, out_features, bias=bias))


@pytest.mark.parametrize("out_features, in_features", SHAPES)
@pytest.mark.parametrize("rows", [(1, 1), (1,), (), (2, 1), (3, 5)])
@pytest.mark.parametrize("bias", [False, True])
def test_the_layout_changes_nothing_but_rounding(out_features, in_features, rows, bias):
    torch.manual_seed(0)
    plain = torch.nn.Linear(in_features, out_features, bias=bias)
    before = plain.weight.detach().clone()
    layer = FastLinear(plain)
    assert torch.equal(layer.weight, before)
    x = torch.randn(*rows, in_features)
    exact = F.linear(x.double(), before.double(), layer.bias.double() if bias else None)
    with torch.inference_mode():
        y = layer(x)
    assert y.shape == (*rows, out_features) and y.is_contiguous()
    torch.testing.assert_close(y.double(), exact, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not fast_paths.HAS_ONEDNN, reason="PyTorch has no oneDNN here")
def test_which_weights_are_laid_out_by_columns():
    for shape, by_columns in {(384, 128): True, (1100, 1030): False, (1024, 96): False}.items():
        layer = layer_of(*shape)
        assert layer.weight.t().is_contiguous() == by_columns, shape
    layer = FastLinear(torch.nn.Linear(128, 384).bfloat16())
    assert layer.weight.is_contiguous()


@pytest.mark.skipif(not fast_paths.HAS_ONEDNN, reason="PyTorch has no oneDNN here")
def test_a_single_row_of_a_large_matrix_is_a_sum_of_columns(monkeypatch):
    calls = []
    monkeypatch.setattr(
        fast_paths, "sum_of_rows", lambda *given: calls.append(given) or sum_of_rows(*given)
    )
    large, small = layer_of(896, 900), layer_of(384, 128)
    with torch.inference_mode():
        for layer in (large, small):
            for rows in (1, 2):
                layer(torch.randn(rows, layer.in_features))
        assert len(calls) == 1
        monkeypatch.setattr(torch, "get_num_threads", lambda: 200)
        x = torch.randn(1, large.in_features)  # 896 columns cannot be shared by 256
        torch.testing.assert_close(large(x), F.linear(x, large.weight))
    assert len(calls) == 1


@pytest.mark.parametrize("num_threads", [1, 2, 3, 4])
def test_rows_are_summed_on_any_number_of_threads(num_threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    assert num_threads <= fast_paths.num_pieces() < 2 * num_threads
    matrix, factors = torch.randn(37, 64), torch.randn(37)
    torch.testing.assert_close(sum_of_rows(matrix, factors), factors @ matrix)


def test_batches_of_all_sizes_become_few_sizes(monkeypatch):
    sizes = [fast_paths.padded_size(rows) for rows in range(1, 4097)]
    assert all(0 <= size - rows <= rows / 8 for rows, size in enumerate(sizes, 1))
    assert sizes[:16] == list(range(1, 17)) and len(set(sizes)) == 80
    seen, real = set(), fast_paths.onednn
    monkeypatch.setattr(
        fast_paths, "onednn", lambda x, *more: seen.add(x.shape[0]) or real(x, *more)
    )
    layer = layer_of(384, 128)
    with torch.inference_mode():
        for rows in range(33, 65):
            x = torch.randn(rows, 1, 128)
            torch.testing.assert_close(layer(x), F.linear(x, layer.weight))
    assert not fast_paths.HAS_ONEDNN or seen == {36, 40, 44, 48, 52, 56, 60, 64}
    seen.clear()
    with torch.inference_mode():
        layer_of(4864, 896)(torch.randn(513, 896))  # to compute 63 rows more would take longer
    assert not fast_paths.HAS_ONEDNN or seen == {513}


def test_an_arranged_layer_can_be_trained_saved_and_moved():
    layer = layer_of(384, 128, bias=True)
    x = torch.randn(3, 128)
    layer(x).square().sum().backward()
    expected = 2 * (x @ layer.weight.T + layer.bias).T @ x
    torch.testing.assert_close(layer.weight.grad, expected)
    other = layer_of(384, 128, bias=True)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.weight, layer.weight)
    half = layer.to(torch.bfloat16)
    assert half(x.bfloat16()).dtype == torch.bfloat16
