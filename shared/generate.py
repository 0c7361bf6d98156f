"""Generation, from the plainest loop to the batch that everything runs on.

`generate_naive` is the whole idea in a dozen lines; it recomputes everything for every token. The
rest gives the same tokens, faster: a `BatchGenerator` holds many rows at once, each one sample of
some prompt, and repeats one `step`:

    admit    waiting prompts are read in one batch (`prefill`); each prompt is read once, and its
             cache row is copied for every sample of it
    decode   one new token for every live row, in one forward pass
    finish   rows that ended leave at once and make room for waiting ones

Prompts of different lengths share a batch without changing each other's results: every row starts
at column 0 of the cache, and no row looks beyond its own length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.kv_cache import KVCache, rows_without
from shared.model import Qwen
from shared.sampler import RowParams, SamplingParams, row_uniforms, sample
from shared.solution import Completion, Cost, RequestOutput
from shared.tokenizer import Tokenizer

PREFILL_TOKENS = 8_192  # prompts are read in batches of about so many tokens, padding included


@torch.inference_mode()
def generate_naive(
    model: Qwen,
    prompt_ids: list[int],
    params: SamplingParams,
    stop_ids: list[int],
    sample_index: int = 0,
) -> list[int]:
    """Sample one completion of one prompt, running the whole text through the model each time."""
    row = RowParams.stack([params], model.device)
    uniforms = row_uniforms(params.seed, prompt_ids, sample_index, params.max_tokens)
    ids = list(prompt_ids)
    for uniform in uniforms.to(model.device):
        logits = model(torch.tensor([ids], device=model.device))  # [1, T, V]
        token = sample(logits[:, -1], row, uniform[None])  # [1]
        ids.append(int(token))
        if ids[-1] in stop_ids and not params.ignore_eos:
            break
    return ids[len(prompt_ids) :]


def pad_right(sequences: list[list[int]], device: torch.device) -> Tensor:
    """Token ids of different lengths as one rectangle [B, T]; what follows a row's end is 0."""
    width = max(map(len, sequences))
    return torch.tensor([ids + [0] * (width - len(ids)) for ids in sequences], device=device)


def prefill(model: Qwen, prompts: list[list[int]]) -> tuple[KVCache, Tensor]:
    """Read prompts in one batch: a cache with a row for each, and the logits [B, V] that follow."""
    lengths = torch.tensor([len(ids) for ids in prompts])
    cache = KVCache(model.config, model.device, model.dtype)
    cache.add_rows(len(prompts))
    hidden = model.model(pad_right(prompts, model.device), cache)  # [B, T, hidden]
    cache.truncate(lengths.tolist())  # the padding is forgotten
    last = hidden[torch.arange(len(prompts)), lengths.to(model.device) - 1]  # [B, hidden]
    return cache, model.lm_head(last)


def decode(model: Qwen, tokens: Tensor, cache: KVCache) -> Tensor:
    """Read one token of every row, tokens [B, 1]; the logits [B, V] of the next one."""
    return model.lm_head(model.model(tokens, cache)[:, -1])


@torch.inference_mode()
def score_tokens(
    model: Qwen, prompts: list[list[int]], completions: list[list[int]]
) -> list[list[float]]:
    """Log-probability of each token of each completion after its prompt, in one batch."""
    sequences = [prompt + completion for prompt, completion in zip(prompts, completions)]
    hidden = model.model(pad_right([ids[:-1] for ids in sequences], model.device))  # [B, T, hidden]
    scores = []
    for row, (prompt, completion) in enumerate(zip(prompts, completions)):
        before = hidden[row, len(prompt) - 1 : len(prompt) - 1 + len(completion)]  # [C, hidden]
        targets = torch.tensor(completion, device=model.device)
        scores.append(token_logprobs(model.lm_head(before), targets).tolist())
    return scores


def token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of tokens [B] under logits [B, V], at temperature 1 and without filters."""
    logits = logits.float()
    chosen = logits.gather(-1, tokens[:, None])[:, 0]  # [B]
    return chosen - logits.logsumexp(dim=-1)


@dataclass(eq=False)
class Request:
    """One prompt to be completed `params.n` times; `future` receives the RequestOutput."""

    prompt_ids: list[int]
    params: SamplingParams
    max_new_tokens: int  # max_tokens, or less where the model's context ends
    on_token: Callable[[int], None] | None = None  # called with each token of sample 0
    future: Future = field(default_factory=Future)
    cancelled: bool = False
    num_started: int = 0
    completions: dict[int, Completion] = field(default_factory=dict)  # finished ones, by sample
    prefix: tuple[KVCache, int, Tensor] | None = None  # the read prompt: cache, row, logits [V]

    @property
    def total_tokens(self) -> int:
        """Cache columns that a row of this request may come to need."""
        return len(self.prompt_ids) + self.max_new_tokens

    def output(self) -> RequestOutput:
        """All completions in sample order, with their cost: the prompt is read once."""
        completions = [self.completions[i] for i in range(self.params.n)]
        generated = sum(len(completion.token_ids) for completion in completions)
        forward_passes = 1 + generated - len(completions)  # a prefill gives every first token
        cost = Cost(len(self.prompt_ids), generated, 0, forward_passes)
        return RequestOutput(self.prompt_ids, completions, cost)


@dataclass(eq=False)
class Row:
    """The part of a live row that is not a tensor: whose sample it is, and its text so far."""

    request: Request
    sample_index: int
    text: bytearray = field(default_factory=bytearray)  # kept only where stop strings are given
    stop_at: int | None = None  # where in `text` a stop string begins
    top_logprobs: list[dict[int, float]] = field(default_factory=list)

    def find_stop(self, token_bytes: bytes) -> None:
        """Add a token's bytes; look for stop strings where they could have become complete."""
        stops = [stop.encode("utf-8") for stop in self.request.params.stop]
        seen = max(0, len(self.text) - max(map(len, stops)) + 1)
        self.text += token_bytes
        found = [position for stop in stops if (position := self.text.find(stop, seen)) >= 0]
        self.stop_at = min(found, default=None)


class BatchGenerator:
    """A continuous batch. `add` requests, then call `step` while `has_work`.

    At most `max_rows` rows live at once, and fewer if the cache could otherwise outgrow
    `max_cache_bytes`: a row counts with its prompt and all the tokens it may yet generate.
    """

    def __init__(
        self,
        model: Qwen,
        tokenizer: Tokenizer,
        stop_ids: list[int],
        *,
        max_rows: int,
        max_cache_bytes: int,
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.max_rows = max_rows
        self.stop_ids = stop_ids
        self.stop_tokens = torch.tensor(stop_ids, dtype=torch.long, device=model.device)
        self.special_ids = set(tokenizer.special_tokens.values())
        config = model.config
        values_per_token = 2 * config.num_layers * config.num_kv_heads * config.head_dim
        self.max_cache_tokens = max_cache_bytes // (values_per_token * model.dtype.itemsize)
        self.requests: set[Request] = set()  # all that are not finished
        self.waiting: deque[Request] = deque()  # those with samples that have not started
        self._clear_rows()

    def abandon(self, error: Exception) -> None:
        """Give up on everything: every unfinished request gets the error."""
        for request in self.requests:
            request.future.set_exception(error)
        self.requests.clear()
        self.waiting.clear()
        self._clear_rows()

    def _clear_rows(self) -> None:
        """Forget all live rows and free their cache."""
        self.rows: list[Row] = []
        self.cache = KVCache(self.model.config, self.model.device, self.model.dtype)
        self.state: dict[str, Tensor] = {}  # by name: [rows], [rows, 1] or [rows, tokens]

    @property
    def has_work(self) -> bool:
        """Whether any request is waiting or live."""
        return bool(self.requests)

    def check(self, request: Request) -> None:
        """Raise ValueError if not even one row of a request fits the budget."""
        if request.total_tokens > self.max_cache_tokens:
            raise ValueError(
                f"one completion of up to {request.total_tokens} tokens does not fit the cache "
                f"budget of {self.max_cache_tokens}; lower max_tokens or raise max_cache_bytes"
            )

    def add(self, request: Request) -> None:
        """Queue a request. Raises ValueError if it can never be served."""
        self.check(request)
        self.requests.add(request)
        self.waiting.append(request)

    @torch.inference_mode()
    def step(self) -> None:
        """Admit what fits, then generate one token for every row; finished requests get their
        result."""
        self._drop_cancelled()
        if self.rows:
            tokens = self.state["tokens"].gather(1, self.state["count"][:, None] - 1)  # [rows, 1]
            self._choose_tokens(0, decode(self.model, tokens, self.cache))
        self._admit()

    def _drop_cancelled(self) -> None:
        cancelled = {request for request in self.requests if request.cancelled}
        if cancelled:
            self.requests -= cancelled
            self.waiting = deque(request for request in self.waiting if not request.cancelled)
            self._remove({i for i, row in enumerate(self.rows) if row.request.cancelled})

    def _admit(self) -> None:
        """Start as many waiting samples as there is room for."""
        while self.waiting and (starting := self._next_to_start()):
            unread = [request for request, _ in starting if request.prefix is None]
            if unread:
                cache, logits = prefill(self.model, [request.prompt_ids for request in unread])
                for i, request in enumerate(unread):
                    request.prefix = (cache, i, logits[i])
            self._start(starting)

    def _next_to_start(self) -> list[tuple[Request, list[int]]]:
        """The next requests of the queue and which of their samples fit, for one prefill."""
        starting: list[tuple[Request, list[int]]] = []
        num_rows, longest_prompt = len(self.rows), 0
        columns = max((row.request.total_tokens for row in self.rows), default=0)
        while self.waiting:
            request = self.waiting[0]
            columns = max(columns, request.total_tokens)
            longest_prompt = max(longest_prompt, len(request.prompt_ids))
            if starting and longest_prompt * (len(starting) + 1) > PREFILL_TOKENS:
                break
            room = min(self.max_rows, self.max_cache_tokens // columns) - num_rows
            first, n = request.num_started, request.params.n
            samples = list(range(first, min(n, first + max(room, 0))))
            if not samples:
                break
            starting.append((request, samples))
            num_rows += len(samples)
            request.num_started += len(samples)
            if request.num_started < n:
                break  # its other samples come when there is room again
            self.waiting.popleft()
        return starting

    def _start(self, starting: list[tuple[Request, list[int]]]) -> None:
        """Give each new sample a row, a copy of its prompt's cache, and its first token."""
        first_new, logits = len(self.rows), []
        by_cache: dict[int, list[tuple[Request, list[int]]]] = {}
        for request, samples in starting:
            by_cache.setdefault(id(request.prefix[0]), []).append((request, samples))
        for group in by_cache.values():
            source = [request.prefix[1] for request, samples in group for _ in samples]
            self.cache.add_rows_from(group[0][0].prefix[0], source)
            for request, samples in group:
                logits += [request.prefix[2]] * len(samples)
                self.rows += [Row(request, i) for i in samples]
                if request.num_started == request.params.n:
                    request.prefix = None
        self._extend_state(self.rows[first_new:])
        self._choose_tokens(first_new, torch.stack(logits))

    def _extend_state(self, new_rows: list[Row]) -> None:
        """Add the tensors of new rows, widening what is one column a generated token."""
        params = [row.request.params for row in new_rows]
        limits = [row.request.max_new_tokens for row in new_rows]
        width = max([*limits, self.state["tokens"].shape[1] if self.state else 0])
        uniforms = torch.zeros(len(new_rows), width)
        for i, row in enumerate(new_rows):
            key = (row.request.params.seed, row.request.prompt_ids, row.sample_index)
            uniforms[i, : limits[i]] = row_uniforms(*key, limits[i])
        new = {
            "tokens": torch.zeros(len(new_rows), width, dtype=torch.long),
            "logprobs": torch.zeros(len(new_rows), width),
            "uniforms": uniforms,
            "count": torch.zeros(len(new_rows), dtype=torch.long),
            "limit": torch.tensor(limits),
            "ignore_eos": torch.tensor([p.ignore_eos for p in params]),
            **vars(RowParams.stack(params)),
        }
        new = {name: tensor.to(self.model.device) for name, tensor in new.items()}
        for name, old in self.state.items():
            if name in ("tokens", "logprobs", "uniforms"):
                old = F.pad(old, (0, width - old.shape[1]))
            new[name] = torch.cat([old, new[name]])
        self.state = new

    def _choose_tokens(self, first: int, logits: Tensor) -> None:
        """Sample the next token of rows first.. from logits [rows, V]; drop those that end."""
        state = {name: tensor[first:] for name, tensor in self.state.items()}  # views
        position = state["count"][:, None]  # [rows, 1]
        params = RowParams(*(state[name] for name in ("temperature", "min_p", "top_k", "top_p")))
        tokens = sample(logits, params, state["uniforms"].gather(1, position)[:, 0])  # [rows]
        state["tokens"].scatter_(1, position, tokens[:, None])
        state["logprobs"].scatter_(1, position, token_logprobs(logits, tokens)[:, None])
        state["count"] += 1
        is_stop = torch.isin(tokens, self.stop_tokens) & ~state["ignore_eos"]
        ended = is_stop | (state["count"] >= state["limit"])  # [rows]
        finished = {first + i for i in ended.nonzero()[:, 0].tolist()}
        finished |= self._watch(first, tokens, logits)
        self._finish(finished)

    def _watch(self, first: int, tokens: Tensor, logits: Tensor) -> set[int]:
        """Serve the rows that want more than tokens; return those that met a stop string."""
        stopped = set()
        for i, row in enumerate(self.rows[first:]):
            params, on_token = row.request.params, row.request.on_token
            if not (params.stop or params.logprobs or on_token):
                continue
            if params.stop:
                row.find_stop(self._text_bytes([int(tokens[i])]))
                if row.stop_at is not None:
                    stopped.add(first + i)
            if params.logprobs:
                top = logits[i].float().log_softmax(dim=-1).topk(params.logprobs)
                row.top_logprobs.append(dict(zip(top.indices.tolist(), top.values.tolist())))
            if on_token and row.sample_index == 0:
                on_token(int(tokens[i]))
        return stopped

    def _text_bytes(self, token_ids: list[int]) -> bytes:
        """The text of tokens as bytes; special tokens have none."""
        return b"".join(
            self.tokenizer.token_bytes(i) for i in token_ids if i not in self.special_ids
        )

    def _finish(self, finished: set[int]) -> None:
        """Turn rows into completions, answer requests that are complete, and drop the rows."""
        for i in sorted(finished):
            row, count = self.rows[i], int(self.state["count"][i])
            token_ids = self.state["tokens"][i, :count].tolist()
            logprobs = self.state["logprobs"][i, :count].tolist()
            is_end = token_ids[-1] in self.stop_ids and not row.request.params.ignore_eos
            is_stop = is_end or row.stop_at is not None
            text = self._text_bytes(token_ids)[: row.stop_at].decode("utf-8", errors="replace")
            row.request.completions[row.sample_index] = Completion(
                text, token_ids, logprobs, "stop" if is_stop else "length", row.top_logprobs
            )
            if len(row.request.completions) == row.request.params.n:
                self.requests.discard(row.request)
                row.request.future.set_result(row.request.output())
        self._remove(finished)

    def _remove(self, dropped: set[int]) -> None:
        """Drop rows; the last ones take their places, so that little of the cache is copied."""
        if not dropped:
            return
        if len(dropped) == len(self.rows):
            self._clear_rows()
            return
        kept = rows_without(len(self.rows), dropped)
        self.cache.select(kept)
        self.rows = [self.rows[i] for i in kept]
        index = torch.tensor(kept, device=self.model.device)
        self.state = {name: tensor[index] for name, tensor in self.state.items()}
