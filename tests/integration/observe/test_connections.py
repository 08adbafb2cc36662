"""The scraper's connections: kept, opened again, bounded and closed."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from engine_support.samples import sample
from msgspec.structs import replace

from aiapi_operator.observe import connections
from aiapi_operator.observe.request_watch import RequestWatch
from aiapi_operator.observe.scraper import StatsScraper
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.observe.tls import PodTls
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

HISTOGRAM = b'{"bounds": [0.1], "counts": [0, 0], "sum": 0}'
STATS = (
    b'{"version": 1, "instance": "i", "ready": true, "rss_bytes": 1, "open_connections": 0,'
    b'"workers": {"wanted": 1, "ready": 1, "draining": 0}, "accept_queue": {"depth": 0},'
    b'"requests": {"success": 0, "client_error": 0, "server_error": 0, "cancelled": 0, "shed": 0},'
    b'"in_flight": 0, "in_flight_seconds": 0, "loop_seconds": 0, "worker_seconds": 0,'
    b'"cpu_seconds": 0, "upstream_seconds": 0, "latency": %b}' % HISTOGRAM
)


def response(body: bytes = STATS, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


NOWHERE = ScrapeTarget(pod="", address="", ready=True)
Behaviour = Callable[["Pod", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Pod:
    """A raw server: ``behaviour`` answers each request. It counts what it sees."""

    behaviour: Behaviour
    requests: list[bytes] = field(default_factory=list)
    made: int = 0
    open: int = 0
    target: ScrapeTarget = NOWHERE
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        self.open += 1
        self.writers.append(writer)
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                await self.behaviour(self, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.open -= 1
            writer.close()


async def answers(_: Pod, writer: asyncio.StreamWriter) -> None:
    writer.write(response())


async def is_silent(_: Pod, __: asyncio.StreamWriter) -> None:
    """Keep the connection and say nothing."""


@asynccontextmanager
async def pods(*behaviours: Behaviour, host: str = "127.0.0.1") -> AsyncIterator[list[Pod]]:
    found = [Pod(behaviour) for behaviour in behaviours]
    servers = []
    for number, pod in enumerate(found):
        servers.append(await asyncio.start_server(pod.serve, host, 0))
        port = servers[-1].sockets[0].getsockname()[1]
        pod.target = ScrapeTarget(pod=f"a-{number}", address=host, port=port, ready=True)
    try:
        yield found
    finally:
        for pod in found:
            for writer in pod.writers:
                writer.transport.abort()
        for server in servers:
            server.close()
            await server.wait_closed()
        await until(lambda: not any(pod.open for pod in found))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the state of a server
            await asyncio.sleep(0.01)


async def scrape(
    scraper: StatsScraper, *found: Pod, tokens: tuple[str, ...] = ("t",)
) -> list[PodSample | PodUnknown]:
    return list(await scraper.scrape([pod.target for pod in found], tokens))


def reason(answer: PodSample | PodUnknown) -> str:
    assert isinstance(answer, PodUnknown), answer
    return answer.reason


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_connection_is_kept_between_scrapes(host: str) -> None:
    async with pods(answers, host=host) as (pod,), StatsScraper() as scraper:
        for _ in range(3):
            (answer,) = await scrape(scraper, pod)
            assert isinstance(answer, PodSample), answer
        assert pod.made == 1
        name = b"[::1]" if host == "::1" else b"127.0.0.1"
        request = b"GET /stats?histograms=short HTTP/1.1\r\nHost: %b:%d\r\n" % (
            name,
            pod.target.port,
        )
        assert pod.requests == [request + b"Authorization: Bearer t\r\n\r\n"] * 3


async def test_a_token_that_is_rejected_is_followed_by_the_next_on_the_same_connection() -> None:
    async def checks(pod: Pod, writer: asyncio.StreamWriter) -> None:
        good = b"Bearer old\r\n" in pod.requests[-1]
        writer.write(response() if good else response(b"no", b"401 Unauthorized"))

    async with pods(checks) as (pod,), StatsScraper() as scraper:
        (answer,) = await scrape(scraper, pod, tokens=("new", "old"))
        assert isinstance(answer, PodSample), answer
        assert (len(pod.requests), pod.made) == (2, 1)
        (answer,) = await scrape(scraper, pod, tokens=("new",))
        assert reason(answer) == "invalid answer: the pod rejects the admin token (401)"
        assert pod.made == 1


async def test_a_token_that_no_header_can_have_is_not_sent() -> None:
    async with pods(answers) as (pod,), StatsScraper() as scraper:
        (answer,) = await scrape(scraper, pod, tokens=("a\r\nX: y", "ü"))
        assert reason(answer) == "no usable admin token is known"
        assert pod.requests == []


async def test_a_kept_connection_that_the_pod_closes_is_opened_again_once() -> None:
    async def answers_once_each(pod: Pod, writer: asyncio.StreamWriter) -> None:
        if len(pod.requests) in (1, 3):
            writer.write(response())
        else:
            writer.transport.abort()

    async with pods(answers_once_each) as (pod,), StatsScraper() as scraper:
        for _ in range(2):
            (answer,) = await scrape(scraper, pod)
            assert isinstance(answer, PodSample), answer
        assert (len(pod.requests), pod.made) == (3, 2)
        (answer,) = await scrape(scraper, pod)
        assert reason(answer).startswith("the pod closed the connection without an answer")
        assert (len(pod.requests), pod.made) == (5, 3)


async def test_a_pod_that_closes_while_nobody_asks_is_connected_again() -> None:
    async with pods(answers) as (pod,), StatsScraper() as scraper:
        await scrape(scraper, pod)
        pod.writers[0].close()
        await until(lambda: not pod.open)
        (answer,) = await scrape(scraper, pod)
        assert isinstance(answer, PodSample), answer


async def test_half_an_answer_is_not_asked_for_again() -> None:
    async def stops(_: Pod, writer: asyncio.StreamWriter) -> None:
        writer.write(response()[:200])
        writer.close()

    async with pods(stops) as (pod,), StatsScraper() as scraper:
        (answer,) = await scrape(scraper, pod)
        assert reason(answer) == "the pod closed the connection before the end of its answer"
        assert len(pod.requests) == 1


async def test_an_answer_to_nothing_ends_the_connection() -> None:
    async def says_more(_: Pod, writer: asyncio.StreamWriter) -> None:
        writer.write(response())
        await asyncio.sleep(0.05)
        writer.write(response(b"{}"))

    async with pods(says_more) as (pod,), StatsScraper() as scraper:
        for made in (1, 2):
            (answer,) = await scrape(scraper, pod)
            assert isinstance(answer, PodSample), answer
            await until(lambda: not pod.open)
            assert pod.made == made


async def test_garbage_is_rejected_at_once() -> None:
    async def talks_ssh(_: Pod, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    async with pods(talks_ssh) as (pod,), StatsScraper(deadline=30) as scraper:
        (answer,) = await scrape(scraper, pod)
        assert reason(answer) == "invalid answer: not HTTP/1.1"


async def test_one_silent_pod_costs_the_others_nothing() -> None:
    async def drips(_: Pod, writer: asyncio.StreamWriter) -> None:
        for at in range(len(response())):
            writer.write(response()[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0.1)

    async with pods(is_silent, answers, drips) as found, StatsScraper(deadline=0.5) as scraper:
        silent, good, slow = await scrape(scraper, *found)
        assert reason(silent) == reason(slow) == "no answer within 0.5 s"
        assert isinstance(good, PodSample), good
        await until(lambda: [pod.open for pod in found] == [0, 1, 0])


async def test_a_handshake_that_does_not_end_is_a_pod_without_a_connection() -> None:
    async with pods(is_silent) as (pod,), StatsScraper(deadline=0.3) as scraper:
        (answer,) = await scraper.scrape([with_tls(pod)], ("t",))
        assert reason(answer) == "no connection within 0.3 s"
        await until(lambda: not pod.open)


def with_tls(pod: Pod) -> ScrapeTarget:
    return ScrapeTarget(
        pod=pod.target.pod,
        address=pod.target.address,
        port=pod.target.port,
        ready=True,
        tls=PodTls(ssl.create_default_context(), "a.b.aiapi.dev"),
    )


async def test_a_pod_that_waited_for_its_turn_is_not_asked_and_not_silent() -> None:
    outcomes: list[str] = []
    async with (
        pods(is_silent, is_silent) as found,
        StatsScraper(
            deadline=0.3, max_attempts=1, observer=lambda outcome, _: outcomes.append(outcome)
        ) as scraper,
    ):
        targets = [with_tls(pod) for pod in found]
        rounds = [await scraper.scrape(targets, ("t",)) for _ in range(2)]
        # One attempt at a time, and each pod is first in its turn.
        assert [[answer.pod for answer in each] for each in rounds] == [["a-1"], ["a-0"]]
        assert outcomes == ["failed", "failed"]


async def test_pods_get_the_time_for_which_the_operator_was_busy() -> None:
    async def answers_late(_: Pod, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(response())

    async with pods(answers_late) as (pod,), StatsScraper(deadline=0.4) as scraper:
        asyncio.get_running_loop().call_later(0.05, time.sleep, 0.6)
        (answer,) = await scrape(scraper, pod)
        assert isinstance(answer, PodSample), answer


async def test_a_cancelled_scrape_closes_what_it_has_opened() -> None:
    async with pods(is_silent, answers) as found, StatsScraper(deadline=30) as scraper:
        scraping = asyncio.create_task(scrape(scraper, *found))
        await until(lambda: bool(found[0].requests))
        scraping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scraping
        await until(lambda: [pod.open for pod in found] == [0, 1])


async def test_connections_of_pods_that_are_gone_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "_SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(connections, "KEEP_SECONDS", 0.3)
    async with pods(answers, answers) as found, StatsScraper() as scraper:
        await scrape(scraper, *found)
        async with asyncio.timeout(10):
            while found[1].open:
                await scrape(scraper, found[0])
                await asyncio.sleep(0.05)
        assert [pod.open for pod in found] == [1, 0]
        assert found[0].made == 1


async def test_the_least_recently_used_connection_makes_room() -> None:
    async with pods(answers, answers, answers) as found, StatsScraper(max_connections=2) as scraper:
        for pod in found:
            (answer,) = await scrape(scraper, pod)
            assert isinstance(answer, PodSample), answer
        await until(lambda: [pod.open for pod in found] == [0, 1, 1])
        every = await scrape(scraper, *found)
        assert all(isinstance(answer, PodSample) for answer in every), every


async def test_a_kept_connection_is_not_used_with_other_certificates() -> None:
    async with pods(answers) as (pod,), StatsScraper(deadline=0.3) as scraper:
        await scrape(scraper, pod)
        (answer,) = await scraper.scrape([with_tls(pod)], ("t",))
        assert isinstance(answer, PodUnknown), answer
        assert len(pod.requests) == 1


async def test_closing_closes_all_connections() -> None:
    async with pods(answers, answers) as found:
        async with StatsScraper() as scraper:
            await scrape(scraper, *found)
            assert [pod.open for pod in found] == [1, 1]
        await until(lambda: [pod.open for pod in found] == [0, 0])


@dataclass
class Holding:
    """What pods hold back until ``let`` is set."""

    let: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, pod: Pod, writer: asyncio.StreamWriter) -> None:
        if b"wait=" in pod.requests[-1]:
            await self.let.wait()
        writer.write(response())


def at_rest(**changes: int) -> PodSample:
    return replace(sample(), **changes)


def watch(
    scraper: StatsScraper, found: list[Pod], ended: asyncio.Event, *samples: PodSample
) -> RequestWatch | None:
    targets = [pod.target for pod in found]
    known = samples or (at_rest(),) * len(found)
    return scraper.watch(targets, known, ("t",), seconds=60, on_answer=ended.set)


async def test_a_watch_ends_with_the_first_answer_and_keeps_the_connections() -> None:
    holds, ended = Holding(), asyncio.Event()
    async with pods(answers, holds) as found, StatsScraper(max_connections=8) as scraper:
        await scrape(scraper, *found)
        known = at_rest(succeeded=3, shed=1, in_flight=2, open_websockets=1)
        assert watch(scraper, found, ended, at_rest(), known)
        async with asyncio.timeout(5):
            await ended.wait()
        assert b"GET /stats?histograms=short&wait=60&requests=0 HTTP/1.1" in found[0].requests[-1]
        await until(lambda: len(found[1].requests) == 2)
        assert b"&wait=60&requests=7 " in found[1].requests[-1]
        assert b"Authorization: Bearer t\r\n" in found[1].requests[-1]
        ended.clear()
        holds.let.set()
        await until(lambda: len(scraper._connections._idle) == 2)
        await scrape(scraper, *found)
        assert [pod.made for pod in found] == [1, 1]
        assert not ended.is_set(), "once"


async def test_a_watch_that_is_ended_reports_nothing_and_closes_what_it_holds() -> None:
    holds, ended = Holding(), asyncio.Event()
    async with pods(holds) as found, StatsScraper() as scraper:
        await scrape(scraper, *found)
        going = watch(scraper, found, ended)
        assert going is not None
        await until(lambda: len(found[0].requests) == 2)
        going.end()
        holds.let.set()
        await until(lambda: found[0].open == 0)
        assert not ended.is_set()
        assert isinstance((await scrape(scraper, *found))[0], PodSample), "on a new connection"


async def closes(pod: Pod, writer: asyncio.StreamWriter) -> None:
    if b"wait=" in pod.requests[-1]:
        writer.transport.abort()
    else:
        writer.write(response())


async def lies(pod: Pod, writer: asyncio.StreamWriter) -> None:
    writer.write(b"nonsense\r\n\r\n" if b"wait=" in pod.requests[-1] else response())


async def refuses(pod: Pod, writer: asyncio.StreamWriter) -> None:
    writer.write(response(b"", b"504 x") if b"wait=" in pod.requests[-1] else response())


@pytest.mark.parametrize("behaviour", [closes, lies, refuses])
async def test_a_watch_ends_when_a_pod_cannot_be_watched(behaviour: Behaviour) -> None:
    ended = asyncio.Event()
    async with pods(behaviour) as found, StatsScraper() as scraper:
        await scrape(scraper, *found)
        assert watch(scraper, found, ended)
        async with asyncio.timeout(5):
            await ended.wait()
        assert isinstance((await scrape(scraper, *found))[0], PodSample)


async def test_watches_leave_a_quarter_of_the_connections_to_others() -> None:
    ended = asyncio.Event()
    behaviours = [Holding() for _ in range(4)]
    async with pods(*behaviours) as found, StatsScraper(max_connections=4) as scraper:
        await scrape(scraper, *found)
        assert watch(scraper, found[:1], ended)
        assert watch(scraper, found[1:4], ended) is None
        assert watch(scraper, found[1:3], ended)
        assert watch(scraper, found[3:4], ended) is None
        assert len(scraper._connections._idle) == 1, "those that are not watched are kept"


async def test_a_watch_needs_a_connection_to_each_pod_and_a_token() -> None:
    ended = asyncio.Event()
    async with pods(answers, answers) as found, StatsScraper() as scraper:
        await scrape(scraper, found[0])
        assert watch(scraper, found, ended) is None
        assert len(scraper._connections._idle) == 1
        targets = [found[0].target]
        refused = scraper.watch(targets, [sample()], ("ü",), seconds=60, on_answer=ended.set)
        assert refused is None
