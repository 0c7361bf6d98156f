"""The tables of the study, on the screen and in RESULTS.md."""

from __future__ import annotations

from collections import Counter

from ch05_refine.outcomes import OUTCOMES
from shared.evaluation.results import markdown_table


def print_table(rows: list[dict]) -> None:
    """The comparison as text: what refinement does to drafts, then samples at equal cost."""
    print(f"{'':<24}{'accuracy  95% interval':<26}{'above the draft, p':<32}", end="")
    print("  ".join(OUTCOMES), " tokens")
    for row in rows:
        counts = "  ".join(f"{row[name]:>{len(name)}}" for name in OUTCOMES)
        interval = "[{:.3f}, {:.3f}]".format(*row["interval"])
        print(f"{row['name']:<24}{row['accuracy']:<10.3f}{interval:<16}", end="")
        print(f"{difference(row['gain']):<32}{counts}{row['tokens']:>8.0f}")
    if "n" not in rows[0]:
        return
    print(f"\n{'at equal cost':<24}{'n':<4}{'vote':<8}{'above the vote, p':<32}", end="")
    print(f"{'best':<8}above the best sample by the same gate, p")
    for row in rows:
        print(f"{row['name']:<24}", end="")
        if row["n"] is None:
            print("-   too few tokens, or too few samples")
            continue
        print(f"{row['n']:<4}{row['vote']:<8.3f}{difference(row['above vote']):<32}", end="")
        print(f"{row['best']:<8.3f}{difference(row['above best'])}" if "best" in row else "")


def percent(share: float, interval: tuple[float, float] | None = None) -> str:
    """For example "54.0%" or "54.0% [49.1, 58.8]"."""
    if interval is None:
        return f"{100 * share:.1f}%"
    return f"{100 * share:.1f}% [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def points(gain: list[float]) -> str:
    """A difference and its interval, which come first in `gain`: "+2.8 [+0.8, +5.0]"."""
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * value for value in gain[:3]))


def difference(gain: tuple[float, float, float, float]) -> str:
    """A difference, its interval and p-value as text."""
    return "{:+.3f} [{:+.3f}, {:+.3f}] {:.2g}".format(*gain)


def section(content: dict) -> str:
    """One file of results in Markdown: labels of critiques, different critics, or a comparison."""
    if "labels" in content:
        counts = Counter(content["labels"])
        row = {label: str(counts[label]) for label in ("wrong", "fine", "neither")}
        row["wrong, and names a step"] = str(sum(step is not None for step in content["steps"]))
        return f"{content['note']}\n\n{markdown_table([row])}"
    if "critics" in content:
        return critics_table(content["critics"])
    parts = [
        f"{content['problems']} problems, the same greedy drafts. Intervals are 95%; differences "
        "are paired; p is that of the exact McNemar test. Tokens are generated tokens per problem.",
        outcomes_table(content["ways"]),
        at_once_table(content["ends at once"]),
    ]
    if content.get("equal cost"):
        parts.append(equal_cost_table(content["equal cost"]))
    return "\n\n".join(parts)


def print_outcomes(ways: dict[str, list[dict]]) -> None:
    """What each way did to the drafts after its last round, one short line each."""
    draft = next(iter(ways.values()))[0]
    right, wrong = draft["kept"], draft["unrepaired"]
    heads = f"broken (of {right})", f"repaired (of {wrong})"
    print(f"{'':<21}accuracy  above the draft         {heads[0]}  {heads[1]}  tokens")
    width = 34 + len("  ".join(heads))
    print(f"{'the draft':<21}{percent(draft['accuracy']):<{width}}{draft['tokens']:>8.0f}")
    for way, rounds in ways.items():
        row = rounds[-1]
        print(f"{way:<21}{percent(row['accuracy']):<10}{points(row['gain']):<24}", end="")
        print(f"{row['broken']:>{len(heads[0])}}  {row['repaired']:>{len(heads[1])}}", end="")
        print(f"{row['tokens']:>8.0f}")


def critics_table(rows: list[dict]) -> str:
    """What becomes of the same drafts, revised once after each critic's words."""
    lines = []
    for row in rows:
        line = {"critique": row["critic"]}
        line[f"kept, of {row['right drafts']} right drafts"] = f"{row['kept']:.4g}"
        line[f"repaired, of {row['wrong drafts']} wrong drafts"] = f"{row['repaired']:.4g}"
        gain = row.get("above own")
        line["accuracy above own, points"] = points(gain) if gain else ""
        line["p"] = f"{gain[3]:.2g}" if gain else ""
        lines.append(line)
    return markdown_table(lines)


def outcomes_table(ways: dict[str, list[dict]]) -> str:
    """What each way did to the drafts, after its last round."""
    rows = {"*the draft*": next(iter(ways.values()))[0]}
    rows |= {way: rounds[-1] for way, rounds in ways.items()}
    lines = []
    for name, row in rows.items():
        is_draft = name == "*the draft*"  # its difference to itself says nothing
        line = {"way": name, "accuracy": percent(row["accuracy"], row["interval"])}
        line["above the draft, points"] = "" if is_draft else points(row["gain"])
        line["p"] = "" if is_draft else f"{row['gain'][3]:.2g}"
        lines.append(line | {key: str(row[key]) for key in OUTCOMES})
        lines[-1]["tokens"] = f"{row['tokens']:,.0f}"
    return markdown_table(lines)


def at_once_table(at_once: dict[str, dict[str, int]]) -> str:
    """How many drafts each way left alone in the first round."""
    lines = [
        {
            "left alone at once by": way,
            "right drafts": str(n["right"]),
            "wrong drafts": str(n["wrong"]),
        }
        for way, n in at_once.items()
    ]
    return markdown_table(lines)


def equal_cost_table(rows: list[dict]) -> str:
    """What independent samples do that generate no more tokens than each way."""
    lines = []
    for row in rows:
        line = {"way, against samples of equal cost": row["name"], "n": str(row["n"] or "-")}
        for other in ("vote", "best"):
            gain = row.get(f"above {other}")
            line[other] = percent(row[other]) if gain else ""
            line[f"above the {other}, points"] = points(gain) if gain else ""
        lines.append(line)
    return markdown_table(lines)
