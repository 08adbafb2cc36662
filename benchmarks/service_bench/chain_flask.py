"""The same calls and steps in Flask with requests, all sequential."""

import os
import time
from typing import Any

import requests
from flask import Flask

UPSTREAM = os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8100")
DELAYS = [str(210 + 10 * number) for number in range(10)]

app = Flask(__name__)
session = requests.Session()


@app.get("/")
def root() -> dict[str, str]:
    return {}


@app.get("/calls")
def calls() -> dict[str, Any]:
    headers = ({"x-delay-ms": delay} for delay in DELAYS)
    return {"sizes": [len(session.post(UPSTREAM, headers=one).content) for one in headers]}


@app.get("/steps")
def steps() -> dict[str, int]:
    for _ in range(4):
        time.sleep(0.08)
    return {"steps": 4}
