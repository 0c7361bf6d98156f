"""The page RESULTS.md: every result of the chapter as tables, made from results/*.json."""

from __future__ import annotations

from pathlib import Path

from shared.evaluation.results import markdown_table, with_interval, write_page

SIZES_SHOWN = (1, 2, 4, 8, 16, 24)  # of the rivals


def write_results(chapter: Path) -> Path:
    """Make RESULTS.md in a chapter's folder from its results/*.json; returns its path."""
    return write_page(chapter, "Search", section)


def section(content: dict) -> str:
    """One result in Markdown; its keys tell which study it comes from."""
    if "searches" in content:
        return searches_section(content)
    if "regimes" in content:
        return regimes_section(content)
    return games_section(content) if "games" in content else recorded_section(content)


def searches_section(content: dict) -> str:
    """Every search and control, the differences between them, and the rivals."""
    settings = content["settings"]
    intro = (
        f"{settings['model']}, {settings['num_problems']} {settings['split']} problems of "
        f"`{settings['problems']}`, seed {settings['seed']}. Steps are sampled at temperature "
        f"{settings['search_temperature']}, whole solutions at {settings['rival_temperature']}. "
        "A search is compared with as many whole solutions as cost the same generated tokens, "
        "problem by problem. Intervals are 95%. *Covered* is the share of problems with a right "
        "answer among the paths that vote, and among as many tokens of whole solutions. *Reused* "
        "is the share of prompt tokens whose keys and values were still in the cache, where it was "
        "recorded with a model that had read nothing before."
    )
    pairs = [
        {
            "n": str(pair["n"]),
            "search": pair["a"],
            "compared with": pair["b"],
            "difference": gain_of(pair, "difference"),
        }
        for pair in content["differences"]
    ]
    return "\n\n".join(
        [
            intro,
            markdown_table([search_line(row) for row in content["searches"]]),
            "Controls: a coin judges the steps and the reward model weighs the final vote; and a "
            "plain vote of the finished paths of the same search.",
            markdown_table([search_line(row) for row in content["controls"]]),
            "The same problems with one search and with another:",
            markdown_table(pairs),
            "The rivals, with n whole solutions:",
            markdown_table(rival_lines(content["rivals"])),
        ]
    )


def search_line(row: dict) -> dict[str, str]:
    """One search as a line of its table."""
    return {
        "search": row["name"],
        "n": str(row["n"]),
        "branch": str(row["branch"] or ""),
        "accuracy": with_interval(row["accuracy"], row["low"], row["high"]),
        "tokens per problem": f"{row['tokens_per_problem']:.0f}",
        "finished paths": f"{row['paths']:.1f}",
        "reused": "" if row["reused"] is None else f"{row['reused']:.1%}",
        "covered: search, whole solutions": f"{row['covered']:.3f}, {row['rival_covered']:.3f}",
        "against weighted best-of-N": gain_of(row["best-of-N, weighted"]),
        "against the vote": gain_of(row["self-consistency"]),
    }


def gain_of(row: dict, name: str = "gain") -> str:
    """A difference with its interval, signed."""
    return with_interval(row[name], row["low"], row["high"], sign="+")


def rival_lines(rows: list[dict]) -> list[dict[str, str]]:
    """The accuracy of each rival for a few n, an n per line."""
    lines: dict[int, dict[str, str]] = {}
    for row in rows:
        if row["n"] in SIZES_SHOWN:
            tokens = f"{row['tokens_per_problem']:.0f}"
            line = lines.setdefault(row["n"], {"n": str(row["n"]), "tokens per problem": tokens})
            line[row["name"]] = with_interval(row["accuracy"], row["low"], row["high"])
    return list(lines.values())


def recorded_section(content: dict) -> str:
    """A recorded search and whole solutions of as many tokens."""
    row, settings = content["search"], content["settings"]
    tokens = row["tokens_per_problem"]
    lines = [
        {
            "whole solutions": f"{rival['name']} of {rival['n']:.1f}",
            "accuracy": f"{rival['accuracy']:.3f}",
            "the search against it": gain_of(rival),
        }
        for rival in content["recorded_rivals"]
    ]
    return (
        f"Beam search of {row['n']} with the model as its own judge, {settings['num_problems']} "
        f"problems: accuracy {with_interval(row['accuracy'], row['low'], row['high'])} with "
        f"{tokens:.0f} generated tokens per problem; {row['reused']:.1%} of the prompt tokens were "
        f"reused. It ends in {row['different_answers']:.2f} different answers per problem; "
        f"{row['n']} whole solutions have {settings['rival_different_answers']:.2f}. As many "
        f"tokens of whole solutions:\n\n{markdown_table(lines)}"
    )


def games_section(content: dict) -> str:
    """The share of games solved for each judge, way to play and breadth."""
    breadths = content["breadths"]
    steps = ", ".join(f"{count:.0f}" for count in content["steps"])
    parts = [
        f"{content['games']} games, 95% intervals. The rival plays random games of as many steps "
        f"as the tree tries ({steps} per game), and the judge chooses among their ends."
    ]
    for checks_end, title in ((False, "The judge decides:"), (True, "The end is checked:")):
        rows = [row for row in content["rows"] if row["checks_end"] is checks_end]
        lines = []
        for row in rows:
            line = {"judge, way to play": f"{row['judge']}, {row['way']}"}
            for breadth, (share, low, high) in zip(breadths, row["solved"]):
                line[f"breadth {breadth}"] = f"{share:.2f} [{low:.2f}, {high:.2f}]"
            lines.append(line)
        parts += [title, markdown_table(lines)]
    return "\n\n".join(parts)


def regimes_section(content: dict) -> str:
    """Where search wins and where it does not, a regime per line."""
    settings = content["settings"]
    intro = (
        f"{settings['model']}, few *dev* problems of each set (in brackets): a map of "
        "where to look, not a result. Whole solutions: weighted best-of-N with the same reward "
        "model, at equal generated tokens, problem by problem; with early stopping where the "
        f"search has it (both stop at a score of {settings['threshold']}). *Wins* and *loses*: the "
        "95% interval of the difference excludes 0."
    )
    lines = [
        {
            "problems": f"`{row['problems']}` ({row['num_problems']})",
            "search": row["regime"],
            "tokens per problem": f"{row['tokens']:.0f}",
            "accuracy": f"{row['accuracy']:.3f}",
            "whole solutions": f"{row['rival']:.3f}",
            "difference": gain_of(row),
            "verdict": "wins"
            if row["low"] > 0
            else "loses"
            if row["high"] < 0
            else "no difference",
        }
        for row in content["regimes"]
    ]
    return f"{intro}\n\n{markdown_table(lines)}"
