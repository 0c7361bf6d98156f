"""The same tokens as `shared/decoder` produces, in large batches and fast.

generator.py      the continuous batch: admit -> sample -> record -> retire -> decode
admission.py      which waiting samples fit into memory now
request.py        one prompt with its samples; row_state.py: the tensors of the live rows
prefill.py        reads given texts: prompts, and completions to be scored
row_cache.py      keys and values of rows that grow; branch_cache.py: rows that share prompts
prefix_cache.py   keys and values of earlier texts, as a tree
attention.py      PyTorch's fused attention; attention in two pieces, and how to merge them
fast_paths.py     all that is here for speed alone and can be deleted
model_thread.py   the one thread in which models run, and how work gets there
"""
