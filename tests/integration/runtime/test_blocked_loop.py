"""Workers whose event loop is blocked."""

from runtime_support.pod import serve, until


async def test_a_request_that_blocks_the_loop_is_counted_while_it_does(tmp_path):
    async with serve(tmp_path, "--workers=1", "--blocked-after=0.3") as pod:
        await pod.ready(1)
        connection = await pod.connect()
        # The end of the first is written right away, so the start of the second is not.
        connection.write("/wait?s=0.05")
        connection.write("/block?s=3")
        await connection.read()

        async def seen():
            return (await pod.stats())["in_flight"] == 1

        await until(seen, 2.0)
        assert (await connection.read()).status == 200


async def test_a_blocked_loop_is_reported_with_its_place(tmp_path):
    async with serve(tmp_path, "--workers=2", "--blocked-after=1") as pod:
        await pod.ready(2)
        connection = await pod.connect()
        connection.write("/block?s=3")

        async def blocked():
            stats = await pod.stats()
            return stats if stats["workers"]["blocked"] and stats["blocked_at"] else None

        stats = await until(blocked)
        assert "runtime_support/app.py:" in stats["blocked_at"]
        assert stats["blocked_at"].endswith(" hold_the_loop")
        assert (await connection.read()).status == 200

        async def moving():
            stats = await pod.stats()
            return stats if stats["workers"]["blocked"] == 0 else None

        stats = await until(moving)
        assert stats["blocked_at"].endswith(" hold_the_loop"), "still reported for a while"
        lag = stats["loop_lag"]
        late = sum(n for b, n in zip(lag["bounds"], lag["counts"][1:], strict=True) if b >= 0.2)
        assert late >= 20, "each beat within the block was late"
        assert stats["loop_seconds"] > 2.9
        place = stats["blocked_at"]
        assert (await pod.status())["blocked_places"][place] == 1
        sample = f'aiapi_loop_blocked_places_total{{place="{place}"}} 1.0'
        assert sample in (await pod.get("/metrics"))[1]
        assert pod.log.read_text().count(f"blocked at {place}") == 1
        await connection.close()
