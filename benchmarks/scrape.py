"""CPU time of scraping a pod: the operator's scraper alone, without ticks.

    PYTHONPATH=benchmarks python benchmarks/scrape.py [--aiapis 50] [--pods 10] [--seconds 10]

Fake pods answer on loopback addresses, port 9000. Each AIApi is scraped every ``--interval``
seconds on kept connections, with and without TLS, on each event loop. Prints a row for each, with
the CPU time of this process per scrape.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from scale_bench.board import Board, Shape, address
from scale_bench.fake_pods import PORT

from aiapi_operator.observe.scraper import StatsScraper
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.observe.tls import PodTls, trusting
from aiapi_operator.sizing.inputs import PodSample

NAME = "pod.aiapi.dev"
LOOPS: dict[str, Callable[[], Any]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def certificate(path: Path) -> str:
    """Write a self-signed certificate with its key. Returns the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem.decode()


@contextmanager
def fake_pods(folder: Path, shape: Shape, *options: str) -> Iterator[None]:
    board = folder / "board"
    Board(board, shape).rate[:] = 100.0
    program = [sys.executable, "-m", "scale_bench.fake_pods", str(board)]
    pods = subprocess.Popen([*program, str(shape.aiapis), str(shape.block), *options])
    try:
        for _ in range(100):
            try:
                socket.create_connection((address(0), PORT), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        pods.terminate()
        pods.wait()


async def measure(
    fleets: Sequence[Sequence[ScrapeTarget]], given: argparse.Namespace
) -> tuple[float, float]:
    """CPU microseconds of one scrape, in this program and in the kernel."""
    scraped = 0
    connected: set[str] = set()

    async def keep_scraping(scraper: StatsScraper, fleet: Sequence[ScrapeTarget]) -> None:
        nonlocal scraped
        while True:
            answers = await scraper.scrape(fleet, ("benchmark",))
            samples = [each.pod for each in answers if isinstance(each, PodSample)]
            connected.update(samples)
            scraped += len(samples)
            await asyncio.sleep(given.interval)

    async with StatsScraper() as scraper, asyncio.TaskGroup() as group:
        tasks = [group.create_task(keep_scraping(scraper, fleet)) for fleet in fleets]
        async with asyncio.timeout(60):
            while len(connected) < given.aiapis * given.pods:  # noqa: ASYNC110 - of many tasks
                await asyncio.sleep(0.1)
        before, started = scraped, os.times()
        await asyncio.sleep(given.seconds)
        ended, count = os.times(), scraped - before
        for task in tasks:
            task.cancel()
    user, system = ended.user - started.user, ended.system - started.system
    return user / count * 1e6, system / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aiapis", type=int, default=50)
    parser.add_argument("--pods", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--interval", type=float, default=0.2)
    given = parser.parse_args()
    shape = Shape(given.aiapis, given.pods)
    with TemporaryDirectory() as name:
        pem = Path(name) / "pod.pem"
        tls = PodTls(trusting(certificate(pem)), NAME)
        for trust, options in ((None, ()), (tls, (f"--certificate={pem}",))):
            fleets = [
                [
                    ScrapeTarget(pod=f"a-{pod}", address=address(pod), ready=True, tls=trust)
                    for pod in shape.pods_of(aiapi)
                ]
                for aiapi in range(given.aiapis)
            ]
            for loop, factory in LOOPS.items():
                with (
                    fake_pods(Path(name), shape, *options),
                    asyncio.Runner(loop_factory=factory) as runner,
                ):
                    user, system = runner.run(measure(fleets, given))
                print(
                    f"{'TLS' if trust else 'plain':6} {loop:8} {user + system:6.1f} us per scrape"
                    f" ({user:.1f} in the program, {system:.1f} in the kernel)"
                )


if __name__ == "__main__":
    main()
