"""Recursive calls: by hand, as published in the sandbox, their rivals, tasks and tables."""

from __future__ import annotations

import ast
import builtins
import json
import os
import re
from functools import partial
from pathlib import Path

import pytest
from scripts import run_script
from test_layout import imports_of

from ch07_combine import recursive, recursive_tables, repl, rivals, study_recursive
from ch07_combine.long_stories import long_stories, read_story
from ch07_combine.long_tasks import GOODS, KINDS, long_tasks, split_task
from ch07_combine.recursive import Limits, recursive_language_model, solve_story
from ch07_combine.repl import UNDONE, Answer, Repl, is_result, truncated
from shared import Completion, Cost, Problem, RequestOutput, SamplingParams
from shared.evaluation.evaluate import evaluate
from shared.evaluation.records import Record
from shared.sandbox.run import NO_VALUE

CHAPTER = Path(recursive.__file__).parent
TASK = Problem("How many lines?\n\none\ntwo\nthree", "3", "t")


class Scripted:
    """A model that gives one reply after another, or asks a function; a word is a token."""

    name = "scripted"

    def __init__(self, replies) -> None:
        self.replies = replies if callable(replies) else partial(self.next, list(replies))
        self.asked: list[list[dict]] = []
        self.params: list[SamplingParams] = []

    @staticmethod
    def next(replies: list[str], _: str) -> str:
        return replies.pop(0)

    def chat(self, messages, params, **options):
        chats = [messages] if isinstance(messages[0], dict) else messages
        return [self.output(chat, params) for chat in chats]

    def output(self, chat, params):
        self.asked.append(chat)
        self.params.append(params)
        samples = []
        for _ in range(params.n):
            words = self.replies(chat[-1]["content"]).split(" ")
            kept = words[: params.max_tokens]
            reason = "stop" if kept == words else "length"
            samples.append(Completion(" ".join(kept), list(range(len(kept))), [], reason))
        generated = sum(len(sample.token_ids) for sample in samples)
        prompt = len(chat[-1]["content"].split())
        return RequestOutput([], samples, Cost(prompt, generated, num_prompts=1))


def block(code: str) -> str:
    return f"Let me see.\n```python\n{code}\n```"


# --- By hand --------------------------------------------------------------------------------------


def count_items(text: str) -> int:
    """The number of items at the end of a story; written independently of the generator."""
    story = read_story(text.split("\n")[0])
    name, total, item = re.fullmatch(r"(\w+) has (\d+) (\w+)\.", story.start).groups()
    total = last = int(total)
    for event in story.events:
        numbers = [int(number) for number in re.findall(r"\d+", event)]
        if " as many" in event:
            total += last * (2 if "twice" in event else 3)
        elif re.fullmatch(r"\w+ has \d+ \w+\.", event):
            assert item not in event  # it does not matter
        else:
            amount = numbers[0] * numbers[1] if len(numbers) == 2 else numbers[0]
            amount = amount // 2 if " half " in event else amount
            is_loss = any(word in event for word in (" loses ", " takes ", " friends "))
            total, last = total + (-amount if is_loss else amount), amount
    return total


def perfect(text: str) -> str:
    return f"\\boxed{{{count_items(text)}}}"


@pytest.mark.parametrize("length", [1, 15, 60])
def test_stories_have_their_length_and_answer(length):
    stories = long_stories(length, 20)
    assert stories[:5] == long_stories(length, 5) != long_stories(length, 5, seed=1)
    assert len({story.question for story in stories} | {s.id for s in stories}) == 40
    for story in stories:
        events = read_story(story.question).events
        matter = [e for e in events if not re.fullmatch(r"\w+ has \d+ \w+\.", e)]
        assert len(matter) == length and read_story(story.question).text == story.question
        assert count_items(story.question) == int(story.answer)


def test_dev_and_test_stories_differ():
    questions = [{p.question for p in long_stories(3, 200, split)} for split in ("dev", "test")]
    assert not questions[0] & questions[1]
    with pytest.raises(ValueError, match="train"):
        long_stories(3, 1, "train")
    with pytest.raises(ValueError, match="not a story"):
        read_story("How many? Ana has 3 pens.")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pieces_joined_by_their_totals_give_the_answer_of_the_story(size):
    for story in long_stories(15, 10):
        llm = Scripted(perfect)
        solution = solve_story(llm, story, size=size, n=2)
        assert solution.answer == story.answer
        events = [read_story(chat[0]["content"].split("\n")[0]).events for chat in llm.asked]
        assert sum(events, ()) == read_story(story.question).events  # each sentence, in order
        assert all(len(piece) >= size for piece in events[:-1])
        assert not any(" as many" in piece[0] for piece in events[1:])
        assert len(solution.completions) == 2 * len(events) == 2 * solution.cost.num_prompts
        assert solution.cost.generated_tokens == 2 * len(events)


def test_a_sentence_that_refers_back_stays_with_the_one_before():
    events = ("A.", "B.", "Then Ana finds twice as many.", "Then Ana finds twice as many.", "C.")
    ends = [recursive.end_of_piece(events, size) for size in (1, 2, 3, 4, 5, 9)]
    assert ends == [1, 4, 4, 4, 5, 5]


def test_each_call_votes():
    story = Problem("Ana has 5 pens. Ana buys 2 more. Ana buys 1 more. How many pens?", None)
    llm = Scripted([f"\\boxed{{{x}}}" for x in (9, 7, 7, 3, 8, 8)])
    solution = solve_story(llm, story, size=1, n=3)
    assert solution.answer == "8" and llm.asked[1][0]["content"].startswith("Ana has 7 pens.")
    assert [step["votes"] for step in solution.trace] == [{"9": 1, "7": 2}, {"3": 1, "8": 2}]


@pytest.mark.parametrize("reply", ["I do not know", "\\boxed{x}", "\\boxed{-3}", "\\boxed{2.5}"])
def test_a_piece_without_a_whole_number_ends_the_story(reply):
    llm = Scripted([reply])
    solution = solve_story(llm, long_stories(15, 1)[0])
    assert solution.answer is None and len(solution.completions) == 1
    with pytest.raises(ValueError, match="at least 1"):
        solve_story(llm, long_stories(15, 1)[0], size=0)


# --- The session in the sandbox -------------------------------------------------------------------


def no_questions(text: str) -> Answer:
    raise AssertionError(f"asked {text!r}")


def test_variables_stay_and_the_last_value_is_shown():
    session = Repl("a\nb", 0)
    assert session.run("x = context.split()\nlen(x)", no_questions).output == "2\n"
    assert session.run("print(x[1])", no_questions).output == "b\n"
    assert session.run("x.append('c')\nNone", no_questions).output == ""
    assert session.run("x", no_questions).output == "['a', 'b', 'c']\n"  # appended once


@pytest.mark.parametrize(
    "cell, output",
    [
        ("print(1)\nmissing", "1\nNameError: name 'missing' is not defined (line 2 of the block)"),
        ("def f():\n    return 1 / 0\nf()", "ZeroDivisionError: division by zero (line 2"),
        ("print(1", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("input()", "EOFError"),
    ],
)
def test_errors_are_told_and_the_session_continues(cell, output):
    session = Repl("a", 0)
    assert output in session.run(cell, no_questions).output
    assert session.run("print(context)", no_questions).output == "a\n"


@pytest.mark.parametrize("cell", ["import os; os._exit(0)", "while True: pass", "' ' * 10**10"])
def test_what_cannot_run_is_undone(cell):
    session = Repl("a", 0)
    session.run("x = 1", no_questions)
    ran = session.run(f"x = 2\n{cell}", no_questions)
    if cell.startswith("'"):  # memory: an ordinary error in Python
        assert "MemoryError" in ran.output
        return
    assert ran == repl.Ran(UNDONE, None) and session.run("x", no_questions).output == "1\n"


def test_questions_are_answered_once_each():
    session, asked = Repl("a b a", 5), []

    def ask(text: str) -> Answer:
        asked.append(text)
        return Answer(text.upper()) if text != "b" else Answer(error="too long")

    code = "for word in context.split():\n    try: print(llm_query(word))\n"
    ran = session.run(code + "    except ValueError as error: print('no:', error)", ask)
    assert ran.output == "A\nno: too long\nA\n"
    assert asked == ran.questions == ["a", "b"]
    assert session.run("print(llm_query('a'))", ask).questions == []


def test_code_that_catches_everything_still_stops():
    session = Repl("a", 1)
    code = "try: llm_query('q')\nexcept: pass\ntry: FINAL(llm_query('q'))\nexcept: pass\nFINAL(2)"
    ran = session.run(code, lambda text: Answer("reply"))
    assert (ran.final, ran.questions) == ("reply", ["q"])


def test_questions_end_at_their_limit():
    session = Repl("a", 3)
    code = "for i in range(10**6):\n    try: llm_query(str(i))\n    except ValueError: pass"
    ran = session.run(code, lambda text: Answer(error="no"))
    assert ran.questions == ["0", "1", "2"] and "RuntimeError: no more calls" in ran.output


def test_a_forged_question_gets_around_no_limit(monkeypatch):
    forged = {"output": "", "final": None, "question": "again?"}
    monkeypatch.setattr(
        repl, "call_function", lambda *_: [forged | {"question": os.urandom(4).hex()}]
    )
    assert len(Repl("a", 3).run("x", lambda text: Answer("yes")).questions) == 3
    for wrong in (NO_VALUE, None, [], {}, {"output": 1, "question": None, "final": None}):
        assert not is_result(wrong)
    for wrong in ({"question": 1}, {"final": ["x"]}, {"output": None}):
        assert is_result(forged) and not is_result(forged | wrong)
    monkeypatch.setattr(repl, "call_function", lambda *_: [{"output": 1}])
    assert Repl("a", 3).run("x", no_questions) == repl.Ran(UNDONE, None)


def test_the_models_code_runs_in_the_sandbox_alone(tmp_path):
    session = Repl("a", 0)
    mark = tmp_path / "mark"
    session.run(f"import builtins, os\nbuiltins.marked = 1\nopen({str(mark)!r}, 'w')", no_questions)
    assert not mark.exists() and not hasattr(builtins, "marked")
    assert session.run("os.getpid()", no_questions).output != f"{os.getpid()}\n"
    for path in CHAPTER.glob("*.py"):
        assert "ch07_combine.repl_inside" not in imports_of(path), path
        called = {n.id for n in ast.walk(ast.parse(path.read_text("utf-8"))) if type(n) is ast.Name}
        assert path.name == "repl_inside.py" or not called & {"exec", "eval", "compile"}, path


def test_truncated_output():
    assert truncated("abc", 3) == "abc" and truncated("", 0) == ""
    assert truncated("abcde", 3) == "abc\n... (2 more characters were cut off)"


# --- The recursive language model -----------------------------------------------------------------


def test_the_model_sees_the_beginning_and_outputs_but_not_the_text():
    llm = Scripted([block("n = len(context.splitlines())\nprint(n)"), block("FINAL(n)")])
    solution = recursive_language_model(llm, TASK, limits=Limits(context_chars=3))
    assert solution.answer == "3"
    assert "13 characters in 3 lines. It begins:\none\n... (10 more" in llm.asked[0][-1]["content"]
    assert "How many lines?" in llm.asked[0][-1]["content"]
    assert llm.asked[1][-1]["content"] == "Output:\n3\n"
    assert not any("two" in each["content"] for chat in llm.asked for each in chat)


def test_a_block_that_comes_again_is_pointed_out():
    llm = Scripted([block("print(1)"), block("print(2)"), block("print(1)"), block("FINAL(1)")])
    recursive_language_model(llm, TASK)
    seen = [recursive.AGAIN in chat[-1]["content"] for chat in llm.asked]
    assert seen == [False, False, False, True]


def test_costs_and_samples_of_all_calls_add_up():
    code = "parts = [llm_query('Upper case: ' + line) for line in context.splitlines()]\n"
    llm = Scripted([block(code), "ONE it is", "TWO", "THREE", block("FINAL(len(parts))")])
    solution = recursive_language_model(llm, TASK)
    assert solution.answer == "3" and len(solution.completions) == solution.cost.num_prompts == 5
    tokens = [len(completion.token_ids) for completion in solution.completions]
    assert solution.cost.generated_tokens == sum(tokens) > 5
    prompts = [len(chat[-1]["content"].split()) for chat in llm.asked]
    assert solution.cost.prompt_tokens == sum(prompts)
    assert solution.trace[0]["asked"] == [f"Upper case: {word}" for word in ("one", "two", "three")]
    assert llm.asked[1] == [{"role": "user", "content": "Upper case: one"}]


def test_errors_and_long_outputs_are_fed_back():
    llm = Scripted([block("1 / 0"), block("print('x' * 99)"), "no code", block("FINAL(1)")])
    recursive_language_model(llm, TASK, limits=Limits(output_chars=10))
    seen = [chat[-1]["content"] for chat in llm.asked[1:]]
    assert seen[0].startswith("Output:\nZeroDivisi\n...")
    assert seen[1] == f"Output:\n{'x' * 10}\n... (90 more characters were cut off)"
    assert recursive.NO_CODE in seen[2]


def test_turns_are_limited_and_the_last_one_is_announced():
    llm = Scripted(lambda _: block("print(1)"))
    solution = recursive_language_model(llm, TASK, limits=Limits(turns=3))
    assert solution.answer is None and len(llm.asked) == 3
    assert [recursive.LAST_TURN in chat[-1]["content"] for chat in llm.asked] == [
        False,
        False,
        True,
    ]


def test_calls_are_limited_in_all_sessions_together():
    loop = block("try:\n    for i in range(9): llm_query(f'q{i}')\nexcept RuntimeError: FINAL(i)")
    llm = Scripted(lambda text: loop if "Question:" in text else "reply")
    solution = recursive_language_model(llm, TASK, limits=Limits(calls=4))
    assert solution.answer == "4" and len(llm.asked) == 5
    llm = Scripted(lambda text: loop)
    solution = recursive_language_model(llm, TASK, limits=Limits(calls=5, depth=3, turns=1))
    assert sum(len(step["asked"]) for step in solution.trace) >= 5
    assert len(solution.trace) <= 1 + 5  # the first session and one for each call


def test_tokens_are_limited():
    llm = Scripted(lambda _: block("print(1)"))
    per_reply = len(block("print(1)").split(" "))
    limits = Limits(turns=99, tokens=2 * per_reply + 1)
    solution = recursive_language_model(llm, TASK, limits=limits)
    assert solution.answer is None and solution.cost.generated_tokens == limits.tokens
    left = [limits.tokens - i * per_reply for i in range(3)]
    assert [params.max_tokens for params in llm.params] == left == [left[0], left[1], 1]


def test_depth_says_who_answers_a_question():
    def reply(text: str) -> str:
        if "How many lines?" in text:
            return block("FINAL(llm_query('inner text'))")
        return block("FINAL(context[::-1])") if "Question:" in text else "a plain reply"

    plain = recursive_language_model(Scripted(reply), TASK)
    deeper = recursive_language_model(Scripted(reply), TASK, limits=Limits(depth=2))
    assert plain.answer == "a plain reply" and deeper.answer == "txet renni"
    assert [step["depth"] for step in deeper.trace] == [2, 1]


def test_a_question_that_does_not_fit_is_an_error_in_the_code():
    class Small(Scripted):
        def output(self, chat, params):
            if chat[0]["content"] == "long":
                raise ValueError("the prompt has 9 tokens")
            return super().output(chat, params)

    code = "try: llm_query('long')\nexcept ValueError as error: FINAL(error)"
    assert recursive_language_model(Small([block(code)]), TASK).answer == "the prompt has 9 tokens"


@pytest.mark.parametrize(
    "reply, code",
    [
        ("```python\nx = 1\n```\nThen\n```python\ny\n```", "x = 1"),
        ("```python\nx = 1\ny", "x = 1\ny"),
        ("```\nx\n```", "x"),
        ("```py \nx\n```", "x"),
        ("no code", ""),
        ("```text\nno code\n```", ""),
        ("It is FINAL(3), I think", ""),
    ],
)
def test_the_first_block_is_the_code(reply, code):
    assert recursive.code_of(reply) == code


@pytest.mark.parametrize(
    "reply, answer",
    [
        ("FINAL(n)", "3"),
        ("The end.\nFINAL(n + 1)", "4"),
        ("**FINAL(Mia)**", "Mia"),
        ("FINAL(two words)", "two words"),
        ("FINAL('it is', )", "it is"),
    ],
)
def test_final_without_a_block(reply, answer):
    llm = Scripted([block("n = 3"), reply])
    assert recursive_language_model(llm, TASK).answer == answer


@pytest.mark.parametrize("flag", [("--problems", "word"), ("--split", "train"), ("--length", "0")])
def test_flags_without_a_meaning_are_refused(flag, tmp_path):
    done = run_script(CHAPTER / "recursive.py", *flag, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


# --- Tasks and rivals -----------------------------------------------------------------------------


def test_tasks_have_the_answers_that_their_lists_say():
    tasks = long_tasks(40, 25)
    assert tasks[:7] == long_tasks(40, 7) and len({task.id for task in tasks}) == 25
    assert not {t.question for t in tasks} & {t.question for t in long_tasks(40, 25, "dev")}
    for task in tasks:
        query, context = split_task(task.question)
        pattern = r"(\d+): (\w+) from (\w+) ordered (\d) (\w+)\."
        rows = [re.fullmatch(pattern, line).groups() for line in context.splitlines()]
        assert len(rows) == 40
        kind = task.metadata["kind"]
        if kind == "find":
            number = re.search(r"order (\d+)", query)[1]
            assert [row[4] for row in rows if row[0] == number] == [task.answer]
        elif kind == "count":
            name, city = re.search(r"by (\w+) from (\w+)\?", query).groups()
            assert sum(row[1:3] == (name, city) for row in rows) == int(task.answer) > 0
        elif kind == "add":
            thing = query.split()[2]
            assert sum(int(row[3]) for row in rows if row[4] == thing) == int(task.answer)
        elif kind == "compare":
            cities = [row[2] for row in rows]
            counts = {city: cities.count(city) for city in cities}
            best = max(counts.values())
            assert [city for city in counts if counts[city] == best] == [task.answer]
        else:
            category = re.search(r"ordered (.*)\?", query)[1]
            assert sum(row[4] in GOODS[category] for row in rows) == int(task.answer)
    assert {task.metadata["kind"] for task in tasks} == set(KINDS)
    for wrong in (partial(long_tasks, 9, 1, "train"), partial(split_task, "no text")):
        with pytest.raises(ValueError):
            wrong()


def test_the_rivals_read_every_line_once():
    task = long_tasks(60, 1)[0]
    query, context = split_task(task.question)
    llm = Scripted(["\\boxed{7}"])
    assert rivals.whole_context(llm, task).answer == "7"
    assert context in llm.asked[0][0]["content"] and query in llm.asked[0][0]["content"]
    llm = Scripted(lambda text: "\\boxed{8}" if "Part 3" in text else "a note")
    solution = rivals.split_and_join(llm, task, size=25)
    assert solution.answer == "8" and len(solution.completions) == solution.cost.num_prompts == 4
    pieces = [chat[0]["content"].split("\n\n")[0].splitlines() for chat in llm.asked[:3]]
    assert [len(piece) for piece in pieces] == [25, 25, 10]
    assert sum(pieces, []) == context.splitlines()
    assert all(query in chat[0]["content"] for chat in llm.asked)
    assert [params.max_tokens for params in llm.params] == [rivals.NOTE_TOKENS] * 3 + [400]


# --- The study ------------------------------------------------------------------------------------


def test_a_run_is_recorded_with_everything_that_was_said(tmp_path):
    replies = [block("n = llm_query('hello')"), "three", block("FINAL(n)")]
    out = tmp_path / "run.jsonl"
    evaluation = evaluate(
        recursive_language_model, Scripted(replies), [TASK], out=out, progress=False
    )
    record = json.loads(out.read_text("utf-8"))
    assert evaluation.records[0].error is None and record["predicted"] == "three"
    assert [step["asked"] for step in record["trace"]] == [["hello"], []]
    assert [c["text"] for c in record["completions"]][1] == "three"


def record(kind: str, correct: bool, tokens: int) -> Record:
    return Record(0, f"orders/50/test/0/0/{kind}", "?", "1", "1", correct, generated_tokens=tokens)


def test_rows_of_tasks_count_each_kind_and_pair_the_problems():
    records = {
        (50, study_recursive.RLM): [record("find", True, 10), record("count", True, 30)],
        (50, "whole context"): [record("find", True, 1), record("count", False, 2)],
        (150, "whole context"): [record("find", False, 1)],
    }
    rlm, whole, longer = study_recursive.task_rows(records)
    assert (rlm["accuracy"], rlm["tokens_per_problem"], rlm["find"]) == (1.0, 20.0, "1 of 1")
    assert whole["accuracy"] == 0.5 and whole["rlm_gain"][0] == 0.5 and whole["add"] == "0 of 0"
    assert "rlm_gain" not in rlm and "rlm_gain" not in longer


def test_transcripts_hold_the_sessions_without_the_texts(tmp_path):
    one = record("find", True, 10)
    one.question, one.trace = "What?\n\na long text", [{"turn": 1, "reply": "x"}]
    (tmp_path / "results/recursive").mkdir(parents=True)
    records = {(50, "whole context"): [one], (50, study_recursive.RLM): [one]}
    study_recursive.save_transcripts(tmp_path, records)
    text = (tmp_path / "results/recursive/transcripts.jsonl").read_text("utf-8")
    (line,) = text.splitlines()
    assert json.loads(line)["query"] == "What?" and json.loads(line)["trace"] == one.trace
    assert "long text" not in text


def test_the_page_is_made_from_the_results(tmp_path):
    row = {"length": 15, "name": "one call", "accuracy": 0.5, "low": 0.25, "high": 0.75}
    rows = [row | {"called": 2.25}, row | {"length": 30, "gain": [0.1, -0.1, 0.3]}]
    recursive_tables.save_study(
        tmp_path, "stories", {"title": "Stories", "caption": "A gain.", "settings": {"n": 4}}, rows
    )
    page = (tmp_path / "RECURSIVE.md").read_text("utf-8")
    assert "n 4. Intervals are 95%. A gain." in page
    assert "| 15 | one call | 0.500 [0.250, 0.750] | 2.2 |  |" in page
    assert "| 30 | one call | 0.500 [0.250, 0.750] |  | +0.100 [-0.100, +0.300] |" in page
    assert (tmp_path / "results/recursive/stories.png").stat().st_size > 5_000
