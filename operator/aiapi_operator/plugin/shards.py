"""Whether each AIApi has a live owner, where several operators share them."""

from collections import Counter
from datetime import datetime

from aiapi_operator.cluster.errors import ClusterError
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.cluster.shards import RING_LABEL
from aiapi_operator.engine.shards import labels_of, owner_of
from aiapi_operator.plugin import checks
from aiapi_operator.plugin.checks import Check
from aiapi_operator.present.numbers import count

_NAME = "Shards"
_NAMED = 3
"""AIApis without an owner that are named."""


async def check(reader: Reader, deployments: list[Manifest], aiapis: list[Manifest]) -> list[Check]:
    """Whether each AIApi has a live owner; nothing where there are no shards."""
    if checks.shards(deployments) == 1:
        return []
    ring = checks.lease_name(deployments)
    try:
        leases = await reader.labelled_leases(f"{RING_LABEL}={ring}")
    except ClusterError as error:
        return [checks.unknown(_NAME, error, "use an account that may list leases")]
    return [judge(leases, aiapis, checks.now())]


def judge(leases: list[Manifest], aiapis: list[Manifest], now: datetime) -> Check:
    """Compare the labels of the AIApis with the Leases of the shards."""
    live = {owner_of(labels_of(each)) for each in leases if checks.is_fresh(each, now)}
    owners = [(each, owner_of(labels_of(each))) for each in aiapis]
    unowned = [each["metadata"] for each, owner in owners if owner not in live]
    if unowned:
        names = ", ".join(f"{each['namespace']}/{each['name']}" for each in unowned[:_NAMED])
        return checks.problem(
            _NAME,
            f"no live shard owns {count(len(unowned), 'AIApi')}, such as {names}",
            "see AIApiUnowned in docs/alerts.md",
        )
    counts = sorted(Counter(owner for _, owner in owners if owner is not None).items())
    parts = ", ".join(f"shard {shard} has {number}" for shard, number in counts)
    return checks.ok(_NAME, f"{len(live)} of {len(leases)} live" + (f": {parts}" if parts else ""))
