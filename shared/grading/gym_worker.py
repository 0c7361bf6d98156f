"""The job of scoring an answer as its reasoning-gym task does.

`helper_process.py` runs this file in a process of its own, for two reasons: a scorer may take
forever (one computes any power of ten that it reads), and some evaluate the answer as Python. Here
`eval` reads literals only, and SymPy's parser gets nothing but arithmetic and known functions.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import lru_cache

# Its `eval` sees only the problem's own text, which is arithmetic.
EVALUATES_PROBLEMS = "reasoning_gym.arithmetic.bitwise_arithmetic"
NODES = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Constant, ast.Name, ast.Call, ast.Load)
NODES += (ast.operator, ast.unaryop)
NAMES = frozenset(
    "Integer Float Rational Symbol Function Integral factorial sqrt cbrt exp log ln Abs pi E I oo "
    "sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh asinh acosh atanh".split()
)


def load() -> Callable[..., bool]:
    """The function that scores; `score_answer` of the package, made safe."""
    import reasoning_gym
    import sympy.parsing.sympy_parser as parser

    for name, module in list(sys.modules.items()):
        if name.startswith("reasoning_gym.") and name != EVALUATES_PROBLEMS:
            module.eval = ast.literal_eval
    parser.eval_expr = screened(parser.eval_expr)
    dataset_of = lru_cache(lambda task: reasoning_gym.create_dataset(task, seed=0))

    def is_right(task: str, question: str, gold: str, metadata: str, answer: str) -> bool:
        """Whether an answer gets full marks. `metadata` is a Python literal: JSON has no tuples."""
        entry = {"question": question, "answer": gold, "metadata": ast.literal_eval(metadata)}
        dataset = dataset_of(task)
        try:
            return bool(dataset.score_answer(answer, entry) >= 1)
        except Exception:  # scorers raise whatever a bad answer makes them raise
            return False

    return is_right


def screened(eval_expr: Callable) -> Callable:
    """SymPy's function that evaluates the code it made of an expression, for harmless code only."""

    def evaluate(code: str, local_dict: dict, global_dict: dict) -> object:
        for node in ast.walk(ast.parse(code.strip(), mode="eval")):
            if not isinstance(node, NODES):
                raise ValueError(f"{type(node).__name__} is not part of an expression")
            if isinstance(node, ast.Name) and node.id not in NAMES and node.id not in local_dict:
                raise ValueError(f"unknown name {node.id}")
        return eval_expr(code, local_dict, global_dict)

    return evaluate
