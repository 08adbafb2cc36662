"""Metric families as Prometheus text (0.0.4, 1.0.0) or OpenMetrics text.

The output equals that of prometheus_client, which an app may pin, so the runtime does without it.
Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

TEXT = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True)
class Exemplar:
    """One observation, with the labels that lead to its trace."""

    labels: Mapping[str, str]
    value: float
    timestamp: float


class Sample(NamedTuple):
    """One line of text; its name is that of the family plus `suffix`."""

    suffix: str
    labels: Mapping[str, str]
    value: float
    exemplar: Exemplar | None = None


class Bucket(NamedTuple):
    """The number of observations up to an upper bound."""

    bound: float
    cumulative: float
    exemplar: Exemplar | None = None


@dataclass
class MetricFamily:
    """All series of one name. A counter's name has no `_total`; its samples get it as a suffix."""

    kind: Literal["counter", "gauge", "histogram", "summary"]
    name: str
    help: str
    samples: list[Sample] = field(default_factory=list)

    def add(self, value: float, labels: Mapping[str, str] | None = None) -> None:
        """A counter's or gauge's value."""
        suffix = "_total" if self.kind == "counter" else ""
        self.samples.append(Sample(suffix, labels or {}, value))

    def add_histogram(
        self, buckets: Sequence[Bucket], total: float, labels: Mapping[str, str]
    ) -> None:
        """Cumulative buckets up to `+Inf`, and the sum of all observations."""
        for bound, cumulative, exemplar in buckets:
            bucket = {**labels, "le": "+Inf" if math.isinf(bound) else str(bound)}
            self.samples.append(Sample("_bucket", bucket, cumulative, exemplar))
        if buckets[0].bound >= 0:
            # With negative observations the sum could fall, which a counter must not.
            self.samples.append(Sample("_count", labels, buckets[-1].cumulative))
            self.samples.append(Sample("_sum", labels, total))


def render(families: Iterable[MetricFamily], accept: str) -> tuple[str, bytes]:
    """Content type and text in the format that the Accept header names first."""
    content_type = _negotiate(accept)
    openmetrics = content_type.startswith("application/openmetrics-text")
    lines: list[str] = []
    for family in families:
        lines += _lines(family, openmetrics=openmetrics)
    if openmetrics:
        lines.append("# EOF\n")
    return content_type, "".join(lines).encode("utf-8", "replace")


def number(value: float) -> str:
    """A float the way Go writes it, as Prometheus does."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    text = repr(float(value))
    dot = text.find(".")
    if value > 0 and dot > 6:
        # Go switches to exponents sooner than Python.
        mantissa = f"{text[0]}.{text[1:dot]}{text[dot + 1 :]}".rstrip("0.")
        return f"{mantissa}e+{dot - 1:02d}"
    return text


def _lines(family: MetricFamily, *, openmetrics: bool) -> Iterable[str]:
    name = family.name
    if family.kind == "counter" and not openmetrics:
        name += "_total"
    escape = _escape_quoted if openmetrics else _escape
    yield f"# HELP {name} {escape(family.help)}\n"
    yield f"# TYPE {name} {family.kind}\n"
    for sample in family.samples:
        line = f"{family.name}{sample.suffix}{_labels(sample.labels)} {number(sample.value)}"
        if openmetrics and sample.exemplar is not None:
            line += _exemplar(sample.exemplar)
        yield f"{line}\n"


def _exemplar(exemplar: Exemplar) -> str:
    labels = _labels(exemplar.labels) or "{}"
    return f" # {labels} {number(exemplar.value)} {exemplar.timestamp}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escape_quoted(labels[key])}"' for key in sorted(labels)) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _escape_quoted(text: str) -> str:
    return _escape(text).replace('"', r"\"")


def _negotiate(accept: str) -> str:
    """Prometheus lists the formats in order of preference, each with its version."""
    for choice in accept.split(","):
        media_type, *pairs = (part.strip() for part in choice.split(";"))
        parameters = dict(pair.partition("=")[::2] for pair in pairs)
        version = parameters.get("version", "")
        if media_type == "application/openmetrics-text":
            if not version:
                return OPENMETRICS
            if _at_least_1(version):
                return OPENMETRICS + _escaping(parameters)
        elif media_type == "text/plain" and _at_least_1(version):
            return TEXT_1 + _escaping(parameters)
    return TEXT


def _at_least_1(version: str) -> bool:
    major = version.partition(".")[0]
    return major.isdecimal() and int(major) >= 1


def _escaping(parameters: Mapping[str, str]) -> str:
    """All names here are valid in every version, so none needs to be escaped."""
    allowed = parameters.get("escaping") == "allow-utf-8"
    return "; escaping=" + ("allow-utf-8" if allowed else "underscores")
