"""An app that answers with random numbers of each kind of generator."""

import json
import random

import numpy as np

np.random.rand()
OWN = np.random.default_rng()


async def app(scope, receive, send):
    drawn = {
        "random": random.random(),  # noqa: S311 - no secret
        "numpy": np.random.rand(),
        "own": OWN.random(),
    }
    body = json.dumps(drawn).encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
