"""The same tokens as `shared/decoder` produces, in large batches and fast.

generator.py         the continuous batch: admit -> sample -> record -> retire -> decode
admission.py         which waiting samples fit into memory now
request.py           one prompt with its samples; row_state.py: the tensors of the live rows
prefill.py           reads given texts: prompts, and completions to be scored (scoring.py)
row_cache.py         keys and values of rows that grow; branch_cache.py: rows that share prompts
attention.py         attention over all keys, or in two pieces, and how to merge them
branch_attention.py  attention of rows that share prompts
prefix_cache.py      keys and values of earlier texts, as a tree
loops.py             texts that repeat themselves forever; overflow.py: numbers beyond the dtype
fast_paths.py        faster linear layers and sorting; fast_sampler.py: the sampler with less work.
                     Both can be deleted without changing a result
model_thread.py      the one thread in which models run, and how work gets there
"""
