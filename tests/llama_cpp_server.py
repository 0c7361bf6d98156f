"""A real llama.cpp server on the shipped model, in a process of its own:

    python tests/llama_cpp_server.py MODEL_FOLDER FILE.gguf PORT

It is the server of `llama-server`, from the package xllamacpp. The checkpoint is first written in
llama.cpp's own format, GGUF, in float32, so that both compute the same probabilities.
"""

import json
import sys
import time
from pathlib import Path

import gguf
import xllamacpp
from safetensors.numpy import load_file


def write_gguf(folder: Path, path: Path) -> None:
    """A Qwen3 checkpoint with tied embeddings and vocab.json as one GGUF file."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    add_tokenizer(writer, folder, config["eos_token_id"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, config["num_hidden_layers"])
    for name, tensor in load_file(folder / "model.safetensors").items():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: gguf.GGUFWriter, folder: Path, eos_token_id: int) -> None:
    """Vocabulary, merges, special tokens and chat template."""
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    texts = {token_id: text for text, token_id in vocabulary.items()}
    special = {int(i): token["content"] for i, token in config["added_tokens_decoder"].items()}
    tokens = [text for _, text in sorted({**texts, **special}.items())]
    kinds = [
        gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL
        for i in range(len(tokens))
    ]
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge for merge in merges[1:] if merge])
    writer.add_eos_token_id(eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(config["chat_template"])


def serve(path: Path, port: int) -> None:
    """Answer requests until the process is ended."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = ["tiny"]
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = 8 * 2048  # for all slots together
    params.n_parallel = 8
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    folder, file, port = sys.argv[1:]
    write_gguf(Path(folder), Path(file))
    serve(Path(file), int(port))
