"""How connections are spread over workers. Pure."""

import heapq
import math

# A few connections more or less are not worth a reconnect.
_TOLERANCE = 1.15
_SLACK = 2
_STEP = 0.25


def excess(connections: list[int]) -> list[int]:
    """How many connections each worker should release now: a part of its excess at a time.

    A released connection comes back to whichever worker accepts first, perhaps the same one, so
    balancing takes several rounds.
    """
    mean = sum(connections) / len(connections)
    return [
        0
        if count <= mean * _TOLERANCE + _SLACK
        else max(1, min(math.ceil(count * _STEP), math.floor(count - mean)))
        for count in connections
    ]


def distribute(items: int, loads: list[int], limits: list[int]) -> list[int]:
    """Split `items` over workers, each to the least loaded one that is below its limit.

    Fewer than `items` are given out where all workers reach their limits.
    """
    heap = [(load, index) for index, load in enumerate(loads) if load < limits[index]]
    heapq.heapify(heap)
    given = [0] * len(loads)
    for _ in range(items):
        if not heap:
            break
        load, index = heapq.heappop(heap)
        given[index] += 1
        if load + 1 < limits[index]:
            heapq.heappush(heap, (load + 1, index))
    return given
