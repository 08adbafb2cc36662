"""Prints line coverage by package, from the data file that pytest-cov wrote."""

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import coverage


def package(path: str) -> str:
    """operator/aiapi_operator/sizing/need.py -> aiapi_operator.sizing."""
    return ".".join(Path(path).parts[1:-1][:2])


def main() -> None:
    """Print the table."""
    measured = coverage.Coverage()
    measured.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        measured.json_report(outfile=str(report))
        files = json.loads(report.read_text())["files"]
    totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for path, file in files.items():
        summary = file["summary"]
        for name in (package(path), "all"):
            totals[name][0] += summary["covered_lines"]
            totals[name][1] += summary["num_statements"]
    everything = totals.pop("all")
    for name, (covered, statements) in [*sorted(totals.items()), ("all packages", everything)]:
        share = covered / statements if statements else 1.0
        print(f"{name:<36} {statements:>6} statements  {share:>5.0%} covered")


if __name__ == "__main__":
    main()
