"""The app's own metrics, from all workers, while their number changes."""

import os
import signal

from runtime_support.pod import serve, until


async def _sample(pod, name):
    lines = (await pod.get("/metrics"))[1].splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


async def test_the_apps_metrics_are_summed_and_kept(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        for _ in range(20):
            connection = await pod.connect()
            assert (await connection.ask("/id")).status == 200
            await connection.close()

        async def counted():
            return await _sample(pod, 'app_asked_total{path="/id"}') == 20

        await until(counted)
        assert await _sample(pod, 'app_took_seconds_bucket{le="0.025"}') == 20
        await pod.resize(1)
        await pod.settled(1)
        assert await counted(), "a departed worker's numbers are lost"
        last = (await pod.status())["workers"][0]["pid"]
        os.kill(last, signal.SIGKILL)

        async def replaced():
            workers = (await pod.status())["workers"]
            return [one for one in workers if one["state"] == "ready" and one["pid"] != last]

        await until(replaced)
        assert await counted(), "a killed worker's numbers are lost"
        assert await _sample(pod, "app_took_seconds_count") == 20
