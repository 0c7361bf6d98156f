"""Small vocabularies for tests: made by the `tokenizers` library, and written as model folders."""

import json
import random
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from shared.text.tokenizer import QWEN_PATTERN

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|a spare one|>"]
WORDS = ["<think>", "</think>", "<tool>", "<tool>s"]  # added, not special, as Qwen3's <think>
NAMES = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
SNIPPETS = [
    "The cat's hat, the dogs' bowls; I'll, WE'VE, he'D, it'S, 'twas, 'ſ, O'Reilly's",
    "def f(x: int) -> str:\n\treturn f'{x!r:>10}'  # TODO\n\n\nclass A(B):\n    pass\r\n",
    "3.14159 + 1,000,000 = ١٢٣ ½ Ⅷ ² 12345678901234567890",
    "  two   three    four \t tab\t\ttabs \n\n  \n   end   ",
    "x = \\frac{a_1^2}{\\sqrt{b}} \\boxed{42}$$",
    "中文分词，日本語のテキスト。한국어 ไทย हिन्दी العربية עברית Ελληνικά кириллица ქართული",
    "e\u0301 \u00e9 o\u0308\u0301 \u1100\u1161\u11a8 A\u030a \u212b \ufb01 a\u0323\u0307 >\u0338",
    "🙂👩‍👩‍👧‍👦🇫🇷👍🏽 ❤️ \u200b\u200d\ufeff\u00a0\u3000\u2028\u0085\x00\x07",
    "Dot...dots!!! -- --- ??? (a)[b]{c}<d>/e\\f|g~h`i`@j#k%l^m&n*o",
    "<| im_end |> <|im_end <think <thinking> </ think> <tool>s <tool>",
]


def as_qwen(model: models.BPE, added: bool = True) -> tokenizers.Tokenizer:
    """Qwen's normaliser and splitting around a BPE model, with the added tokens behind it."""
    reference = tokenizers.Tokenizer(model)
    reference.normalizer = normalizers.NFC()
    reference.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    reference.decoder = decoders.ByteLevel()
    if added:
        reference.add_special_tokens(SPECIAL)
        reference.add_tokens([tokenizers.AddedToken(w, normalized=False) for w in WORDS])
    return reference


def train(special_first: bool = False) -> tokenizers.Tokenizer:
    """A BPE of a few hundred tokens; `special_first` gives the special tokens the ids 0 to 3."""
    trained = as_qwen(models.BPE(), added=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=SPECIAL if special_first else [],
        show_progress=False,
    )
    prose = Path(__file__).read_text(encoding="utf-8")
    trained.train_from_iterator([*SNIPPETS, *prose.split("\n")], trainer)
    if not special_first:
        trained.add_special_tokens(SPECIAL)
    trained.add_tokens([tokenizers.AddedToken(w, normalized=False) for w in WORDS])
    return trained


def shuffled(trained: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """The same merges, with ids that follow no order."""
    model = json.loads(trained.to_str())["model"]
    ids = list(model["vocab"].values())
    random.Random(1).shuffle(ids)
    merges = [tuple(merge) for merge in model["merges"]]
    return as_qwen(models.BPE(dict(zip(model["vocab"], ids, strict=True)), merges))


def write_config(folder: Path, reference: tokenizers.Tokenizer, template: str | None) -> None:
    """Write a tokenizer_config.json that lists the added tokens of `reference`."""
    added = reference.get_added_tokens_decoder()
    listed = {i: {"content": t.content, "special": t.special} for i, t in added.items()}
    config = {**NAMES, "added_tokens_decoder": listed, "chat_template": template}
    text = json.dumps({key: value for key, value in config.items() if value is not None})
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def write_folder(folder: Path, template: str | None = None, layout: str = "vocab") -> Path:
    """Write the trained vocabulary in one of the two layouts, "vocab" or "tokenizer"."""
    folder.mkdir(parents=True, exist_ok=True)
    reference = train()
    write_config(folder, reference, template)
    if layout == "tokenizer":
        reference.save(str(folder / "tokenizer.json"))
    else:
        reference.model.save(str(folder))
    return folder


def copy_with(source: Path, target: Path, **contents: str) -> Path:
    """Copy a folder, replacing the named files ("merges" for merges.txt, else NAME.json)."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    for name, text in contents.items():
        file_name = "merges.txt" if name == "merges" else f"{name}.json"
        (target / file_name).write_text(text, encoding="utf-8")
    return target


def reference_ids(reference: tokenizers.Tokenizer, texts: list[str]) -> list[list[int]]:
    """The ids that `tokenizers` gives to each text."""
    return [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
