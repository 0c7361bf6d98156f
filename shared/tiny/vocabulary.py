"""Train the shipped model's byte-level BPE and write it in the hub's files.

python -m shared.tiny.vocabulary OUT_DIR          # needs: pip install tokenizers
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from shared import prompts
from shared.evaluation.word_problems import sample_problem, sample_solution
from shared.text.tokenizer import QWEN_PATTERN
from shared.tiny import documents

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# Plain ChatML, in the hub's template language, so that transformers renders the same prompts.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def training_texts(count: int, seed: int) -> list[str]:
    """Problems, solutions and every fixed phrase that the model will read or write."""
    rng = random.Random(seed)
    instructions = (prompts.DIRECT, prompts.STEP_BY_STEP, prompts.JUDGE, prompts.CRITIQUE)
    phrases = [
        *instructions,
        prompts.REVISE,
        *(documents.DRILL, documents.YES, documents.NO, documents.ALL_RIGHT),
        *("This step is wrong: ", "user\n", "assistant\n", "system\n"),
    ]
    texts = []
    for _ in range(count):
        problem = sample_problem(rng, "train")
        texts += [problem.question, sample_solution(rng, problem), *phrases]
    return texts


def train_vocabulary(
    folder: Path, vocab_size: int = 640, count: int = 5_000, seed: int = 0
) -> None:
    """Write vocab.json, merges.txt and tokenizer_config.json; digits stay single, as in Qwen."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(training_texts(count, seed), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    bpe.model.save(str(folder))
    first_special = bpe.get_vocab_size()
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": {
            str(first_special + i): {"content": token, "special": True}
            for i, token in enumerate(SPECIAL_TOKENS)
        },
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": CHAT_TEMPLATE,
        "model_max_length": 2048,
    }
    text = json.dumps(config, indent=1, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    train_vocabulary(parser.parse_args().out)
