"""Tests that docs/install.md lists the operator's permissions."""

from deploy_support.helm import ROOT

from aiapi_operator.cluster.permissions import PERMISSIONS


def test_each_permission_is_listed_with_its_reason() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    listed = [line for line in page.splitlines() if line.startswith(("| watched", "| its own"))]
    for permission in PERMISSIONS:
        resource = permission.resource + (f".{permission.group}" if permission.group else "")
        row = f"| `{resource}` | {', '.join(sorted(permission.verbs))} | {permission.why} |"
        assert any(line.endswith(row) for line in listed), row
    assert len(listed) == len(PERMISSIONS)
