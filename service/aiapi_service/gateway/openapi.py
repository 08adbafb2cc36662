"""The OpenAPI document, with parts that FastAPI cannot derive from the routes."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from aiapi_service.gateway.problems import Problem

# The second security scheme. A dependency can declare one scheme only.
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, or an access token of the configured OpenID Connect provider.",
}
_REF = "#/components/schemas/{model}"


def json_body(model: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` for a route that reads its body itself."""
    _bodies[model.__name__] = model
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": _REF.format(model=model.__name__)},
                    "examples": examples,
                }
            },
        }
    }


_bodies: dict[str, type[BaseModel]] = {"Problem": Problem}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Build the document, once."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})["bearer"] = _BEARER
    schemas = components.setdefault("schemas", {})
    for name, model in _bodies.items():
        schema = model.model_json_schema(ref_template=_REF)
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = schema
    for path in document["paths"].values():
        for operation in path.values():
            _only_problems(operation)
            if operation.get("security"):
                operation["security"].append({"bearer": []})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    app.openapi_schema = document
    return document


def _only_problems(operation: dict[str, Any]) -> None:
    """Replace FastAPI's 422 schema: the gateway returns problem details."""
    answers = operation.get("responses", {})
    content = answers.get("422", {}).get("content", {})
    if "application/json" in content:
        content.pop("application/json")
        content["application/problem+json"] = {"schema": {"$ref": _REF.format(model="Problem")}}
