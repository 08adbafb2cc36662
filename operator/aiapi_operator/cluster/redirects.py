"""Redirects of the API server are not followed: credentials go to the configured host alone."""

import aiohttp

_REDIRECTS = (301, 302, 303, 307, 308)


async def refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Middleware that fails a request whose answer is a redirect."""
    answer = await handler(request)
    if answer.status in _REDIRECTS:
        answer.close()
        target = answer.headers.get("Location", "another place")
        raise aiohttp.ClientError(f"it redirects to {target}, which is not followed")
    return answer
