"""The state that the engine keeps for one AIApi between ticks."""

from dataclasses import dataclass, field

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine import checkpoint
from aiapi_operator.engine.cache import Key
from aiapi_operator.engine.conditions import StatusCondition, read
from aiapi_operator.observe.scrape_schedule import ScrapeSchedule
from aiapi_operator.sizing import restore
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.state import State


@dataclass(slots=True)
class Applied:
    """A child as it was applied: from what, and what it came to be."""

    desired: str
    content: str


@dataclass(slots=True)
class Rejection:
    """Something the cluster refused. It is asked again at ``retry``, or when the wish changes."""

    wish: str
    message: str
    retry: float
    delay: float


@dataclass(slots=True)
class Template:
    """The workers in the pod template, where pods cannot be resized in place."""

    workers: int
    changed: float | None = None
    """When it was changed last, by the engine's clock."""
    differs_since: float | None = None


@dataclass(slots=True)
class WrittenStatus:
    """The status as it was written last."""

    document: Manifest
    written: float


@dataclass(slots=True)
class AIApiState:
    """One AIApi that the engine looks after."""

    manifest: Manifest
    state: State = field(default_factory=State)
    term: int = 0
    adopted: bool = False
    """Its children and pods were read from the cluster since this operator acts."""
    tokens: tuple[str, ...] = ()
    """The admin token, and the one before it: pods learn of a new one late."""
    applied: dict[str, Applied] = field(default_factory=dict)
    refusals: dict[str, Rejection] = field(default_factory=dict)
    resizes: dict[str, Rejection] = field(default_factory=dict)
    """Refused resizes by the pod's uid."""
    sized: set[str] = field(default_factory=set)
    """Instances of pods that were told their workers: new ones wait for that to be ready."""
    template: Template | None = None
    decision: Decision | None = None
    decided_at: str = ""
    """Wall-clock time of the last decision that was another than the one before."""
    conditions: dict[str, StatusCondition] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    """Numbers as the status tells them; small moves do not change what is told."""
    told: WrittenStatus | None = None
    panel: ScrapeSchedule = field(default_factory=ScrapeSchedule)
    """The pods' last answers: of a large fleet only a part is asked in a tick."""
    modest_until: float = 0.0
    """Until when workers request no more than the spec says, since nodes had no room."""
    silent_since: float | None = None
    """Since when a pod that should answer does not; it may be gone without our knowing."""

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.manifest["metadata"]["namespace"], self.manifest["metadata"]["name"]

    @property
    def uid(self) -> str:
        """Tells it from an AIApi of the same name that was there before."""
        return str(self.manifest["metadata"]["uid"])

    def begin(self, term: int) -> None:
        """Forget what an earlier term remembers; another operator may have acted since.

        The status is what one operator leaves to the next.
        """
        fresh = AIApiState(self.manifest, term=term)
        for name in fresh.__dataclass_fields__:
            setattr(self, name, getattr(fresh, name))
        document = self.manifest.get("status") or {}
        self.conditions = read(document)
        self.state = restore.initial_state(checkpoint.read(document))
        self.told = WrittenStatus(document, 0.0) if document else None
        self.decided_at = (document.get("decision") or {}).get("time", "")

    @property
    def ordered_workers(self) -> int:
        """Workers in each pod as the status tells them; 0 where it does not."""
        return int((self.told.document if self.told else {}).get("workers") or 0)
