"""The runtime installs beside an app's own pins: it requires the server and nothing else."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "service" / "aiapi_runtime"
PROJECT = tomllib.loads((ROOT / "service" / "pyproject.toml").read_text())["project"]
REQUIREMENTS = {one.name: one for one in map(Requirement, PROJECT["dependencies"])}
# click and h11 are requirements of Uvicorn.
ALLOWED = {"aiapi_runtime", "click", "h11", *REQUIREMENTS}
# Needs an extra, and is itself only imported where that is installed.
BEHIND_AN_EXTRA = {PACKAGE / "runtime" / "wsgi_response.py": {"a2wsgi"}}


def imported_at_top_level(module: Path) -> set[str]:
    """The top-level packages that importing the module imports; functions import later."""
    names: set[str] = set()
    blocks: list[ast.AST] = [ast.parse(module.read_text())]
    while blocks:
        node = blocks.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names.add((node.module or "").partition(".")[0])
        blocks += ast.iter_child_nodes(node)
    return names


def test_it_requires_uvicorn_httptools_and_uvloop_only() -> None:
    assert set(REQUIREMENTS) == {"uvicorn", "httptools", "uvloop"}


def test_no_module_imports_anything_else() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 40
    for module in modules:
        allowed = ALLOWED | BEHIND_AN_EXTRA.get(module, set())
        others = imported_at_top_level(module) - set(sys.stdlib_module_names) - allowed
        assert not others, f"{module.relative_to(ROOT)} imports {sorted(others)}"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("uvicorn", "0.30.0"),
        ("uvicorn", "0.34.3"),
        ("uvicorn", "0.54.0"),
        ("httptools", "0.6.1"),
        ("uvloop", "0.19.0"),
        ("httpx", "0.27.2"),
        ("redis", "5.2.1"),
        ("websockets", "13.1"),
        ("fastapi", "0.110.3"),
        ("pyjwt", "2.8.0"),
        ("starlette", "0.36.3"),
        ("prometheus-client", "0.17.0"),
        ("pydantic", "1.10.21"),
    ],
)
def test_it_conflicts_with_no_version_that_apps_pin(name: str, version: str) -> None:
    requirement = REQUIREMENTS.get(name)
    assert requirement is None or requirement.specifier.contains(version)
