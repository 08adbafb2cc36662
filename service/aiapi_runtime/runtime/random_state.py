"""Random numbers that differ between the forks of one imported app.

A fork copies the state of each generator, so all workers would draw the same numbers. CPython seeds
`random` after a fork by itself. Here the global generators of NumPy and PyTorch are seeded, where
the app has imported them. A generator object that the app has made on import is not known here.
"""

import logging
import sys
from operator import attrgetter

logger = logging.getLogger("aiapi.worker")

_SEEDS = {"numpy.random": "seed", "torch": "default_generator.seed"}
"""By module, its function that seeds the global generator from the system's entropy."""


def reseed() -> None:
    """In a worker that was forked from an imported app. It imports nothing."""
    for module, seed in _SEEDS.items():
        if module not in sys.modules:
            continue
        try:
            attrgetter(seed)(sys.modules[module])()
        except Exception as error:  # noqa: BLE001 - the app may have replaced the generator
            logger.warning("workers share the random state of %s: %s", module, error)
