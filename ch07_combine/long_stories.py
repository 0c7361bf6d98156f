"""Stories several times longer than those that the shipped model was trained on.

    problems = long_stories(30, limit=100)      # 30 events each; training stories have 2 to 8
    story = read_story(problems[0].question)    # its beginning, its events, its question

They are drawn from the parts of `shared/evaluation/word_problems.py`. Length is to be the only
difficulty, so numbers stay as small as in the easier half of training, and nothing is sold at the
end. As there, a story's text alone decides whether it is a dev or a test problem.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace

from shared import Problem
from shared.evaluation.word_problems import EASY, WordProblem, draw_problem, split_of

LENGTHS = (15, 30, 60)  # events
SPLITS = ("dev", "test")


@dataclass(frozen=True)
class Story:
    """A story in three parts.

    start      "Ana has 245 shells."
    events     one sentence each; some do not matter
    question   "How many shells does Ana have now?"
    """

    start: str
    events: tuple[str, ...]
    question: str

    @property
    def text(self) -> str:
        """The story as one text."""
        return " ".join([self.start, *self.events, self.question])

    def starting_with(self, total: str) -> Story:
        """The same story with another number of items at its start."""
        return replace(self, start=re.sub(r"\d+", total, self.start))


def read_story(text: str) -> Story:
    """The parts of a story. Raises ValueError for a text that is not one."""
    sentences = re.split(r"(?<=\.) ", text)
    if not re.fullmatch(r"\w+ has \d+ \w+\.", sentences[0]) or not sentences[-1].endswith("?"):
        raise ValueError(f"not a story that starts with a number and ends in a question: {text!r}")
    return Story(sentences[0], tuple(sentences[1:-1]), sentences[-1])


def long_stories(num_events: int, limit: int, split: str = "test", seed: int = 0) -> list[Problem]:
    """Different stories of this many events, `limit` of them. The same arguments give the same
    stories, and a larger limit only adds to them. Raises ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"the splits of long stories are {', '.join(SPLITS)}, not {split!r}")
    rng = random.Random(f"long stories/{num_events}/{split}/{seed}")
    drawn: dict[str, WordProblem] = {}  # by text, so that none comes twice
    while len(drawn) < limit:
        story = draw_problem(rng, EASY, num_events)
        if story.price == 1 and split_of(story.question) == split:
            drawn.setdefault(story.question, story)
    return [
        Problem(text, str(story.answer), f"long/{num_events}/{split}/{seed}/{i}", "long stories")
        for i, (text, story) in enumerate(drawn.items())
    ]
