"""A typical support desk assistant in Flask, with sequential calls.

    aiapi-serve --wsgi flask_desk:app --threads 20

It needs an OpenAI-compatible upstream (`UPSTREAM_URL`) and the ticket system (`DESK_URL`).
docs/migrating-from-flask.md migrates it to async, one endpoint at a time.
"""

import os
from typing import Any

import requests
from flask import Flask, request

UPSTREAM = os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8100")
DESK = os.environ.get("DESK_URL", UPSTREAM)
TIMEOUT = 10
MODELS = ("small", "large", "careful")

app = Flask(__name__)
session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=100))


def complete(prompt: str, model: str = "small") -> str:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
    }
    response = session.post(f"{UPSTREAM}/v1/chat/completions", json=body, timeout=TIMEOUT)
    response.raise_for_status()
    text: str = response.json()["choices"][0]["message"]["content"]
    return text


def desk(path: str) -> dict[str, Any]:
    response = session.get(f"{DESK}{path}", timeout=TIMEOUT)
    response.raise_for_status()
    result: dict[str, Any] = response.json()
    return result


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/answer")
def answer() -> dict[str, str]:
    """One call of the model."""
    return {"answer": complete(request.get_json()["question"])}


@app.post("/compare")
def compare() -> dict[str, dict[str, str]]:
    """Send a question to three models."""
    question = request.get_json()["question"]
    return {"answers": {model: complete(question, model) for model in MODELS}}


@app.get("/tickets/<int:number>")
def ticket(number: int) -> dict[str, Any]:
    """Fetch a ticket and its customer."""
    return {"ticket": desk(f"/tickets/{number}"), "customer": desk(f"/customers/{number}")}


@app.post("/tickets/<int:number>/triage")
def triage(number: int) -> dict[str, str]:
    """Fetch the ticket, classify it, and write a reply."""
    found = desk(f"/tickets/{number}")
    urgency = complete(f"How urgent is this? {found}")
    topic = complete(f"What is this about? {found}")
    return {"reply": complete(f"Answer a ticket about {topic}, urgency {urgency}: {found}")}
