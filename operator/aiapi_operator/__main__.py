"""The composition root: builds the operator from its parts and runs it.

Stopping releases the Lease and changes nothing else in the cluster. Pods keep their size, and the
next operator continues from there.
"""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import click
import kopf

from aiapi_operator import election, handlers
from aiapi_operator.cluster import autoscalers, discovery
from aiapi_operator.cluster.apply import list_labelled
from aiapi_operator.cluster.client import KubernetesCluster
from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.events import EventRecorder
from aiapi_operator.cluster.lease import LeaderElector
from aiapi_operator.cluster.resources import PODS
from aiapi_operator.cluster.secret_store import SecretStore
from aiapi_operator.cluster.watches import Watches
from aiapi_operator.console.history import History
from aiapi_operator.console.metrics import MetricsWithHistory
from aiapi_operator.console.pages import Pages, PageSources
from aiapi_operator.console.server import ConsoleServer, is_loopback
from aiapi_operator.engine.activator_pods import SELECTOR, ActivatorPods, LiveActivators
from aiapi_operator.engine.admin_tls import AdminTlsKeeper
from aiapi_operator.engine.autoscaler_poller import AutoscalerPoller
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.own_pods import OwnPods
from aiapi_operator.engine.ports import Leadership, OperatorConfig, Ports
from aiapi_operator.engine.runner import OVERDUE_AFTER, Runner
from aiapi_operator.engine.tick import Engine
from aiapi_operator.manifests.runtime import Delivery, Runtime
from aiapi_operator.metrics.operator_metrics import OperatorMetrics
from aiapi_operator.observe.activators import ActivatorClient
from aiapi_operator.observe.scraper import StatsScraper
from aiapi_operator.observe.session import open_session
from aiapi_operator.observe.workers_client import HttpWorkersClient
from aiapi_operator.process import garbage, log_setup, open_files
from aiapi_operator.process.background import background
from aiapi_operator.process.command import exit_on_failure
from aiapi_operator.process.health import HealthServer
from aiapi_operator.process.heartbeat import Heartbeat
from aiapi_operator.process.listener import ListenError, host_port
from aiapi_operator.process.loop_thread import LoopThread, loop_thread, run_on
from aiapi_operator.process.settings import VERSION, LogFormat, RuntimeDelivery, Settings
from aiapi_operator.process.startup import Startup

_KOPF_STOP = 8.0

_log = logging.getLogger("aiapi_operator")


@dataclass(frozen=True, slots=True)
class _Services:
    """The parts that stop before Kopf, because Kopf waits for all running tasks at its end."""

    runner: Runner
    watches: asyncio.Task[None]
    consoles: list[ConsoleServer] = field(default_factory=list)

    async def stop(self) -> None:
        self.watches.cancel()
        await asyncio.wait([self.watches])
        await self.runner.stop()
        for console in self.consoles:
            await console.stop()


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the operator until ``stop`` is set. Raises when the watches end before that."""
    startup, history = Startup(), History(wall=time.time)
    metrics = _metrics(settings, history)
    overdue: list[Callable[[], list[str]]] = []
    async with AsyncExitStack() as stack:
        connection = await Connection.open(settings.kubeconfig, observer=metrics.record_api_request)
        stack.push_async_callback(connection.close)
        heartbeat = Heartbeat(overdue_after=OVERDUE_AFTER)
        overdue.append(heartbeat.overdue)
        await stack.enter_async_context(background(heartbeat.run(), "heartbeat"))
        thread = await stack.enter_async_context(loop_thread("lease-and-health"))
        health = HealthServer(
            overdue=lambda: [name for late in overdue for name in late()],
            waiting_for=startup.waiting_for,
            metrics=partial(_rendered, asyncio.get_running_loop(), metrics),
        )
        await stack.enter_async_context(_serving(health, thread, settings))
        if not await startup.wait_for_crd(connection, stop):
            return
        leadership = await stack.enter_async_context(election.leadership(settings, thread, metrics))
        if settings.own_shard is not None:
            await stack.enter_async_context(election.ring(settings, thread, metrics, connection))
        session = await stack.enter_async_context(open_session())
        scraper = await stack.enter_async_context(
            StatsScraper(observer=metrics.record_scrape, max_connections=open_files.connections())
        )
        recorder = EventRecorder(connection, instance=settings.pod_name)
        poller = await stack.enter_async_context(_autoscalers(settings, connection))
        activator_pods = await stack.enter_async_context(_activator_pods(settings, connection))
        ports = Ports(
            cluster=KubernetesCluster(connection, recorder),
            scraper=scraper,
            workers=HttpWorkersClient(session),
            leadership=leadership,
            metrics=metrics,
            admin_tls=_admin_tls(settings, connection),
            clock=time.monotonic,
            timestamp=_timestamp,
            time_of_day=time.time,
            autoscalers=poller,
            activators=LiveActivators(
                activator_pods, ActivatorClient(session), settings.activator_grace
            ),
        )
        cache = ObjectCache()
        runner = await _runner(settings, connection, ports, metrics, cache)
        activator_pods.changed = runner.on_activators_change
        poller.changed = runner.on_autoscalers_change
        overdue.append(runner.overdue)
        watches = Watches.of_children(
            connection,
            settings.namespaces,
            runner if settings.own_shard is None else OwnPods(runner, cache, clock=ports.clock),
            activators=settings.activators,
            shard=settings.own_shard,
        )
        watching = await stack.enter_async_context(background(watches.run(), "watches"))
        services = _Services(runner, watching)
        stack.push_async_callback(services.stop)
        if settings.console:
            console = _console(settings, runner, leadership, history)
            services.consoles.append(console)
            await _serve_console(settings, console)
        if not await startup.wait_for_objects(watches, watching, stop):
            return
        cache.set_fresh(ports.clock())
        await _watch(settings, connection, services, stop=stop, ready=startup.watching)


@asynccontextmanager
async def _serving(
    health: HealthServer, thread: LoopThread, settings: Settings
) -> AsyncIterator[None]:
    async with thread.hosting(health.serving(settings.host, settings.port)) as port:
        _log.info("aiapi-operator %s serves health and metrics on port %d", VERSION, port)
        yield


@asynccontextmanager
async def _activator_pods(
    settings: Settings, connection: Connection
) -> AsyncIterator[ActivatorPods]:
    """Empty where the operator runs without activators."""
    found = ActivatorPods(lambda: list_labelled(connection, PODS, settings.pod_namespace, SELECTOR))
    if not settings.activators:
        yield found
        return
    await found.start()
    async with background(found.run(), "activators"):
        yield found


def _metrics(settings: Settings, history: History) -> OperatorMetrics:
    if settings.console:
        return MetricsWithHistory(history, version=VERSION)
    return OperatorMetrics(version=VERSION)


def _admin_tls(settings: Settings, connection: Connection) -> AdminTlsKeeper:
    store = SecretStore(connection, settings.pod_namespace, settings.admin_ca_secret)
    return AdminTlsKeeper(store, clock=time.monotonic, time_of_day=time.time)


def _console(
    settings: Settings, runner: Runner, leadership: Leadership, history: History
) -> ConsoleServer:
    def leader() -> str:
        return leadership.holder if isinstance(leadership, LeaderElector) else settings.pod_name

    sources = PageSources(
        aiapis=runner.aiapis,
        history=history,
        leads=leadership.held,
        leader=leader,
        wall=time.time,
        version=VERSION,
    )
    return ConsoleServer(Pages(sources), allowed_hosts=settings.console_allowed_hosts)


async def _serve_console(settings: Settings, console: ConsoleServer) -> None:
    """The console is optional: the operator works without it."""
    try:
        port = await console.start(settings.console_host, settings.console_port)
    except ListenError as error:
        _log.warning("there is no console: %s", error)
        return
    _log.info("serving the console on http://%s/", host_port(settings.console_host, port))
    if not is_loopback(settings.console_host):
        _log.warning(
            "the console has no login and listens on %s: put it behind a proxy that authenticates",
            settings.console_host,
        )


async def _runner(
    settings: Settings,
    connection: Connection,
    ports: Ports,
    metrics: OperatorMetrics,
    cache: ObjectCache,
) -> Runner:
    surroundings = OperatorConfig(
        operator_namespace=settings.pod_namespace,
        default_image=settings.default_image,
        image_pull_secrets=settings.image_pull_secrets,
        resize_in_place=await discovery.has_resize(connection),
        mesh=settings.mesh,
        activator_ports=(settings.activator_first_port, settings.activator_last_port),
        assigns_users=await discovery.assigns_users(connection),
        metrics_from=settings.metrics_from,
        admin_tls=settings.admin_tls,
        shard=settings.own_shard,
        pod_template_policy=settings.pod_template_policy,
        runtime=await _runtime(settings, connection),
        keep_delivery=settings.runtime_delivery is RuntimeDelivery.AUTO,
    )
    engine = Engine(ports, cache, surroundings)
    return Runner(engine, cache, ports.leadership, metrics, clock=ports.clock)


async def _runtime(settings: Settings, connection: Connection) -> Runtime:
    """The runtime for images without it, and how it gets into the pods."""
    delivery = settings.runtime_delivery.value
    if settings.runtime_delivery is RuntimeDelivery.AUTO:
        has_volumes = await discovery.has_image_volumes(connection)
        delivery = Delivery.IMAGE_VOLUME if has_volumes else Delivery.INIT_CONTAINER
    _log.info("the runtime %s is injected by %s", settings.runtime_image, delivery)
    return Runtime(
        image=settings.runtime_image,
        pull_policy=settings.runtime_pull_policy.value,
        delivery=Delivery(delivery),
    )


async def _rendered(loop: asyncio.AbstractEventLoop, metrics: OperatorMetrics) -> bytes:
    """The metrics, for another thread."""
    return await run_on(loop, metrics.render())


@asynccontextmanager
async def _autoscalers(
    settings: Settings, connection: Connection
) -> AsyncIterator[AutoscalerPoller]:
    """Poll once before the first decision, and then every minute."""
    poller = AutoscalerPoller(
        autoscalers.KINDS,
        lambda kind: autoscalers.autoscalers(connection, kind, settings.namespaces),
    )
    await poller.poll_once()
    async with background(poller.run(), "autoscalers"):
        yield poller


async def _watch(
    settings: Settings,
    connection: Connection,
    services: _Services,
    *,
    stop: asyncio.Event,
    ready: asyncio.Event,
) -> None:
    """Run Kopf until ``stop`` is set. Kopf and the watches end earlier only when they fail."""
    kopf_stop = asyncio.Event()
    where: dict[str, Any] = (
        {"namespaces": settings.namespaces} if settings.namespaces else {"clusterwide": True}
    )
    task = asyncio.create_task(
        kopf.operator(
            registry=handlers.registry(services.runner, connection.endpoint),
            settings=handlers.settings(settings.own_shard),
            # Kopf would look up the user's name, which a container's user may not have.
            identity=settings.pod_name,  # type: ignore[arg-type] # a NewType that Kopf hides
            standalone=True,
            stop_flag=kopf_stop,
            ready_flag=ready,
            **where,
        ),
        name="kopf",
    )
    waiting = [asyncio.create_task(flag.wait()) for flag in (ready, stop)]
    try:
        await asyncio.wait([task, services.watches, *waiting], return_when=asyncio.FIRST_COMPLETED)
        # Kopf installs its own signal handlers. Replace them: the services must stop first.
        _on_signals(stop)
        await asyncio.wait(
            [task, services.watches, waiting[1]], return_when=asyncio.FIRST_COMPLETED
        )
        await services.stop()
        kopf_stop.set()
        async with asyncio.timeout(_KOPF_STOP):
            await task
    finally:
        for waiter in waiting:
            waiter.cancel()
    if not stop.is_set():
        raise RuntimeError("the watches ended unexpectedly; see the log above")


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def _timestamp() -> str:
    return _formatted(int(time.time()))


@lru_cache(maxsize=1)
def _formatted(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    _on_signals(stop)
    await run(settings, stop)
    _log.info("stopped; the cluster is unchanged")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--namespace", "namespaces", multiple=True, help="Watch only this namespace; repeatable."
)
@click.option("--host", help="Address for health and metrics.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port for health and metrics.")
@click.option("--console/--no-console", default=None, help="Serve the console, a read-only page.")
@click.option("--console-host", help="Address for the console; it has no login.")
@click.option("--console-port", type=click.IntRange(0, 65535), help="Port for the console.")
@click.option("--log-format", type=click.Choice([style.value for style in LogFormat]))
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option(
    "--leader-election/--no-leader-election",
    default=None,
    help="Elect one leader among several operators.",
)
@click.version_option(VERSION)
def main(**flags: Any) -> None:
    """Right-size async AI APIs: watch AIApi resources and scale them.

    Each option can also be set as AIAPI_OPERATOR_<OPTION> in the environment.
    """
    settings = Settings(**{key: value for key, value in flags.items() if value not in (None, ())})
    log_setup.configure(style=settings.log_format, level=settings.log_level)
    garbage.configure()
    with exit_on_failure(_log, "the operator"):
        asyncio.run(_serve(settings))


if __name__ == "__main__":
    main()
