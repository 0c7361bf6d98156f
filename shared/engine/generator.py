"""The continuous batch: many rows at once, each one sample of some prompt.

One `step` gives every live row its next token:

    admit    waiting prompts are read in one batch, each once, and their samples become rows
    sample   each row's next token is chosen from the logits that the last step left
    record   the tokens are written down
    retire   rows that ended become completions, and leave room for waiting ones
    decode   the new tokens are read in one forward pass, which leaves the next logits

Prompts of different lengths share a batch without changing each other's results: no row attends
beyond its own length, and each has random numbers of its own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from shared.decoder.model import Qwen
from shared.decoder.sampler import sample
from shared.engine.admission import Admission, Start
from shared.engine.branch_cache import BranchCache, compacted
from shared.engine.fast_paths import rows_per_sample_call, sort_descending
from shared.engine.loops import CHECK_EVERY, LOOP_TOKENS, is_looping
from shared.engine.overflow import overflow_error
from shared.engine.prefill import read, token_certainties, token_logprobs
from shared.engine.prefix_cache import PrefixCache
from shared.engine.request import Request, Row
from shared.engine.row_cache import RowCache
from shared.engine.row_state import RowState
from shared.solution import Completion
from shared.text.tokenizer import Tokenizer


class Chosen(NamedTuple):
    """The next token of every row, and what is known about it; [rows] each."""

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
        while starts := self._next_starts():
            self._admit(starts)
        if self.rows:
            logits, self.logits = self.logits, []
            chosen = self._sample(logits)
            ended = self._record(chosen, logits)
            self._retire(ended)
        if self.rows:
            self._decode()

    # --- admit ------------------------------------------------------------------------------------

    def _next_starts(self) -> list[Start]:
        return self.admission.next_starts(len(self.rows), self.prompts)

    def _admit(self, starts: list[Start]) -> None:
        """Read the prompts that are new, and give each new sample a row."""
        unread = [request for request, _ in starts if request.first_logits is None]
        cache = self._read_prompts(unread) if unread else None
        self.prompts += unread
        number = {request: i for i, request in enumerate(self.prompts)}
        new_rows = [Row(request, i) for request, samples in starts for i in samples]
        self.rows += new_rows
        self._grow_cache(cache, [number[row.request] for row in new_rows])
        self.state.add(new_rows, [row.request.params for row in self.rows])
        self.logits.append(torch.stack([row.request.first_logits for row in new_rows]))
        for request, _ in starts:
            if request.has_started:
                request.first_logits = None

    def _read_prompts(self, requests: list[Request]) -> RowCache:
        """Read prompts in one batch; each request learns what follows its own."""
        texts = [request.prompt_ids for request in requests]
        last = [len(ids) - 1 for ids in texts]
        cache, hidden, reused = read(self.model, texts, last, self.prefixes)
        logits = self.model.lm_head(torch.cat(hidden))  # [requests, V]
        for request, row, count in zip(requests, logits, reused):
            request.first_logits, request.reused_tokens = row, count
        return cache

    def _grow_cache(self, read_now: RowCache | None, prompt_of: list[int]) -> None:
        """Add prompts and rows; where their slots could outgrow the budget, free unused ones."""
        prompts, rows = self.cache.prompts, self.cache.rows
        prompts.max_columns = max(len(request.prompt_ids) for request in self.prompts)
        rows.max_columns = max(request.max_new_tokens for request in self.prompts)
        self.cache.add(read_now, prompt_of)
        if self.admission.is_over_budget(
            prompts.worst_tokens() + rows.worst_tokens(), len(self.rows)
        ):
            prompts.trim()
            rows.trim()

    # --- sample -----------------------------------------------------------------------------------

    def _sample(self, logits: list[Tensor]) -> Chosen:
        """Choose the next token of every row; on a CPU a few rows at a time (`fast_paths.py`)."""
        uniforms = self.state.next_uniforms()  # [rows, 2]
        chosen, first = [], 0
        for piece in self._pieces(logits):  # [some rows, V]
            rows = slice(first, first + len(piece))
            first += len(piece)
            tokens = sample(piece, self.state.params.select(rows), uniforms[rows], sort_descending)
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

    def _record(self, chosen: Chosen, logits: list[Tensor]) -> list[int]:
        """Write the next token of every row down; returns the rows that have ended."""
        state = self.state
        state.append(*chosen)
        is_stop = torch.isin(chosen.tokens, self.stop_tokens) & ~state.ignore_eos
        ended = is_stop | (state.count >= state.limit)  # [rows]
        ended |= ~chosen.certainties.isfinite()  # each depends on the logits of all tokens
        numbers = set(ended.nonzero()[:, 0].tolist()) | self._looping()
        if any(request.needs_watching for request in self.prompts):
            numbers |= self._watch(chosen.tokens, logits)
        return sorted(numbers)

    def _looping(self) -> set[int]:
        """The rows that repeat themselves forever, of those whose turn it is to be checked."""
        counts = self.cache.rows.lengths + 1  # [rows] on the CPU, the newest token included
        is_due = (counts % CHECK_EVERY == 0) & (counts >= LOOP_TOKENS)
        return {
            i
            for i in is_due.nonzero()[:, 0].tolist()
            if self.rows[i].request.ends_loops
            and is_looping(self.state.tokens[i, : int(counts[i])].cpu().numpy())
        }

    def _watch(self, tokens: Tensor, logits: list[Tensor]) -> set[int]:
        """Serve the rows that want more than tokens; returns those that met a stop string."""
        stopped = set()
        each_logits = (row for piece in logits for row in piece)
        for i, (row, token, row_logits) in enumerate(zip(self.rows, tokens.tolist(), each_logits)):
            params, on_token = row.request.params, row.request.on_token
            if params.stop and row.find_stop(self.token_text[token]):
                stopped.add(i)
            if params.logprobs:
                top = row_logits.float().log_softmax(dim=-1).topk(params.logprobs)
                row.top_logprobs.append(dict(zip(top.indices.tolist(), top.values.tolist())))
            if on_token and row.sample_index == 0:
                on_token(token)
        return stopped

    # --- retire -----------------------------------------------------------------------------------

    def _retire(self, ended: list[int]) -> None:
        """Turn rows into completions, remember what they read, and drop them."""
        if not ended:
            return
        for i, completion in zip(ended, self._completions(ended)):
            row = self.rows[i]
            if not math.isfinite(completion.certainties[-1]):
                self._fail(i, overflow_error(self.model.dtype))
            elif row.request in self.requests:
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

    def _completions(self, ended: list[int]) -> list[Completion]:
        """What these rows have generated."""
        state = self.state
        counts = state.count[ended].tolist()
        columns = max(counts)
        tokens = state.tokens[ended, :columns].tolist()
        logprobs = state.logprobs[ended, :columns].tolist()
        certainties = state.certainties[ended, :columns].tolist()
        completions = []
        for n, (i, count) in enumerate(zip(ended, counts)):
            row, token_ids = self.rows[i], tokens[n][:count]
            is_end = token_ids[-1] in self.stop_ids and not row.request.params.ignore_eos
            is_stop = is_end or row.stop_at is not None
            is_loop = not is_stop and row.request.ends_loops and is_looping(token_ids)
            text = b"".join([self.token_text[token] for token in token_ids])[: row.stop_at]
            completions.append(
                Completion(
                    text.decode("utf-8", errors="replace"),
                    token_ids,
                    logprobs[n][:count],
                    "stop" if is_stop else "loop" if is_loop else "length",
                    row.top_logprobs,
                    certainties[n][:count],
                )
            )
        return completions

    def _drop_cancelled(self) -> None:
        """Forget requests that nobody waits for any more."""
        cancelled = {request for request in self.requests if request.cancelled}
        if not cancelled:
            return
        self.requests -= cancelled
        self.admission.remove(cancelled)
        dropped = {i for i, row in enumerate(self.rows) if row.request.cancelled}
        # Even where no row is dropped: a prompt may have been kept for samples that waited.
        kept = self._drop_rows(dropped)
        self.logits = [torch.cat(self.logits)[kept]] if kept else []

    def _drop_rows(self, dropped: set[int]) -> list[int]:
        """Drop rows, and the prompts that no row continues; returns the old numbers of the rest."""
        kept = compacted(self.cache.rows.lengths, dropped)
        self.rows = [self.rows[i] for i in kept]
        live = {row.request for row in self.rows}
        unneeded = {
            i
            for i, request in enumerate(self.prompts)
            if request not in live
            and (request.first_logits is None or request not in self.requests)
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
