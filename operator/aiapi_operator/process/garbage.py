"""When the garbage collector looks for cycles: rarely.

A tick replaces most of what is known of an AIApi. Reference counts free what was replaced, but the
collector sees new objects, and by default walks through all of them every few seconds. With 1,000
AIApis of 10 pods that took a fifth of the CPU, and the operator did nothing else for 0.6 s at a
time.
"""

import gc

CYCLES = 50_000
"""Objects in excess of those freed after which the collector runs. About 5 MB. Ticks leave no
cycles; Kopf leaves about 15 objects with each event of an AIApi."""


def configure() -> None:
    """Leave out what was imported, which stays, and look for cycles when there may be many."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(CYCLES)
