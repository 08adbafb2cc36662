"""Scale to zero against its goals. Run: make bench-zero.

The first request at zero is sent to the sandbox, with the operator and the activators as they are
installed. What 5,000 AIApis at zero cost is measured with the stand-ins of benchmarks/scale.py.
Published figures of other projects are printed beside: they were measured on real clusters, with
other pods, so they show the order of magnitude and not a ratio.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import activator
import goal_rows
import zero_sparse
from goal_rows import Row
from scale_bench import scenarios
from scale_bench.scenarios import Size, cluster, run_operator

from aiapi_operator.engine.pace import ASLEEP_INTERVAL

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
OUTPUT = ROOT / "build" / "bench" / "zero.json"
IMAGE = "bench/zero:1"
STARTS = 12
ADDED = 0.3
MANY = Size(aiapis=5000, pods=1, most=2)
AT_ONCE = 1000
"""AIApis that are created together."""
FIRST_PORT = 20_000
PUBLISHED = (
    ("KEDA HTTP add-on, first request at zero, defaults", "3.35 s where 1 to 1.5 s is expected",
     "https://github.com/kedacore/http-add-on/issues/1385"),
    ("KEDA HTTP add-on, the same with KEDA_HTTP_CONNECT_TIMEOUT=5s", "7.81 s",
     "https://github.com/kedacore/http-add-on/issues/1385"),
    ("Knative, first request at zero, hello world", "2 to 4 s",
     "https://github.com/knative-extensions/kperf/pull/338"),
    ("Knative, the same without a service mesh, in 2019", "about 4 s",
     "https://github.com/knative/serving/pull/3040"),
)  # fmt: skip
"""What, how long, and where it was published."""


def first_request(folder: Path) -> Iterator[Row]:
    """Cold starts one after the other."""
    from e2e_support.cluster import Cluster  # noqa: PLC0415 - tests/ is not a package
    from e2e_support.kubectl import Kubectl  # noqa: PLC0415
    from e2e_support.kubectl_proxy import api_reader  # noqa: PLC0415
    from e2e_support.operator import Operator  # noqa: PLC0415
    from e2e_support.sandbox import running_sandbox  # noqa: PLC0415
    from e2e_support.zero import Zero  # noqa: PLC0415

    image = f"{IMAGE}={ROOT / 'tests' / 'e2e_support'}"
    with running_sandbox(folder, images=[image]) as kubeconfig, api_reader(kubeconfig) as read:
        system = Kubectl(kubeconfig=kubeconfig, namespace="aiapi-system")
        Operator(kubectl=system, image=None, root=ROOT).install()
        own = Cluster(kubectl=Kubectl(kubeconfig=kubeconfig, namespace="bench"), image=IMAGE)
        own.create_namespace()
        zero = Zero(cluster=own, read=read)
        zero.deploy()
        zero.put_to_zero()
        yield _first_row([(_first_request(zero), _pod_start(zero)) for _ in range(STARTS)])


def _first_row(pairs: list[tuple[float, float]]) -> Row:
    requests, starts = zip(*pairs, strict=True)
    request, start = _p95(requests), _p95(starts)
    return Row(
        name=f"first request at zero on the sandbox, p95 of {len(pairs)}",
        goal=f"<= pod start + {1000 * ADDED:.0f} ms",
        value=f"{request:.2f} s, pod start {start:.2f} s",
        holds=request <= start + ADDED,
    )


def _p95(seconds: Iterable[float]) -> float:
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def _first_request(zero: Any) -> float:
    """Seconds until the first request at zero is answered."""
    started = time.monotonic()
    _read(zero.cluster.service_address(zero.name))
    took = time.monotonic() - started
    _sleep_again(zero)
    return took


def _pod_start(zero: Any) -> float:
    """Seconds from scaling to one pod until that pod answers a request."""
    cluster = zero.cluster
    started = time.monotonic()
    _scale(zero, 1)
    while not _answers(cluster.kubectl.namespace, zero):
        time.sleep(0.01)
    took = time.monotonic() - started
    _sleep_again(zero)
    return took


def _scale(zero: Any, replicas: int) -> None:
    path = (
        f"/apis/apps/v1/namespaces/{zero.cluster.kubectl.namespace}/deployments/{zero.name}/scale"
    )
    request = urllib.request.Request(
        zero.read.url + path,
        data=json.dumps({"spec": {"replicas": replicas}}).encode(),
        method="PATCH",
        headers={"Content-Type": "application/merge-patch+json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def _answers(namespace: str, zero: Any) -> bool:
    selector = f"labelSelector=aiapi.dev%2Fname%3D{zero.name}"
    pods = zero.read(f"/api/v1/namespaces/{namespace}/pods?{selector}")["items"]
    new = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    addresses = [each["status"].get("podIP") for each in new]
    try:
        return any(_read(f"http://{address}:8000") for address in addresses if address)
    except OSError:
        return False


def _read(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bool(answer.read())


def _sleep_again(zero: Any) -> None:
    zero.wait_phase("Serving")
    zero.put_to_zero()


def proxying(_folder: Path) -> Iterator[Row]:
    """The activator alone, with one Uvicorn pod."""
    yield from activator.measure()


def sparse(_folder: Path) -> Iterator[Row]:
    """A day with few requests, simulated."""
    yield from zero_sparse.rows(zero_sparse.run(peers=False))


def _put_to_sleep(on: scenarios.Cluster, first: int) -> bool:
    """Have an operator create some AIApis, and set them to zero once it is gone."""
    here = {"first": first, "count": AT_ONCE}
    # Before the operator starts: a watch of the stand-in begins after its list.
    on.api.do("create", replicas=MANY.pods, most=MANY.most, **here)
    with run_operator(on):
        created = scenarios.await_that(lambda: on.seen() >= first + AT_ONCE, 300)
    on.api.do("sleep", first_port=FIRST_PORT + first, **here)
    return created is not None


def asleep(folder: Path) -> Iterator[Row]:
    """5,000 AIApis at zero: operators create them, and another one finds them at zero."""
    with cluster(MANY, folder, created=False) as on:
        created = all(_put_to_sleep(on, first) for first in range(0, MANY.aiapis, AT_ONCE))
        with run_operator(on) as up:
            # The first ticks come together, and each of the second ones at its own time.
            time.sleep(ASLEEP_INTERVAL)
            rest = scenarios.observe(up, on, ASLEEP_INTERVAL / 2)
        replicas = int(on.board.replicas.sum())
    yield Row(
        name=f"{MANY.aiapis:,} AIApis at zero: CPU of the operator",
        goal="<= 5 % of a core",
        value=f"{rest.cores:.1%} of a core, {rest.ticks / rest.seconds:.0f} ticks/s,"
        f" {rest.writes:.0f} writes, {replicas} pods",
        holds=rest.cores <= 0.05 and created and not replicas,
    )


PARTS: dict[str, Callable[[Path], Iterable[Row]]] = {
    "first": first_request,
    "activator": proxying,
    "sparse": sparse,
    "asleep": asleep,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    rows: list[Row] = []
    for name in given.only:
        print(f"\n{name}: {PARTS[name].__doc__}", flush=True)
        folder = Path(tempfile.mkdtemp(prefix="aiapi-zero-"))
        for row in PARTS[name](folder):
            rows.append(row)
            verdict = "holds" if row.holds else "MISSED"
            print(f"  {row.name}: {row.value}; goal {row.goal}: {verdict}", flush=True)
    print("\npublished by others:")
    for what, value, source in PUBLISHED:
        print(f"  {what}: {value} ({source})")
    goal_rows.write(OUTPUT, rows, python=platform.python_version(), published=PUBLISHED)


if __name__ == "__main__":
    main()
