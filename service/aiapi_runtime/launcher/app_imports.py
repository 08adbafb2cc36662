"""What an app imports, read from its source without running it.

It tells the interpreter that has the app's packages from one that has none of them. A name that is
missing is a hint, not a verdict: an app may change `sys.path` or catch the error.
"""

import ast
import importlib.util
import os
import sys
from importlib.machinery import PathFinder

# The runtime has them for an app that has not.
_PROVIDED = ("uvicorn", "click", "h11", "httptools", "uvloop", "typing_extensions", "aiapi_runtime")
_MAX_FILES = 200
_MAX_BYTES = 1000000


def missing(app: str, app_dir: str) -> "list[str]":
    """The top-level modules that this interpreter lacks, the app's own first."""
    module = app.partition(":")[0]
    if not module:
        return []
    own = module.partition(".")[0]
    if _find(own, app_dir) is None:
        return [own]
    return [name for name in _imported(module, app_dir) if _find(name, app_dir) is None]


def _find(name: str, app_dir: str) -> object:
    if name in sys.builtin_module_names or name in _PROVIDED or name == "__main__":
        return name
    try:
        return PathFinder.find_spec(name, [app_dir]) or importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None


def _imported(module: str, app_dir: str) -> "list[str]":
    """Names that the module imports, itself or through other modules below the app's directory."""
    names = []  # type: list[str]
    queue = [module]
    read = set()  # type: set[str]
    while queue and len(read) < _MAX_FILES:
        for file in _files(queue.pop(0), app_dir):
            if file in read:
                continue
            read.add(file)
            for name in _imports_of(file):
                top = name.partition(".")[0]
                if PathFinder.find_spec(top, [app_dir]) is not None:
                    queue.append(name)
                elif top not in names:
                    names.append(top)
    return names


def _files(module: str, app_dir: str) -> "list[str]":
    """The sources that importing the module runs: of each package on the way, and its own."""
    found = []
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        base = os.path.join(app_dir, *parts[:length])
        found += [base + ".py", os.path.join(base, "__init__.py")]
    return [file for file in found if os.path.isfile(file)]


def _imports_of(file: str) -> "list[str]":
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read(_MAX_BYTES))
    except (OSError, SyntaxError, ValueError):
        return []
    names = []  # type: list[str]
    for node in tree.body:
        # Only what certainly runs: not within try, if or a function.
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names
