"""The textbook path from token ids to token ids, in plain PyTorch and without speed tricks.

    model.py      the decoder            attention.py  softmax(q k / sqrt(D)) v
    kv_cache.py   what was read so far   sampler.py    from logits to the next token
    generate.py   prefill, decode, sample

`shared/engine` produces the same tokens, faster.
"""
