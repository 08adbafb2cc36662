"""The app's own copy of prometheus_client, as far as its files are concerned.

It is imported by name when there are files to read, so the runtime does not depend on it.
Releases before 0.18 have no time with a value.
"""

import importlib
import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Value(NamedTuple):
    """A number, and when it was set; the time is 0 unless the gauge's mode needs it."""

    number: float
    time: float


class Client:
    """Reads and writes files in the format of the installed release."""

    def __init__(self) -> None:
        self._files: Any = importlib.import_module("prometheus_client.mmap_dict").MmapedDict
        multiprocess: Any = importlib.import_module("prometheus_client.multiprocess")
        self._collector = multiprocess.MultiProcessCollector
        self._has_times = "timestamp" in inspect.signature(self._files.write_value).parameters

    def merge(self, paths: Sequence[Path]) -> Iterable[Any]:
        """Metrics over all of these files, as prometheus_client's collectors return them."""
        merged: Iterable[Any] = self._collector.merge([str(path) for path in paths])
        return merged

    def read(self, path: Path) -> dict[str, Value]:
        """Values by key. A key is JSON: the names of metric and series, and the labels."""
        return {
            key: Value(number, rest[0] if len(rest) > 1 else 0.0)
            for key, number, *rest in self._files.read_all_values_from_file(str(path))
        }

    def write(self, path: Path, values: dict[str, Value]) -> None:
        """A file that did not exist before."""
        file = self._files(str(path))
        try:
            for key, value in values.items():
                file.write_value(key, *(value if self._has_times else value[:1]))
        finally:
            file.close()
