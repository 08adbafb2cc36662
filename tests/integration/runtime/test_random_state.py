"""Forked workers draw different random numbers."""

import json
import os
import signal

from runtime_support.pod import serve, until


async def _first_numbers(pod):
    """Of a worker that has answered no other request."""
    connection = await pod.connect()
    return json.loads((await connection.ask("/")).body)


async def test_the_global_generators_of_two_forks_differ(tmp_path):
    async with serve(tmp_path, app="random_app:app", OPENBLAS_NUM_THREADS="1") as pod:
        await pod.ready(1)
        assert (await pod.status())["preloaded"]
        before = await _first_numbers(pod)
        killed = (await pod.status())["workers"][0]["pid"]
        os.kill(killed, signal.SIGKILL)

        async def replaced():
            workers = (await pod.status())["workers"]
            return [one for one in workers if one["state"] == "ready" and one["pid"] != killed]

        await until(replaced)
        after = await _first_numbers(pod)
    assert before["random"] != after["random"]
    assert before["numpy"] != after["numpy"]
    # What the docs warn of: the runtime does not know this generator.
    assert before["own"] == after["own"]
