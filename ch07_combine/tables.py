"""RESULTS.md: the tables of the chapter's results, so that no number is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path

from shared.evaluation.results import markdown_table, with_interval

RIVALS = ("vote", "weighted best", "checked odds")


def accuracy(row: dict) -> str:
    """With its interval."""
    return with_interval(row["accuracy"], row["low"], row["high"])


def named(row: dict) -> str:
    """A technique's name; a vote of 1 is one sample."""
    return "one sample" if row["name"] == "vote of 1" else row["name"]


def difference(gain: dict | None) -> str:
    """A paired difference with its interval; a dash where there is none."""
    return "–" if gain is None else with_interval(gain["gain"], gain["low"], gain["high"], sign="+")


def cost(row: dict) -> dict[str, str]:
    """The columns of tokens and waiting."""
    return {
        "tokens": f"{row['tokens_per_problem']:,.0f}",
        "steps": f"{row['steps_per_problem']:,.0f}",
        "requests": f"{row['requests_per_problem']:.1f}",
    }


# --- Combinations ---------------------------------------------------------------------------------


def combinations_section(content: dict) -> str:
    """The techniques alone, and combined at equal tokens."""
    settings = content["settings"]
    intro = (
        f"{settings['model']}, {settings['num_test']} test problems of `{settings['problems']}`; "
        f"thresholds chosen on {settings['num_dev']} dev problems. {settings['samples']} samples "
        f"per problem were recorded (dev: {settings['dev_samples']}) at temperature "
        f"{settings['temperature']}, seed {settings['seed']}; each technique is replayed in "
        f"{settings['orders']} random orders of them. Per problem: *tokens* generated, *steps* "
        "generated one after another, *requests* that wait for each other. Intervals are 95%; "
        "differences are paired."
    )
    singles = markdown_table(
        [
            {"technique": row["name"], "accuracy": accuracy(row)} | cost(row)
            for row in shown(content)
        ]
    )
    chosen = markdown_table(
        [
            {"combination": row["name"], "budget": row["budget"]}
            | {"threshold": f"{row['threshold']:g}"}
            | compared(row)
            for row in content["chosen"]
        ]
    )
    parts = [intro, "The techniques alone:", singles, CHOSEN, chosen]
    if content["others"]:
        rows = [{"combination": row["name"]} | compared(row) for row in content["others"]]
        parts += ["Combinations without a threshold:", markdown_table(rows)]
    return "\n\n".join([*parts, goals_text(content["goals"])])


CHOSEN = (
    "Combinations. *Budget*: the share of the tokens of a vote of 16 that the threshold had to "
    "keep on dev problems. The last four columns are differences in accuracy: to a vote of 16, and "
    "to each rival with as many tokens (interpolated between two numbers of samples)."
)


def shown(content: dict) -> list[dict]:
    """The techniques alone, without the in-between sizes."""
    skipped = (*(f" of {n}" for n in (3, 6, 12, 24, 48)), f"{RIVALS[1]} of 1", f"{RIVALS[2]} of 1")
    return [row for row in content["singles"] if not row["name"].endswith(skipped)]


def compared(row: dict) -> dict[str, str]:
    """Accuracy, cost, and the differences to the rivals."""
    columns = {"accuracy": accuracy(row)} | cost(row)
    columns["of a vote of 16"] = f"{row['share_of_reference']:.0%}"
    columns["minus vote of 16"] = difference(row["against_reference"])
    for rival in RIVALS:
        columns[f"minus {rival}"] = difference(row[f"against_{rival}"])
    return columns


def goals_text(goals: dict) -> str:
    """Whether the two goals are met, in words."""
    lines = ["The two goals:", ""]
    reference = goals["reference"]
    lines.append(
        f"- A vote of 16 has an accuracy of {accuracy(reference)} with "
        f"{reference['tokens_per_problem']:,.0f} tokens."
    )
    asked = {
        "cheap": "the same accuracy with at most a quarter of its tokens",
        "strong": "92% with at most its tokens",
    }
    for name, goal in asked.items():
        row = goals[name]
        if row is not None:
            verdict = "met" if goals[f"{name}_is_met"] else "not met"
            lines.append(
                f"- Goal: {goal}. {verdict.capitalize()}: {row['name']} (threshold "
                f"{row['threshold']:g}) has {accuracy(row)} with "
                f"{row['tokens_per_problem']:,.0f} tokens, {row['share_of_reference']:.0%} of "
                f"those of the vote; the difference is {difference(row['against_reference'])}."
            )
    return "\n".join(lines)


# --- Policies -------------------------------------------------------------------------------------


def policy_section(content: dict) -> str:
    """The policies by budget, and the map of winners."""
    settings = content["settings"]
    intro = (
        f"Chosen on {settings['num_dev']} dev problems, followed on {settings['num_test']} test "
        "problems. *Budget*: tokens per problem, on average. *One technique* is the best one for "
        "all problems. The policies choose one for each fifth of difficulty: known from the pass "
        "rate (an oracle), or predicted from four samples. Differences to the one technique are "
        "paired, with 95% intervals; *regret* is what a prediction loses to the oracle."
    )
    rows = []
    for row in content["rows"]:
        line = {"budget": f"{row['budget']:,.0f}", "one technique": named(row["single"])}
        line["accuracy"] = f"{row['single']['accuracy']:.3f}"
        for name, policy in row["policies"].items():
            line[name] = line[f"{name}, difference"] = "–"
            if policy:
                line[name] = f"{policy['accuracy']:.3f} ({policy['tokens']:,.0f} tokens)"
                line[f"{name}, difference"] = difference(policy["above_single"])
            if name != "pass rate":
                known = policy and "regret" in policy
                line[f"{name}, regret"] = f"{policy['regret']:+.3f}" if known else "–"
        rows.append(line)
    bins = sorted({cell["bin"] for cell in content["map"]})
    budgets = sorted({cell["budget"] for cell in content["map"]})
    cells = {(c["bin"], c["budget"]): f"{named(c)} ({c['accuracy']:.2f})" for c in content["map"]}
    winners = [
        {"budget": f"{budget:,.0f}"}
        | {
            f"fifth {b + 1}" + {0: " (hardest)", bins[-1]: " (easiest)"}.get(b, ""): cells.get(
                (b, budget), "–"
            )
            for b in bins
        }
        for budget in budgets
    ]
    explained = (
        "The best technique on dev problems for each fifth of difficulty, where each problem may "
        "take the budget; in brackets its accuracy on test problems:"
    )
    sure = [
        {"lead": f"{row['threshold']:g}", "accuracy": accuracy(row)} | cost(row)
        for row in content["until_sure"]
    ]
    tables = [markdown_table(rows), explained, markdown_table(winners), SURE, markdown_table(sure)]
    return "\n\n".join([intro, *tables])


SURE = "Sampling until sure, which needs no bins: it decides after each sample."


# --- The two knobs --------------------------------------------------------------------------------


def knobs_section(content: dict) -> str:
    """Each model with greedy decoding and votes, and when the longest training pays."""
    settings = content["settings"]
    intro = (
        f"The recipe at several shares of its steps; {settings['num_problems']} test problems of "
        f"`{settings['problems']}` drawn with seed {settings['problem_seed']}, temperature "
        f"{settings['temperature']}, sampling seed {settings['seed']}. Intervals are 95%."
    )
    rows = []
    for model in content["models"]:
        row = {"share of the recipe": model["name"]}
        row["training FLOPs"] = f"{model['training_flops']:.2e}"
        row["greedy"] = accuracy(model["greedy"])
        for vote in model["votes"]:
            name = "one sample" if vote["n"] == 1 else f"vote of {vote['n']}"
            row[name] = accuracy(vote)
        row["FLOPs of one sample"] = f"{model['votes'][0]['flops']:.2e}"
        rows.append(row)
    parts = [intro, markdown_table(rows)]
    if content["break_even"]:
        parts += [BREAK_EVEN, markdown_table([pay_row(row) for row in content["break_even"]])]
    return "\n\n".join(parts)


BREAK_EVEN = (
    "Break-even: after this many questions the longest training is the cheaper way to an accuracy. "
    "FLOPs are per question, with as many samples as the accuracy takes."
)


def pay_row(row: dict) -> dict[str, str]:
    """One comparison of a model with the one that was trained longest."""
    questions = row["questions"]
    return {
        "accuracy": f"{row['accuracy']:.0%}",
        "share of the recipe": row["cheap"],
        "its FLOPs": f"{row['cheap_flops']:.2e}",
        f"FLOPs of {row['dear']}": f"{row['dear_flops']:.2e}",
        "questions": "never" if questions is None else f"{questions:,.0f}",
    }


# --- The page -------------------------------------------------------------------------------------

SECTIONS = {"knobs": knobs_section, "combine": combinations_section, "policy": policy_section}


def write_tables(chapter: Path) -> Path:
    """Write RESULTS.md from those results/*.json that are there; returns its path."""
    parts = ["# Combinations: results", "Written by `study.py` from `results/*.json`."]
    for name, section in SECTIONS.items():
        path = chapter / "results" / f"{name}.json"
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            parts += [f"## {content['title']}", section(content)]
    page = chapter / "RESULTS.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return page
