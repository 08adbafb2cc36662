"""Documents as they lie in the database. Every statement names the tenant: that is the isolation.

The nearest neighbours come from an HNSW index where the planner finds it worth while, and from an
exact scan of the tenant's rows where it does not. The index is scanned on until enough rows of the
tenant are found, since it knows nothing of tenants.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiapi_service.gateway.documents.schemas import Document, DocumentIn, Hit
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.store.connection import Row
from aiapi_service.store.database import Database

_LONGEST_INDEXED = 2000
_LONGEST = 16_000
_INDEX_LOCK = 0x69_6E_64_65_78
_COLUMNS = "id, content, metadata::text AS metadata, created, updated"


@dataclass(frozen=True)
class EmbeddingVector:
    """A vector, and the model that made it: only vectors of one model can be compared."""

    vector: Sequence[float]
    model: str

    @property
    def text(self) -> str:
        """As pgvector reads it."""
        return "[" + ",".join(map(repr, self.vector)) + "]"


def validate_vectors(vectors: Sequence[Sequence[object]], model: str) -> list[EmbeddingVector]:
    """Vectors that can be stored and compared, whatever an upstream sent."""
    found = []
    for vector in vectors:
        numbers = [float(one) for one in vector if isinstance(one, int | float)]
        fits = 0 < len(numbers) == len(vector) <= _LONGEST
        if not fits or not all(math.isfinite(one) and abs(one) < 1e30 for one in numbers):
            raise ProblemError(
                502,
                "bad-embedding",
                "The embedding cannot be used",
                f"{model} did not answer with a vector of 1 to {_LONGEST} finite numbers.",
            )
        found.append(EmbeddingVector(numbers, model))
    return found


class DocumentStore:
    """Every statement about documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, tenant: str, documents: Sequence[DocumentIn], embedded: Sequence[EmbeddingVector]
    ) -> None:
        """Store all of them or none; sent again it changes nothing."""
        for length in {len(one.vector) for one in embedded}:
            await self._index(length)
        async with self._database.transaction() as connection:
            await connection.execute(
                "INSERT INTO documents (tenant, id, content, metadata, model, embedding) "
                "SELECT $1, id, content, metadata::jsonb, model, embedding::vector "
                "FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) "
                "AS new (id, content, metadata, model, embedding) "
                # In one order everywhere, so that two batches with the same ids do not deadlock.
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
        """An index for vectors of this length, when there is none yet.

        In a transaction of its own: it locks out writers, who would wait for each other if they
        were to write in it as well.
        """
        name = f"documents_embedding_{length:d}"
        there = "SELECT to_regclass($1) IS NOT NULL AS there"
        row = await self._database.row(there, name)
        if length > _LONGEST_INDEXED or (row and row["there"]):
            return
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _INDEX_LOCK)
            await connection.execute(
                f"CREATE INDEX IF NOT EXISTS {name} ON documents "
                f"USING hnsw ((embedding::vector({length:d})) vector_cosine_ops) "
                f"WHERE vector_dims(embedding) = {length:d}"
            )

    async def get(self, tenant: str, name: str) -> Document | None:
        """One document."""
        row = await self._database.row(
            f"SELECT {_COLUMNS} FROM documents WHERE tenant = $1 AND id = $2",  # noqa: S608 - constant
            tenant,
            name,
        )
        return _document(row) if row else None

    async def page(self, tenant: str, *, after: str, limit: int) -> list[Document]:
        """The documents that follow an id."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM documents WHERE tenant = $1 AND id > $2 "  # noqa: S608 - constant
            "ORDER BY id LIMIT $3",
            tenant,
            after,
            limit,
        )
        return [_document(row) for row in rows]

    async def delete(self, tenant: str, name: str) -> bool:
        """Whether there was one to delete."""
        return bool(
            await self._database.execute(
                "DELETE FROM documents WHERE tenant = $1 AND id = $2", tenant, name
            )
        )

    async def search(
        self, tenant: str, wanted: EmbeddingVector, *, limit: int, metadata: dict[str, object]
    ) -> list[Hit]:
        """The nearest documents among those that the same model has embedded."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "SELECT set_config('hnsw.iterative_scan', 'strict_order', true), "
                "set_config('plan_cache_mode', 'force_custom_plan', true)"
            )
            rows = await connection.fetch(
                _nearest(len(wanted.vector)),
                tenant,
                wanted.model,
                wanted.text,
                json.dumps(metadata),
                limit,
            )
        return [_hit(row) for row in rows]


def _nearest(length: int) -> str:
    # The length must be a literal for the planner to see that the index of this length fits.
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
    # A vector of zeros has no direction: pgvector calls its similarity NaN, which JSON has not.
    score = float(row["score"])
    return Hit(
        id=row["id"],
        content=row["content"],
        metadata=json.loads(row["metadata"]),
        score=score if math.isfinite(score) else 0.0,
    )
