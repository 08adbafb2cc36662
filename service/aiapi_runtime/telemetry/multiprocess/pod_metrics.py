"""The app's prometheus_client metrics over all workers of the pod, for the admin port.

Files are read in a thread: many of them take longer than a probe may wait.
"""

import asyncio
import logging
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

from aiapi_runtime.telemetry.exposition import MetricFamily
from aiapi_runtime.telemetry.multiprocess import files, locks, merged
from aiapi_runtime.telemetry.multiprocess.client import Client
from aiapi_runtime.telemetry.multiprocess.folder import VARIABLE, Folder

logger = logging.getLogger("aiapi.metrics")

# Processes that a worker starts end unnoticed by the supervisor.
_SWEEP_SECONDS = 60.0


class _Reader:
    """Used in its own thread only."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._client: Client | None = None
        self._unfolded: set[int] = set()
        self._swept_at = monotonic()
        self._known_failure = ""

    def families(self, ended: AbstractSet[int]) -> list[MetricFamily]:
        self.fold(ended)
        if self._client is None:
            return []
        try:
            paths = [file.path for file in self._shown()]
            return merged.families(self._client.merge(paths))
        except files.UNREADABLE as error:
            self._report(f"cannot be read: {error}")
            return []

    def fold(self, ended: AbstractSet[int]) -> None:
        self._unfolded |= ended
        self._sweep()
        try:
            self._client = self._client or Client()
            self._fold_ended(self._client)
        except ImportError as error:
            self._report(f"are not in the pod's /metrics: {error}")
        except files.UNREADABLE as error:
            self._report(f"of ended workers cannot be read: {error}")

    def _fold_ended(self, client: Client) -> None:
        if not self._unfolded:
            return
        with locks.folding(self._folder.path) as free:
            if free:
                files.fold(client, files.find(self._folder.path), self._unfolded)
                self._unfolded = set()

    def _shown(self) -> list[files.ProcessFile]:
        return [
            file
            for file in files.find(self._folder.path)
            if not (file.pid in self._unfolded and file.ends_with_its_process)
        ]

    def _sweep(self) -> None:
        """In a folder of the user's, processes of another container may be alive unseen."""
        if not self._folder.ours or monotonic() - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = monotonic()
        pids = {file.pid for file in files.find(self._folder.path)} - {files.ENDED}
        self._unfolded |= {pid for pid in pids if not Path(f"/proc/{pid}").exists()}

    def _report(self, failure: str) -> None:
        """Once, not with each scrape."""
        if failure != self._known_failure:
            logger.warning("the app's prometheus_client metrics %s", failure)
            self._known_failure = failure


class PodMetrics:
    """Used in the supervisor's loop."""

    def __init__(self, folder: Folder | None) -> None:
        self._folder = folder
        self._ended: set[int] = set()
        self._thread = ThreadPoolExecutor(1, "app-metrics")
        self._reader = _Reader(folder) if folder else None
        self._reading: asyncio.Future[list[MetricFamily]] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the app that make prometheus_client use the folder."""
        return {VARIABLE: str(self._folder.path)} if self._folder else {}

    def ended(self, pid: int) -> None:
        """A process of the pod was reaped."""
        if self._in_use():
            self._ended.add(pid)

    def tick(self) -> None:
        if self._ended and self._reader:
            self._thread.submit(self._reader.fold, self._take_ended())

    async def families(self) -> list[MetricFamily]:
        """Over all workers. Scrapes at the same time share one reading."""
        if self._reader is None or not self._in_use():
            return []
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().run_in_executor(
                self._thread, self._reader.families, self._take_ended()
            )
        return await asyncio.shield(self._reading)

    def close(self) -> None:
        self._thread.shutdown()
        if self._folder:
            self._folder.remove()

    def _in_use(self) -> bool:
        """Whether the app has prometheus_client metrics at all."""
        return self._folder is not None and any(self._folder.path.glob("*.db"))

    def _take_ended(self) -> set[int]:
        ended, self._ended = self._ended, set()
        return ended
