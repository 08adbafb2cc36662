"""Chats in the database. Every statement filters by tenant and caller."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiapi_service.auth import Principal
from aiapi_service.gateway.answer.schemas import Chat, Source, Turn
from aiapi_service.store.connection import Row
from aiapi_service.store.database import Database


@dataclass(frozen=True, kw_only=True)
class AnswerRecord:
    """A stored answer. Its id is generated before, so that storing is idempotent."""

    id: UUID
    chat: UUID
    question: str
    answer: str
    model: str
    sources: Sequence[Source]
    usage: dict[str, Any]


class ChatStore:
    """All SQL statements on chats and answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, chat: UUID, owner: Principal, *, turns: int) -> Chat | None:
        """A chat of this caller with its latest turns; None when it does not exist."""
        rows = await self._database.rows(
            "SELECT c.created AS began, a.id, a.question, a.answer, a.model, "
            "a.sources::text AS sources, a.created "
            "FROM chats c LEFT JOIN LATERAL (SELECT * FROM answers WHERE chat = c.id "
            "ORDER BY created DESC LIMIT $4) a ON true "
            "WHERE c.id = $1 AND c.tenant = $2 AND c.subject = $3 ORDER BY a.created",
            chat,
            owner.tenant,
            owner.subject,
            turns,
        )
        if not rows:
            return None
        return Chat(
            id=chat, created=rows[0]["began"], turns=[_turn(row) for row in rows if row["id"]]
        )

    async def store(self, record: AnswerRecord, owner: Principal, *, new: bool) -> bool:
        """Store an answer, and its chat when new, in one transaction. Idempotent.

        False when the chat was deleted meanwhile.
        """
        async with self._database.transaction() as connection:
            if new:
                await connection.execute(
                    "INSERT INTO chats (id, tenant, subject) VALUES ($1, $2, $3) "
                    "ON CONFLICT DO NOTHING",
                    record.chat,
                    owner.tenant,
                    owner.subject,
                )
            row = await connection.fetchrow(
                "WITH mine AS (SELECT c.id FROM chats c "
                "WHERE c.id = $1 AND c.tenant = $2 AND c.subject = $3 FOR KEY SHARE), "
                "kept AS (INSERT INTO answers (id, chat, question, answer, model, sources, usage) "
                "SELECT $4, id, $5, $6, $7, $8::text::jsonb, $9::text::jsonb FROM mine "
                "ON CONFLICT DO NOTHING) SELECT id FROM mine",
                record.chat,
                owner.tenant,
                owner.subject,
                record.id,
                record.question,
                record.answer,
                record.model,
                json.dumps([source.model_dump() for source in record.sources]),
                json.dumps(record.usage),
            )
        return row is not None

    async def delete(self, chat: UUID, owner: Principal) -> bool:
        """Delete a chat with its answers. False when it does not exist."""
        return bool(
            await self._database.execute(
                "DELETE FROM chats WHERE id = $1 AND tenant = $2 AND subject = $3",
                chat,
                owner.tenant,
                owner.subject,
            )
        )


def _turn(row: Row) -> Turn:
    return Turn(
        id=row["id"],
        question=row["question"],
        answer=row["answer"],
        model=row["model"],
        sources=json.loads(row["sources"]),
        created=row["created"],
    )
