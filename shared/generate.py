"""Generation, from the plainest loop to the batch that everything runs on.

`generate_naive` is the whole idea in a dozen lines; it recomputes everything for every token. The
rest gives the same tokens, faster: a `BatchGenerator` holds many rows at once, each one sample of
some prompt, and repeats one `step`:

    decode   one new token for every live row, in one forward pass
    finish   rows that ended leave at once and make room for waiting ones
    admit    waiting prompts are read in one batch, each once, and its samples become rows

Prompts of different lengths share a batch without changing each other's results: no row looks
beyond its own length.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.kv_cache import BranchCache, KVCache, rows_by_length
from shared.loops import CHECK_EVERY, LOOP_TOKENS, is_looping
from shared.model import Qwen
from shared.overflow import overflow_error
from shared.prefill import PREFILL_TOKENS, read, token_certainties, token_logprobs
from shared.prefix_cache import PrefixCache
from shared.sampler import RowParams, SamplingParams, row_uniforms, sample
from shared.solution import Completion, Cost, RequestOutput
from shared.tokenizer import Tokenizer

SAMPLING_BYTES = 16  # for each token of the vocabulary, while a row's next token is chosen
CHOICE_BYTES = 4 << 20  # of logits that tokens are chosen from at once: memory of this size is used
# again and again, while larger pieces are new to the operating system every time (8 << 20: half as
# fast)


@torch.inference_mode()
def generate_naive(
    model: Qwen,
    prompt_ids: list[int],
    params: SamplingParams,
    stop_ids: list[int],
    sample_index: int = 0,
) -> list[int]:
    """Sample one completion of one prompt, running the whole text through the model each time.

    It does not look for loops.
    """
    row = RowParams.stack([params], model.device)
    uniforms = row_uniforms(params.seed, prompt_ids, sample_index, params.max_tokens)
    ids = list(prompt_ids)
    for pair in uniforms.to(model.device):
        logits = model(torch.tensor([ids], device=model.device))  # [1, T, V]
        token = sample(logits[:, -1], row, pair[None])  # [1]
        ids.append(int(token))
        if ids[-1] in stop_ids and not params.ignore_eos:
            break
    return ids[len(prompt_ids) :]


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
    reused_tokens: int = 0  # of the prompt, read by an earlier request
    first_logits: Tensor | None = None  # [V], what follows the prompt
    completions: dict[int, Completion] = field(default_factory=dict)  # finished ones, by sample

    @property
    def needs_watching(self) -> bool:
        """Whether every token must be looked at as it comes."""
        return bool(self.params.stop or self.params.logprobs or self.on_token)

    @property
    def ends_loops(self) -> bool:
        """Whether a text that repeats itself forever is cut."""
        return self.params.stop_loops and not self.params.ignore_eos

    def output(self) -> RequestOutput:
        """All completions in sample order, with their cost: the prompt is read once."""
        completions = [self.completions[i] for i in range(self.params.n)]
        generated = sum(len(completion.token_ids) for completion in completions)
        cost = Cost(
            prompt_tokens=len(self.prompt_ids),
            reused_tokens=self.reused_tokens,
            generated_tokens=generated,
            forward_passes=1 + generated - len(completions),  # a prefill gives every first token
            num_prompts=1,
        )
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

    As many rows live at once as `cache_bytes` allow: a row counts with all the tokens it may yet
    generate, its prompt counts once.
    """

    def __init__(
        self,
        model: Qwen,
        tokenizer: Tokenizer,
        stop_ids: list[int],
        *,
        cache_bytes: int,
        prefixes: PrefixCache,
    ) -> None:
        self.model, self.prefixes = model, prefixes
        self.stop_ids = stop_ids
        self.stop_tokens = torch.tensor(stop_ids, dtype=torch.long, device=model.device)
        special = set(tokenizer.special_tokens.values())
        self.token_text = [  # of each token as bytes; special tokens have none
            b"" if i in special else tokenizer.token_bytes(i)
            for i in range(model.config.vocab_size)  # a model may have more than its tokenizer
        ]
        self.cache_bytes = cache_bytes
        self.token_bytes = model.config.cache_bytes_per_token(model.dtype)
        self.sampling_bytes = SAMPLING_BYTES * model.config.vocab_size  # a row
        self.rows_at_once = max(1, CHOICE_BYTES // (4 * model.config.vocab_size))
        self.requests: set[Request] = set()  # all that are not finished
        self.waiting: deque[Request] = deque()  # those with samples that have not started
        self._clear_rows()

    def abandon(self, error: BaseException) -> None:
        """Give up on everything: every unfinished request gets the error."""
        for request in self.requests:
            request.future.set_exception(error)
        self.requests.clear()
        self.waiting.clear()
        self._clear_rows()

    def _clear_rows(self) -> None:
        """Forget all live rows and free their cache."""
        self.prompts: list[Request] = []  # whose prompt is in the cache, in its order
        self.rows: list[Row] = []
        self.cache = BranchCache(self.model.config, self.model.device, self.model.dtype)
        self.state: dict[str, Tensor] = {}  # by name: [rows], [rows, tokens] or [rows, tokens, 2]
        self.params: RowParams | None = None

    @property
    def has_work(self) -> bool:
        """Whether any request is waiting or live."""
        return bool(self.requests)

    def check(self, request: Request) -> None:
        """Raise ValueError if not even one row of a request fits the budget."""
        prompt_columns, row_columns = len(request.prompt_ids), request.max_new_tokens
        if self._room_for_rows(1, prompt_columns, row_columns) < 1:
            raise ValueError(
                f"a prompt of {prompt_columns} tokens with up to {row_columns} new ones does not "
                f"fit a cache of {self.cache_bytes} bytes; lower max_tokens or raise cache_bytes"
            )

    def _room_for_rows(self, num_prompts: int, prompt_columns: int, row_columns: int) -> int:
        """How many rows of so many columns may live at once, beside so many prompts."""
        left = self.cache_bytes - num_prompts * prompt_columns * self.token_bytes
        return left // (row_columns * self.token_bytes + self.sampling_bytes)

    def add(self, request: Request) -> None:
        """Queue a request. Raises ValueError if it can never be served."""
        self.check(request)
        self.requests.add(request)
        self.waiting.append(request)

    @torch.inference_mode()
    def step(self) -> None:
        """Generate one token for every row, then admit what fits; finished requests get their
        result."""
        self._drop_cancelled()
        if self.rows:
            last = self.state["tokens"].gather(1, self.state["count"][:, None] - 1)  # [rows, 1]
            hidden = self.model.model(last, self.cache)  # [rows, 1, hidden]
            self._choose_tokens(0, self.model.lm_head(hidden[:, -1]))
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
            unread = [request for request, _ in starting if request.first_logits is None]
            cache = self._read_prompts(unread) if unread else None
            self._start(starting, cache, unread)

    def _next_to_start(self) -> list[tuple[Request, list[int]]]:
        """The next requests of the queue and which of their samples fit, for one prefill."""
        starting: list[tuple[Request, list[int]]] = []
        num_rows, num_prompts, longest_unread = len(self.rows), len(self.prompts), 0
        prompt_columns = max((len(r.prompt_ids) for r in self.prompts), default=0)
        row_columns = max((r.max_new_tokens for r in self.prompts), default=0)
        while self.waiting:
            request = self.waiting[0]
            if request.first_logits is None:
                longest_unread = max(longest_unread, len(request.prompt_ids))
                if starting and longest_unread * (len(starting) + 1) > PREFILL_TOKENS:
                    break
                num_prompts += 1
                prompt_columns = max(prompt_columns, len(request.prompt_ids))
                row_columns = max(row_columns, request.max_new_tokens)
            room = self._room_for_rows(num_prompts, prompt_columns, row_columns) - num_rows
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

    def _read_prompts(self, requests: list[Request]) -> KVCache:
        """Read prompts in one batch; each request learns what follows its own."""
        texts = [request.prompt_ids for request in requests]
        last = [len(ids) - 1 for ids in texts]
        cache, hidden, reused = read(self.model, texts, last, self.prefixes)
        logits = self.model.lm_head(torch.cat(hidden))  # [requests, V]
        for request, row, count in zip(requests, logits, reused):
            request.first_logits, request.reused_tokens = row, count
        return cache

    def _start(
        self,
        starting: list[tuple[Request, list[int]]],
        cache: KVCache | None,
        read_now: list[Request],
    ) -> None:
        """Give each new sample a row and its first token."""
        first_new = len(self.rows)
        self.prompts += read_now
        number = {request: i for i, request in enumerate(self.prompts)}
        new_rows = [Row(request, i) for request, samples in starting for i in samples]
        prompts, rows = self.cache.prompts, self.cache.rows
        prompts.max_columns = max(len(request.prompt_ids) for request in self.prompts)
        rows.max_columns = max(request.max_new_tokens for request in self.prompts)
        prompt_of = [number[row.request] for row in new_rows]
        self.cache.add(cache, list(range(len(read_now))), prompt_of)
        self.rows += new_rows
        worst_bytes = (prompts.worst_tokens() + rows.worst_tokens()) * self.token_bytes
        if worst_bytes + len(self.rows) * self.sampling_bytes > self.cache_bytes:
            prompts.trim()
            rows.trim()
        self._extend_state(new_rows)
        logits = torch.stack([row.request.first_logits for row in new_rows])  # [new rows, V]
        for request, _ in starting:
            if request.num_started == request.params.n:
                request.first_logits = None
        self._choose_tokens(first_new, logits)

    def _extend_state(self, new_rows: list[Row]) -> None:
        """Add the tensors of new rows, widening what is one column a generated token."""
        params = [row.request.params for row in new_rows]
        limits = [row.request.max_new_tokens for row in new_rows]
        width = max([*limits, self.state["tokens"].shape[1] if self.state else 0])
        uniforms = torch.zeros(len(new_rows), width, 2)
        for i, row in enumerate(new_rows):
            key = (row.request.params.seed, row.request.prompt_ids, row.sample_index)
            uniforms[i, : limits[i]] = row_uniforms(*key, limits[i])
        new = {
            "tokens": torch.zeros(len(new_rows), width, dtype=torch.long),
            "logprobs": torch.zeros(len(new_rows), width),
            "certainties": torch.zeros(len(new_rows), width),
            "uniforms": uniforms,
            "count": torch.zeros(len(new_rows), dtype=torch.long),
            "limit": torch.tensor(limits),
            "ignore_eos": torch.tensor([p.ignore_eos for p in params]),
        }
        new = {name: tensor.to(self.model.device) for name, tensor in new.items()}
        for name, old in self.state.items():
            if name in ("tokens", "logprobs", "certainties"):
                old = F.pad(old, (0, width - old.shape[1]))
            elif name == "uniforms":
                old = F.pad(old, (0, 0, 0, width - old.shape[1]))
            new[name] = torch.cat([old, new[name]])
        self.state = new
        self.params = RowParams.stack([row.request.params for row in self.rows], self.model.device)

    def _choose_tokens(self, first: int, logits: Tensor) -> None:
        """Sample the next token of rows first.. from logits [rows, V]; drop those that end."""
        state = {name: tensor[first:] for name, tensor in self.state.items()}  # views
        each = torch.arange(len(logits), device=logits.device)
        position = state["count"]  # [rows]
        params = self.params.select(slice(first, None)) if first else self.params
        uniforms = state["uniforms"][each, position]  # [rows, 2]
        tokens = torch.empty_like(position)
        logprobs, certainties = torch.empty(2, len(logits), device=logits.device)
        for start in range(0, len(logits), self.rows_at_once):
            some = slice(start, start + self.rows_at_once)
            tokens[some] = sample(logits[some], params.select(some), uniforms[some])
            log_p = logits[some].float().log_softmax(dim=-1)  # [some, V], at temperature 1
            logprobs[some] = token_logprobs(log_p, tokens[some])
            certainties[some] = token_certainties(log_p, tokens[some])
        state["tokens"][each, position] = tokens
        state["logprobs"][each, position] = logprobs
        state["certainties"][each, position] = certainties
        state["count"] += 1
        is_stop = torch.isin(tokens, self.stop_tokens) & ~state["ignore_eos"]
        ended = is_stop | (state["count"] >= state["limit"])  # [rows]
        ended |= ~certainties.isfinite()  # each depends on the logits of all tokens
        finished = {first + i for i in ended.nonzero()[:, 0].tolist()}
        finished |= self._looping(first)
        if any(request.needs_watching for request in self.prompts):
            finished |= self._watch(first, tokens, logits)
        if finished:
            self._finish(sorted(finished))

    def _looping(self, first: int) -> set[int]:
        """Those of rows first.. that are due to be looked at and repeat themselves forever."""
        counts = self.cache.rows.lengths + 1  # [rows] on the CPU, the newest token included
        is_due = (counts % CHECK_EVERY == 0) & (counts >= LOOP_TOKENS)
        due = [i for i in is_due.nonzero()[:, 0].tolist() if i >= first]
        tokens = self.state["tokens"]
        return {
            i
            for i in due
            if self.rows[i].request.ends_loops
            and is_looping(tokens[i, : int(counts[i])].cpu().numpy())
        }

    def _watch(self, first: int, tokens: Tensor, logits: Tensor) -> set[int]:
        """Serve the rows that want more than tokens; return those that met a stop string."""
        stopped = set()
        for i, (row, token) in enumerate(zip(self.rows[first:], tokens.tolist())):
            params, on_token = row.request.params, row.request.on_token
            if params.stop:
                row.find_stop(self.token_text[token])
                if row.stop_at is not None:
                    stopped.add(first + i)
            if params.logprobs:
                top = logits[i].float().log_softmax(dim=-1).topk(params.logprobs)
                row.top_logprobs.append(dict(zip(top.indices.tolist(), top.values.tolist())))
            if on_token and row.sample_index == 0:
                on_token(token)
        return stopped

    def _finish(self, finished: list[int]) -> None:
        """Turn rows into completions, answer requests that are complete, and drop the rows."""
        counts = self.state["count"].tolist()
        width = max(counts[i] for i in finished)
        tokens = self.state["tokens"][finished, :width].tolist()
        logprobs = self.state["logprobs"][finished, :width].tolist()
        certainties = self.state["certainties"][finished, :width].tolist()
        for i, row_tokens, row_logprobs, row_certainties in zip(
            finished, tokens, logprobs, certainties
        ):
            row, count = self.rows[i], counts[i]
            if not math.isfinite(row_certainties[count - 1]):
                self._fail(i, overflow_error(self.model.dtype))
            if row.request not in self.requests:
                continue
            token_ids = row_tokens[:count]
            is_end = token_ids[-1] in self.stop_ids and not row.request.params.ignore_eos
            is_stop = is_end or row.stop_at is not None
            is_loop = not is_stop and row.request.ends_loops and is_looping(token_ids)
            text = b"".join([self.token_text[i] for i in token_ids])[: row.stop_at]
            row.request.completions[row.sample_index] = Completion(
                text.decode("utf-8", errors="replace"),
                token_ids,
                row_logprobs[:count],
                "stop" if is_stop else "loop" if is_loop else "length",
                row.top_logprobs,
                row_certainties[:count],
            )
            read_ids = row.request.prompt_ids + token_ids[:-1]  # the last one was never read
            self.prefixes.store(read_ids, self.cache.rows, i, offset=len(row.request.prompt_ids))
            if len(row.request.completions) == row.request.params.n:
                self.requests.discard(row.request)
                row.request.future.set_result(row.request.output())
        given_up = {i for i, row in enumerate(self.rows) if row.request not in self.requests}
        self._remove(given_up.union(finished))

    def _fail(self, i: int, error: ValueError) -> None:
        """Give up on the request of row i alone."""
        request = self.rows[i].request
        if request in self.requests:
            self.requests.discard(request)
            self.waiting = deque(other for other in self.waiting if other is not request)
            request.future.set_exception(error)
        # A NaN that stays behind would reach whoever gets the place: masked, it weighs 0 x NaN.
        self.cache.clear_row(i)

    def _remove(self, dropped: set[int]) -> None:
        """Drop rows, and the prompts that no row continues any more."""
        if not dropped:
            return
        kept = rows_by_length(self.cache.rows.lengths, dropped)
        self.rows = [self.rows[i] for i in kept]
        live = {row.request for row in self.rows}
        unneeded = {
            i
            for i, request in enumerate(self.prompts)
            if request not in live
            and (request.first_logits is None or request not in self.requests)
        }
        if len(unneeded) == len(self.prompts):
            self._clear_rows()
            return
        kept_prompts = rows_by_length(self.cache.prompts.lengths, unneeded)
        self.prompts = [self.prompts[i] for i in kept_prompts]
        self.cache.select(kept, kept_prompts)
        index = torch.tensor(kept, dtype=torch.long, device=self.model.device)
        self.state = {name: tensor[index] for name, tensor in self.state.items()}
        self.params = self.params.select(index)
