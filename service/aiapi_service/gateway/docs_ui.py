"""Swagger UI and ReDoc at /docs and /redoc, from files in installed packages.

They work offline and under a strict Content-Security-Policy, since the pages have no inline
scripts.
"""

from importlib.resources import files
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

from aiapi_service.gateway.problems import ProblemError

router = APIRouter(include_in_schema=False)

_PACKAGE = Path(fastapi_offline.__file__).parent / "static"
_OWN = files("aiapi_service.gateway") / "static"
_KINDS = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
_FILES = {
    **{name: _PACKAGE / name for name in ("swagger-ui-bundle.js", "swagger-ui.css")},
    **{name: _PACKAGE / name for name in ("redoc.standalone.js", "favicon.png")},
    **{name: Path(str(_OWN / name)) for name in ("swagger.js", "redoc.js")},
}
# Both pages set inline styles from scripts; ReDoc runs its search in a worker from a blob URL.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>aiapi gateway</title>
<link rel="icon" href="docs/favicon.png">
{styles}
</head>
<body>
<div id="page"></div>
{scripts}
</body>
</html>
"""


def _page(*, styles: tuple[str, ...], scripts: tuple[str, ...]) -> HTMLResponse:
    page = _PAGE.format(
        styles="\n".join(f'<link rel="stylesheet" href="docs/{name}">' for name in styles),
        scripts="\n".join(f'<script src="docs/{name}"></script>' for name in scripts),
    )
    return HTMLResponse(page, headers=_HEADERS)


@router.get("/docs")
async def swagger() -> Response:
    """Swagger UI."""
    return _page(styles=("swagger-ui.css",), scripts=("swagger-ui-bundle.js", "swagger.js"))


@router.get("/redoc")
async def redoc() -> Response:
    """ReDoc."""
    return _page(styles=(), scripts=("redoc.standalone.js", "redoc.js"))


@router.get("/docs/{name}")
async def file(name: str) -> Response:
    """A script or style sheet of the two pages."""
    path = _FILES.get(name)
    if path is None:
        raise ProblemError(404, "", "Not Found", f"File {name[:80]!r} does not exist.")
    headers = {**_HEADERS, "Cache-Control": "public, max-age=86400"}
    return FileResponse(path, media_type=_KINDS[path.suffix], headers=headers)
