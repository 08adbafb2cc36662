"""The image puller: finds a container's image, and reports a failed pull like a kubelet."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiapi_sandbox.node.backoff import Backoff, BackoffPolicy
from aiapi_sandbox.node.images import Image, ImagePullError, InvalidImageNameError

RecordEvent = Callable[[str, str, str], None]  # event type, reason, message
SetWaiting = Callable[[str, str], None]  # reason, message
Pause = Callable[[float], Awaitable[bool]]  # sleep; whether the container was stopped


class ImageFinder(Protocol):
    """Looks up an image. Raises InvalidImageNameError and ImagePullError."""

    async def __call__(self, reference: str) -> Image | None: ...


NOT_PULLED = (
    "the sandbox does not pull images; map the image to a directory with "
    "`aiapi sandbox up --image NAME=DIR`"
)


class ImagePuller:
    """Waits until the image of one container exists."""

    def __init__(  # noqa: PLR0913 - all are keyword-only
        self,
        *,
        find_image: ImageFinder,
        policy: BackoffPolicy,
        stop: asyncio.Event,
        pause: Pause,
        set_waiting: SetWaiting,
        record_event: RecordEvent,
    ) -> None:
        self._find_image = find_image
        self._policy = policy
        self._stop = stop
        self._pause = pause
        self._set_waiting = set_waiting
        self._record_event = record_event

    async def pull(self, reference: str) -> Image | None:
        """Return the image; None when the container is stopped first."""
        backoff = Backoff(policy=self._policy, current=self._policy.initial)
        while not self._stop.is_set():
            why = NOT_PULLED
            try:
                image = await self._find_image(reference)
            except ImagePullError as error:
                image, why = None, str(error)
            except InvalidImageNameError as error:
                self._record_event("Warning", "InspectFailed", str(error))
                self._set_waiting("InvalidImageName", str(error))
                await self._stop.wait()
                return None
            if image is not None:
                message = f'Container image "{reference}" already present on machine'
                self._record_event("Normal", "Pulled", message)
                return image
            await self._report_failure(reference, why, backoff.next_delay(ran_for=0))
        return None

    async def _report_failure(self, reference: str, why: str, delay: float) -> None:
        failed = f'failed to pull image "{reference}": {why}'
        self._record_event("Normal", "Pulling", f'Pulling image "{reference}"')
        self._record_event("Warning", "Failed", f'Failed to pull image "{reference}": {why}')
        self._record_event("Warning", "Failed", "Error: ErrImagePull")
        self._set_waiting("ErrImagePull", failed)
        if await self._pause(delay):
            return
        backing_off = f'Back-off pulling image "{reference}"'
        self._record_event("Normal", "BackOff", backing_off)
        self._record_event("Warning", "Failed", "Error: ImagePullBackOff")
        self._set_waiting("ImagePullBackOff", f"{backing_off}: ErrImagePull: {why}")
        await self._pause(delay)
