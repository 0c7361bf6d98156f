"""The tables of shared/pools/README.md, made from the recorded runs themselves.

python -m shared.evaluation.pools_page     # writes them again; the text around them stays
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from shared.evaluation.evaluation import load_evaluation
from shared.evaluation.pool import POOLS_FOLDER

COT, POOL = "ch01_cot/cot.py", "-m shared.evaluation.pool"
GYM = "--problems gym:gsm_symbolic"
TABLE = re.compile(r"(<!-- table of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
COMMANDS = {  # by what follows the model's name in the file's: the script, and its own flags
    "gsm_symbolic_direct": (COT, f"{GYM} --method direct"),
    "gsm_symbolic_cot": (COT, f"{GYM} --method cot"),
    "gsm_symbolic": (POOL, f"{GYM} --n 16 --temperature 0.7 --max-tokens 400"),
    "gsm_symbolic_refine": (
        "ch05_refine/study.py",
        f"--rounds 1 --gates likelihood judge {GYM} --max-tokens 400 --pool (gsm_symbolic)",
    ),
    "gsm_symbolic_beam": (
        "ch06_search/search.py",
        f"--value judge {GYM} --n 4 --branch 2 --temperature 0.7 --max-tokens 400 "
        r"--step-end '\n\n'",
    ),
    "gsm8k_direct": (COT, "--problems gsm8k --method prefilled"),
    "gsm8k_cot": (COT, "--problems gsm8k --method cot --max-tokens 400"),
    "gsm8k": (POOL, "--problems gsm8k --n {n} {judge}--temperature 0.7 --max-tokens 400"),
    "math500_direct": (COT, "--problems math500:100 --method prefilled"),
    "math500_cot": (COT, "--problems math500:100 --method cot --max-tokens 700"),
    "math500": (
        POOL,
        "--problems math500:100 --n {n} {judge}--temperature 0.7 --max-tokens 700",
    ),
    "code": ("ch04_rejection/study.py code", "--n 16 --temperature 0.8 --max-tokens 400"),
}


def table(model: str, folder: Path = POOLS_FOLDER) -> str:
    """One row per recorded run of a model, in the order of COMMANDS.

    Raises ValueError for a run whose command is not in COMMANDS.
    """
    files = {path.stem.removeprefix(f"{model}_"): path for path in folder.glob(f"{model}_*.jsonl")}
    if unknown := files.keys() - COMMANDS.keys():
        raise ValueError(f"{folder}: say in COMMANDS how {sorted(unknown)} of {model} were made")
    lines = [
        f"| file `{model}_...` | script | its other flags | accuracy (95%) | generated tokens | "
        "minutes, one core |",
        "| --- | --- | --- | --- | ---: | ---: |",
    ]
    for name, (script, flags) in COMMANDS.items():
        if name in files:
            lines.append(row(name, script, flags, files[name]))
    return "\n".join(lines) + "\n"


def row(name: str, script: str, flags: str, path: Path) -> str:
    """One line of the table."""
    run = load_evaluation(path)
    judged = "judge" in run.records[0].completions[0]
    flags = flags.format(n=run.settings["n"], judge="" if judged else "--no-judge ")
    low, high = run.interval
    vote = "vote " if script == POOL else ""
    accuracy = f"{vote}{run.accuracy:.1%} [{100 * low:.1f}, {100 * high:.1f}]"
    return (
        f"| `{name}` | `{script}` | `{flags}` | {accuracy} of {len(run.records)} | "
        f"{run.cost.generated_tokens:,} | {max(1, round(run.seconds / 60))} |"
    )


def with_tables(page: str) -> str:
    """The page with every table between its marks made anew."""
    return TABLE.sub(lambda found: found[1] + table(found[2]) + found[3], page)


def main() -> None:
    """Write shared/pools/README.md."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    path = POOLS_FOLDER / "README.md"
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
