"""The series of all AIApis, and their Prometheus text.

The client library keeps the series of a family in one dictionary: removing those of one AIApi
scans all of them, and rendering 1,000 AIApis holds the event loop for 0.4 s. Here each AIApi owns
its series, and the text is written for one AIApi after the other, so that a caller can let the
loop run in between. The series of one AIApi always come from the same moment.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from prometheus_client.utils import floatToGoString

from aiapi_operator.engine.cache import Key
from aiapi_operator.metrics.families import LABELLED, PLAIN, Family

_AIAPIS_PER_SLICE = 10
_MAX_ESCAPED = 1024
_number: Callable[[float], str] = floatToGoString


class AIApiSeries:
    """The series of one AIApi."""

    __slots__ = ("_labelled", "_plain", "labels")

    def __init__(self, key: Key) -> None:
        namespace, name = key
        self.labels = f'name="{_escaped(name)}",namespace="{_escaped(namespace)}"'
        self._plain: dict[str, float] = {}
        self._labelled: dict[str, Mapping[str, float]] = {}

    def set(self, family: str, value: float | None) -> None:
        """Set a series without a further label; None removes it."""
        if value is None:
            self._plain.pop(family, None)
        else:
            self._plain[family] = value

    def increase(self, family: str, more: float) -> None:
        """Increase a counter without a further label."""
        self._plain[family] = self._plain.get(family, 0.0) + more

    def replace(self, family: str, values: Mapping[str, float]) -> None:
        """Replace all series of a family by these, keyed by the further label."""
        self._labelled[family] = values

    def update(self, family: str, values: Mapping[str, float | None]) -> None:
        """Set some series of a family; None removes one."""
        merged = {**self._labelled.get(family, {}), **values}
        kept = {label: value for label, value in merged.items() if value is not None}
        self._labelled[family] = kept

    def increase_all(self, family: str, more: Mapping[str, float]) -> None:
        """Increase some counters of a family."""
        before = self._labelled.get(family, {})
        added = {label: before.get(label, 0.0) + count for label, count in more.items()}
        self._labelled[family] = {**before, **added}

    def write(self, text: "SeriesText") -> None:
        """Add all series to a text."""
        for family, value in self._plain.items():
            text.add(family, self.labels, value)
        for family, values in self._labelled.items():
            text.add_labelled(family, self.labels, values)


class SeriesText:
    """The text of all series, grouped by family as the format requires."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {
            family.name: [_header(family)] for family in (*PLAIN, *LABELLED)
        }

    def add(self, family: str, labels: str, value: float) -> None:
        """Add a series without a further label."""
        self._lines[family].append(f"{_FULL[family]}{{{labels}}} {_number(value)}\n")

    def add_labelled(self, family: str, labels: str, values: Mapping[str, float]) -> None:
        """Add the series of one AIApi with a further label, which the format sorts by name."""
        start, middle, end = _AROUND[family]
        lines = self._lines[family]
        for label, value in values.items():
            first, second = (_escaped(label), labels) if end == "" else (labels, _escaped(label))
            lines.append(f"{start}{first}{middle}{second}{end}}} {_number(value)}\n")

    def parts(self) -> Iterator[bytes]:
        """The whole text, one family after the other."""
        for lines in self._lines.values():
            yield "".join(lines).encode()


class AllSeries:
    """The series of every AIApi."""

    def __init__(self) -> None:
        self._by_key: dict[Key, AIApiSeries] = {}

    def of(self, key: Key) -> AIApiSeries:
        """The series of an AIApi; none at first."""
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = AIApiSeries(key)
        return found

    def forget(self, key: Key) -> None:
        """Remove the series of an AIApi."""
        self._by_key.pop(key, None)

    def clear(self) -> None:
        """Remove all series."""
        self._by_key.clear()

    def write(self, text: SeriesText) -> Iterator[None]:
        """Add all series to a text, a few AIApis per step. AIApis may come and go meanwhile."""
        for at, key in enumerate(tuple(self._by_key)):
            series = self._by_key.get(key)
            if series is not None:
                series.write(text)
            if at % _AIAPIS_PER_SLICE == 0:
                yield


def _header(family: Family) -> str:
    name = family.full_name
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n"


def _around(family: Family) -> tuple[str, str, str]:
    """What is before, between and after the labels of the AIApi and the further label."""
    if family.label < "name":
        return f'{family.full_name}{{{family.label}="', '",', ""
    return f"{family.full_name}{{", f',{family.label}="', '"'


@lru_cache(maxsize=_MAX_ESCAPED)
def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


_FULL = {family.name: family.full_name for family in PLAIN}
_AROUND = {family.name: _around(family) for family in LABELLED}
