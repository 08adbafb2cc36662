"""The reference of all fields is what the models say."""

from pathlib import Path

from aiapi_operator.api.reference import render

ROOT = Path(__file__).parents[3]


def test_the_written_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "api.md").read_text()
    assert written == render(), "run: python -m aiapi_operator.api.reference > docs/api.md"


def test_every_field_has_a_row() -> None:
    rows = render()
    for field in ("image", "scaling.scaleDown.replicasAfter", "env[].valueFrom.secretKeyRef.key"):
        assert f"| `{field}` |" in rows
    assert "| `conditions[].type` | string |" in rows
    assert "| `objective.latency.percentile` | number 50..99.9 | `95` | " in rows
    assert '| `workers.cpu` | quantity | `"500m"` | ' in rows
