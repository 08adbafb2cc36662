"""CA, certificates and token are rotated while real pods are scraped: no scrape fails.

The real CA, the real choice of tokens and certificates, real pods and the real scraper; the API
server is in memory, and each pod receives its Secret late, as from a kubelet.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from engine_support.cluster import FakeCluster
from engine_support.world import aiapi
from runtime_support.mounted import MountedSecret
from runtime_support.pod import Pod, serve
from unit.engine.test_admin_tls import Secret

from aiapi_operator.api import AIApi
from aiapi_operator.engine import authority, certificates
from aiapi_operator.engine.admin_secret import AdminSecrets, AdminSecretState
from aiapi_operator.engine.admin_tls import AdminTls, AdminTlsKeeper
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.authority import OVERLAP, Authority
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.certificates import CA_LIFE
from aiapi_operator.manifests import secret
from aiapi_operator.observe.scraper import StatsScraper
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.observe.tls import PodTls
from aiapi_operator.sizing.inputs import PodUnknown

INTERVAL = 0.2
KUBELET_DELAYS = (0.5, 1.5)
"""Seconds until each of the two pods has a new Secret."""
AIAPI = AIApi.model_validate({**aiapi(), "status": {}})
REF = AIApiRef("shop", "a", "AIApi-a")


@dataclass
class Rotation:
    """An operator that looks at everything in each of its ticks, and its pods."""

    pods: list[tuple[Pod, MountedSecret]] = field(default_factory=list)
    cluster: FakeCluster = field(default_factory=FakeCluster)
    ca: Secret = field(default_factory=Secret)
    scrapes: int = 0
    failures: list[PodUnknown] = field(default_factory=list)
    certificates: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As a new leader, which knows only what is in the cluster."""
        ticks = iter(range(10**9))
        self.keeper = AdminTlsKeeper(
            self.ca, clock=lambda: 1000.0 * next(ticks), time_of_day=time.time
        )
        self.state = AdminSecretState()
        self.secrets = AdminSecrets(self.cluster, ObjectCache(), time_of_day=time.time)

    async def apply(self) -> AdminTls:
        """Reconcile the Secret of the AIApi."""
        tls = await self.keeper.current(1)
        content = await self.secrets.content(REF, self.state, secret.name(AIAPI), tls)
        await self.cluster.apply(secret.build(AIAPI, content))
        return tls

    def files(self) -> dict[str, str]:
        data = self.cluster.objects["Secret", "a-admin-token"]["data"]
        return {key: base64.b64decode(text).decode() for key, text in data.items()}

    async def tick(self) -> None:
        tls = await self.apply()
        asyncio.get_running_loop().call_soon(self._deliver)
        self.certificates.add(self.files()["tls.crt"])
        self.tokens.add(self.state.tokens[0])
        where = [_target(pod, tls.of("shop", "a")) for pod, _ in self.pods]
        async with StatsScraper() as scraper:  # a new handshake each time
            found = await scraper.scrape(where, self.state.tokens)
        self.scrapes += len(found)
        self.failures += [each for each in found if isinstance(each, PodUnknown)]

    def _deliver(self) -> None:
        files, loop = self.files(), asyncio.get_running_loop()
        for delay, (_, mounted) in zip(KUBELET_DELAYS, self.pods, strict=True):
            loop.call_later(delay, _mount, mounted, files)

    async def run(self, seconds: float) -> None:
        """Scrape for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.monotonic()
            await self.tick()
            await asyncio.sleep(max(0.0, INTERVAL - (time.monotonic() - started)))


def _mount(mounted: MountedSecret, files: dict[str, str]) -> None:
    if {path: (mounted.folder / path).read_text() for path in files} != files:
        mounted.replace(files)


def _target(pod: Pod, tls: PodTls) -> ScrapeTarget:
    admin = urlsplit(pod.admin)
    name = str(pod.process.pid)
    return ScrapeTarget(
        pod=name, address=admin.hostname or "", ready=True, port=admin.port or 0, tls=tls
    )


@pytest.fixture
async def rotation(tmp_path: Path) -> AsyncIterator[Rotation]:
    found = Rotation()
    await found.apply()
    async with AsyncExitStack() as stack:
        for number in range(len(KUBELET_DELAYS)):
            folder = tmp_path / str(number)
            folder.mkdir()
            mounted = MountedSecret(folder / "secret", found.files())
            flags = [
                f"--admin-tls-dir={mounted.folder}",
                f"--admin-token-file={mounted.folder}/token",
            ]
            pod = await stack.enter_async_context(serve(folder, *flags))
            found.pods.append((pod, mounted))
        yield found
        # Deliveries that are still planned end before their folders.
        await asyncio.sleep(max(KUBELET_DELAYS))


async def ca_by_age(rotation: Rotation) -> None:
    """The CA becomes due, the next one is trusted, and a day later it signs."""
    data = rotation.ca.manifest["data"]
    found = authority.read(data)
    assert found is not None
    rotation.ca.manifest["data"] = authority.write(
        Authority(found.signer, next=certificates.new_ca(time.time() - OVERLAP + 3))
    )
    await rotation.run(6)
    promoted = authority.read(rotation.ca.manifest["data"])
    assert promoted is not None
    assert promoted.previous == found.signer.certificate


async def ca_by_deletion(rotation: Rotation) -> None:
    rotation.ca.manifest = None
    await rotation.run(4)


async def token_by_edit(rotation: Rotation) -> None:
    token = base64.b64encode(b"chosen").decode()
    rotation.cluster.edit("Secret", "a-admin-token", {"data": {"token": token}})
    await rotation.run(1)
    rotation.restart()
    await rotation.run(3)
    assert "chosen" in rotation.tokens


async def secret_by_deletion(rotation: Rotation) -> None:
    del rotation.cluster.objects["Secret", "a-admin-token"]
    await rotation.run(4)


@pytest.mark.parametrize(
    ("rotate", "certificates_used", "tokens_used"),
    [(ca_by_age, 2, 1), (ca_by_deletion, 2, 1), (token_by_edit, 1, 2), (secret_by_deletion, 2, 2)],
)
async def test_no_scrape_fails(
    rotation: Rotation,
    rotate: Callable[[Rotation], Awaitable[None]],
    certificates_used: int,
    tokens_used: int,
) -> None:
    await rotation.run(1)
    await rotate(rotation)
    assert rotation.failures == []
    assert rotation.scrapes >= 20
    assert len(rotation.certificates) == certificates_used
    assert len(rotation.tokens) == tokens_used
    for _, mounted in rotation.pods:
        assert (mounted.folder / "tls.crt").read_text() in rotation.certificates


async def test_a_ca_that_is_two_thirds_through_its_life_is_followed_by_another(
    rotation: Rotation,
) -> None:
    old = Authority(certificates.new_ca(time.time() - 0.7 * CA_LIFE))
    rotation.ca.manifest["data"] = authority.write(old)
    rotation.restart()
    await rotation.keeper.current(1)
    begun = authority.read(rotation.ca.manifest["data"])
    assert begun is not None
    assert begun.signer == old.signer
    assert begun.next is not None
