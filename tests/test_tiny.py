"""The shipped model does what its card says (at a smaller size), and its training resumes."""

import random

import pytest
import torch

from shared import SamplingParams, load_problems, prompts
from shared.loading.checkpoint import TINY_FOLDER
from shared.rewards.process_reward import REWARD_FOLDER
from shared.text.tokenizer import Tokenizer
from shared.tiny import report
from shared.tiny.documents import BASE, chat_document, draw_documents, reply
from shared.tiny.train import IGNORED, new_model, pad_batch, train
from shared.tiny.vocabulary import train_vocabulary


def test_the_shipped_files_are_small():
    for folder in (TINY_FOLDER, REWARD_FOLDER):
        assert sum(file.stat().st_size for file in folder.iterdir()) <= 12_000_000


def test_the_ladder_effect_shows_on_dev_problems(tiny):
    problems = load_problems("word", split="dev", limit=60)
    params = SamplingParams(n=16, temperature=0.6, max_tokens=700)
    pool = report.sample(tiny, problems, prompts.STEP_BY_STEP, params)
    figures = report.answering(tiny, problems, pool)
    direct, greedy, vote = (
        figures[name]["accuracy"]
        for name in ("direct answer, greedy", "chain of thought, greedy", "majority of 16")
    )
    assert direct <= 0.25
    assert 0.3 <= greedy <= 0.7
    assert vote > greedy
    assert figures["pass@16"] >= vote


def test_samples_take_different_paths(tiny):
    problem = load_problems("word", split="dev", limit=1)[0]
    params = SamplingParams(n=32, temperature=0.6, max_tokens=20)
    (output,) = tiny.chat(prompts.ask(problem.question), params)
    assert len({completion.text.split("\n")[0] for completion in output.completions}) >= 4


def test_only_the_assistants_words_are_learned(tiny):
    messages = [*prompts.ask("How many?"), reply("Five.")]
    ids, trained = chat_document(tiny.tokenizer, messages)
    learned = [token_id for token_id, is_trained in zip(ids, trained) if is_trained]
    assert tiny.tokenizer.decode(learned) == "Five.<|im_end|>"


def test_drills_train_results_alone(tiny):
    documents = draw_documents(random.Random(0), tiny.tokenizer, BASE, [])
    drill = next(d for d in documents if "Work out each line" in tiny.tokenizer.decode(d.ids))
    decode = tiny.tokenizer.decode
    learned = decode([i for i, is_trained in zip(*drill) if is_trained])
    equations = decode(drill.ids).split("assistant\n")[1].split("\n")
    assert learned == "\n".join(line.split("=")[1] for line in equations)


def test_targets_are_the_next_trained_tokens(tiny):
    document = chat_document(tiny.tokenizer, [*prompts.ask("How many?"), reply("Five.")])
    ids, targets = pad_batch([document])
    for position in range(len(document.ids) - 1):
        expected = document.ids[position + 1] if document.trained[position + 1] else IGNORED
        assert targets[0, position] == expected
    assert (targets[0, len(document.ids) - 1 :] == IGNORED).all()


def test_a_killed_training_run_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.tiny.optimize.SAVE_EVERY", 1)
    monkeypatch.setattr("shared.tiny.train.TOKENS_PER_BATCH", 600)

    def run(folder):
        if not folder.exists():
            train_vocabulary(folder, count=50)
        model = new_model(folder, seed=0)
        tokenizer = Tokenizer.from_folder(folder)
        documents = draw_documents(random.Random(0), tokenizer, BASE, [])
        train(model, documents, folder, stage="base", num_steps=4, seed=0)
        return model

    whole = run(tmp_path / "whole")
    original, steps = torch.optim.AdamW.step, []

    def killed_in_the_third_step(self, *args, **kwargs):
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", killed_in_the_third_step)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed")
    resumed = run(tmp_path / "killed")
    assert len(steps) == 3
    for (name, a), b in zip(whole.named_parameters(), resumed.parameters()):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0, msg=name)
