"""The installation page lists the rights that the operator has."""

from deploy_support.helm import ROOT

from aiapi_operator.cluster.permissions import PERMISSIONS


def test_each_right_is_listed_with_its_reason() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    listed = [line for line in page.splitlines() if line.startswith(("| watched", "| its own"))]
    for right in PERMISSIONS:
        resource = right.resource + (f".{right.group}" if right.group else "")
        row = f"| `{resource}` | {', '.join(sorted(right.verbs))} | {right.why} |"
        assert any(line.endswith(row) for line in listed), row
    assert len(listed) == len(PERMISSIONS)
