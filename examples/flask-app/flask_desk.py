"""A support desk's assistant in Flask, as many were written: each call waits in line.

    aiapi-serve --wsgi flask_desk:app --threads 20

It needs an OpenAI-compatible upstream (`UPSTREAM_URL`) and the ticket system (`DESK_URL`).
docs/migrating-from-flask.md takes it to async, one endpoint after the other.
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
    answer = session.post(f"{UPSTREAM}/v1/chat/completions", json=body, timeout=TIMEOUT)
    answer.raise_for_status()
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def desk(path: str) -> dict[str, Any]:
    answer = session.get(f"{DESK}{path}", timeout=TIMEOUT)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/answer")
def answer() -> dict[str, str]:
    """One call of the model."""
    return {"answer": complete(request.get_json()["question"])}


@app.post("/compare")
def compare() -> dict[str, dict[str, str]]:
    """The same question to three models."""
    question = request.get_json()["question"]
    return {"answers": {model: complete(question, model) for model in MODELS}}


@app.get("/tickets/<int:number>")
def ticket(number: int) -> dict[str, Any]:
    """A ticket and its customer, who both are somewhere else."""
    return {"ticket": desk(f"/tickets/{number}"), "customer": desk(f"/customers/{number}")}


@app.post("/tickets/<int:number>/triage")
def triage(number: int) -> dict[str, str]:
    """What depends on the ticket, and what depends on all of that."""
    found = desk(f"/tickets/{number}")
    urgency = complete(f"How urgent is this? {found}")
    topic = complete(f"What is this about? {found}")
    return {"reply": complete(f"Answer a ticket about {topic}, urgency {urgency}: {found}")}
