"""What every chapter stands on: a readable Qwen decoder, its cache and sampler, and evaluation."""

from shared.evaluation.problem import Problem
from shared.evaluation.problems import load_problems
from shared.grading.answers import answers_match, extract_answer
from shared.llm import LLM
from shared.loading.checkpoint import load_model
from shared.sampling_params import SamplingParams
from shared.solution import Completion, Cost, RequestOutput, Solution
from shared.text import prompts
from shared.text.tokenizer import Tokenizer

__all__ = [
    "LLM",
    "Completion",
    "Cost",
    "Problem",
    "RequestOutput",
    "SamplingParams",
    "Solution",
    "Tokenizer",
    "answers_match",
    "extract_answer",
    "load_model",
    "load_problems",
    "prompts",
]
