"""Generates the Grafana dashboards.

python monitoring/dashboards.py          # writes charts/aiapi-operator/files/dashboards/*.json
python monitoring/dashboards.py --check  # fails when they are out of date

A test runs every query against a real Prometheus and expects data.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from pages import cost_and_savings, fleet_overview, operator_health, scale_to_zero, why_did_it_scale
from panels import Page

FOLDER = Path(__file__).parents[1] / "charts" / "aiapi-operator" / "files" / "dashboards"


PAGES: dict[str, Callable[[], Page]] = {
    "fleet-overview": fleet_overview.dashboard,
    "why-did-it-scale": why_did_it_scale.dashboard,
    "operator-health": operator_health.dashboard,
    "cost-and-savings": cost_and_savings.dashboard,
    "scale-to-zero": scale_to_zero.dashboard,
}


def generated() -> dict[str, str]:
    """File contents by name."""
    return {
        f"{name}.json": json.dumps(make().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for name, make in PAGES.items()
    }


def main() -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description="Generate the Grafana dashboards.")
    parser.add_argument(
        "--check", action="store_true", help="only check whether they are up to date"
    )
    only_check = parser.parse_args().check
    FOLDER.mkdir(exist_ok=True)
    for name, text in generated().items():
        path = FOLDER / name
        if only_check and (not path.exists() or path.read_text() != text):
            sys.exit(f"{path} is out of date: run 'make dashboards'")
        path.write_text(text)


if __name__ == "__main__":
    main()
