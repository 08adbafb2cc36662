"""The index page of the API."""

from typing import Any

from fastapi import APIRouter

from aiapi_service.gateway.services import ServicesDep
from aiapi_service.gateway.upstreams.failures import no_upstream
from aiapi_service.gateway.version import VERSION

router = APIRouter(tags=["about"])


@router.get("/", summary="Describe the gateway")
async def about(services: ServicesDep) -> dict[str, Any]:
    """Name, version and configuration status of the gateway. Needs no credentials."""
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
