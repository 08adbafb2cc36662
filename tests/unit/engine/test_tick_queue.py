"""Ticks begin in the order in which they were due, one in each turn of the event loop."""

import asyncio

from aiapi_operator.engine.tick_queue import TickQueue


async def begin(queue: TickQueue, due: float, begun: list[float]) -> None:
    await queue.turn(due)
    begun.append(due)


async def test_the_oldest_begins_first() -> None:
    queue, begun = TickQueue(), list[float]()
    async with asyncio.TaskGroup() as tasks:
        for due in (3.0, 1.0, 2.0, 0.5):
            tasks.create_task(begin(queue, due, begun))
    assert begun == [0.5, 1.0, 2.0, 3.0]


async def test_one_begins_in_each_turn_of_the_loop() -> None:
    queue, begun = TickQueue(), list[float]()
    tasks = [asyncio.create_task(begin(queue, float(due), begun)) for due in range(100)]
    most = 0
    while len(begun) < 100:
        before = len(begun)
        await asyncio.sleep(0)
        most = max(most, len(begun) - before)
    assert most == 1
    await asyncio.gather(*tasks)


async def test_a_tick_that_is_cancelled_while_it_waits_takes_no_turn() -> None:
    queue, begun = TickQueue(), list[float]()
    tasks = [asyncio.create_task(begin(queue, float(due), begun)) for due in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert begun == [1.0, 2.0]


async def test_an_edited_one_begins_next_and_only_once() -> None:
    queue, begun = TickQueue(), list[float]()
    turns = [(due, queue.turn(due)) for due in (1.0, 2.0, 3.0)]
    for due, turn in turns:
        turn.add_done_callback(lambda _, due=due: begun.append(due))
    queue.move_to_front(turns[2][1])
    await asyncio.gather(*(turn for _, turn in turns))
    assert begun == [3.0, 1.0, 2.0]


async def test_in_overload_all_tick_equally_often() -> None:
    """20 ticks of 50 ms are due every 500 ms, so each can run every second."""
    queue, now, counts = TickQueue(), [0.0], [0] * 20

    async def run(number: int) -> None:
        due = 0.01 * number
        while sum(counts) < 400:
            await queue.turn(due)
            started, counts[number] = now[0], counts[number] + 1
            now[0] += 0.05
            due = started + 0.5
            while now[0] < due:
                await asyncio.sleep(0)
                now[0] += 0.0001

    await asyncio.gather(*(run(number) for number in range(20)))
    assert max(counts) - min(counts) <= 1
    assert now[0] < 1.2 * 400 * 0.05
