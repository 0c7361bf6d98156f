"""The chapter's studies: verifiers and budgets, predictions, thresholds, unit tests.

    python ch04_rejection/study.py compare --limit 400       # every verifier and budget
    python ch04_rejection/study.py compare --pool shared/pools/qwen2.5-coder-0.5b_gsm_symbolic.jsonl
    python ch04_rejection/study.py predict --limit 400       # from a pool, then drawing for real
    python ch04_rejection/study.py thresholds --limit 60     # on dev problems
    python ch04_rejection/study.py code --pool shared/pools/qwen2.5-coder-0.5b_code.jsonl
    python ch04_rejection/study.py tables                    # only RESULTS.md, from results/*.json

Each prints its tables, writes them to results/NAME.json with a picture results/NAME.png, and makes
RESULTS.md from all results. Without --pool, samples are drawn first; --out keeps them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from ch04_rejection import code_study
from ch04_rejection.code_rejection import UnitTests, add_code_flags, chosen_tasks, evaluate_on_tasks
from ch04_rejection.comparisons import (
    best_threshold,
    compare_budgets,
    compare_quality,
    compare_thresholds,
    compare_to_run,
)
from ch04_rejection.figures import plot_budgets, plot_code, plot_thresholds
from ch04_rejection.quality import pooled_verifiers, sample_and_score, usable_verifiers, verdicts
from ch04_rejection.rejection import (
    PARAMS,
    THRESHOLDS,
    RewardAtLeast,
    rejection_sampling,
    verifiers,
)
from ch04_rejection.tables import print_rows, without_nan, write_results
from ch04_rejection.theory import drawn_outcomes, outcomes
from shared.errors import UserError, setting_up
from shared.evaluation.cli import (
    HelpFormatter,
    add_common_flags,
    add_reward_model_flag,
    evaluate_from_flags,
    friendly_errors,
    load_reward_model,
    print_result,
)
from shared.evaluation.evaluation import Evaluation, load_evaluation
from shared.evaluation.plots import save_figure, use_style
from shared.evaluation.pool import to_pool
from shared.evaluation.results import save_result

CHAPTER = Path(__file__).parent


# --- The studies ----------------------------------------------------------------------------------


def compare(args: argparse.Namespace) -> None:
    """Every verifier and every budget on one pool, new or recorded."""
    evaluation = read(args.pool) if args.pool else sample(args)
    pool = to_pool(evaluation)
    named = usable_verifiers(pool)
    qualities, rows = compare_quality(pool, named), compare_budgets(pool, named)
    captioned = {
        "How good each verifier is, over all samples; the draws until it accepts; and the accuracy "
        "of rejection sampling with all of them, minus that of a vote.": qualities,
        "Rejection sampling at each budget; `vote` is a majority vote that generates as many "
        "tokens, `gain` the difference to it.": rows,
    }
    title = f"{title_of(evaluation)}; bands: 95% intervals"
    report(args, evaluation, "verifiers and budgets", captioned, plot_budgets(pool, rows, title))


def predict(args: argparse.Namespace) -> None:
    """What a pool predicts for one verifier, beside a run that draws with the next seed."""
    if args.threshold is not None and args.verifier not in THRESHOLDS:
        raise UserError(f"--threshold has no effect with --verifier {args.verifier}")
    least = THRESHOLDS if args.threshold is None else dict.fromkeys(THRESHOLDS, args.threshold)
    model, settings = load_reward_model(args)
    options = {"reward_model": model}
    evaluation = finished(evaluate_from_flags(sample_and_score, args, options, settings), args)
    pool = to_pool(evaluation)
    predicted = outcomes(pool, verdicts(pool, pooled_verifiers(least)[args.verifier]), args.n)
    args.seed, args.out = args.seed + 1, None  # the run has samples of its own
    options = {"verifier": verifiers(partial(RewardAtLeast, model), least)[args.verifier]}
    run = finished(evaluate_from_flags(rejection_sampling, args, options, settings), args)
    rows = compare_to_run(predicted, drawn_outcomes(run))
    caption = f"Verifier: {run.settings['verifier']}. Measured minus predicted, per problem."
    report(args, run, f"predicted and measured, {args.verifier}", {caption: rows})


def thresholds(args: argparse.Namespace) -> None:
    """Which threshold on the reward is the most accurate, on problems that are not reported."""
    if args.split == "test":
        raise UserError("thresholds are chosen on problems that are not reported: --split dev")
    evaluation = sample(args)
    pool = to_pool(evaluation)
    rows = compare_thresholds(pool, args.n)
    chosen = ", ".join(f"{name} {best_threshold(rows, name)}" for name in THRESHOLDS)
    print("choose", chosen)
    caption = f"The most accurate thresholds: {chosen}."
    report(args, evaluation, "thresholds", {caption: rows}, plot_thresholds(pool, rows))


def code(args: argparse.Namespace) -> None:
    """All budgets with unit tests as the verifier, on one pool of programs."""
    if args.pool:
        evaluation = read(args.pool)
        if evaluation.settings.get("kind") != "code pool":
            raise UserError(f"{args.pool} was not made by study.py code")
    else:
        tasks = chosen_tasks(args)
        technique = partial(code_study.sample_and_test, visible=UnitTests(tasks))
        evaluation = finished(evaluate_on_tasks(technique, args, tasks, kind="code pool"), args)
    draws = code_study.drawn(evaluation)
    counts = code_study.verifier_counts(draws)
    captioned = {
        "The visible tests as a verifier. `fooled`: the tasks on which everything accepted is "
        "wrong, each with its number of accepted programs.": [
            counts | {"fooled": ", ".join(map(str, counts["fooled"]))}
        ],
        "Tasks solved, averaged over the order of the draws.": code_study.compare_budgets(draws),
        "Share of tasks solved with all draws, minus that with one.": [
            {"gain": code_study.gain_over_one_draw(draws)}
        ],
    }
    report(args, evaluation, "unit tests", captioned, plot_code(draws))


def tables(args: argparse.Namespace) -> None:
    """Only write RESULTS.md again."""
    print(f"wrote {write_results(args.chapter)}")


def read(path: Path) -> Evaluation:
    """A recorded pool. Raises UserError where it cannot be used."""
    with setting_up():
        return load_evaluation(path)


def sample(args: argparse.Namespace) -> Evaluation:
    """New samples with their rewards, as the flags say."""
    model, settings = load_reward_model(args)
    options = {"reward_model": model}
    return finished(evaluate_from_flags(sample_and_score, args, options, settings), args)


def finished(evaluation: Evaluation, args: argparse.Namespace) -> Evaluation:
    """The evaluation itself. If a question failed, its result is printed and the program ends."""
    if evaluation.num_errors:
        print_result(evaluation, args)
        raise SystemExit(1)
    return evaluation


def title_of(evaluation: Evaluation) -> str:
    """Which model, on which problems."""
    settings = evaluation.settings
    return f"{settings['model']}, {settings['num_problems']} problems ({settings['problems']})"


def report(
    args: argparse.Namespace,
    evaluation: Evaluation,
    subject: str,
    captioned: dict[str, list[dict]],
    figure: Figure | None = None,
) -> None:
    """Print tables, given by their captions; write them as JSON, the figure, and RESULTS.md."""
    for rows in captioned.values():
        print_rows(rows)
    settings = evaluation.settings
    pool = getattr(args, "pool", None)
    name = f"{Path(settings['model']).name}_{Path(settings['problems']).name}_{subject}"
    name = args.name or (pool.stem if pool else "".join(c if c.isalnum() else "_" for c in name))
    results = [{"caption": key, "rows": without_nan(rows)} for key, rows in captioned.items()]
    content = {"title": f"{title_of(evaluation)}: {subject}", "settings": settings}
    save_result(args.chapter, name, content | {"tables": results})
    if figure:
        save_figure(figure, args.chapter / "results" / f"{name}.png")
    print(f"wrote {write_results(args.chapter)}")
    if not pool:
        print_result(evaluation, args)


# --- The command line -----------------------------------------------------------------------------


def parse_args() -> argparse.Namespace:
    """The command line: one study, with the flags that have an effect on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    studies = parser.add_subparsers(required=True, metavar="STUDY")

    added = studies.add_parser("compare", help=compare.__doc__)
    set_study(added, compare)
    add_result_flag(added)
    add_pool_flag(added)
    add_reward_flags(added)

    added = studies.add_parser("predict", help=predict.__doc__)
    set_study(added, predict)
    add_result_flag(added)
    add_reward_flags(added)
    names = ("format", "arithmetic", "reward", "both")
    added.add_argument("--verifier", choices=names, default="both")
    added.add_argument("--threshold", type=float, help="least reward; None: THRESHOLDS")

    added = studies.add_parser("thresholds", help=thresholds.__doc__)
    set_study(added, thresholds)
    add_result_flag(added)
    add_reward_flags(added)
    added.set_defaults(split="dev")

    added = studies.add_parser("code", help=code.__doc__)
    set_study(added, code)
    add_result_flag(added)
    add_pool_flag(added)
    add_code_flags(added)

    set_study(studies.add_parser("tables", help=tables.__doc__), tables)
    return parser.parse_args()


def set_study(parser: argparse.ArgumentParser, study: Callable[[argparse.Namespace], None]) -> None:
    """Make a parser the command of a study, which is described by its docstring."""
    parser.description = study.__doc__
    help_ = "folder to write to"
    parser.add_argument("--chapter", type=Path, default=CHAPTER, metavar="DIR", help=help_)
    parser.set_defaults(study=study)


def add_result_flag(parser: argparse.ArgumentParser) -> None:
    """Add --name."""
    parser.add_argument("--name", help="of the result; None: what was studied, or the pool's")


def add_pool_flag(parser: argparse.ArgumentParser) -> None:
    """Add --pool."""
    help_ = "study these samples; None: draw some"
    parser.add_argument("--pool", type=Path, metavar="FILE.jsonl", help=help_)


def add_reward_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of samples that a reward model scores."""
    add_common_flags(parser)
    add_reward_model_flag(parser)
    parser.set_defaults(n=16, max_tokens=PARAMS.max_tokens)


def main() -> None:
    """Do what the command line asks for."""
    args = parse_args()
    use_style()
    with friendly_errors():
        args.study(args)


if __name__ == "__main__":
    main()
