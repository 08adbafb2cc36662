"""The chart's test: create an AIApi, wait until it is Ready, and delete it.

`helm test` runs it in a pod of the operator's image with the permissions for exactly that.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from aiapi_operator.cluster.apply import get
from aiapi_operator.cluster.connection import Connection, NotConfiguredError, Request
from aiapi_operator.cluster.errors import ClusterError, NotFound
from aiapi_operator.cluster.resources import AIAPIS

_POLL_INTERVAL = 1.0
_DELETE_POLLS = 30


async def check(
    connection: Connection,
    *,
    namespace: str,
    name: str,
    within: float,
    report: Callable[[str], None] = lambda _line: None,
) -> str:
    """Wait until an AIApi of this name is Ready. Returns a line with the time it took."""
    started = time.monotonic()
    await _delete(connection, namespace, name)
    await _create(connection, namespace, name)
    try:
        last = "no status yet; check that an operator watches this namespace"
        while time.monotonic() - started < within:
            aiapi = await get(connection, AIAPIS, namespace, name)
            conditions = ((aiapi or {}).get("status") or {}).get("conditions") or []
            ready = next((each for each in conditions if each["type"] == "Ready"), None)
            if ready is not None and ready["status"] == "True":
                return f"{namespace}/{name} is Ready after {time.monotonic() - started:.1f} s"
            if ready is not None and last != (current := f"{ready['reason']}: {ready['message']}"):
                last = current
                report(last)
            await asyncio.sleep(_POLL_INTERVAL)
    finally:
        await _delete(connection, namespace, name)
    raise TimeoutError(f"{namespace}/{name} is not Ready after {within:g} s: {last}")


async def _create(connection: Connection, namespace: str, name: str) -> None:
    body: dict[str, Any] = {
        "apiVersion": AIAPIS.api_version,
        "kind": AIAPIS.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "workers": {"min": 1, "max": 1, "cpu": "100m"},
            "replicas": {"min": 1, "max": 1},
        },
    }
    await connection.send(Request("POST", AIAPIS.collection(namespace), body=body))


async def _delete(connection: Connection, namespace: str, name: str) -> None:
    with suppress(NotFound):
        await connection.send(Request("DELETE", AIAPIS.path(namespace, name)))
    for _ in range(_DELETE_POLLS):
        if await get(connection, AIAPIS, namespace, name) is None:
            return
        await asyncio.sleep(_POLL_INTERVAL)


async def _run(namespace: str, name: str, within: float) -> str:
    connection = await Connection.open(None)
    try:
        return await check(
            connection, namespace=namespace, name=name, within=within, report=click.echo
        )
    finally:
        await connection.close()


@click.command()
@click.option("--namespace", default="default", show_default=True)
@click.option("--name", default="smoke-test", show_default=True)
@click.option("--timeout", "within", type=click.FloatRange(min=1), default=180, show_default=True)
def main(namespace: str, name: str, within: float) -> None:
    """Create an AIApi, wait until it is Ready, and delete it."""
    try:
        click.echo(asyncio.run(_run(namespace, name, within)))
    except (ClusterError, NotConfiguredError, TimeoutError) as error:
        click.echo(f"failed: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
