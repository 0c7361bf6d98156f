"""The continuous batch: many rows at once, each one sample of some prompt.

One `step` gives every live row its next token:

    admit    waiting prompts are read in one batch, each once, and their samples become rows
    sample   each row's next token is chosen from the logits that the last step left
    record   the tokens are written down
    retire   rows that have ended become completions, and leave room for waiting ones
    decode   the new tokens are read in one forward pass, which leaves the next logits

Prompts of different lengths share a batch without changing each other's results: no row attends
beyond its own length, and each has random numbers of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shared.decoder.model import Qwen
from shared.engine.admission import Admission, Start
from shared.engine.branch_cache import BranchCache, compacted
from shared.engine.fast_paths import rows_per_sample_call
from shared.engine.fast_sampler import fast_sample
from shared.engine.loops import CHECK_EVERY, LOOP_TOKENS, is_looping
from shared.engine.overflow import overflow_error
from shared.engine.prefill import read, token_certainties, token_logprobs
from shared.engine.prefix_cache import PrefixCache
from shared.engine.request import Request, Row
from shared.engine.row_cache import RowCache
from shared.engine.row_state import RowState
from shared.solution import Completion
from shared.text.tokenizer import Tokenizer

# Why a row has ended. Where several hold, the last of them counts.
LENGTH, LOOP, STOP, OVERFLOW = "length", "loop", "stop", "overflow"


class Chosen(NamedTuple):
    """The next token of every row, its log-probability and its certainty; [rows] each."""

    tokens: Tensor
    logprobs: Tensor
    certainties: Tensor


class BatchGenerator:
    """A continuous batch. `add` requests, then call `step` while `has_work`.

    As many rows live at once as `cache_bytes` allow (`admission.py`).
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
        bytes_per_token = model.config.cache_bytes_per_token(model.dtype)
        self.admission = Admission(cache_bytes, bytes_per_token, model.config.vocab_size)
        self.requests: set[Request] = set()  # all that are not finished
        self.prompts: list[Request] = []  # whose prompt is in the cache, in its order
        self.rows: list[Row] = []
        self.cache = BranchCache(model.config, model.device, model.dtype)
        self.state = RowState(model.device)
        self.logits: list[Tensor] = []  # for each row's next token: pieces of [some rows, V]

    @property
    def has_work(self) -> bool:
        """Whether any request is waiting or live."""
        return bool(self.requests)

    def check(self, request: Request) -> None:
        """Raise ValueError if a request can never be served."""
        self.admission.check(request)

    def add(self, request: Request) -> None:
        """Queue a request. Raises ValueError if it can never be served."""
        self.check(request)
        self.requests.add(request)
        self.admission.add(request)

    def abandon(self, error: BaseException) -> None:
        """Give up on everything: every unfinished request gets the error."""
        for request in self.requests:
            request.future.set_exception(error)
        self.requests.clear()
        self.admission.clear()
        self._clear()

    @torch.inference_mode()
    def step(self) -> None:
        """Generate one token for every row; finished requests get their result."""
        self._drop_cancelled()
        while starts := self._next_starts():  # one prefill at a time, until nothing more fits
            self._admit(starts)
        if self.rows:
            # Those of the rows decoded in the last step, then those of the rows just admitted.
            logits, self.logits = self.logits, []
            chosen = self._sample(logits)
            self._record(chosen, logits)
            self._retire(self._ended(chosen))
        if self.rows:
            self._decode()

    # --- admit ------------------------------------------------------------------------------------

    def _next_starts(self) -> list[Start]:
        return self.admission.next_starts(len(self.rows), self.prompts)

    def _admit(self, starts: list[Start]) -> None:
        """Read the prompts that are new, and add a row for each new sample."""
        unread = [request for request, _ in starts if not request.is_read]
        cache = self._read_prompts(unread) if unread else None
        self.prompts += unread
        number = {request: i for i, request in enumerate(self.prompts)}
        new_rows = [Row(request, i) for request, samples in starts for i in samples]
        self.rows += new_rows
        self._grow_cache(cache, [number[row.request] for row in new_rows])  # new rows are empty
        # No tokens yet: limits, sampling parameters, and the random numbers of `row_uniforms`.
        self.state.add(new_rows, [row.request.params for row in self.rows])
        self.logits.append(torch.stack([row.request.first_logits for row in new_rows]))
        for request, _ in starts:
            if request.all_started:
                request.first_logits = None

    def _read_prompts(self, requests: list[Request]) -> RowCache:
        """Read prompts in one batch; each request learns what follows its own."""
        texts = [request.prompt_ids for request in requests]
        last = [len(ids) - 1 for ids in texts]
        cache, hidden, reused = read(self.model.model, texts, last, self.prefixes)
        logits = self.model.lm_head(torch.cat(hidden))  # [requests, V]
        for request, next_logits, count in zip(requests, logits, reused):
            request.is_read = True
            request.first_logits, request.reused_tokens = next_logits, count
        return cache

    def _grow_cache(self, read_now: RowCache | None, prompt_of: list[int]) -> None:
        """Add prompts and rows; where their slots could outgrow the budget, free unused ones."""
        self.cache.expect(
            max(len(request.prompt_ids) for request in self.prompts),
            max(request.max_new_tokens for request in self.prompts),
        )
        self.cache.add(read_now, prompt_of)
        if self.admission.is_over_budget(self.cache.worst_tokens(), len(self.rows)):
            self.cache.trim()

    # --- sample -----------------------------------------------------------------------------------

    def _sample(self, logits: list[Tensor]) -> Chosen:
        """Choose the next token of every row: the most likely one where temperature is 0, else as
        `decoder/sampler.sample` does. On a CPU a few rows at a time (`fast_paths.py`)."""
        uniforms = self.state.next_uniforms()  # [rows, 2]
        chosen, first = [], 0
        for piece in self._pieces(logits):  # [some rows, V]
            rows = slice(first, first + len(piece))
            first += len(piece)
            params = self.state.params.select(rows)
            tokens = fast_sample(piece, params, self.state.filters, uniforms[rows])
            log_p = piece.float().log_softmax(dim=-1)  # at temperature 1
            measured = token_logprobs(log_p, tokens), token_certainties(log_p, tokens)
            chosen.append((tokens, *measured))
        return Chosen(*map(torch.cat, zip(*chosen)))

    def _pieces(self, logits: list[Tensor]) -> list[Tensor]:
        """The logits of all rows in order, as many rows to a piece as are sampled at once."""
        size = rows_per_sample_call(self.model.config.vocab_size, self.model.device)
        if size is None:
            return [torch.cat(logits)]
        return [piece for some in logits for piece in some.split(size)]

    # --- record -----------------------------------------------------------------------------------

    def _record(self, chosen: Chosen, logits: list[Tensor]) -> None:
        """Write the next token of every row down."""
        self.state.append(*chosen)
        if any(request.needs_each_token for request in self.prompts):
            self._record_extras(chosen.tokens, logits)

    def _record_extras(self, tokens: Tensor, logits: list[Tensor]) -> None:
        """Stop strings, the most likely tokens, and streaming, for the rows that ask for them."""
        each_logits = (row for piece in logits for row in piece)
        for row, token, row_logits in zip(self.rows, tokens.tolist(), each_logits):
            params, on_token = row.request.params, row.request.on_token
            if params.stop:
                row.find_stop(self.token_text[token])
            if params.logprobs:
                top = row_logits.float().log_softmax(dim=-1).topk(params.logprobs)
                row.top_logprobs.append(dict(zip(top.indices.tolist(), top.values.tolist())))
            if on_token and row.sample_index == 0:
                on_token(token)

    # --- retire -----------------------------------------------------------------------------------

    def _ended(self, chosen: Chosen) -> dict[int, str]:
        """Why rows have ended with the token just chosen, by row number."""
        state = self.state
        is_full = state.count >= state.limit  # [rows]
        is_stop = torch.isin(chosen.tokens, self.stop_tokens) & ~state.ignore_eos
        overflowed = ~chosen.certainties.isfinite()  # each depends on the logits of all tokens
        flags = torch.stack([is_full, is_stop, overflowed]).cpu()  # one copy from the device
        full, stopped, overflowed = (flag.nonzero()[:, 0].tolist() for flag in flags)
        ended = dict.fromkeys(full, LENGTH)
        ended |= dict.fromkeys(self._looping(full), LOOP)
        ended |= {i: STOP for i, row in enumerate(self.rows) if row.stop_at is not None}
        ended |= dict.fromkeys(stopped, STOP)
        ended |= dict.fromkeys(overflowed, OVERFLOW)
        return dict(sorted(ended.items()))

    def _looping(self, full: list[int]) -> list[int]:
        """The rows that repeat themselves forever, of the full ones and those due for a check."""
        counts = self.cache.rows.lengths + 1  # [rows] on the CPU, the newest token included
        is_due = (counts % CHECK_EVERY == 0) & (counts >= LOOP_TOKENS)
        return [
            i
            for i in {*full, *is_due.nonzero()[:, 0].tolist()}
            if self.rows[i].request.ends_loops
            and is_looping(self.state.tokens[i, : int(counts[i])].cpu().numpy())
        ]

    def _retire(self, ended: dict[int, str]) -> None:
        """Turn rows into completions, remember what they read, and drop them."""
        if not ended:
            return
        for i, reason in ended.items():
            if reason == OVERFLOW:
                self._fail(i, overflow_error(self.model.dtype))
        finished = {i: why for i, why in ended.items() if self.rows[i].request in self.requests}
        for i, completion in zip(finished, self._completions(finished)):
            row = self.rows[i]
            prompt_ids = row.request.prompt_ids
            read_ids = prompt_ids + completion.token_ids[:-1]  # the last one was never read
            self.prefixes.store(read_ids, self.cache.rows, i, offset=len(prompt_ids))
            if row.request.finish(row.sample_index, completion):
                self.requests.discard(row.request)
        given_up = {i for i, row in enumerate(self.rows) if row.request not in self.requests}
        self._drop_rows(given_up.union(ended))

    def _fail(self, i: int, error: ValueError) -> None:
        """Give up on the request of row i alone."""
        request = self.rows[i].request
        if request in self.requests:
            self.requests.discard(request)
            self.admission.remove({request})
            request.future.set_exception(error)
        # A NaN that stays behind would reach the next row there: masked, it weighs 0 x NaN.
        self.cache.clear_row(i)

    def _completions(self, ended: dict[int, str]) -> list[Completion]:
        """What these rows have generated."""
        state, numbers = self.state, list(ended)
        counts = state.count[numbers].tolist()
        columns = max(counts, default=0)
        tokens = state.tokens[numbers, :columns].tolist()
        logprobs = state.logprobs[numbers, :columns].tolist()
        certainties = state.certainties[numbers, :columns].tolist()
        completions = []
        for k, (i, reason) in enumerate(ended.items()):
            row, token_ids = self.rows[i], tokens[k][: counts[k]]
            text = b"".join([self.token_text[token] for token in token_ids])[: row.stop_at]
            completions.append(
                Completion(
                    text=text.decode("utf-8", errors="replace"),
                    token_ids=token_ids,
                    logprobs=logprobs[k][: counts[k]],
                    finish_reason=reason,
                    top_logprobs=row.top_logprobs,
                    certainties=certainties[k][: counts[k]],
                )
            )
        return completions

    def _drop_cancelled(self) -> None:
        """Forget the requests that were cancelled."""
        cancelled = {request for request in self.requests if request.cancelled}
        if not cancelled:
            return
        self.requests -= cancelled
        self.admission.remove(cancelled)
        dropped = {i for i, row in enumerate(self.rows) if row.request in cancelled}
        logits = self.logits
        kept = self._drop_rows(dropped)
        self.logits = [torch.cat(logits)[kept]] if kept else []

    def _drop_rows(self, dropped: set[int]) -> list[int]:
        """Drop rows, and the prompts that no row needs; returns the old numbers of the rest."""
        kept = compacted(self.cache.rows.lengths, dropped)
        self.rows = [self.rows[i] for i in kept]
        live = {row.request for row in self.rows}
        unneeded = {
            i
            for i, request in enumerate(self.prompts)
            if request not in live and (request.all_started or request not in self.requests)
        }
        if len(unneeded) == len(self.prompts):
            self._clear()
            return kept
        kept_prompts = compacted(self.cache.prompts.lengths, unneeded)
        self.prompts = [self.prompts[i] for i in kept_prompts]
        self.cache.select(kept, kept_prompts)
        self.state.keep(kept)
        return kept

    def _clear(self) -> None:
        """Forget all live rows and free their memory."""
        self.prompts, self.rows, self.logits = [], [], []
        self.cache = BranchCache(self.model.config, self.model.device, self.model.dtype)
        self.state = RowState(self.model.device)

    # --- decode -----------------------------------------------------------------------------------

    def _decode(self) -> None:
        """Read every row's newest token; what follows is for the next step."""
        hidden = self.model.model(self.state.last_tokens(), self.cache)  # [rows, 1, hidden]
        self.logits = [self.model.lm_head(hidden[:, -1])]  # [rows, V]
