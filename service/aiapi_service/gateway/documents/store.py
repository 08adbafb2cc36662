"""Documents in the database. Every statement filters by tenant, which isolates tenants.

The planner chooses between an HNSW index and an exact scan of the tenant's rows. The index covers
all tenants, so it is scanned iteratively until enough rows of the tenant are found.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiapi_service.gateway.documents.schemas import Document, DocumentIn, Hit
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.store.connection import Row
from aiapi_service.store.database import Database

_MAX_INDEXED_DIMENSIONS = 2000
_MAX_DIMENSIONS = 16_000
_INDEX_LOCK = 0x69_6E_64_65_78
_COLUMNS = "id, content, metadata::text AS metadata, created, updated"


@dataclass(frozen=True)
class EmbeddingVector:
    """A vector and its model. Only vectors of the same model can be compared."""

    vector: Sequence[float]
    model: str

    @property
    def text(self) -> str:
        """The vector in the text format of pgvector."""
        return "[" + ",".join(map(repr, self.vector)) + "]"


def validate_vectors(vectors: Sequence[Sequence[object]], model: str) -> list[EmbeddingVector]:
    """Validate the vectors of an upstream, so that they can be stored and compared."""
    found = []
    for vector in vectors:
        numbers = [float(one) for one in vector if isinstance(one, int | float)]
        fits = 0 < len(numbers) == len(vector) <= _MAX_DIMENSIONS
        if not fits or not all(math.isfinite(one) and abs(one) < 1e30 for one in numbers):
            raise ProblemError(
                502,
                "bad-embedding",
                "The embedding cannot be used",
                f"{model} did not return a vector of 1 to {_MAX_DIMENSIONS} finite numbers.",
            )
        found.append(EmbeddingVector(numbers, model))
    return found


class DocumentStore:
    """All SQL statements on documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, tenant: str, documents: Sequence[DocumentIn], embedded: Sequence[EmbeddingVector]
    ) -> None:
        """Store all documents in one transaction. Idempotent."""
        for length in {len(one.vector) for one in embedded}:
            await self._index(length)
        async with self._database.transaction() as connection:
            await connection.execute(
                "INSERT INTO documents (tenant, id, content, metadata, model, embedding) "
                "SELECT $1, id, content, metadata::jsonb, model, embedding::vector "
                "FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) "
                "AS new (id, content, metadata, model, embedding) "
                # Ordered, so that concurrent batches with the same ids do not deadlock.
                "ORDER BY id "
                "ON CONFLICT (tenant, id) DO UPDATE SET content = excluded.content, "
                "metadata = excluded.metadata, model = excluded.model, "
                "embedding = excluded.embedding, updated = now()",
                tenant,
                [one.name for one in documents],
                [one.content for one in documents],
                [json.dumps(one.metadata) for one in documents],
                [one.model for one in embedded],
                [one.text for one in embedded],
            )

    async def _index(self, length: int) -> None:
        """Create the index for vectors of this length if needed.

        In a separate transaction: creating the index blocks writers, which could deadlock if they
        also wrote in this transaction.
        """
        name = f"documents_embedding_{length:d}"
        exists = "SELECT to_regclass($1) IS NOT NULL AS found"
        row = await self._database.row(exists, name)
        if length > _MAX_INDEXED_DIMENSIONS or (row and row["found"]):
            return
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _INDEX_LOCK)
            await connection.execute(
                f"CREATE INDEX IF NOT EXISTS {name} ON documents "
                f"USING hnsw ((embedding::vector({length:d})) vector_cosine_ops) "
                f"WHERE vector_dims(embedding) = {length:d}"
            )

    async def get(self, tenant: str, name: str) -> Document | None:
        """Get a document."""
        row = await self._database.row(
            f"SELECT {_COLUMNS} FROM documents WHERE tenant = $1 AND id = $2",  # noqa: S608 - constant
            tenant,
            name,
        )
        return _document(row) if row else None

    async def page(self, tenant: str, *, after: str, limit: int) -> list[Document]:
        """The documents after an id, in order of their ids."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM documents WHERE tenant = $1 AND id > $2 "  # noqa: S608 - constant
            "ORDER BY id LIMIT $3",
            tenant,
            after,
            limit,
        )
        return [_document(row) for row in rows]

    async def delete(self, tenant: str, name: str) -> bool:
        """Delete a document. False when it does not exist."""
        return bool(
            await self._database.execute(
                "DELETE FROM documents WHERE tenant = $1 AND id = $2", tenant, name
            )
        )

    async def search(
        self, tenant: str, query: EmbeddingVector, *, limit: int, metadata: dict[str, object]
    ) -> list[Hit]:
        """The nearest documents among those embedded with the same model."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "SELECT set_config('hnsw.iterative_scan', 'strict_order', true), "
                "set_config('plan_cache_mode', 'force_custom_plan', true)"
            )
            rows = await connection.fetch(
                _nearest(len(query.vector)),
                tenant,
                query.model,
                query.text,
                json.dumps(metadata),
                limit,
            )
        return [_hit(row) for row in rows]


def _nearest(length: int) -> str:
    # The length must be a literal, so that the planner can use the index of this length.
    return (
        f"SELECT id, content, metadata::text AS metadata, "  # noqa: S608 - an int
        f"1 - (embedding::vector({length:d}) <=> $3::text::vector({length:d})) AS score "
        f"FROM documents WHERE tenant = $1 AND model = $2 AND vector_dims(embedding) = {length:d} "
        "AND metadata @> $4::text::jsonb "
        f"ORDER BY embedding::vector({length:d}) <=> $3::text::vector({length:d}) LIMIT $5"
    )


def _document(row: Row) -> Document:
    return Document(**{**row, "metadata": json.loads(row["metadata"])})


def _hit(row: Row) -> Hit:
    # The similarity of a zero vector is NaN in pgvector, which JSON cannot represent.
    score = float(row["score"])
    return Hit(
        id=row["id"],
        content=row["content"],
        metadata=json.loads(row["metadata"]),
        score=score if math.isfinite(score) else 0.0,
    )
