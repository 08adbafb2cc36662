"""The steps of one answer. Independent steps run concurrently.

    limit ┐
    embed ┼─> search ─> model ─> store
    chat  ┘

A failed step cancels the concurrent ones, and nothing is stored. If only the last step fails, the
caller still gets the answer, with a warning that it was not stored: its tokens are paid for.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from aiapi_service.auth import AuthError, Principal
from aiapi_service.gateway.answer import prompt
from aiapi_service.gateway.answer.schemas import Answer, AnswerRequest, Chat, Source
from aiapi_service.gateway.answer.steps import StepTimer
from aiapi_service.gateway.answer.store import AnswerRecord, ChatStore
from aiapi_service.gateway.answer_settings import AnswerSettings
from aiapi_service.gateway.documents.schemas import Hit
from aiapi_service.gateway.documents.store import DocumentStore, EmbeddingVector, validate_vectors
from aiapi_service.gateway.embedder import Embedder
from aiapi_service.gateway.local.model import NAME as LOCAL_MODEL
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.upstreams.client import UpstreamClient
from aiapi_service.store.database import Database
from aiapi_service.store.errors import StoreUnavailableError
from aiapi_service.store.limits import PostgresLimiter, Rate

logger = logging.getLogger("aiapi.gateway")

_MAX_TURNS = 8
_STORE_ATTEMPTS = 2
_NOT_STORED = "The answer could not be stored. The chat does not contain it."


@dataclass(frozen=True, kw_only=True)
class AnswerChain:
    """Runs the steps of answers."""

    settings: AnswerSettings
    store: Database
    embedder: Embedder
    upstreams: UpstreamClient

    async def answer(self, request: AnswerRequest, caller: Principal, steps: StepTimer) -> Answer:
        """Answer a question."""
        model = request.model or self.upstreams.default_model()
        style = prompt.SMALL if model == LOCAL_MODEL else prompt.DEFAULT
        request = request.model_copy(
            update={
                "model": model,
                "documents": min(request.documents, style.documents),
                "max_tokens": request.max_tokens or style.max_tokens,
            }
        )
        chat, query = await self._prepare(request, caller, steps)
        hits = await self._search(request, caller, query, steps)
        completion = await self._complete(request, chat, hits, style, steps)
        record = AnswerRecord(
            id=uuid4(),
            chat=request.chat_id or uuid4(),
            question=request.question,
            answer=_text(completion),
            model=_clean(str(completion.get("model") or request.model or ""))[:256],
            sources=[Source(id=hit.id, score=hit.score) for hit in hits],
            usage=_usage(completion),
        )
        stored = await self._store(record, caller, steps, new=request.chat_id is None)
        return Answer(
            id=record.id,
            chat_id=record.chat,
            answer=record.answer,
            model=record.model,
            sources=list(record.sources),
            usage=record.usage,
            stored=stored,
            warning=None if stored else _NOT_STORED,
        )

    async def _prepare(
        self, request: AnswerRequest, caller: Principal, steps: StepTimer
    ) -> tuple[Chat | None, EmbeddingVector | None]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._limit(caller, steps))
                chat = group.create_task(self._chat(request, caller, steps))
                query = group.create_task(self._embed(request, steps))
        except BaseExceptionGroup as failed:
            raise _most_relevant(failed) from None
        return chat.result(), query.result()

    async def _limit(self, caller: Principal, steps: StepTimer) -> None:
        rate = Rate(self.settings.answer_burst, self.settings.answer_seconds)
        async with steps.step("limit", self.settings.answer_search_timeout):
            wait = await PostgresLimiter(self.store).take(
                rate, "answer", caller.tenant, caller.subject
            )
        if wait:
            raise ProblemError(
                429,
                "too-many-answers",
                "Too many answers",
                f"Retry in {wait} s.",
                headers={"Retry-After": str(wait)},
            )

    async def _chat(
        self, request: AnswerRequest, caller: Principal, steps: StepTimer
    ) -> Chat | None:
        if request.chat_id is None:
            return None
        async with steps.step("chat", self.settings.answer_search_timeout):
            found = await ChatStore(self.store).read(request.chat_id, caller, turns=_MAX_TURNS)
        if found is None:
            raise no_chat()
        return found

    async def _embed(self, request: AnswerRequest, steps: StepTimer) -> EmbeddingVector | None:
        if not request.documents:
            return None
        async with steps.step("embed", self.settings.answer_embed_timeout):
            found = await self.embedder.embed([request.question])
        return validate_vectors(found.vectors, found.model)[0]

    async def _search(
        self,
        request: AnswerRequest,
        caller: Principal,
        query: EmbeddingVector | None,
        steps: StepTimer,
    ) -> list[Hit]:
        if query is None:
            return []
        async with steps.step("search", self.settings.answer_search_timeout):
            return await DocumentStore(self.store).search(
                caller.tenant, query, limit=request.documents, metadata=request.filter
            )

    async def _complete(
        self,
        request: AnswerRequest,
        chat: Chat | None,
        hits: Sequence[Hit],
        style: prompt.PromptStyle,
        steps: StepTimer,
    ) -> dict[str, Any]:
        body = style.options | {
            "model": request.model,
            "messages": prompt.messages(
                request.question,
                hits,
                chat.turns if chat else (),
                characters=self.settings.answer_context,
                style=style,
            ),
            "max_tokens": request.max_tokens,
        }
        async with steps.step("model", self.settings.answer_model_timeout):
            return await self.upstreams.chat(body)

    async def _store(
        self, record: AnswerRecord, caller: Principal, steps: StepTimer, *, new: bool
    ) -> bool:
        """Store the answer. Storing is idempotent, so it is retried after a broken connection."""
        for attempt in range(_STORE_ATTEMPTS):
            try:
                async with steps.step("store", self.settings.answer_store_timeout):
                    return await ChatStore(self.store).store(record, caller, new=new)
            except (StoreUnavailableError, ProblemError) as error:
                if attempt + 1 == _STORE_ATTEMPTS:
                    logger.warning("an answer was not stored: %s", error)
        return False


def no_chat() -> ProblemError:
    """The chat does not exist or belongs to another caller; the response is the same."""
    return ProblemError(404, "no-chat", "No such chat", "You have no chat with this id.")


def _most_relevant(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to report of several: problems by status first, then unexpected errors."""
    flat: list[BaseException] = []
    for one in failed.exceptions:
        flat += [_most_relevant(one)] if isinstance(one, BaseExceptionGroup) else [one]
    problems = [one for one in flat if isinstance(one, ProblemError | AuthError)]
    return min(problems, key=lambda one: one.status) if problems else flat[0]


def _text(completion: dict[str, Any]) -> str:
    """The text of a completion."""
    try:
        text = completion["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        raise ProblemError(
            502, "no-answer", "The model gave no answer", "The completion of the model has no text."
        )
    return _clean(text)


def _clean(text: str) -> str:
    """Remove characters that Postgres cannot store."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _usage(completion: dict[str, Any]) -> dict[str, Any]:
    usage = completion.get("usage")
    counts = usage.items() if isinstance(usage, dict) else ()
    return {_clean(str(name))[:64]: value for name, value in counts if isinstance(value, int)}
