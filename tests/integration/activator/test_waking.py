"""Requests at zero pods wait, wake the fleet, and are answered."""

import asyncio
from collections.abc import Callable

import pytest
from activator_support.pods import UvicornPod
from activator_support.rig import Rig, rig, until

from aiapi_operator.activator import client
from aiapi_operator.activator.limits import Limits
from aiapi_operator.cluster.errors import Unavailable

StartPod = Callable[..., UvicornPod]


async def test_the_first_request_at_zero_wakes_the_fleet_and_is_answered(
    activator: Rig, start_pod: StartPod
) -> None:
    pod = start_pod()
    activator.scales.on_raise = lambda _n: activator.set(pod.pod)
    status, headers, body = await activator.ask("/hello")
    assert (status, body) == (200, b"pod-1")
    assert headers["connection"] == "close"
    assert activator.scales.raised == [1]
    assert activator.metric("aiapi_activator_wakes_total") == "1.0"
    assert activator.metric("aiapi_activator_cold_start_seconds_count") == "1.0"


async def test_a_connection_without_a_byte_wakes_nothing(activator: Rig) -> None:
    connection = await activator.connect()
    await until(lambda: activator.gate.connections == 1)
    await asyncio.sleep(0.2)
    assert activator.scales.raised == []
    assert activator.gate.arrivals == 0
    await connection.close()


async def test_a_thousand_requests_together_are_all_answered(
    activator: Rig, start_pod: StartPod
) -> None:
    pods = [start_pod(name=f"pod-{n}", delay=0.5) for n in range(2)]
    activator.set(pod_concurrency=500)
    requests = [asyncio.create_task(activator.ask()) for _ in range(1000)]
    await until(lambda: len(activator.gate.hold) == 1000, 60)
    activator.set(*(pod.pod for pod in pods))
    answers = await asyncio.gather(*requests)
    assert [status for status, *_ in answers] == [200] * 1000
    assert max(activator.scales.raised) == 2
    served = [len(pod.requests) for pod in pods]
    assert min(served) >= 300


async def test_requests_beyond_the_bound_are_refused_at_once(start_pod: StartPod) -> None:
    pod = start_pod()
    async with rig(Limits(requests=100)) as activator:
        connections = [await activator.connect() for _ in range(1000)]
        times: list[float] = []
        loop = asyncio.get_running_loop()

        async def ask(number: int) -> int:
            connections[number].write()
            sent = loop.time()
            answer = await connections[number].read()
            if answer.status == 503:
                times.append(loop.time() - sent)
                assert int(answer.headers["retry-after"]) > 0
                assert "100 requests are held already" in answer.body.decode()
            await connections[number].close()
            return answer.status

        requests = [asyncio.create_task(ask(number)) for number in range(1000)]
        await until(lambda: len(times) == 900, 30)
        assert len(activator.gate.hold) == 100
        activator.set(pod.pod)
        statuses = await asyncio.gather(*requests)
        assert statuses.count(200) == 100
        assert statuses.count(503) == 900


async def test_one_refusal_takes_less_than_50_ms() -> None:
    async with rig(Limits(requests=1)) as activator:
        held = await activator.connect()
        held.write()
        await until(lambda: len(activator.gate.hold) == 1)
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(20):
            before = loop.time()
            status, *_ = await activator.ask()
            times.append(loop.time() - before)
            assert status == 503
        assert sorted(times)[10] < 0.05
        await held.close()


async def test_a_pod_that_is_ready_but_does_not_serve_gets_no_request(
    activator: Rig, start_pod: StartPod
) -> None:
    pod = start_pod(ready=False)
    activator.set(pod.pod)
    request = asyncio.create_task(activator.ask())
    await until(lambda: len(activator.gate.hold) == 1)
    await asyncio.sleep(0.3)
    assert pod.requests == []
    pod.ready = True
    status, *_ = await request
    assert status == 200


async def test_a_first_worker_gets_requests_before_the_pod_is_ready(
    activator: Rig, start_pod: StartPod
) -> None:
    """Its share of what a pod with all workers can take; the rest waits for them."""
    pod = start_pod(ready=False, serves=True, delay=60.0)
    activator.set(pod.pod, pod_concurrency=12, max_workers=4)
    requests = [asyncio.create_task(activator.ask()) for _ in range(20)]
    await until(lambda: len(pod.requests) == 3)
    await asyncio.sleep(0.3)
    assert (len(pod.requests), len(activator.gate.hold)) == (3, 17)
    pod.ready = True
    await until(lambda: len(pod.requests) == 12)
    for request in requests:
        request.cancel()
    await asyncio.gather(*requests, return_exceptions=True)


async def test_a_first_worker_gets_one_request_at_a_time_while_its_capacity_is_unknown(
    activator: Rig, start_pod: StartPod
) -> None:
    pod = start_pod(ready=False, serves=True, delay=0.05)
    activator.set(pod.pod)
    answers = await asyncio.gather(*(activator.ask() for _ in range(3)))
    assert [status for status, *_ in answers] == [200] * 3
    assert pod.most_at_once == 1


async def test_a_pod_without_all_workers_gets_nothing_once_others_serve(
    activator: Rig, start_pod: StartPod
) -> None:
    new = start_pod(name="new", ready=False, serves=True)
    old = start_pod(name="old")
    activator.set(new.pod, old.pod, phase="Serving")
    answers = [await activator.ask() for _ in range(10)]
    assert {body for _, _, body in answers} == {b"old"}


async def test_a_pod_whose_port_refuses_gets_no_request_and_another_does(
    activator: Rig, start_pod: StartPod
) -> None:
    gone, pod = start_pod(name="gone"), start_pod(name="pod-2")
    activator.set(gone.pod, pod.pod)
    assert (await activator.ask())[0] == 200
    await until(lambda: activator.gate._backends.serving == 2)
    gone.stop()
    answers = [await activator.ask() for _ in range(10)]
    assert {body for _, _, body in answers} == {b"pod-2"}


async def test_requests_wait_again_when_all_pods_vanish(
    activator: Rig, start_pod: StartPod
) -> None:
    first = start_pod(name="first")
    activator.set(first.pod)
    assert (await activator.ask())[2] == b"first"
    first.stop()
    activator.scales.replicas = 0
    request = asyncio.create_task(activator.ask())
    await until(lambda: len(activator.gate.hold) == 1)
    second = start_pod(name="second")
    activator.set(second.pod)
    assert (await request)[2] == b"second"
    assert activator.scales.raised == [1]


async def test_while_waking_a_pod_gets_no_more_than_it_can_take(
    activator: Rig, start_pod: StartPod
) -> None:
    pod = start_pod(delay=0.2)
    activator.set(pod.pod, pod_concurrency=2, phase="Waking")
    requests = [asyncio.create_task(activator.ask()) for _ in range(6)]
    most = 0
    while not all(request.done() for request in requests):
        most = max(most, activator.gate.in_flight)
        await asyncio.sleep(0.005)
    assert [request.result()[0] for request in requests] == [200] * 6
    assert most == 2
    assert max(activator.scales.raised) == 3


async def test_a_client_that_leaves_frees_its_place(activator: Rig) -> None:
    connection = await activator.connect()
    connection.write()
    await until(lambda: len(activator.gate.hold) == 1)
    await connection.close()
    await until(lambda: len(activator.gate.hold) == 0)
    assert activator.gate.connections == 0
    assert activator.metric('aiapi_activator_requests_total{name="assistant"') == "1.0"
    assert activator.gate.idle_seconds < 5


async def test_at_the_deadline_the_answer_names_the_condition() -> None:
    async with rig(Limits(seconds=0.3)) as activator:
        activator.set(not_ready="ImagePullFailed")
        status, headers, body = await activator.ask()
        assert status == 503
        assert headers["retry-after"]
        assert b"condition Ready is False, ImagePullFailed" in body


async def test_while_the_kubernetes_api_is_down_requests_wait_and_then_get_the_reason() -> None:
    async with rig(Limits(seconds=0.5)) as activator:
        activator.scales.always = Unavailable("no answer", reason="Unreachable")
        status, _, body = await activator.ask()
        assert status == 504
        assert b"the Deployment cannot be scaled (Unreachable)" in body


async def test_a_wake_that_failed_is_repeated(activator: Rig, start_pod: StartPod) -> None:
    pod = start_pod()
    activator.scales.errors = [Unavailable("no answer"), Unavailable("no answer")]
    activator.scales.on_raise = lambda _n: activator.set(pod.pod)
    assert (await activator.ask())[0] == 200


async def test_more_pods_are_woken_when_more_is_held(activator: Rig) -> None:
    activator.set(pod_concurrency=10, max_replicas=3)
    connections = [await activator.connect() for _ in range(45)]
    for connection in connections[:5]:
        connection.write()
    await until(lambda: activator.scales.raised == [1])
    for connection in connections[5:25]:
        connection.write()
    await until(lambda: activator.scales.replicas == 3)
    for connection in connections[25:]:
        connection.write()
    await until(lambda: len(activator.gate.hold) == 45)
    assert activator.scales.replicas == 3
    for connection in connections:
        await connection.close()


async def test_the_forecast_sets_the_least_number_of_pods(activator: Rig) -> None:
    activator.set(wake_replicas=4)
    connection = await activator.connect()
    connection.write()
    await until(lambda: activator.scales.raised == [4])
    await connection.close()


async def test_a_deleted_aiapi_answers_what_it_held_and_closes_its_port(activator: Rig) -> None:
    request = asyncio.create_task(activator.ask())
    await until(lambda: len(activator.gate.hold) == 1)
    activator.world.remove_aiapi({"metadata": {"namespace": "shop", "name": "assistant"}})
    status, _, body = await request
    assert (status, body) == (503, b"The service was deleted.\n")
    await until(lambda: not activator.listeners._open)


async def test_a_request_of_which_bytes_were_sent_is_not_repeated(
    activator: Rig, start_pod: StartPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = start_pod(delay=0.5)
    connect = client.connect

    async def at_the_last_moment(*request: object) -> bool:
        await connect(*request)  # type: ignore[arg-type]
        return False

    monkeypatch.setattr(client, "connect", at_the_last_moment)
    activator.set(pod.pod)
    assert (await activator.ask())[0] == 200
    assert len(pod.requests) == 1
    assert activator.gate.in_flight == 0
