"""Changes the code in one place at a time; counts what the unit tests notice. Run: make mutation.

A random sample, because all places would take days: comparisons are turned around, operators
exchanged, ``and`` with ``or``, ``min`` with ``max``, and constants become 30 % larger. Each change
is made in a copy of the tree, where the fast unit tests run until the first failure. A change that
nothing notices is a missing test, or a number that does not matter. Some cannot be noticed: they
change nothing that can be observed.

Not mutmut or cosmic-ray: they change a constant by one, which says little about a tuning number,
and are made to run all mutations of a project. This is a sample of two folders.
"""

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from time import monotonic

ROOT = Path(__file__).parents[1]
SOURCES = "operator"
FOLDERS = ("operator/aiapi_operator/sizing", "operator/aiapi_operator/engine")
TESTS = ("tests/unit/sizing", "tests/unit/engine")
REFERENCE = ("operator/aiapi_operator/sizing/reference.py", "tests/unit/sizing/test_reference.py")
"""Left out, because docs/tuning.md repeats every number: its test notices each change of one."""
GOAL = 0.85
FACTOR = 1.3
"""On a constant."""
SLOWER = 5
"""Times the unchanged tests' duration after which a change counts as noticed: it hangs."""
OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", ">"),
    ast.LtE: ("<=", ">="),
    ast.Gt: (">", "<"),
    ast.GtE: (">=", "<="),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """``old`` at the bytes from ``start`` becomes ``new``."""

    path: str
    line: int
    start: int
    old: str
    new: str

    def apply(self, source: bytes) -> bytes:
        """The changed source."""
        end = self.start + len(self.old.encode())
        return source[: self.start] + self.new.encode() + source[end:]

    def mirrored(self) -> str:
        """The file of tests of the same name. It runs first, because most changes fail there."""
        path = Path(self.path).relative_to("operator/aiapi_operator")
        return (Path("tests/unit") / path.parent / f"test_{path.name}").as_posix()

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.old.strip()} -> {self.new.strip()}"


class Source:
    """A file with its syntax tree and its mutations."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path.relative_to(root).as_posix()
        self.text = path.read_bytes()
        starts = [0]
        for line in self.text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts

    def mutations(self) -> Iterator[Mutation]:
        """All places that can be changed."""
        tree = ast.parse(self.text)
        skipped = {id(each) for node in ast.walk(tree) for each in _unchanged(node)}
        for node in ast.walk(tree):
            if id(node) not in skipped:
                yield from self._of(node)

    def _of(self, node: ast.AST) -> Iterator[Mutation]:
        match node:
            case ast.Compare(left=left, ops=operators, comparators=rights):
                for before, operator, after in zip(
                    [left, *rights], operators, rights, strict=False
                ):
                    yield from self._between(operator, before, after)
            case ast.BinOp(left=left, op=operator, right=right):
                yield from self._between(operator, left, right)
            case ast.BoolOp(op=operator, values=[left, right, *_]):
                yield from self._between(operator, left, right)
            case ast.Call(func=ast.Name(id="min" | "max" as name) as function):
                other = "max" if name == "min" else "min"
                yield self._mutation(function, name, other)
            case ast.Constant(value=int() | float() as value) if value and value is not True:
                yield self._mutation(node, self._segment(node), _larger(value))

    def _between(self, operator: ast.AST, left: ast.expr, right: ast.expr) -> Iterator[Mutation]:
        """The operator stands between the two, perhaps with parentheses."""
        if type(operator) not in OPERATORS or _is_text(left) or _is_text(right):
            return
        old, new = OPERATORS[type(operator)]
        begin, end = self._end(left), self._begin(right)
        place = self.text.find(old.encode(), begin, end)
        if place >= 0:
            yield Mutation(path=self._path, line=left.lineno, start=place, old=old, new=new)

    def _mutation(self, node: ast.expr, old: str, new: str) -> Mutation:
        return Mutation(
            path=self._path, line=node.lineno, start=self._begin(node), old=old, new=new
        )

    def _begin(self, node: ast.expr) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def _segment(self, node: ast.expr) -> str:
        return self.text[self._begin(node) : self._end(node)].decode()


def _larger(value: float) -> str:
    """30 % more; of a whole number at least one more."""
    if isinstance(value, int):
        return str(max(value + 1, round(FACTOR * value)))
    return f"{FACTOR * value:.6g}"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _unchanged(node: ast.AST) -> Iterator[ast.AST]:
    """Indices, formats, and digits of ``round``: no numbers of the right-sizer."""
    if isinstance(node, ast.Subscript):
        yield from ast.walk(node.slice)
    elif isinstance(node, ast.JoinedStr):
        yield from ast.walk(node)
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("round", "number"):
        yield from (each for argument in node.args[1:] for each in ast.walk(argument))


def found(root: Path) -> list[Mutation]:
    """All mutations of the folders."""
    files = {file for folder in FOLDERS for file in (root / folder).rglob("*.py")}
    files -= {root / each for each in REFERENCE}
    return [mutation for file in sorted(files) for mutation in Source(file, root).mutations()]


class Copy:
    """A copy of the sources, beside links to all else."""

    def __init__(self, root: Path, place: Path) -> None:
        self._place = place
        for each in root.iterdir():
            if each.name == SOURCES:
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(each, place / SOURCES, ignore=ignored)
            elif each.name not in (".git", "build"):
                (place / each.name).symlink_to(each)

    def check(self) -> None:
        """Raise unless Python imports the copy, not the original."""
        command = [sys.executable, "-c", "import aiapi_operator as a; print(*a.__path__)"]
        loaded = self._run(command, None).stdout.strip()
        if not loaded.startswith(str(self._place)):
            raise SystemExit(f"{loaded} would be tested, not the copy in {self._place}")

    def passes(self, tests: Sequence[str], timeout: float | None) -> bool:
        """Whether all tests pass in time."""
        options = ["-x", "-q", "-m", "not property", "-p", "no:cacheprovider", "-n", "0"]
        ignored = [f"--ignore={each}" for each in REFERENCE]
        command = [sys.executable, "-m", "pytest", *options, *ignored, *tests]
        try:
            done = self._run(command, timeout)
        except subprocess.TimeoutExpired:
            return False
        if done.returncode not in (0, 1, 2):  # 2: it cannot even be imported
            raise SystemExit(f"pytest failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.returncode == 0

    def _run(
        self, command: Sequence[str], timeout: float | None
    ) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join(str(self._place / each) for each in (SOURCES, "tests"))
        # Without cached bytecode: a change within a second that keeps the size would go unseen.
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            command,
            cwd=self._place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def notices(self, mutation: Mutation, tests: Sequence[str], timeout: float) -> bool:
        """Whether the tests fail with this change."""
        file = self._place / mutation.path
        source = file.read_bytes()
        file.write_bytes(mutation.apply(source))
        try:
            mirrored = [each for each in (mutation.mirrored(),) if (self._place / each).exists()]
            return not all(self.passes(each, timeout) for each in (mirrored, tests) if each)
        finally:
            file.write_bytes(source)


def sample(count: int, seed: int, jobs: int, tests: Sequence[str]) -> dict[Mutation, bool]:
    """Which of ``count`` random mutations are noticed."""
    mutations = found(ROOT)
    chosen = random.Random(seed).sample(mutations, min(count, len(mutations)))
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(jobs):
            place = Path(folder) / str(number)
            place.mkdir()
            copies.put(Copy(ROOT, place))
        copy = copies.get()
        copy.check()
        began = monotonic()
        if not copy.passes(tests, None):
            raise SystemExit("The unit tests fail without any change.")
        took = monotonic() - began
        copies.put(copy)
        print(f"{len(mutations)} places; the tests take {took:.0f} s", flush=True)

        def one(mutation: Mutation) -> bool:
            copy = copies.get()
            try:
                noticed = copy.notices(mutation, tests, SLOWER * took + 60)
            finally:
                copies.put(copy)
            print("noticed " if noticed else "SURVIVES", mutation, flush=True)
            return noticed

        with ThreadPoolExecutor(jobs) as pool:
            return dict(zip(chosen, pool.map(one, chosen), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=73)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tests", nargs="+", default=list(TESTS))
    parser.add_argument("--list", action="store_true", help="print all places, run nothing")
    parser.add_argument("--out", type=Path, default=Path("build/bench/mutation.json"))
    arguments = parser.parse_args()
    if arguments.list:
        print(*found(ROOT), sep="\n")
        return
    results = sample(arguments.count, arguments.seed, arguments.jobs, arguments.tests)
    share = sum(results.values()) / len(results)
    survivors = [mutation for mutation, noticed in results.items() if not noticed]
    print("\nNot noticed:", *survivors, sep="\n  ")
    verdict = "holds" if share >= GOAL else "missed"
    print(f"{100 * share:.0f} % of {len(results)} noticed; goal {100 * GOAL:.0f} %: {verdict}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"share": share, "seed": arguments.seed, "survivors": list(map(asdict, survivors))}
    arguments.out.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
