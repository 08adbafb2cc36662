"""What this is, for whoever finds it."""

from typing import Any

from fastapi import APIRouter

from aiapi_service.gateway.services import ServicesDep
from aiapi_service.gateway.upstreams.failures import no_upstream
from aiapi_service.gateway.version import VERSION

router = APIRouter(tags=["about"])


@router.get("/", summary="What this is")
async def about(services: ServicesDep) -> dict[str, Any]:
    """What this is and whether it has an upstream. Needs no credentials."""
    upstreams = services.upstreams
    return {
        "name": "aiapi gateway",
        "version": VERSION,
        "about": "An OpenAI-compatible gateway, right-sized by aiapi-operator.",
        "upstreams": len(upstreams.targets),
        "hint": None if upstreams.targets else no_upstream().detail,
        "authentication": services.settings.auth,
        "documentation": ["/docs", "/redoc", "/openapi.json"],
    }
