"""The launcher starts on interpreters on which the runtime itself cannot."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "service" / "aiapi_runtime"
LAUNCHER = sorted(
    [*(PACKAGE / "launcher").glob("*.py"), PACKAGE / "injected.py", PACKAGE / "launch.py"]
)


@pytest.mark.parametrize("module", LAUNCHER, ids=lambda path: path.name)
def test_it_has_the_syntax_of_python_3_6_and_needs_no_package(module):
    tree = ast.parse(module.read_text(), feature_version=(3, 6))
    for node in ast.walk(tree):
        # Accepted with any feature_version, but newer than Python 3.6.
        assert not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            assert name.partition(".")[0] in {*sys.stdlib_module_names, "aiapi_runtime"}


@pytest.mark.parametrize("module", LAUNCHER, ids=lambda path: path.name)
def test_its_annotations_are_not_evaluated(module):
    """Names of types that Python 3.6 does not have, such as list[str], stand in quotes."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef):
            given = [*node.args.args, *node.args.kwonlyargs]
            for annotation in (node.returns, *(one.annotation for one in given)):
                assert not isinstance(annotation, ast.Subscript | ast.BinOp), node.name


def test_the_runtime_has_the_syntax_of_python_3_10():
    texts = {path.name: path.read_text() for path in PACKAGE.rglob("*.py")}
    assert {"injected.py", "supervisor.py"} <= texts.keys()
    newer = {"newer.py": "try:\n    pass\nexcept* OSError:\n    pass\n"}
    assert [name for name, text in (texts | newer).items() if not is_python_3_10(text)] == [*newer]


def is_python_3_10(text):
    try:
        ast.parse(text, feature_version=(3, 10))
    except SyntaxError:
        return False
    return True
