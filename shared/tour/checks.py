"""The checks of the tour's exercises (`tour_exercises.ipynb`).

    check_merge_pair(merge_pair)    prints that all is well, or stops and says what is wrong

Every check first tries small inputs that were worked out by hand. Each message names the input,
what came back and, where the mistake is a well-known one, what to look for.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from shared import load_model
from shared.decoder.kv_cache import KVCache
from shared.decoder.model import Qwen


def call(function: Callable, *arguments: object, case: str) -> object:
    """What `function` returns for copies of the arguments, which it must not change.

    Raises AssertionError, in words about `case`, if it raises an error or returns None.
    """
    given = copy.deepcopy(arguments)
    result = call_as_is(function, *given, case=case)
    for before, after in zip(arguments, given):
        same = torch.equal(before, after) if isinstance(before, Tensor) else before == after
        assert same, f"{case}: your function changed its input; work on a copy or make a new object"
    return result


def call_as_is(function: Callable, *arguments: object, case: str, hint: str = "") -> object:
    """Like `call`, for arguments that the function is meant to change, such as a cache."""
    try:
        result = function(*arguments)
    except NotImplementedError:
        raise AssertionError(
            f"{function.__name__} is not written yet: replace `raise NotImplementedError`"
        ) from None
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(
            f"{case}: your function stopped with {kind}: {error}. {hint}".removesuffix(". ")
        ) from error
    assert result is not None, f"{case}: your function returned None. Is a `return` missing?"
    return result


def check_tensor(result: object, shape: Sequence[int], case: str) -> Tensor:
    """Raise AssertionError unless the result is a tensor of this shape without NaN."""
    assert isinstance(result, Tensor), f"{case}: return a tensor, not {type(result).__name__}"
    expected = list(shape)
    assert list(result.shape) == expected, (
        f"{case}: the result has the shape {list(result.shape)}, but it should be {expected}"
    )
    assert not result.is_floating_point() or not result.isnan().any(), f"{case}: there is a NaN"
    return result


def close(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one shape are equal up to rounding."""
    return torch.allclose(first.float(), second.float(), atol=1e-4, rtol=1e-4)


# --- 1. Merge a pair ------------------------------------------------------------------------------

MERGES = [  # parts, left, right, expected, what to think of
    ("a b c", "a", "b", "ab c", "join a and b, and keep the rest"),
    ("x a b a b", "a", "b", "x ab ab", "merge every occurrence, and leave the rest where it is"),
    ("a c b", "a", "b", "a c b", "only neighbors are merged"),
    ("b a", "a", "b", "b a", "left must come before right"),
    ("a a a", "a", "a", "aa a", "scan from the left; a part can be used in one merge only"),
    ("a a a a", "a", "a", "aa aa", "after a merge, continue behind both parts"),
    ("xa b", "a", "b", "xa b", "compare whole parts, not the ends of parts"),
    ("ab c", "a", "b", "ab c", "a part that already is the merged one stays as it is"),
    ("a bc", "ab", "c", "a bc", "compare both parts, not the bytes of both together"),
    ("b ab ab", "b", "ab", "bab ab", "parts may be longer than one byte"),
    ("a b b", "a", "b", "ab b", "a b that follows the merged pair stays"),
    ("a ab b", "a", "b", "a ab b", "a merged part does not merge again"),
    ("a", "a", "b", "a", "one part has no neighbor"),
    ("", "a", "b", "", "an empty list has nothing to merge"),
]


def check_merge_pair(merge_pair: Callable[[list[bytes], bytes, bytes], list[bytes]]) -> None:
    """Exercise 1."""
    for parts, left, right, expected, hint in MERGES:
        given, wanted = ([part.encode() for part in text.split()] for text in (parts, expected))
        case = f"merge_pair({given}, {left.encode()}, {right.encode()})"
        result = call(merge_pair, given, left.encode(), right.encode(), case=case)
        assert isinstance(result, list), f"{case}: return a list, not {type(result).__name__}"
        assert result == wanted, f"{case} returned {result}, but it should be {wanted}: {hint}"
    for given, left, right, wanted, hint in [
        ([b" ", b"s", b" ", b"s"], b" ", b"s", [b" s", b" s"], "a part may be a space"),
        ([b",", b"\xf0", b"\x9f"], b"\xf0", b"\x9f", [b",", b"\xf0\x9f"], "a part need not be "
         "text, and it may be any sign: do not join and split the parts"),
    ]:  # fmt: skip
        case = f"merge_pair({given}, {left}, {right})"
        result = call(merge_pair, given, left, right, case=case)
        assert result == wanted, f"{case} returned {result}, but it should be {wanted}: {hint}"
    given = [b"a", b"c"]
    assert merge_pair(given, b"a", b"b") is not given, (
        "merge_pair returned the list that it was given: return a new one, also if nothing merges"
    )
    print("Exercise 1 is right.")


# --- 2. A window ----------------------------------------------------------------------------------


def check_window_mask(window_mask: Callable[[int, int, int], Tensor]) -> None:
    """Exercise 2."""
    for num_cached, num_new, window in [
        (2, 2, 3), (0, 4, 2), (0, 4, 1), (0, 4, 9), (3, 1, 2), (3, 1, 1), (5, 3, 2), (1, 2, 3),
    ]:  # fmt: skip
        case = f"window_mask({num_cached}, {num_new}, {window})"
        result = call(window_mask, num_cached, num_new, window, case=case)
        result = check_tensor(result, (num_new, num_cached + num_new), case)
        assert result.dtype == torch.bool, (
            f"{case}: return a tensor of True and False, not {result.dtype}"
        )
        check_window_rows(result, num_cached, window, case)
    print("Exercise 2 is right.")


def check_window_rows(mask: Tensor, num_cached: int, window: int, case: str) -> None:
    """Raise AssertionError about the first entry of a mask that is wrong."""
    for row, allowed in enumerate(mask.tolist()):
        position = num_cached + row
        assert allowed[position], (
            f"{case}: row {row} is the token at position {position}. It must attend to itself, so "
            f"column {position} must be True"
        )
        for column, is_allowed in enumerate(allowed):
            where = f"{case}: the token at position {position} (row {row})"
            assert not (is_allowed and column > position), (
                f"{where} attends to position {column}, which comes later"
            )
            assert not (is_allowed and column <= position - window), (
                f"{where} attends to position {column}, but a window of {window} begins at "
                f"{max(0, position - window + 1)}: the token itself counts"
            )
            assert is_allowed or not position - window < column <= position, (
                f"{where} must attend to position {column}: a window of {window} holds the token "
                f"itself and the {window - 1} before it"
            )


# --- 3. Attention for one token -------------------------------------------------------------------


def attend_with(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    scale: float | None = None,
    neighbors: bool = True,
    over: int = -1,
) -> Tensor:
    """Grouped-query attention of one token [H, D]; the options make well-known mistakes."""
    group_size = len(q) // len(keys)
    if neighbors:
        keys, values = (x.repeat_interleave(group_size, dim=0) for x in (keys, values))
    else:
        keys, values = (x.repeat(group_size, 1, 1) for x in (keys, values))
    scores = (keys @ q[:, :, None])[..., 0]  # [H, S]
    scores = scores * (q.shape[-1] ** -0.5 if scale is None else scale)
    return (scores.softmax(dim=over)[:, None] @ values)[:, 0]


def check_attend(attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Exercise 3."""
    case = "one head, two equal keys, values 0 and 4"
    q, keys, values = torch.ones(1, 3), torch.full((1, 2, 3), 3.0), torch.zeros(1, 2, 3)
    values[0, 1] = 4
    result = check_tensor(call(attend, q, keys, values, case=case), (1, 3), case)
    hint = attend_hint(result, q, keys, values)
    assert close(result, torch.full((1, 3), 2.0)), (
        f"{case}: both weights are 1/2, so the result is 2, not {result[0, 0].item():.3f}. {hint}"
    )

    case = "four query heads, two key/value heads, one key each with the values 10 and 20"
    values = torch.tensor([10.0, 20.0]).view(2, 1, 1)
    result = call(attend, torch.ones(4, 1), torch.ones(2, 1, 1), values, case=case)
    result = check_tensor(result, (4, 1), case)[:, 0].tolist()
    assert result == [10, 10, 20, 20], (
        f"{case}: the four heads should get [10, 10, 20, 20], not {result}. Query heads that share "
        "a key/value head are neighbors: 0 and 1 use head 0, 2 and 3 use head 1"
    )

    generator = torch.Generator().manual_seed(0)
    for num_heads, num_kv_heads, length, head_dim in [(4, 2, 3, 5), (6, 2, 7, 3), (3, 3, 4, 2)]:
        q = 2 * torch.randn(num_heads, head_dim, generator=generator)
        keys, values = torch.randn(2, num_kv_heads, length, head_dim, generator=generator)
        case = f"random q {list(q.shape)}, keys and values {list(keys.shape)}"
        result = check_tensor(call(attend, q, keys, values, case=case), q.shape, case)
        assert close(result, attend_with(q, keys, values)), (
            f"{case}: wrong numbers. {attend_hint(result, q, keys, values)}"
        )

    case = "two query heads, one with scores of 1,000 and 900, the other with scores of 0"
    q, keys = torch.tensor([[50.0] * 4, [0.0] * 4]), torch.tensor([[[10.0] * 4, [9.0] * 4]])
    result = call(attend, q, keys, torch.tensor([[[1.0] * 4, [2.0] * 4]]), case=case)
    assert close(result, torch.tensor([[1.0] * 4, [1.5] * 4])), (
        f"{case}: the first head gives all the weight to its first key, the second half to each, "
        f"so the results are 1 and 1.5, not {rounded(result[:, 0].tolist())}. exp(1000) is "
        "infinite: use softmax, or subtract the largest score of each head first"
    )
    print("Exercise 3 is right.")


def attend_hint(result: Tensor, q: Tensor, keys: Tensor, values: Tensor) -> str:
    """What a wrong result looks like."""
    num_heads, head_dim = q.shape
    length = keys.shape[1]
    each = keys.repeat_interleave(num_heads // len(keys), dim=0)  # [H, S, D]
    weights = ((each @ q[:, :, None])[..., 0] / head_dim**0.5).exp()  # [H, S]
    sums = weights.sum(dim=-1, keepdim=True)
    mistakes = {
        "The softmax must run over the keys, the last dimension of the scores": attend_with(
            q, keys, values, over=0
        ),
        "Mix the values, not the keys": attend_with(q, keys, keys),
        "The weights of a query must add up to 1": attend_with(q, keys, values) * sums,
        "You divide by sqrt(D) after the softmax; divide the scores before it": (
            attend_with(q, keys, values, scale=1) * head_dim**-0.5
        ),
        "Divide the scores by sqrt(D) before the softmax": attend_with(q, keys, values, scale=1),
        "You divide by D; divide by sqrt(D)": attend_with(q, keys, values, scale=1 / head_dim),
        "You divide by the root of the number of heads; it is that of D": attend_with(
            q, keys, values, scale=num_heads**-0.5
        ),
        "You divide by the root of the number of keys; it is that of D": attend_with(
            q, keys, values, scale=length**-0.5
        ),
        "Query heads that share a key/value head are neighbors": attend_with(
            q, keys, values, neighbors=False
        ),
    }
    hints = [hint for hint, wrong in mistakes.items() if close(result, wrong)]
    return (hints + ["The steps: scores, divide, softmax over the keys, mean of the values"])[0]


# --- 4. Top-p -------------------------------------------------------------------------------------

NUCLEI = [  # probabilities in eighths, top_p, kept, what to think of
    ([4, 2, 1, 1], 0.6, [0, 1], "the token that crosses the threshold is kept"),
    ([4, 2, 1, 1], 0.5, [0], "stop as soon as the kept tokens hold top_p"),
    ([4, 2, 1, 1], 0.75, [0, 1], "stop as soon as the kept tokens hold top_p"),
    ([1, 4, 1, 2], 0.6, [1, 3], "tokens need not come sorted, and the result keeps their order"),
    ([1, 2, 4, 1], 0.01, [2], "at least one token is always kept"),
    ([4, 1, 1, 1, 1], 0.6, [0, 1, 2, 3, 4], "ties with the last kept token are kept too"),
    ([2, 2, 2, 2], 0.3, [0, 1, 2, 3], "ties with the last kept token are kept too"),
    ([4, 0, 3, 1], 1.0, [0, 2, 3], "top_p = 1 keeps every token that is possible at all"),
    ([7, 1, 0, 0], 0.9, [0, 1], "impossible tokens are never kept"),
    ([3, 3, 1, 1], 0.7, [0, 1], "stop as soon as the kept tokens hold top_p"),
    ([8], 0.5, [0], "a single token stays"),
]


def check_nucleus(nucleus: Callable[[Tensor, float], Tensor]) -> None:
    """Exercise 4."""
    for eighths, top_p, kept, hint in NUCLEI:
        probabilities = torch.tensor(eighths) / 8
        case = f"nucleus({probabilities.tolist()}, {top_p})"
        result = call(nucleus, probabilities, top_p, case=case)
        assert not (isinstance(result, Tensor) and result.isnan().any()), (
            f"{case} returned NaN. Is nothing kept, and then divided by 0? At least one token must "
            "stay"
        )
        result = check_tensor(result, probabilities.shape, case)
        ours = result.nonzero()[:, 0].tolist()
        assert ours == kept, (
            f"{case} keeps the tokens {ours}, but it should keep {kept}. "
            + nucleus_hint(probabilities, top_p, ours, kept, hint)
        )
        total = result.sum().item()
        assert math.isclose(total, 1, abs_tol=1e-5), (
            f"{case}: what is kept adds up to {total:.3f}. Divide by the sum, so that it adds up "
            "to 1"
        )
        expected = probabilities * (result > 0)
        assert close(result, expected / expected.sum()), (
            f"{case} returned {rounded(result.tolist())}. Kept tokens keep their proportions: "
            "divide by the sum, without a second softmax"
        )
    probabilities = torch.tensor([0.5, 0.2504, 0.2496])
    case = f"nucleus({rounded(probabilities.tolist(), 4)}, 0.6)"
    result = check_tensor(call(nucleus, probabilities, 0.6, case=case), (3,), case)
    assert result[2] == 0, f"{case} keeps all three tokens, but only exact ties are kept too"
    probabilities = torch.linspace(0, 5, 400).softmax(dim=0)
    case = "400 probabilities, top_p = 1"
    result = call(nucleus, probabilities * 0.9999999, 1.0, case=f"{case}, whose sum is 0.9999999")
    assert (check_tensor(result, (400,), case) > 0).all(), (
        f"{case}: all tokens are possible, so all are kept. The sum of many probabilities may stay "
        "a hair below 1"
    )
    print("Exercise 4 is right.")


def nucleus_hint(
    probabilities: Tensor, top_p: float, ours: list[int], kept: list[int], hint: str
) -> str:
    """Why a choice of tokens is wrong."""
    held, enough = (probabilities[ids].sum().item() for ids in (ours, kept))
    if held < top_p:
        return f"Yours hold only {held:.3f}; {hint}"
    if set(ours) > set(kept):
        return f"The tokens {kept} are enough, they hold {enough:.3f}; the others get exactly 0"
    return hint[0].upper() + hint[1:]


# --- 5. Reuse a cache -----------------------------------------------------------------------------

REUSES = [  # cached ids, prompt ids, tokens that must be read, what to think of
    ([], [1, 2, 3], 3, "Nothing is cached, so everything is read"),
    ([5, 6, 7], [5, 6, 7, 8, 9], 2, "The cache holds the first three tokens of the prompt"),
    ([5, 6, 7, 8, 9], [5, 6, 1, 2], 2, "Only the first two tokens agree; forget the other three"),
    ([5, 6, 7], [1, 2, 3, 4], 4, "Nothing agrees, so everything is read"),
    ([5, 6, 7, 8], [1, 6, 7, 8], 4, "Tokens after the first difference have another past"),
    ([5, 6, 7], [5, 6, 7], 1, "All is cached, but no logits: read the last token again"),
    ([5, 6, 7, 8, 9], [5, 6, 7], 1, "The prompt is the beginning of what is cached: read its last"),
    ([5, 6, 7], [5, 6, 8, 7, 7], 3, "The first two tokens agree"),
]


@contextmanager
def counting_tokens(model: Qwen) -> Iterator[list[int]]:
    """Collects the number of tokens that each forward pass of the model reads."""
    read: list[int] = []
    hook = model.model.register_forward_pre_hook(lambda _, given: read.append(given[0].numel()))
    try:
        yield read
    finally:
        hook.remove()


def check_next_logits(next_logits: Callable[[Qwen, KVCache, list[int], list[int]], Tensor]) -> None:
    """Exercise 5."""
    model = load_model("tiny", "cpu", torch.float32)
    for cached_ids, prompt_ids, needed, hint in REUSES:
        case = f"cached {cached_ids}, prompt {prompt_ids}"
        cache = KVCache(model.config, num_rows=1, max_tokens=12)
        with torch.inference_mode():
            if cached_ids:
                model(torch.tensor([cached_ids]), cache)
            ids = (list(cached_ids), list(prompt_ids))
            with counting_tokens(model) as read:
                logits = call_as_is(next_logits, model, cache, *ids, case=case, hint=hint)
            assert ids == (cached_ids, prompt_ids), (
                f"{case}: your function changed the lists; work on copies"
            )
            logits = check_tensor(logits, (model.config.vocab_size,), case)
            right = model(torch.tensor([prompt_ids]))[0, -1]
            check_cache(model, cache, prompt_ids, case, hint)
        assert close(logits, right), (
            f"{case}: these are not the logits after the last token of the prompt. The model "
            "returns logits for every token that it reads; take those of the last one"
        )
        assert sum(read) == needed, (
            f"{case}: your function reads {sum(read)} tokens, but {needed} are enough. {hint}"
        )
    print("Exercise 5 is right.")


def check_cache(model: Qwen, cache: KVCache, ids: list[int], case: str, hint: str) -> None:
    """Raise AssertionError unless the cache holds exactly these tokens."""
    lengths = cache.lengths.tolist()
    assert lengths == [len(ids)], (
        f"{case}: afterwards the cache must hold the {len(ids)} tokens of the prompt, but its "
        f"lengths are {lengths}. Use `cache.truncate([...])` before you read, and pass `cache` on"
    )
    whole = KVCache(model.config, num_rows=1, max_tokens=len(ids))
    model(torch.tensor([ids]), whole)
    same = close(cache.keys[:, :, :, : len(ids)], whole.keys)
    assert same, f"{case}: the cache keeps keys of tokens that the prompt does not have. {hint}"


# --- 6. Log-probability ---------------------------------------------------------------------------

ROWS = [[0, 1, 2, 1, 3], [2, 2, 0], [1, 0, 1, 2]]
PROMPT_LENGTHS = [2, 1, 4]


def check_completion_logprobs(
    completion_logprobs: Callable[[Tensor, list[list[int]], list[int]], list[float]],
) -> None:
    """Exercise 6."""
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(3, 5, 4, generator=generator)
    case = f"rows {ROWS}, prompt lengths {PROMPT_LENGTHS} (the last completion is empty)"
    result = call(completion_logprobs, logits, ROWS, PROMPT_LENGTHS, case=case)
    assert isinstance(result, list) and all(isinstance(value, float) for value in result), (
        f"{case}: return a list of Python numbers (`.item()` or `.tolist()` makes them)"
    )
    assert len(result) == 3, f"{case}: return one number for each of the 3 rows, not {len(result)}"
    right = sums_of_logprobs(logits)
    assert close(torch.tensor(result), torch.tensor(right)), (
        f"{case}: you return {rounded(result)}, but it should be {rounded(right)}. "
        + logprob_hint(logits, result)
    )
    shifted = call(completion_logprobs, logits + 7, ROWS, PROMPT_LENGTHS, case=case)
    assert close(torch.tensor(shifted), torch.tensor(right)), (
        "adding 7 to all logits must change nothing: logits are not log-probabilities yet"
    )
    sharp = 300 * logits
    result = call(completion_logprobs, sharp, ROWS, PROMPT_LENGTHS, case="logits of some hundreds")
    assert all(math.isfinite(value) for value in result), (
        f"logits of some hundreds: you return {result}. A softmax rounds such small probabilities "
        "to 0, and the logarithm of 0 is infinite: use `log_softmax`"
    )
    right = sums_of_logprobs(sharp)
    assert close(torch.tensor(result), torch.tensor(right)), (
        f"logits of some hundreds: you return {rounded(result)}, but it should be {rounded(right)}"
    )
    print("Exercise 6 is right.")


def sums_of_logprobs(
    logits: Tensor,
    *,
    score: Callable[[Tensor], Tensor] = lambda logits: logits.log_softmax(dim=-1),
    shift: int = 1,
    start: Callable[[int], int] = lambda length: length,
    skip: int = 0,
    pad: bool = False,
) -> list[float]:
    """The right sums with the default options; the options make well-known mistakes."""
    scores = score(logits)
    sums = []
    for row, (ids, length) in enumerate(zip(ROWS, PROMPT_LENGTHS)):
        ids = ids + [0] * (logits.shape[1] - len(ids)) if pad else ids
        places = range(start(length), len(ids) - skip)
        sums.append(float(sum(scores[row, place - shift, ids[place]].item() for place in places)))
    return sums


def logprob_hint(logits: Tensor, result: list[float]) -> str:
    """What a wrong answer looks like."""
    right = sums_of_logprobs(logits)
    lengths = [len(ids) - length for ids, length in zip(ROWS, PROMPT_LENGTHS)]

    def variant(**options: object) -> list[float]:
        """The sums with a well-known mistake."""
        return sums_of_logprobs(logits, **options)

    mistakes = {
        "The logits at position t are about token t + 1: shift by one": variant(shift=0),
        "Prompt tokens do not count": variant(start=lambda length: 1),
        "Each row has a prompt length of its own": variant(start=lambda _: PROMPT_LENGTHS[0]),
        "Padding after the end of a row does not count": variant(pad=True),
        "The first token of a completion is missing: it is predicted at the last position of the "
        "prompt": variant(start=lambda length: length + 1),
        "The last token of each completion is missing": variant(skip=1),
        "The softmax runs over the vocabulary, the last dimension": variant(
            score=lambda logits: logits.log_softmax(dim=1)
        ),
        "The softmax runs over the vocabulary, the last dimension, not over the rows": variant(
            score=lambda logits: logits.log_softmax(dim=0)
        ),
        "These are sums of logits; use `log_softmax` first": variant(score=lambda logits: logits),
        "These are sums of probabilities; add their logarithms": variant(
            score=lambda logits: logits.softmax(dim=-1)
        ),
        "These are means; return sums": [
            total / max(length, 1) for total, length in zip(right, lengths)
        ],
        "These are probabilities; return their logarithms": [math.exp(total) for total in right],
        "Use the natural logarithm, as `log_softmax` does": [
            total / math.log(2) for total in right
        ],
        "The sign is wrong: log-probabilities are negative": [-total for total in right],
    }
    for hint, wrong in mistakes.items():
        if close(torch.tensor(result), torch.tensor(wrong)):
            return hint
    return "For each token of the completion, look one position earlier, and add them all up"


def rounded(values: list[float], digits: int = 3) -> list[float]:
    """Numbers to show in a message."""
    return [round(value, digits) for value in values]
