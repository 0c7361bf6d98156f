"""Chapter 1: each way of getting a chain of thought, on scripted models and on the shipped one."""

import json
import math
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from scripts import run_script, start_script
from wrong_answers import ch01 as answers

from ch01_cot import analysis, budget, checks, cot, decoding, replies, study
from shared import Completion, Cost, Problem, RequestOutput, SamplingParams, load_problems, prompts
from shared.evaluation import worked_examples as examples_module
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import compare, load_evaluation
from shared.evaluation.word_problems import Change, WordProblem, solve, split_of
from shared.evaluation.worked_examples import worked_examples
from shared.grading.answers import final_answer
from shared.grading.arithmetic import wrong_equations

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "ch01_cot" / "cot.py"
STUDY = ROOT / "ch01_cot" / "study.py"
QUESTION = Problem("What is 3*4+5?", None, id="1", source="word")


class ScriptedLLM:
    """Writes the texts it is given, one a request, with the shipped model's tokenizer.

    A text that does not fit into max_tokens is cut there; the others end with the stop token.
    `prompts` holds what the model had read each time.
    """

    def __init__(self, tiny, *texts: str, tokenizer=None) -> None:
        self.name = "scripted"
        self.tokenizer = tokenizer or tiny.tokenizer
        self.stop_ids = tiny.stop_ids
        self.texts = list(texts)
        self.prompts: list[str] = []

    def chat(self, messages, params, enable_thinking=True):
        prompt = self.tokenizer.encode_chat(messages, enable_thinking=enable_thinking)
        return self.generate(prompt, params)

    def generate(self, prompt, params):
        self.prompts.append(self.tokenizer.decode(prompt))
        completions = [self.completion(self.texts.pop(0), params) for _ in range(params.n)]
        generated = sum(len(completion.token_ids) for completion in completions)
        return [RequestOutput(prompt, completions, Cost(len(prompt), generated))]

    def completion(self, text, params):
        ids = [*self.tokenizer.encode(text), self.stop_ids[0]][: params.max_tokens]
        is_whole = ids[-1] in self.stop_ids
        text = self.tokenizer.decode(i for i in ids if i not in self.stop_ids)
        return Completion(text, ids, [-0.5] * len(ids), "stop" if is_whole else "length")


@pytest.fixture(scope="module")
def qwen3_tokenizer(tiny, tmp_path_factory):
    """The shipped vocabulary under Qwen3's chat template."""
    folder = tmp_path_factory.mktemp("qwen3")
    for file in (ROOT / "shared" / "tiny" / "checkpoint").iterdir():
        shutil.copy(file, folder)
    template = ROOT / "tests" / "data" / "qwen3_chat_template.jinja"
    shutil.copy(template, folder / "chat_template.jinja")
    return type(tiny.tokenizer).from_folder(folder)


# --- Direct, chain of thought, few-shot -----------------------------------------------------------


@pytest.mark.parametrize(
    ("technique", "instruction"),
    [(cot.direct_answer, prompts.DIRECT), (cot.chain_of_thought, prompts.STEP_BY_STEP)],
)
def test_direct_and_cot_differ_in_the_instruction_and_vote_when_there_are_several(
    tiny, technique, instruction
):
    llm = ScriptedLLM(tiny, "\\boxed{18}", "\\boxed{17}", "no", "\\boxed{17.0}")
    solution = technique(llm, QUESTION, n=4)
    assert f"{QUESTION.question}\n{instruction}" in llm.prompts[0]
    assert solution.answer == "17"
    assert len(solution.completions) == 4
    assert solution.cost.generated_tokens == sum(len(c.token_ids) for c in solution.completions)


def test_a_chain_that_was_cut_off_has_no_answer(tiny):
    llm = ScriptedLLM(tiny, "3*4=12\n12+5=17\nThe answer is \\boxed{17}.")
    params = replace(cot.GREEDY, max_tokens=6)
    assert cot.chain_of_thought(llm, QUESTION, params=params).answer is None


def test_word_examples_are_solved_training_problems(tiny):
    examples = worked_examples("word", 3)
    assert len(set(examples)) == 3
    for question, steps in examples:
        assert split_of(question) == "train"
        assert steps.startswith("Plan: ") and "The answer is \\boxed{" in steps
    assert worked_examples("word", 2) == examples[:2]
    assert worked_examples("word", 3, seed=1) != examples


def test_gym_examples_are_worked_training_problems_that_end_in_a_box():
    pytest.importorskip("reasoning_gym")
    ((question, steps),) = worked_examples("gym:gsm_symbolic", 1)
    (problem,) = load_problems("gym:gsm_symbolic", split="train", limit=1)
    assert question == problem.question
    assert steps.endswith(f"\nThe answer is \\boxed{{{problem.answer}}}.") and "####" not in steps


def test_gsm8k_examples_lose_their_calculator_marks(monkeypatch):
    working = "He has 2*3=<<2*3=6>>6 pens.\nThat is 6+1=<<6+1=7>>7.\n#### 7"
    problem = Problem("How many?", "7", "g/0", "gsm8k", {"answer": working})
    monkeypatch.setattr(
        examples_module, "load_problems", lambda source, split, limit, seed: [problem]
    )
    worked_examples.cache_clear()
    ((_, steps),) = worked_examples("gsm8k", 1)
    worked_examples.cache_clear()
    assert steps == "He has 2*3=6 pens.\nThat is 6+1=7.\nThe answer is \\boxed{7}."


@pytest.mark.parametrize("source", ["math500", "mine", "gym:basic_arithmetic"])
def test_a_set_without_worked_solutions_is_refused(source):
    if source.startswith("gym:"):
        pytest.importorskip("reasoning_gym")
    with pytest.raises(ValueError, match=f"{source}.*(worked|examples)"):
        worked_examples(source, 2)


def test_few_shot_shows_the_examples_before_the_question(tiny):
    llm = ScriptedLLM(tiny, "\\boxed{17}")
    assert cot.few_shot(llm, QUESTION, shots=2).answer == "17"
    (prompt,) = llm.prompts
    places = [prompt.index(text) for example in worked_examples("word", 2) for text in example]
    assert places == sorted(places) and places[-1] < prompt.index(QUESTION.question)


# --- CoT-decoding ---------------------------------------------------------------------------------


def test_a_continued_reply_joins_what_was_written_given_and_continued(tiny):
    llm = ScriptedLLM(tiny, "12+5=17")
    start = llm.completion("3*4=12", cot.GREEDY)
    joined, cost = replies.continue_reply(
        llm, tiny.tokenizer.encode("Q"), start, "\nSo ", cot.GREEDY
    )
    assert llm.prompts == ["Q3*4=12\nSo "]  # the stop token is gone
    assert joined.text == "3*4=12\nSo 12+5=17"
    assert len(joined.logprobs) == len(joined.token_ids)
    given = len(tiny.tokenizer.encode("\nSo "))
    assert joined.logprobs.count(0.0) == given
    assert cost.generated_tokens == len(joined.token_ids) - given - len(start.token_ids) + 1


def with_margins(tiny, text, margins):
    """A completion whose token i led its rival by margins[i]; the last one is the stop token."""
    ids = [*tiny.tokenizer.encode(text), tiny.stop_ids[0]]
    top = [{1: math.log((1 - m) / 2 + 1e-12), 0: math.log((1 + m) / 2)} for m in margins]
    return Completion(text, ids, [0.0] * len(ids), "stop", top)


def test_confidence_is_the_mean_margin_at_the_last_place_of_the_answer(tiny):
    text = "17+1=18\nThe answer is \\boxed{17}."
    pieces = [tiny.tokenizer.decode([i]) for i in tiny.tokenizer.encode(text)]
    first, second = [i for i, piece in enumerate(pieces) if piece in ("1", "7")][-2:]
    margins = [0.0] * (len(pieces) + 1)
    margins[first], margins[second] = 0.9, 0.5
    completion = with_margins(tiny, text, margins)
    assert decoding.answer_confidence(tiny, completion, "17") == pytest.approx(0.7)
    assert decoding.answer_confidence(tiny, completion, "99") == 0
    assert decoding.answer_confidence(tiny, completion, None) == 0


class BranchingLLM(ScriptedLLM):
    """Knows four first tokens; continues each with a scripted text and margin."""

    branches = {"\\": ("boxed{3}", 0.1), "Plan": (" 1=1 \\boxed{7}", 0.8)}
    branches |= {"All": (" \\boxed{7.0}", 0.6), "This": (" \\boxed{5}", 0.9)}

    def generate(self, prompt, params):
        text = self.tokenizer.decode(prompt)
        self.prompts.append(text)
        if params.max_tokens == 1:
            firsts = [self.tokenizer.encode(word)[0] for word in self.branches]
            ids = [firsts[0], self.stop_ids[0], *firsts[1:]]
            top = {token: -float(i) for i, token in enumerate(ids)}
            top = dict(list(top.items())[: params.logprobs])
            completion = Completion("\\", [ids[0]], [0.0], "length", [top])
            return [RequestOutput(prompt, [completion], Cost(len(prompt), 1))]
        word = next(word for word in self.branches if text.endswith(word))
        rest, margin = self.branches[word]
        count = len(self.tokenizer.encode(rest)) + 1
        completion = with_margins(self, rest, [margin] * count)
        return [RequestOutput(prompt, [completion], Cost(len(prompt), count))]


def test_cot_decoding_adds_up_the_confidence_of_equal_answers(tiny):
    llm = BranchingLLM(tiny)
    solution = decoding.cot_decoding(llm, QUESTION, n=5)
    assert prompts.DIRECT in llm.prompts[0]
    assert [c.text.split("boxed")[-1] for c in solution.completions] == [
        "{3}",
        "{7}",
        "{7.0}",
        "{5}",
    ]
    assert solution.scores == pytest.approx([0.1, 0.8, 0.6, 0.9], abs=1e-6)
    assert solution.answer == "7"  # 0.8 + 0.6 against 0.9
    (trace,) = solution.trace
    assert trace["confidence"] == pytest.approx({"3": 0.1, "7": 1.4, "5": 0.9}, abs=1e-6)
    generated = 1 + sum(len(c.token_ids) - 1 for c in solution.completions)
    assert solution.cost.generated_tokens == generated
    assert decoding.cot_decoding(BranchingLLM(tiny), QUESTION, n=1).answer == "3"


def test_the_first_branch_is_what_greedy_decoding_writes(tiny):
    (problem,) = load_problems("word", split="dev", limit=1)
    direct = cot.direct_answer(tiny, problem).completions[0]
    branch = decoding.cot_decoding(tiny, problem, n=1).completions[0]
    assert branch.token_ids == direct.token_ids
    assert branch.text == direct.text
    assert branch.logprobs == pytest.approx(direct.logprobs, abs=1e-4)


# --- Budget forcing -------------------------------------------------------------------------------


def test_wait_is_appended_when_the_model_stops_and_the_last_answer_counts(tiny):
    llm = ScriptedLLM(tiny, "3*4=13\n\\boxed{18}", " 3*4=12\n\\boxed{17}", " sure \\boxed{17}")
    solution = budget.budget_forcing(llm, QUESTION, waits=2)
    assert llm.prompts[1].endswith("\\boxed{18}\nWait")
    assert llm.prompts[2].endswith("\\boxed{18}\nWait 3*4=12\n\\boxed{17}\nWait")
    assert solution.answer == "17"
    assert solution.trace == [{"answers": ["18", "17", "17"]}]
    assert solution.completions[0].text.count("\nWait") == 2
    assert llm.texts == []


def test_a_spent_budget_forces_the_answer_and_leaves_no_wait(tiny):
    llm = ScriptedLLM(tiny, "3*4=12\n12+5=17\nThe answer is \\boxed{17}.", "12}.")
    solution = budget.budget_forcing(llm, QUESTION, waits=3, budget=7)
    assert llm.prompts[1].endswith("3*4=12\n\nThe answer is \\boxed{")
    assert solution.answer == "12"
    assert solution.completions[0].text == "3*4=12\n\nThe answer is \\boxed{12}."
    assert solution.trace == [{"answers": [None, "12"]}]


def test_waits_share_the_budget(tiny):
    first = "3*4=13\n\\boxed{18}"
    used = len(tiny.tokenizer.encode(first)) + 1
    llm = ScriptedLLM(tiny, first, " let me see 1=1\n2=2\n3=3\n4=4")
    solution = budget.budget_forcing(llm, QUESTION, waits=5, budget=used + 4)
    assert solution.cost.generated_tokens == used + 4
    assert solution.answer == "18"  # the answer that it had before stays


def test_every_one_of_n_chains_is_forced(tiny):
    llm = ScriptedLLM(tiny, "1=1\n2=2\n3=3", "\\boxed{4}", "1=1\n5=5\n6=6", "4}", "9}")
    solution = budget.budget_forcing(llm, QUESTION, n=3, waits=0, budget=6)
    assert [trace["answers"] for trace in solution.trace] == [[None, "4"], ["4"], [None, "9"]]
    assert solution.answer == "4"


# --- Thinking -------------------------------------------------------------------------------------


def test_a_model_without_a_thinking_mode_is_refused(tiny):
    with pytest.raises(ValueError, match="no thinking mode"):
        budget.thinking(tiny, QUESTION)


def test_thinking_off_closes_an_empty_thought(tiny, qwen3_tokenizer):
    llm = ScriptedLLM(tiny, "\\boxed{17}", tokenizer=qwen3_tokenizer)
    assert budget.thinking(llm, QUESTION, budget=0).answer == "17"
    assert llm.prompts[0].endswith("assistant\n<think>\n\n</think>\n\n")


def test_thinking_without_a_budget_is_one_reply(tiny, qwen3_tokenizer):
    llm = ScriptedLLM(
        tiny, "<think>\n\\boxed{3}?\n</think>\n\n\\boxed{17}", tokenizer=qwen3_tokenizer
    )
    assert budget.thinking(llm, QUESTION).answer == "17"
    assert llm.prompts[0].endswith("assistant\n")


def test_a_spent_thinking_budget_closes_the_thought_and_asks_for_the_answer(tiny, qwen3_tokenizer):
    thought = "<think>\n3*4=12\n12+5=17\nBut wait: \\boxed{3}"
    llm = ScriptedLLM(tiny, thought, "\\boxed{17}", tokenizer=qwen3_tokenizer)
    solution = budget.thinking(llm, QUESTION, budget=12)
    assert llm.prompts[1].endswith("directly now.\n</think>\n\n")
    assert solution.answer == "17"
    assert solution.cost.generated_tokens == 12 + len(tiny.tokenizer.encode("\\boxed{17}")) + 1


def test_an_answer_cut_by_the_thinking_budget_is_finished(tiny, qwen3_tokenizer):
    reply = "<think>\nhm\n</think>\n\nThe answer is \\boxed{17}."
    tokens = len(tiny.tokenizer.encode("<think>\nhm\n</think>\n\nThe answer"))
    llm = ScriptedLLM(tiny, reply, " is \\boxed{17}.", tokenizer=qwen3_tokenizer)
    solution = budget.thinking(llm, QUESTION, budget=tokens)
    assert solution.completions[0].text == reply
    assert llm.prompts[1].endswith("</think>\n\nThe answer")


# --- The claim, and the script --------------------------------------------------------------------


def test_steps_beat_a_direct_answer_on_the_shipped_model(tiny):
    problems = load_problems("word", split="dev", limit=40)
    steps, direct = (
        evaluate(technique, tiny, problems, progress=False)
        for technique in (cot.chain_of_thought, cot.direct_answer)
    )
    gain = compare(steps, direct)
    assert gain.difference >= 0.2 and gain.low > 0.1
    assert steps.cost.generated_tokens > 10 * direct.cost.generated_tokens


def test_sampled_chains_vote(tiny):
    problems = load_problems("word", split="dev", limit=2)
    params = SamplingParams(temperature=0.6, max_tokens=500)
    technique = partial(cot.chain_of_thought, n=3, params=params)
    for record in evaluate(technique, tiny, problems, progress=False).records:
        assert len({completion["text"] for completion in record.completions}) > 1


def run(*arguments, cwd, script=SCRIPT):
    return run_script(script, *arguments, cwd=cwd)


def test_the_script_prints_the_summary_and_writes_records(tmp_path):
    out = tmp_path / "cot.jsonl"
    small = ("--split", "dev", "--limit", "4", "--out", str(out))
    done = start_script(SCRIPT, *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    evaluation = load_evaluation(out)
    assert last.rsplit("seconds", 1)[0] == evaluation.summary_line().rsplit("seconds", 1)[0]
    assert evaluation.settings["technique"] == "chain_of_thought"
    assert evaluation.settings["temperature"] == 0 and evaluation.settings["n"] == 1


def test_the_study_compares_all_methods_on_the_same_problems(tmp_path):
    out = tmp_path / "all.jsonl"
    small = ("--split", "dev", "--limit", "4", "--n", "2", "--max-tokens", "500")
    done = run(*small, "--out", str(out), "--chapter", str(tmp_path), cwd=tmp_path, script=STUDY)
    assert done.returncode == 0, done.stderr
    head, *lines, wrote = done.stdout.splitlines()
    names = [name for name in cot.METHODS if name != "thinking"]
    assert [line.split()[0] for line in lines] == names
    assert head.startswith("method") and head.endswith("minus direct")
    content = json.loads((tmp_path / "results" / "tiny_word.json").read_text("utf-8"))
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    for name, line, row in zip(names, lines, content["rows"]):
        evaluation = load_evaluation(tmp_path / f"all_{name}.jsonl")
        assert row["name"] == name and row["accuracy"] == evaluation.accuracy
        assert float(line.split()[1]) == pytest.approx(evaluation.accuracy, abs=1e-3)
        assert f"| {name} | {evaluation.accuracy:.3f} [" in page
    assert lines[0].endswith("+0.000 [+0.000, +0.000]")
    assert wrote == f"wrote {tmp_path / 'RESULTS.md'}"
    assert (tmp_path / "results" / "tiny_word.png").stat().st_size > 10_000


def test_the_results_of_the_recorded_runs_are_those_in_the_chapter(tmp_path):
    """The study of the recorded runs, done again, gives the numbers that the chapter shows."""
    recorded = ROOT / "shared" / "pools" / "qwen2.5-coder-0.5b_gsm_symbolic"
    runs = [f"{method}={recorded}_{method}.jsonl" for method in ("direct", "cot")]
    done = run("--runs", *runs, "--chapter", str(tmp_path), cwd=tmp_path, script=STUDY)
    assert done.returncode == 0, done.stderr
    (again,) = (tmp_path / "results").glob("*.json")
    ours = SCRIPT.parent / "results" / again.name
    assert json.loads(ours.read_text("utf-8")) == json.loads(again.read_text("utf-8"))
    shutil.copytree(SCRIPT.parent / "results", tmp_path / "results", dirs_exist_ok=True)
    shown = study.write_results(tmp_path).read_text("utf-8")
    assert (SCRIPT.parent / "RESULTS.md").read_text("utf-8") == shown


@pytest.mark.parametrize(
    ("runs", "message"),
    [(["direct"], "NAME=FILE"), (["direct=nothing.jsonl"], "nothing")],
)
def test_runs_that_cannot_be_read_are_one_line(tmp_path, runs, message):
    done = run("--runs", *runs, cwd=tmp_path, script=STUDY)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ") and message in done.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ("--budget", "0", "--method", "budget-forcing"),
        ("--budget", "-1", "--method", "thinking"),
        ("--n", "0"),
        ("--n", "0", "--method", "cot-decoding"),
        ("--n", "2", "--method", "prefilled"),
        ("--shots", "-1", "--method", "few-shot"),
        ("--waits", "one", "--method", "budget-forcing"),
    ],
)
def test_a_number_that_makes_no_sense_is_an_error_and_no_default(tmp_path, flags):
    done = run("--limit", "4", *flags, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert flags[0] in done.stderr.splitlines()[-1]


def test_the_number_of_samples_has_a_default_only_where_none_is_given():
    assert [cot.number_of_samples("cot", n) for n in (None, 1, 4)] == [1, 1, 4]
    assert [cot.number_of_samples("cot-decoding", n) for n in (None, 1, 4)] == [10, 1, 4]


def test_functions_refuse_budgets_and_samples_they_cannot_use(tiny):
    for technique, option, message in [
        (budget.budget_forcing, {"budget": 0}, "budget must be at least 1 token"),
        (budget.thinking, {"budget": -1}, "budget must be 0"),
        (cot.prefilled_answer, {"n": 2}, "n must be 1, not 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            technique(tiny, QUESTION, **option)


def test_a_prefilled_answer_begins_inside_the_box(tiny):
    llm = ScriptedLLM(tiny, "17}.")
    solution = cot.prefilled_answer(llm, QUESTION)
    assert llm.prompts[0].endswith("assistant\n\\boxed{") and prompts.DIRECT in llm.prompts[0]
    assert solution.answer == "17" and solution.completions[0].text == "\\boxed{17}."


def test_a_model_that_cannot_think_says_so(tmp_path):
    done = run("--limit", "4", "--method", "thinking", cwd=tmp_path)
    assert done.returncode == 1
    assert "no thinking mode" in done.stdout.splitlines()[-1]


# --- The exercises: their checks, tried on right and wrong answers ---------------------------------

CHECKS = [getattr(checks, name) for name in dir(checks) if name.startswith("check_")]
for part in ("check_continued", "check_number", "check_sorted"):  # parts of others; and no function
    CHECKS.remove(getattr(checks, part))


def names(cases: list[tuple]) -> list[str]:
    return [f"{case[0].__name__.removeprefix('check_')}: {case[1].__name__}" for case in cases]


@pytest.mark.parametrize(("check", "answer"), answers.RIGHT, ids=names(answers.RIGHT))
def test_right_answers_pass(check, answer, capsys):
    check(answer)
    assert "is right" in capsys.readouterr().out


@pytest.mark.parametrize(("check", "answer", "message"), answers.WRONG, ids=names(answers.WRONG))
def test_wrong_answers_are_told_what_is_wrong(check, answer, message, capsys):
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        check(answer)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_each_check_was_tried_and_is_used_in_the_exercises(check):
    assert sum(case[0] is check for case in answers.RIGHT) >= 2
    assert sum(case[0] is check for case in answers.WRONG) >= 8
    for name in ("exercises", "solutions"):
        assert f"{check.__name__}(" in (SCRIPT.parent / f"{name}.ipynb").read_text("utf-8")

    def unwritten(*arguments):
        raise NotImplementedError

    with pytest.raises(AssertionError, match="unwritten is not written yet"):
        check(unwritten)
    with pytest.raises(AssertionError):
        check(lambda: None)  # other arguments: a TypeError inside, yet no TypeError outside


def test_the_sheet_of_wrong_chains_accepts_its_key_and_nothing_else(capsys):
    checks.check_sorted(answers.KINDS)
    assert "Exercise 5 is right" in capsys.readouterr().out
    for kinds, message in answers.SORTED_WRONG:
        with pytest.raises(AssertionError, match=f"(?s){message}"):
            checks.check_sorted(kinds)
    for chain, kind in answers.KINDS.items():
        for other in {"arithmetic", "number", "change"} - {kind}:
            with pytest.raises(AssertionError, match=f"chain {chain} is no '{other}'"):
                checks.check_sorted(answers.KINDS | {chain: other})


def test_outcomes_keep_missing_answers_apart():
    pairs = [("1", "1"), ("1", "2"), ("1", None), ("3", "3"), (None, "4"), ("9", "11"), ("x", "y")]
    counts = {"same": 2, "1 higher": 1, "changed otherwise": 3, "no answer": 1}
    assert checks.outcomes(pairs) == counts


def test_the_control_of_exercise_8_changes_nothing():
    text = "Plan.\n1+2=3\n3*4=12\nThe answer is 12."
    assert checks.undamaged(text, 0) == "Plan.\n1+2=3\n"
    assert checks.undamaged(text, 1) == "Plan.\n1+2=3\n3*4=12\n"


# --- What the notebook measures -------------------------------------------------------------------

RIGHT_CHAIN = "Plan: in order, split.\n10+20=30\n30-5=25\nThe answer is \\boxed{25}."


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("30-5=25", "30-5=26", "arithmetic"),
        ("30-5=25", "30-6=24", "number"),
        ("30-5=25", "20-5=15", "number"),
        ("30-5=25", "30+5=35", "change"),
        ("30-5=25", "3*4=12", "change"),
        ("30-5=25\n", "", "change"),
        ("\nThe answer is \\boxed{25}.", "\n25+5=30", "change"),
        ("\nThe answer is \\boxed{25}.", "", "change"),
    ],
)
def test_wrong_chains_are_sorted_by_the_first_line_that_differs(old, new, kind):
    assert analysis.kind_of_slip(RIGHT_CHAIN.replace(old, new), RIGHT_CHAIN) == kind


def test_a_right_chain_has_no_slip():
    with pytest.raises(ValueError, match="is the right one"):
        analysis.kind_of_slip(RIGHT_CHAIN, RIGHT_CHAIN)


def test_right_chains_belong_to_the_test_problems_and_end_in_their_answers():
    chains = analysis.right_chains(20)
    for problem in load_problems("word", limit=20):
        assert chains[problem.question].endswith(f"\\boxed{{{problem.answer}}}.")
        assert not wrong_equations(chains[problem.question])


def test_a_solution_turns_where_the_next_change_begins():
    changes = (Change(1, 245), Change(1, 3, "*", 14), Change(-1, 128))
    problem = WordProblem("", changes, price=1)
    lines = solve(problem, "in order", split=True).split("\n")[1:]
    turns = [lines[i] for i in sorted(analysis.turning_points(problem))]
    assert turns == ["3*10=30", "287-100=187", "The answer is \\boxed{159}."]


def test_estimates_need_the_right_length_and_first_digit():
    golds = ["3659", "3659", "3659", "25", "7"]
    assert analysis.good_estimates(golds, ["3001", "4659", "365", None, "7"]) == 2


def test_the_problem_with_a_false_equation_has_one(tiny):
    problem = analysis.problem_with_a_false_equation()
    (completion,) = cot.chain_of_thought(tiny, problem).completions
    assert wrong_equations(completion.text) == ["1991+8=2999"]
    assert int(final_answer(completion)) - int(problem.answer) == 1000  # nothing else is wrong
