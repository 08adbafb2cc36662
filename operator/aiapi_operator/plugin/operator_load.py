"""Whether the operator keeps up: how late its ticks start, from two readings of its metrics."""

import asyncio
import re

from aiapi_operator.cluster.errors import ClusterError
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.plugin import checks
from aiapi_operator.plugin.checks import OPERATOR_LABEL, Check
from aiapi_operator.plugin.operator_pods import port

_NAME = "Operator's load"
_SECONDS = 3.0
"""Seconds between the readings."""
_OVERLOADED = 0.01
"""Share of late ticks, as in the alert AIApiOperatorOverloaded."""
_BUCKET = re.compile(
    r'(?m)^aiapi_operator_tick_lag_seconds_bucket\{(?:[^}]*,)?le="(1\.0|\+Inf)"[^}]*\} (\S+)$',
    re.MULTILINE,
)


async def check(reader: Reader, deployments: list[Manifest]) -> list[Check]:
    """How many ticks started more than a second late; nothing where no operator runs."""
    running = [each for each in deployments if (each.get("status") or {}).get("readyReplicas")]
    namespaces = {each["metadata"]["namespace"] for each in running}
    if not namespaces:
        return []
    try:
        before = await _ticks(reader, namespaces)
        await asyncio.sleep(_SECONDS)
        after = await _ticks(reader, namespaces)
    except ClusterError as error:
        return [checks.unknown(_NAME, error, "use an account that may get pods/proxy")]
    punctual, ticks = (now - then for now, then in zip(after, before, strict=True))
    return [_judge(round(ticks - punctual), round(ticks))]


def _judge(late: int, ticks: int) -> Check:
    if ticks <= 0:
        return checks.note(_NAME, f"no tick was due within {_SECONDS:g} s")
    if late <= _OVERLOADED * ticks:
        return checks.ok(_NAME, f"{ticks} ticks within {_SECONDS:g} s, on time")
    return checks.problem(
        _NAME,
        f"{late} of {ticks} ticks started more than 1 s late: the operator lacks CPU",
        "raise its CPU request and limit, or spec.scaling.interval of AIApis that can wait",
    )


async def _ticks(reader: Reader, namespaces: set[str]) -> tuple[float, float]:
    """Ticks that started within a second, and all ticks, of all operator pods so far."""
    counts = {"1.0": 0.0, "+Inf": 0.0}
    for namespace in namespaces:
        for pod in await reader.pods(namespace, OPERATOR_LABEL):
            name = pod["metadata"]["name"]
            page = await reader.pod_page(namespace, name, port(pod), "metrics")
            for bound, count in _BUCKET.findall(page):
                counts[bound] += float(count)
    return counts["1.0"], counts["+Inf"]
