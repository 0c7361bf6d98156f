"""The tokenizer against the `tokenizers` library and transformers.

Set REAL_QWEN_DIR to a folder with a real Qwen's tokenizer files to test its vocabulary too.
"""

import json
import os
import random
import unicodedata
from pathlib import Path

import pytest
import tokenizers
import transformers
from chat_templates import QWEN3
from tokenizers import models, pre_tokenizers
from vocabularies import (
    SNIPPETS,
    SPECIAL,
    WORDS,
    as_qwen,
    reference_ids,
    shuffled,
    train,
    write_config,
    write_folder,
)

from shared.text.byte_pairs import BYTE_OF, unreachable_merge
from shared.text.tokenizer import Tokenizer


def random_text(rng: random.Random) -> str:
    """A few stretches from one snippet, one script, the whole of Unicode, or white space."""
    pieces = []
    for _ in range(rng.randint(1, 6)):
        snippet = rng.choice(SNIPPETS)
        start, first = rng.randrange(len(snippet)), rng.randrange(0x20, 0x2FF00)
        kind = rng.randrange(4)
        if kind == 0:
            pieces.append(snippet[start : start + rng.randint(1, 30)])
        elif kind == 1:
            pieces += [chr(first + rng.randrange(64)) for _ in range(rng.randint(1, 8))]
        elif kind == 2:
            pieces += [chr(rng.randrange(0x30000)) for _ in range(rng.randint(1, 5))]
        else:
            pieces += rng.choices(" \n\r\ta1'", k=rng.randint(1, 9))
    return "".join(pieces).encode("utf-8", "ignore").decode("utf-8")  # drops surrogates


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = random.Random(0)
    return ["", *SNIPPETS, *(random_text(rng) for _ in range(3000))]


LAYOUTS = ["tokenizer.json", "merges as strings", "vocab and merges", "special first", "shuffled"]


@pytest.fixture(scope="module", params=LAYOUTS)
def pair(request, tmp_path_factory) -> tuple[Tokenizer, tokenizers.Tokenizer]:
    """Our tokenizer, read from a folder in one of the layouts, and its reference."""
    folder = tmp_path_factory.mktemp("tiny")
    reference = train(special_first=request.param == "special first")
    reference = shuffled(reference) if request.param == "shuffled" else reference
    write_config(folder, reference, QWEN3)
    data = json.loads(reference.to_str())
    if request.param == "merges as strings":
        data["model"]["merges"] = [" ".join(merge) for merge in data["model"]["merges"]]
    if request.param == "vocab and merges":
        reference.model.save(str(folder))
    else:
        (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return Tokenizer.from_folder(folder), reference


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny(tiny_folder) -> Tokenizer:
    return Tokenizer.from_folder(tiny_folder)


@pytest.fixture(scope="module")
def real_pair() -> tuple[Tokenizer, tokenizers.Tokenizer]:
    if not (where := os.environ.get("REAL_QWEN_DIR")):
        pytest.skip("REAL_QWEN_DIR is not set to a folder with a real Qwen's tokenizer files")
    folder = Path(where)
    if (folder / "tokenizer.json").exists():
        reference = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        vocab, merges = str(folder / "vocab.json"), str(folder / "merges.txt")
        reference = as_qwen(models.BPE.from_file(vocab, merges), added=False)
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        for token in config["added_tokens_decoder"].values():
            options = {"special": token["special"], "normalized": False}
            reference.add_tokens([tokenizers.AddedToken(token["content"], **options)])
    return Tokenizer.from_folder(folder), reference


# --- Encoding and decoding ------------------------------------------------------------------------


def test_ids_equal_the_tokenizers_library(pair, texts):
    ours, reference = pair
    assert [ours.encode(text) for text in texts] == reference_ids(reference, texts)


def test_ids_of_a_real_vocabulary_equal_the_tokenizers_library(real_pair, texts):
    ours, reference = real_pair
    whole_tokens = [ours.decode([i]) for i in range(0, ours.vocab_size, 7)]
    texts = texts + [t for t in whole_tokens if "\ufffd" not in t and t not in ours.special_tokens]
    assert [ours.encode(text) for text in texts] == reference_ids(reference, texts)


def test_trained_merges_are_used(tiny):
    assert len(tiny.encode(" tokenizers")) <= 3 < len(b" tokenizers")


def test_special_tokens_are_text_unless_asked_for(pair):
    ours, reference = pair
    text = "a<|im_end|>\u0338b<|a spare one|> <think>\n<|im_start|><|im_start|user</think> c<|endoftext|>"
    assert ours.encode(text, allow_special=True) == reference.encode(text).ids
    reference.encode_special_tokens = True
    expected = reference.encode(text).ids
    reference.encode_special_tokens = False
    assert ours.encode(text) == expected
    assert not set(expected) & set(ours.special_tokens.values())


def test_decoding_gives_back_the_normalised_text(pair, texts):
    ours, _ = pair
    for text in texts:
        decoded = ours.decode(ours.encode(text))
        if any(word in text for word in WORDS):  # a mark after a token does not join its ">" or "s"
            decoded = unicodedata.normalize("NFC", decoded)
        assert decoded == unicodedata.normalize("NFC", text)


def test_decoding_any_ids_equals_the_tokenizers_library(pair):
    ours, reference = pair
    rng = random.Random(2)
    for _ in range(300):
        ids = [rng.randrange(ours.vocab_size) for _ in range(rng.randint(1, 8))]
        assert ours.decode(ids) == b"".join(map(ours.token_bytes, ids)).decode("utf-8", "replace")
        if not set(ids) & set(ours.special_tokens.values()) and "\ufffd" not in ours.decode(ids):
            assert ours.decode(ids) == reference.decode(ids)


def test_stream_joins_to_the_text_and_never_breaks_a_character(pair, texts):
    ours, _ = pair
    for text in texts[:500]:
        ids = ours.encode(text)
        pieces = list(ours.decode_stream(iter(ids)))
        assert "".join(pieces) == ours.decode(ids)
        assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)
        assert all(pieces)


def test_stream_yields_a_character_with_its_last_byte(tiny):
    ids = tiny.encode("🙂")
    assert len(ids) > 1
    taken = []
    stream = tiny.decode_stream(taken.append(i) or i for i in [*ids, *ids])
    assert next(stream) == "🙂" and taken == ids


def test_incomplete_characters_decode_to_the_replacement_character(tiny):
    ids = tiny.encode("a🙂")[:-1]
    assert tiny.decode(ids) == "".join(tiny.decode_stream(ids)) == "a\ufffd"


def test_ids_outside_the_model_are_refused_and_unused_ones_are_empty(tiny_folder, tmp_path):
    tiny = Tokenizer.from_folder(tiny_folder)
    for token_id in (-1, tiny.vocab_size):
        with pytest.raises(ValueError, match=f"token id {token_id} is outside 0"):
            tiny.decode([token_id])
    for file in tiny_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    rows = tiny.vocab_size + 7
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": rows}), encoding="utf-8")
    padded = Tokenizer.from_folder(tmp_path)
    assert padded.decode([rows - 1]) == "" and padded.vocab_size == tiny.vocab_size
    with pytest.raises(ValueError, match=f"token id {rows} is outside 0..{rows - 1}"):
        padded.decode([rows])


def test_sizes_and_named_tokens_are_those_of_the_reference(pair):
    ours, reference = pair
    assert ours.vocab_size == reference.get_vocab_size(with_added_tokens=True)
    assert ours.special_tokens == {token: reference.token_to_id(token) for token in SPECIAL}
    assert ours.eos_token_id == reference.token_to_id("<|im_end|>")
    assert ours.pad_token_id == reference.token_to_id("<|endoftext|>")


def test_real_qwen_has_its_known_sizes(real_pair):
    ours, _ = real_pair
    assert ours.encode("Hello world") == [9707, 1879]
    assert ours.special_tokens["<|im_start|>"] == 151644
    assert ours.decode([151935]) == ""


def test_byte_level_alone_splits_as_gpt2_and_leaves_text_unnormalised(tmp_path, texts):
    reference = train(special_first=False)
    reference.normalizer = None
    reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reference.save(str(tmp_path / "tokenizer.json"))
    ours = Tokenizer.from_folder(tmp_path)
    assert [ours.encode(text) for text in texts] == reference_ids(reference, texts)
    assert ours.decode(ours.encode("e\u0301")) == "e\u0301"
    assert ours.eos_token_id is None and ours.pad_token_id is None


# --- Long runs ------------------------------------------------------------------------------------

MILLION = " " * 1_000_000
RUNS = {
    "a million spaces": MILLION,
    "a million spaces, then a word": MILLION + "word",
    "spaces, then a mark": "a." + " " * 30_000 + "!",
    "tabs and spaces": " \t" * 20_000 + "x",
    "no-break spaces": "\u00a0" * 30_000 + "\u00e9",
    "line breaks": "x.\n" + "\n" * 30_000 + "y",
    "spaces, then line breaks": " " * 30_000 + "\n" * 3 + " " * 30_000 + "b",
    "two long runs": (" " * 20_000 + "a") * 2,
    "one letter": "a" * 200_000,
    "one mark": "!" * 200_000 + "\n" * 5_000,
    "combining marks": "e" + "\u0301" * 100_000,
    "digits": "7" * 200_000,
}


@pytest.mark.parametrize("name", RUNS)
def test_a_long_run_is_encoded_as_the_tokenizers_library_does(tiny, name):
    assert tiny.encode(RUNS[name]) == train().encode(RUNS[name], add_special_tokens=False).ids


def test_a_long_run_of_a_real_vocabulary(real_pair):
    ours, reference = real_pair
    for text in (RUNS["a million spaces, then a word"], RUNS["tabs and spaces"]):
        assert ours.encode(text) == reference.encode(text, add_special_tokens=False).ids


def test_long_runs_in_chats_and_beside_added_tokens(tiny):
    text = "<think>" + " " * 30_000 + "</think>"
    assert tiny.encode(text) == train().encode(text, add_special_tokens=False).ids
    chat = [{"role": "user", "content": MILLION}]
    assert tiny.decode(tiny.encode_chat(chat)) == tiny.apply_chat_template(chat)


# --- Added tokens ---------------------------------------------------------------------------------

ADDED = [
    "<mytok>",
    " two words",
    "the",  # a token that the byte pairs make too
    "\u00e9t\u00e9",  # normalised: also found when written with combining accents
    tokenizers.AddedToken("<left>", lstrip=True),
    tokenizers.AddedToken("<right>", rstrip=True, normalized=False),
    tokenizers.AddedToken("<both>", lstrip=True, rstrip=True, special=True),
    tokenizers.AddedToken("wor", single_word=True),
    tokenizers.AddedToken("\u0301x", normalized=False),
    tokenizers.AddedToken("K", normalized=True, single_word=True),
    tokenizers.AddedToken("<special>", special=True),
]
ADDED_TEXTS = [
    "<mytok>",
    " two words",
    "the",
    "\u00e9t\u00e9",
    "e\u0301te\u0301",
    "<left>",
    "<right>",
]
ADDED_TEXTS += [
    "<both>",
    "wor",
    "word",
    "\u0301x",
    "K",
    "\u212a",
    "<special>",
    "<think>",
    "<|im_end|>",
]
ADDED_TEXTS += [
    " ",
    "  ",
    "\n",
    "\t",
    "\u3000",
    "\x1c",
    "a",
    "_",
    "1",
    "\u0301",
    ".",
    "th",
    "e\u0301",
]


def added_texts(count: int) -> list[str]:
    rng = random.Random(8)
    return ["".join(rng.choices(ADDED_TEXTS, k=rng.randint(1, 9))) for _ in range(count)]


def saved(folder: Path, tokens: list) -> transformers.PreTrainedTokenizerBase:
    """The trained vocabulary with further tokens, added and saved by transformers."""
    start = write_folder(folder / "start", QWEN3)
    config = json.loads((start / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["tokenizer_class"] = "Qwen2Tokenizer"
    (start / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    reference = transformers.AutoTokenizer.from_pretrained(start)
    reference.add_tokens(tokens)
    reference.save_pretrained(folder / "saved")
    return transformers.AutoTokenizer.from_pretrained(folder / "saved")


@pytest.mark.parametrize("tokens", [ADDED, ADDED[:1], ADDED[4:5], ["<a>", "<a><b>", "<b>"]])
def test_tokens_that_transformers_added_give_the_same_ids(tmp_path, tokens):
    reference = saved(tmp_path, tokens)
    ours = Tokenizer.from_folder(tmp_path / "saved")
    for text in ["<a><b><a>", *added_texts(1500)]:
        expected = reference.encode(text, add_special_tokens=False)
        assert ours.encode(text, allow_special=True) == expected, text
        plain = reference.encode(text, add_special_tokens=False, split_special_tokens=True)
        assert ours.encode(text) == plain, text
    assert ours.vocab_size == len(reference)
    chat = [{"role": "user", "content": "<mytok> and <left>!"}]
    prompt = reference.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert ours.encode_chat(chat) == prompt


def test_an_added_token_that_the_byte_pairs_make_too_keeps_its_id_and_bytes(tmp_path):
    reference = saved(tmp_path, ["\u0120the"])  # as the byte alphabet writes " the"
    ours = Tokenizer.from_folder(tmp_path / "saved")
    assert ours.encode(" the \u0120the") == reference.encode(" the \u0120the")
    assert ours.decode(ours.encode(" the")) == " the"


def older_folder(tmp_path: Path, **files: object) -> Path:
    """A folder as older versions wrote it: no added_tokens_decoder, but files of their own."""
    folder = write_folder(tmp_path / "older")
    names = {key: value for key, value in files.pop("config", {}).items()}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "Qwen2Tokenizer", **names}), encoding="utf-8"
    )
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_added_tokens_json_and_special_tokens_map_are_read(tmp_path):
    first = len(json.loads((write_folder(tmp_path / "x") / "vocab.json").read_text("utf-8")))
    folder = older_folder(
        tmp_path,
        added_tokens={"<|endoftext|>": first, "<|im_start|>": first + 1, "<|im_end|>": first + 2}
        | {"<word>": first + 3, "<also special>": first + 4},
        special_tokens_map={
            "eos_token": {"content": "<|im_end|>", "lstrip": False},
            "pad_token": "<|endoftext|>",
            "additional_special_tokens": ["<|im_start|>", "<also special>"],
        },
    )
    reference = transformers.AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer.from_folder(folder)
    assert (ours.eos_token, ours.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert ours.eos_token_id == reference.convert_tokens_to_ids("<|im_end|>")
    assert ours.special_tokens.keys() == {"<|endoftext|>", "<|im_start|>", "<|im_end|>"} | {
        "<also special>"
    }
    for text in ("a<word>b <|im_end|><also special>", "<word>\u0338", "<|im_start|>"):
        assert ours.encode(text, True) == reference.encode(text, add_special_tokens=False)
    prompt = "<|im_start|>user\n<word>?<|im_end|>\n<|im_start|>assistant\n"
    assert ours.encode_chat([{"role": "user", "content": "<word>?"}]) == reference.encode(prompt)


def test_a_listed_decoder_comes_before_the_older_files(tmp_path):
    folder = write_folder(tmp_path)
    (folder / "added_tokens.json").write_text('{"<old>": 9999}', encoding="utf-8")
    (folder / "special_tokens_map.json").write_text('{"eos_token": "<old>"}', encoding="utf-8")
    ours = Tokenizer.from_folder(folder)
    assert ours.eos_token == "<|im_end|>" and ours.vocab_size < 9999


def test_named_tokens_may_stand_in_the_vocabulary_alone(tmp_path):
    """GPT-2's vocab.json has <|endoftext|>, and its tokenizer_config.json merely names it."""
    folder = write_folder(tmp_path)
    ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    ids["<|endoftext|>"] = len(ids)
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    config = json.dumps({"eos_token": "<|endoftext|>"})
    (folder / "tokenizer_config.json").write_text(config, encoding="utf-8")
    ours = Tokenizer.from_folder(folder)
    assert ours.encode("a<|endoftext|>", True)[-1] == ours.eos_token_id == ids["<|endoftext|>"]


# --- The order of merges --------------------------------------------------------------------------


def encoded(token: str, merges: list[tuple[str, str]]) -> list[str]:
    """Byte-pair encoding as its definition says it."""
    rank = {pair: n for n, pair in reversed(list(enumerate(merges)))}
    parts = list(token)
    while found := [(rank[p], i) for i, p in enumerate(zip(parts, parts[1:])) if p in rank]:
        _, at = min(found)
        parts[at : at + 2] = ["".join(parts[at : at + 2])]
    return parts


def test_merges_are_at_fault_where_a_token_is_not_encoded_as_itself():
    rng = random.Random(9)
    verdicts = {True: 0, False: 0}
    for _ in range(3000):
        made = list("abc")
        merges: list[tuple[str, str]] = []
        for _ in range(rng.randint(1, 7)):
            pair = rng.choice(made), rng.choice(made)
            if "".join(pair) not in made:
                merges.append(pair)
                made.append("".join(pair))
        wrong = [n for n, pair in enumerate(merges) if len(encoded("".join(pair), merges)) > 1]
        assert unreachable_merge(merges) == (wrong[0] if wrong else None)
        verdicts[bool(wrong)] += 1
    assert min(verdicts.values()) > 300
    assert unreachable_merge([("ab", "c"), ("a", "b")]) == 0  # made before its part
    assert unreachable_merge([("a", "b"), ("a", "b")]) == 1
    assert len(BYTE_OF) == 256
