"""One answer: what is independent runs together, what depends waits.

    limit ┐
    embed ┼─> search ─> model ─> store
    chat  ┘

A step that fails ends those beside it, and nothing is stored. Only when the model has answered and
the store then fails is there an answer all the same, which says that it was not kept: the caller
has paid for it.
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

_TURNS = 8
_TRIES = 2
_NOT_KEPT = "The model answered, but the answer could not be stored: the chat does not hold it."


@dataclass(frozen=True, kw_only=True)
class AnswerChain:
    """What the steps need."""

    settings: AnswerSettings
    store: Database
    embedder: Embedder
    upstreams: UpstreamClient

    async def answer(self, asked: AnswerRequest, caller: Principal, steps: StepTimer) -> Answer:
        """Run the steps."""
        model = asked.model or self.upstreams.default_model()
        manner = prompt.SMALL if model == LOCAL_MODEL else prompt.DEFAULT
        asked = asked.model_copy(
            update={
                "model": model,
                "documents": min(asked.documents, manner.documents),
                "max_tokens": asked.max_tokens or manner.max_tokens,
            }
        )
        chat, wanted = await self._prepare(asked, caller, steps)
        hits = await self._search(asked, caller, wanted, steps)
        completion = await self._ask(asked, chat, hits, manner, steps)
        answered = AnswerRecord(
            id=uuid4(),
            chat=asked.chat_id or uuid4(),
            question=asked.question,
            answer=_text(completion),
            model=_clean(str(completion.get("model") or asked.model or ""))[:256],
            sources=[Source(id=hit.id, score=hit.score) for hit in hits],
            usage=_usage(completion),
        )
        stored = await self._keep(answered, caller, steps, new=asked.chat_id is None)
        return Answer(
            id=answered.id,
            chat_id=answered.chat,
            answer=answered.answer,
            model=answered.model,
            sources=list(answered.sources),
            usage=answered.usage,
            stored=stored,
            warning=None if stored else _NOT_KEPT,
        )

    async def _prepare(
        self, asked: AnswerRequest, caller: Principal, steps: StepTimer
    ) -> tuple[Chat | None, EmbeddingVector | None]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._limit(caller, steps))
                chat = group.create_task(self._chat(asked, caller, steps))
                wanted = group.create_task(self._embed(asked, steps))
        except BaseExceptionGroup as failed:
            raise _worst(failed) from None
        return chat.result(), wanted.result()

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
                f"Try again in {wait} s.",
                headers={"Retry-After": str(wait)},
            )

    async def _chat(self, asked: AnswerRequest, caller: Principal, steps: StepTimer) -> Chat | None:
        if asked.chat_id is None:
            return None
        async with steps.step("chat", self.settings.answer_search_timeout):
            found = await ChatStore(self.store).read(asked.chat_id, caller, turns=_TURNS)
        if found is None:
            raise no_chat()
        return found

    async def _embed(self, asked: AnswerRequest, steps: StepTimer) -> EmbeddingVector | None:
        if not asked.documents:
            return None
        async with steps.step("embed", self.settings.answer_embed_timeout):
            found = await self.embedder.embed([asked.question])
        return validate_vectors(found.vectors, found.model)[0]

    async def _search(
        self,
        asked: AnswerRequest,
        caller: Principal,
        wanted: EmbeddingVector | None,
        steps: StepTimer,
    ) -> list[Hit]:
        if wanted is None:
            return []
        async with steps.step("search", self.settings.answer_search_timeout):
            return await DocumentStore(self.store).search(
                caller.tenant, wanted, limit=asked.documents, metadata=asked.filter
            )

    async def _ask(
        self,
        asked: AnswerRequest,
        chat: Chat | None,
        hits: Sequence[Hit],
        manner: prompt.PromptStyle,
        steps: StepTimer,
    ) -> dict[str, Any]:
        body = manner.options | {
            "model": asked.model,
            "messages": prompt.messages(
                asked.question,
                hits,
                chat.turns if chat else (),
                characters=self.settings.answer_context,
                manner=manner,
            ),
            "max_tokens": asked.max_tokens,
        }
        async with steps.step("model", self.settings.answer_model_timeout):
            return await self.upstreams.chat(body)

    async def _keep(
        self, answered: AnswerRecord, caller: Principal, steps: StepTimer, *, new: bool
    ) -> bool:
        """Store it. A broken connection may have stored it: the second try finds out."""
        for attempt in range(_TRIES):
            try:
                async with steps.step("store", self.settings.answer_store_timeout):
                    return await ChatStore(self.store).store(answered, caller, new=new)
            except (StoreUnavailableError, ProblemError) as error:
                if attempt + 1 == _TRIES:
                    logger.warning("an answer was not stored: %s", error)
        return False


def no_chat() -> ProblemError:
    """Not there, or somebody else's: that is not told apart."""
    return ProblemError(404, "no-chat", "There is no such chat", "You have no chat with this id.")


def _worst(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of several that failed together, the one to tell: a refusal before a fault."""
    flat: list[BaseException] = []
    for one in failed.exceptions:
        flat += [_worst(one)] if isinstance(one, BaseExceptionGroup) else [one]
    refusals = [one for one in flat if isinstance(one, ProblemError | AuthError)]
    return min(refusals, key=lambda one: one.status) if refusals else flat[0]


def _text(completion: dict[str, Any]) -> str:
    """The model's words, as far as they can be stored and sent."""
    try:
        text = completion["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        raise ProblemError(
            502, "no-answer", "The model gave no answer", "Its completion holds no text."
        )
    return _clean(text)


def _clean(text: str) -> str:
    """Without what Postgres cannot store."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _usage(completion: dict[str, Any]) -> dict[str, Any]:
    usage = completion.get("usage")
    counts = usage.items() if isinstance(usage, dict) else ()
    return {_clean(str(name))[:64]: value for name, value in counts if isinstance(value, int)}
