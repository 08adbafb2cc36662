"""What the gateway is told of the models that it brings along."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class LocalSettings(BaseModel):
    """The local models answer while nobody has named an upstream."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    local: Literal["auto", "on", "off"] = "auto"
    """Models of the extra `aiapi[local]`: auto uses them where no upstream is set."""
    local_threads: int = Field(default=0, ge=0, le=256)
    """Threads of the local chat model; 0: one for every two CPUs that the pod may use."""
    local_context: int = Field(default=4096, ge=256, le=8192)
    """Tokens, of prompts and answers, that the local model holds for all running calls together."""
    local_parallel: int = Field(default=4, ge=1, le=64)
    """Calls that the local model works on at once; others wait."""
    local_start_timeout: float = Field(default=60, gt=0)
    """Seconds for which a call waits while the local model is being loaded."""
    local_url: str = ""
    """Where the local model listens; set by the runtime that starts it."""
    local_key: SecretStr | None = None
    """What opens it; set by the runtime that starts it."""
