"""A pod with a limit: what is over it is refused, counted as shed, and hurts nobody else."""

from runtime_support.pod import serve, until


async def test_what_is_over_the_limit_is_shed_and_the_rest_is_served(tmp_path):
    async with serve(tmp_path, "--limit=4") as pod:
        await pod.ready(1)
        inside = [await pod.connect() for _ in range(4)]
        for one in inside:
            one.write("/wait?s=2")

        async def full():
            return (await pod.stats())["in_flight"] == 4

        await until(full)
        for _ in range(3):
            refused = await (await pod.connect()).ask()
            assert refused.status == 503
            assert refused.headers["retry-after"] in ("1", "2", "3")
            assert not refused.closes
        assert (await (await pod.connect()).ask("/healthz")).status == 200
        assert [(await one.read()).status for one in inside] == [200] * 4
        assert (await inside[0].ask()).status == 200

        async def counted():
            requests = (await pod.stats())["requests"]
            return requests if requests["success"] == 6 else None

        requests = await until(counted)
        assert (requests["shed"], requests["server_error"]) == (3, 0)


async def test_a_worker_with_time_left_lets_more_and_more_in(tmp_path):
    async with serve(tmp_path, "--limit=auto") as pod:
        await pod.ready(1)
        waiting = [await pod.connect() for _ in range(80)]

        async def all_let_in():
            for one in waiting:
                one.write("/wait?s=0.2")
            return {(await one.read()).status for one in waiting} == {200}

        await until(all_let_in, 30)
