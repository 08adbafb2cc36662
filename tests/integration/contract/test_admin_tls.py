"""TLS on the admin port: the real pod runtime against the real scraper and the real CA."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from runtime_support.mounted import MountedSecret
from runtime_support.pod import TOKEN, Pod, serve, until

from aiapi_operator.engine import certificates
from aiapi_operator.engine.certificates import KeyPair
from aiapi_operator.observe.scraper import StatsScraper
from aiapi_operator.observe.session import open_session
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.observe.tls import PodTls, trusting
from aiapi_operator.observe.workers_client import HttpWorkersClient
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

HOST = "a.shop.aiapi.dev"
NOW = time.time()
CA, OTHER_CA = certificates.new_ca(NOW), certificates.new_ca(NOW)
TLS = PodTls(trusting(CA.certificate), HOST)


def files(pair: KeyPair) -> dict[str, str]:
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "token": TOKEN}


@pytest.fixture
def mounted(tmp_path: Path) -> MountedSecret:
    return MountedSecret(tmp_path / "secret", files(certificates.issue(CA, HOST, NOW)))


@pytest.fixture
async def pod(tmp_path: Path, mounted: MountedSecret) -> AsyncIterator[Pod]:
    async with serve(tmp_path, f"--admin-tls-dir={mounted.folder}") as pod:
        await pod.ready(1)
        yield pod


def target(url: str, tls: PodTls | None = TLS) -> ScrapeTarget:
    admin = urlsplit(url)
    return ScrapeTarget(
        pod="a-1", address=admin.hostname or "", ready=True, port=admin.port or 0, tls=tls
    )


async def scraped(where: ScrapeTarget) -> PodSample | PodUnknown:
    async with StatsScraper() as scraper:
        (answer,) = await scraper.scrape([where], (TOKEN,))
        return answer


async def serial_number(pod: Pod) -> int:
    admin = urlsplit(pod.admin)
    context = ssl.create_default_context(cadata=CA.certificate + OTHER_CA.certificate)
    _, writer = await asyncio.open_connection(
        admin.hostname, admin.port, ssl=context, server_hostname=HOST
    )
    serial = int(writer.get_extra_info("peercert")["serialNumber"], 16)
    writer.close()
    return serial


async def test_a_pod_is_scraped_and_sized_over_tls(pod: Pod) -> None:
    assert pod.admin.startswith("https://")
    said = await scraped(target(pod.admin))
    assert isinstance(said, PodSample), said
    async with open_session() as session:
        assert await HttpWorkersClient(session).set([target(pod.admin)], 2, (TOKEN,)) == {}
    await pod.ready(2)


async def test_probes_and_metrics_answer_without_verification(pod: Pod) -> None:
    assert await pod.get("/readyz") == (200, "ok")
    assert (await pod.get("/metrics"))[0] == 200


async def test_plain_http_gets_no_answer(pod: Pod) -> None:
    plain = target(pod.admin.replace("https", "http"), tls=None)
    assert isinstance(await scraped(plain), PodUnknown)


@pytest.mark.parametrize(
    "tls",
    [
        PodTls(trusting(OTHER_CA.certificate), HOST),
        PodTls(trusting(CA.certificate), "b.shop.aiapi.dev"),
        PodTls(trusting(CA.certificate), "a.other.aiapi.dev"),
    ],
    ids=["another-ca", "another-aiapi", "another-namespace"],
)
async def test_a_pod_of_another_aiapi_is_unknown(pod: Pod, tls: PodTls) -> None:
    said = await scraped(target(pod.admin, tls))
    assert isinstance(said, PodUnknown)
    assert "certificate" in said.reason.lower()


async def test_no_token_goes_to_a_server_without_a_certificate() -> None:
    received: list[bytes] = []

    async def pose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(4096))
        writer.write(b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1/stats\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(pose, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    where = target(f"https://127.0.0.1:{port}")
    async with StatsScraper() as scraper, open_session() as session:
        (said,) = await scraper.scrape([where], (TOKEN,))
        refused = await HttpWorkersClient(session).set([where], 2, (TOKEN,))
    assert isinstance(said, PodUnknown)
    assert set(refused) == {"a-1"}
    assert received
    assert not any(b"authorization" in each.lower() or TOKEN.encode() in each for each in received)
    server.close()


async def test_a_new_certificate_is_served_without_a_restart(
    pod: Pod, mounted: MountedSecret
) -> None:
    before = await serial_number(pod)
    async with aiohttp.ClientSession() as session:
        options = {
            "headers": {"Authorization": f"Bearer {TOKEN}"},
            "ssl": TLS.context,
            "server_hostname": HOST,
        }
        async with session.get(pod.admin + "/stats", **options) as answer:  # type: ignore[arg-type]
            instance = (await answer.json())["instance"]
        mounted.replace(files(certificates.issue(OTHER_CA, HOST, NOW)))

        async def renewed() -> bool:
            return await serial_number(pod) != before

        await until(renewed, 10)
        # The connection from before stays open.
        async with session.get(pod.admin + "/stats", **options) as answer:  # type: ignore[arg-type]
            assert (await answer.json())["instance"] == instance
    said = await scraped(target(pod.admin, PodTls(trusting(OTHER_CA.certificate), HOST)))
    assert isinstance(said, PodSample), said


async def test_spoilt_files_change_nothing_and_are_reported_once(
    pod: Pod, mounted: MountedSecret
) -> None:
    pair = certificates.issue(CA, HOST, NOW)
    mounted.replace(files(KeyPair(pair.certificate, certificates.issue(CA, HOST, NOW).key)))

    async def reported() -> bool:
        return "cannot be reloaded" in pod.log.read_text()

    await until(reported, 10)
    assert isinstance(await scraped(target(pod.admin)), PodSample)
    mounted.replace(files(pair))

    async def reloaded() -> bool:
        return "was reloaded" in pod.log.read_text()

    await until(reloaded, 10)
    assert pod.log.read_text().count("cannot be reloaded") == 1
    assert isinstance(await scraped(target(pod.admin)), PodSample)


async def test_a_missing_certificate_ends_the_start_with_a_reason(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(AssertionError, match=r"tls\.crt and tls\.key in .* cannot be used"):
        async with serve(tmp_path, f"--admin-tls-dir={empty}"):
            pass


async def test_slow_handshakes_end_and_do_not_stop_others(pod: Pod) -> None:
    admin = urlsplit(pod.admin)
    slow = [await asyncio.open_connection(admin.hostname, admin.port) for _ in range(300)]
    assert isinstance(await scraped(target(pod.admin)), PodSample)
    async with asyncio.timeout(15):
        for reader, _ in slow:
            assert await reader.read() == b""
    for _, writer in slow:
        writer.close()
