"""Settings of the local models."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class LocalSettings(BaseModel):
    """The local models part of the gateway's settings."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    local: Literal["auto", "on", "off"] = "auto"
    """Models of the extra `aiapi[local]`. `auto` uses them when no upstream is configured."""
    local_threads: int = Field(default=0, ge=0, le=256)
    """Threads of the local chat model. 0 means one per two CPUs of the pod."""
    local_context: int = Field(default=4096, ge=256, le=8192)
    """Context size of the local chat model in tokens, shared by all concurrent calls."""
    local_parallel: int = Field(default=4, ge=1, le=64)
    """Maximum concurrent calls of the local chat model. Further calls wait."""
    local_start_timeout: float = Field(default=60, gt=0)
    """Maximum seconds that a call waits for the local chat model to start."""
    local_url: str = ""
    """URL of the local model, set by aiapi-serve."""
    local_key: SecretStr | None = None
    """API key of the local model, set by aiapi-serve."""
