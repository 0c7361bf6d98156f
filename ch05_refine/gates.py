"""The gates by their names, for the command lines of refine.py and study.py."""

from __future__ import annotations

import argparse
from collections.abc import Collection

from shared.errors import UserError
from shared.evaluation.cli import add_reward_model_flag, load_reward_model
from shared.rewards.interfaces import Scorer
from shared.rewards.scorers import Judge, Likelihood, Reward

NAMES = ("likelihood", "judge", "reward")


def add_gate_flags(parser: argparse.ArgumentParser) -> None:
    """Add --way, --gates, --rounds and --reward-model."""
    add_reward_model_flag(parser)
    add = parser.add_argument
    add("--way", metavar="W", help="how to refine (see above); None: with the last of the gates")
    add("--gates", nargs="+", choices=NAMES, default=NAMES, help="what may refuse a revision")
    add("--rounds", type=int, default=3, help="of critique and revision, at most")


def check_flags(args: argparse.Namespace, ways: list[str]) -> str:
    """The way of --way. Raises UserError for one that is not among `ways`, and for no rounds."""
    if args.rounds < 1:
        raise UserError(f"rounds must be at least 1, not {args.rounds}")
    way = args.way or args.gates[-1]
    if way not in ways:
        raise UserError(f"way must be one of {', '.join(ways)}, not {way!r}")
    return way


def load_gates(
    args: argparse.Namespace, needed: Collection[str]
) -> tuple[dict[str, Scorer | None], dict]:
    """The gates of --gates by their names, and the settings that a run with them must record.

    A gate that is not `needed` is None, so its reward model is not loaded.
    """
    gates, settings = {"likelihood": Likelihood(), "judge": Judge()}, {}
    if "reward" in needed:
        model, settings = load_reward_model(args)
        gates["reward"] = Reward(model)
    return {name: gates.get(name) for name in args.gates}, settings
