"""The metrics that an app keeps with prometheus_client, from all workers and without gaps."""

import os
import signal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from runtime_support.pod import serve, until

APP = "prometheus_app:app"


def _samples(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def _of_pod(pod):
    return _samples((await pod.get("/metrics"))[1])


async def _call(pod, path="/call"):
    connection = await pod.connect()
    answer = await connection.ask(path)
    assert answer.status == 200
    await connection.close()
    return answer.body.decode()


async def _call_each_worker(pod, count):
    """Until each has answered; returns the number of calls and the process IDs."""
    pids, calls = set(), 0
    while len(pids) < count:
        pids.add(await _call(pod))
        calls += 1
        assert calls < 2000
    return calls, pids


def _folder(pod):
    environment = Path(f"/proc/{pod.process.pid}/task/{pod.process.pid}/children").read_text()
    pid = environment.split()[0]
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    found = next(one for one in variables if one.startswith(b"PROMETHEUS_MULTIPROC_DIR="))
    return Path(found.partition(b"=")[2].decode())


def _pids_of_files(folder):
    return {path.stem.rpartition("_")[2] for path in folder.glob("*.db")}


def _running():
    return {path.name for path in Path("/proc").iterdir()}


@pytest.mark.parametrize("preload", ["auto", "off"])
async def test_the_pod_shows_the_sum_over_all_workers(tmp_path, preload):
    async with serve(tmp_path, "--workers=3", f"--preload={preload}", app=APP) as pod:
        await pod.ready(3)
        calls, pids = await _call_each_worker(pod, 3)
        shown = await _of_pod(pod)
        assert shown["shop_calls_total", (("path", "/call"),)] == calls
        assert shown["shop_seconds_bucket", (("le", "1.0"),)] == calls
        assert shown["shop_seconds_sum", ()] == calls * 0.5
        assert shown["shop_bytes_count", ()] == calls
        assert shown["shop_alive", ()] == 3
        assert shown["shop_peak", ()] == max(map(int, pids))
        assert {dict(labels)["pid"] for name, labels in shown if name == "shop_each"} == pids


async def test_a_gauge_that_is_set_on_import_has_its_value_in_each_worker(tmp_path):
    async with serve(tmp_path, "--workers=2", app=APP) as pod:
        await pod.ready(2)
        assert (await _of_pod(pod))["shop_version", ()] == 7
        await pod.resize(1)
        await pod.settled(1)
        assert (await _of_pod(pod))["shop_version", ()] == 7


async def test_counts_stay_and_gauges_go_with_a_worker_that_drains_or_crashes(tmp_path):
    async with serve(tmp_path, "--workers=3", app=APP) as pod:
        await pod.ready(3)
        calls, _ = await _call_each_worker(pod, 3)
        await pod.resize(2)
        await pod.settled(2)
        shown = await _of_pod(pod)
        assert shown["shop_calls_total", (("path", "/call"),)] == calls
        assert shown["shop_alive", ()] == 2
        killed = (await pod.status())["workers"][0]["pid"]
        os.kill(killed, signal.SIGKILL)

        async def replaced():
            workers = (await pod.status())["workers"]
            return len(workers) == 2 and killed not in {one["pid"] for one in workers}

        await until(replaced)
        shown = await _of_pod(pod)
        assert shown["shop_calls_total", (("path", "/call"),)] == calls
        assert shown["shop_seconds_bucket", (("le", "+Inf"),)] == calls
        assert shown["shop_alive", ()] == 1
        assert ("shop_each", (("pid", str(killed)),)) not in shown


async def test_a_name_of_the_runtime_wins_and_the_clash_is_logged(tmp_path):
    async with serve(tmp_path, app=APP) as pod:
        await pod.ready(1)
        await _call(pod)
        for _ in range(2):
            shown = await _of_pod(pod)
        assert ("aiapi_requests_total", (("outcome", "success"),)) in shown
        assert ("aiapi_requests_total", ()) not in shown
        message = "the app's metric aiapi_requests is not in the pod's /metrics"
        assert pod.log.read_text().count(message) == 1


@pytest.mark.parametrize("path", ["/latest", "/asgi", "/collector"])
async def test_the_apps_own_metrics_show_all_workers(tmp_path, path):
    async with serve(tmp_path, "--workers=3", app=APP) as pod:
        await pod.ready(3)
        calls, _ = await _call_each_worker(pod, 3)
        shown = _samples(await _call(pod, path))
        assert shown["shop_calls_total", (("path", "/call"),)] == calls
        assert shown["shop_seconds_count", ()] == calls
        assert shown["shop_alive", ()] == 3


async def test_metrics_that_files_cannot_hold_stay_in_the_apps_own_metrics(tmp_path):
    async with serve(tmp_path, app=APP) as pod:
        await pod.ready(1)
        shown = _samples(await _call(pod, "/latest"))
        assert shown["shop_build_info", (("commit", "abc"),)] == 1
        assert any(name == "process_cpu_seconds_total" for name, _ in shown)


async def test_files_stay_few_and_are_removed_with_the_pod(tmp_path):
    async with serve(tmp_path, "--workers=1", app=APP) as pod:
        await pod.ready(1)
        folder = _folder(pod)
        total = 0
        for _ in range(3):
            await pod.resize(3)
            await pod.ready(3)
            total += (await _call_each_worker(pod, 3))[0]
            await pod.resize(1)
            await pod.settled(1)
        assert (await _of_pod(pod))["shop_calls_total", (("path", "/call"),)] == total

        async def folded():
            return _pids_of_files(folder) <= {"0"} | _running()

        await until(folded)
    assert not folder.exists()


async def test_a_folder_of_the_users_is_used_and_kept(tmp_path):
    folder = tmp_path / "theirs"
    async with serve(tmp_path, app=APP, PROMETHEUS_MULTIPROC_DIR=str(folder)) as pod:
        await pod.ready(1)
        await _call(pod)
        assert list(folder.glob("counter_*.db"))
        assert (await _of_pod(pod))["shop_calls_total", (("path", "/call"),)] == 1
    assert folder.exists()


async def test_gauges_with_a_function_are_shown_with_its_value(tmp_path):
    async with serve(tmp_path, "--workers=2", app=APP) as pod:
        await pod.ready(2)

        async def shown():
            values = [v for (name, _), v in (await _of_pod(pod)).items() if name == "shop_queue"]
            return values == [5, 5]

        await until(shown)
        assert all(
            value == 5
            for (name, _), value in _samples(await _call(pod, "/latest")).items()
            if name in ("shop_queue", "shop_pool")
        )


async def test_off_leaves_prometheus_client_alone(tmp_path):
    async with serve(tmp_path, "--prometheus-multiproc=off", app=APP) as pod:
        await pod.ready(1)
        await _call(pod)
        assert not any(name.startswith("shop_") for name, _ in await _of_pod(pod))
        assert _samples(await _call(pod, "/latest"))["shop_each", ()] == 1
