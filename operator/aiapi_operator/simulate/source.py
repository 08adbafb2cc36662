"""The source of a trace: a file or a Prometheus."""

import re
from dataclasses import dataclass
from pathlib import Path

import click

from aiapi_operator.simulate import prometheus, traces
from aiapi_operator.simulate.traces import Trace

_RANGE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


class InputError(click.ClickException):
    """Invalid input. Exits with code 2, like a usage error."""

    exit_code = 2


def parse_range(text: str, option: str) -> float:
    """Seconds of a Prometheus range: ``7d`` is 604,800, ``1h30m`` is 5,400."""
    parts = _RANGE.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        raise click.BadParameter(
            f"{option} {text!r} is not a duration; use a form such as 12h or 7d"
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSource:
    """The options that select a trace."""

    path: Path | None
    url: str | None
    query: str | None
    last: str
    step: str | None
    token_file: Path | None
    ca_file: Path | None

    def validate(self) -> None:
        """Raise ``UsageError`` unless exactly one source is complete."""
        if (self.path is None) == (self.url is None):
            raise click.UsageError("set either --trace FILE, or --prometheus URL with --query")
        if self.url is not None and not self.query:
            raise click.UsageError(
                "--prometheus needs --query: requests per second as one series, such as"
                " 'sum(rate(http_requests_total{job=\"assistant\"}[1m]))'"
            )

    def read(self) -> Trace:
        """Read the trace; raises ``TraceError``."""
        if self.path is not None:
            return traces.read_trace(self.path)
        rates = prometheus.fetch_rates(
            self.url or "",
            self.query or "",
            parse_range(self.last, "--last"),
            step=None if self.step is None else parse_range(self.step, "--step"),
            token_file=self.token_file,
            ca_file=self.ca_file,
        )
        return prometheus.as_trace(rates)
