"""Is the answer to a problem right?"""

from __future__ import annotations

import re

from shared.evaluation.problem import Problem
from shared.grading.answers import any_of, compare_answers
from shared.grading.helper_process import Helper
from shared.grading.tex import canonical, unwrap_text

SCORER_SECONDS = 5.0  # for one answer; it includes making the task's data set
gym_grader = Helper("gym_worker.py", SCORER_SECONDS)


def without_tex(answer: str) -> str:
    r"""`\text{Monday}` -> `Monday`, `$\$1{,}000$` -> `1000`; a text without TeX as it is."""
    if re.search(r"[\\$]", answer):
        answer = unwrap_text(canonical(answer))
    is_number = re.fullmatch(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", answer)
    return answer.replace(",", "") if is_number else answer


def grade(problem: Problem, predicted: str | None) -> bool | None:
    """Whether an answer is right; None where that could not be decided.

    A problem of reasoning-gym is graded by its task's own scorer, whose full marks count as right
    (some scorers are lenient: `gym:gsm_symbolic` overlooks a minus sign). An answer in TeX is
    offered without it too. All other problems are graded by `compare_answers`.
    """
    if predicted is None or not problem.source.startswith("gym:"):
        return compare_answers(predicted, problem.answer)
    task, metadata = problem.source.removeprefix("gym:"), repr(problem.metadata)
    verdicts = (
        gym_grader.ask(task, problem.question, problem.answer, metadata, spelling)
        for spelling in dict.fromkeys((predicted, without_tex(predicted)))
    )
    return any_of(verdicts)
