"""The state that the engine keeps for one AIApi between ticks.

Each part is defined and changed by one module; a test enforces it. A new term of leadership
starts with new parts, because another operator may have acted in between. The status carries
what that operator left: see checkpoint.py.
"""

import asyncio
import zlib
from collections.abc import Callable

import msgspec

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine import checkpoint
from aiapi_operator.engine.actuator import ActuatorState
from aiapi_operator.engine.admin_secret import AdminSecretState
from aiapi_operator.engine.adoption import AdoptionState
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.children import ChildrenState
from aiapi_operator.engine.grants import GrantsState
from aiapi_operator.engine.observer import ObserverState
from aiapi_operator.engine.pace import PaceState
from aiapi_operator.engine.pod_requests import RequestCapState
from aiapi_operator.engine.resizer import ResizerState
from aiapi_operator.engine.rest import RestState
from aiapi_operator.engine.sizer import SizerState
from aiapi_operator.engine.status_writer import StatusWriterState
from aiapi_operator.engine.switch import SwitchState
from aiapi_operator.engine.template_workers import TemplateWorkersState
from aiapi_operator.engine.wanted import WantedState


class AIApiState:
    """One AIApi and everything the engine remembers of it."""

    def __init__(self, manifest: Manifest, wake: Callable[[], None] = lambda: None) -> None:
        self.update_manifest(manifest)
        self._wake = wake
        self.resizer = ResizerState()
        self.rest = RestState(wake)
        self.start_term(0)

    def start_term(self, term: int) -> None:
        """Drop all state and start from the status."""
        self.close()
        status = self.full_manifest().get("status") or {}
        self.term = term
        self.adoption = AdoptionState()
        self.admin = AdminSecretState()
        self.children = ChildrenState()
        self.observer = ObserverState()
        self.sizer = SizerState(checkpoint.initial_state(status))
        self.grants = GrantsState()
        self.request_cap = RequestCapState()
        self.template = TemplateWorkersState()
        self.actuator = ActuatorState()
        self.resizer = ResizerState()
        self.pace = PaceState()
        self.rest = RestState(self._wake)
        self.wanted = WantedState()
        self.switch = SwitchState.restore(status)
        self.writer = StatusWriterState.restore(status)

    def close(self) -> None:
        """End what goes on between ticks: the AIApi was deleted, or the leadership is lost."""
        self.resizer.cancel()
        self.rest.end()

    async def stop(self) -> None:
        """As ``close``, and wait until it has ended."""
        self.close()
        await asyncio.gather(*self.resizer.resizing.values(), return_exceptions=True)

    def update_manifest(self, manifest: Manifest) -> None:
        """Take a newer version of the AIApi."""
        self.manifest = {key: value for key, value in manifest.items() if key != "status"}
        self.ref = AIApiRef.of(manifest)
        # As compressed text it needs little memory. Ticks do not read it.
        self._status = zlib.compress(msgspec.json.encode(manifest.get("status")))

    def full_manifest(self) -> Manifest:
        """The AIApi with its status."""
        return {**self.manifest, "status": msgspec.json.decode(zlib.decompress(self._status))}
