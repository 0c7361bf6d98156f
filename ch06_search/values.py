"""What is a partial solution worth? Values for the searches of `search.py`.

A value is a function of a model, a question and nodes; it returns a score from 0 to 1 for each node
and what it cost to find out. None sees the gold answer.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from shared import LLM, Cost, prompts
from shared.grading.arithmetic import wrong_equations
from shared.rewards.judge import VERDICTS, asking_cost, share_of_yes
from shared.rewards.process_reward import ProcessRewardModel

if TYPE_CHECKING:
    from ch06_search.search import Node, Value

# The shipped model knows no question about half a solution: for it take prompts.JUDGE.
SO_FAR = "Is this solution correct so far? Answer Yes or No."
ASKED_AT_ONCE = 64  # texts on which a model is asked for Yes or No, each from a thread of its own


def arithmetic(llm: LLM, question: str, nodes: list[Node]) -> tuple[list[float], Cost]:
    """0 where an equation so far is wrong, else 1: a value that costs nothing."""
    return [float(not wrong_equations(node.text)) for node in nodes], Cost()


def judge(ask: str = SO_FAR) -> Value:
    """The value that the model itself gives when it is asked in words: the probability of "Yes"."""

    def judge(llm: LLM, question: str, nodes: list[Node]) -> tuple[list[float], Cost]:
        """P(Yes) of each node. Raises ValueError where the question does not fit the context."""
        encode_chat = llm.tokenizer.encode_chat
        asked = prompts.ask(question)
        before = encode_chat(asked, enable_thinking=False)
        follow_up = encode_chat(prompts.follow_up(asked, "", ask), enable_thinking=False)
        after = follow_up[len(encode_chat(asked)) :]  # the end of the reply, and what follows it
        # Between them the reply's own tokens, as they were sampled: the cache knows them.
        replies = [node.ids[:-1] if node.finish_reason == "stop" else node.ids for node in nodes]
        return probability_of_yes(llm, [before + ids + after for ids in replies])

    return judge


def probability_of_yes(llm: LLM, texts: list[list[int]]) -> tuple[list[float], Cost]:
    """P("Yes") / (P("Yes") + P("No")) as what follows each text, given as token ids."""
    asked = [(ids, word) for ids in texts for word in VERDICTS]
    with ThreadPoolExecutor(min(ASKED_AT_ONCE, len(asked))) as pool:  # so that they share a batch
        found = list(pool.map(lambda each: sum(llm.score(*each)), asked))
    scores = [share_of_yes(yes, no) for yes, no in zip(found[::2], found[1::2])]
    return scores, asking_cost(llm, texts)


def reward(reward_model: ProcessRewardModel) -> Value:
    """The value that a process reward model gives to the last step so far."""

    def reward(llm: LLM, question: str, nodes: list[Node]) -> tuple[list[float], Cost]:
        """The model's estimate that what begins like a node ends in the right answer."""
        steps = reward_model.step_scores(question, [node.text for node in nodes])
        num_tokens = sum(len(node.ids) for node in nodes)
        cost = Cost(scored_tokens=num_tokens, forward_passes=len(nodes))
        return [scores[-1] for scores in steps], cost

    return reward
