"""Request and response models of documents."""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from aiapi_service.gateway.field_types import TEXT, WHOLE, StrictModel

MAX_DOCUMENTS = 128
MAX_METADATA_BYTES = 16 * 1024
# Not only dots: clients and proxies remove the path segments `.` and `..`.
_ID = r"^\.*[A-Za-z0-9_:@-][A-Za-z0-9._:@-]*$"

Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_ID)]
Content = Annotated[str, StringConstraints(min_length=1, max_length=100_000, pattern=TEXT)]
Query = Annotated[str, StringConstraints(min_length=1, max_length=8192, pattern=TEXT)]


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(value)
    if len(text) > MAX_METADATA_BYTES:
        raise ValueError(f"is larger than {MAX_METADATA_BYTES} bytes as JSON")
    # Postgres' jsonb holds neither NUL nor half a surrogate pair.
    if "\\u0000" in text.replace("\\\\", "") or not _encodable(text):
        raise ValueError("contains a character that cannot be stored")
    return value


def _encodable(text: str) -> bool:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


Metadata = Annotated[dict[str, Any], AfterValidator(_storable)]


class DocumentIn(StrictModel):
    """A document to store."""

    id: Id | None = None
    """Replaces the document with this id. Defaults to a hash of the content, so that a document
    sent twice is stored once."""
    content: Content
    metadata: Metadata = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """The id, given or derived from the content."""
        return self.id or hashlib.sha256(self.content.encode()).hexdigest()[:32]


class PutDocuments(StrictModel):
    """Documents to store, all or none."""

    documents: Annotated[
        list[DocumentIn], Field(min_length=1, max_length=MAX_DOCUMENTS, fail_fast=True)
    ]


class PutDocumentsResponse(BaseModel):
    """The ids of the stored documents."""

    object: Literal["list"] = "list"
    ids: list[str]
    model: str
    """The embedding model."""
    tokens: int


class Document(BaseModel):
    """A stored document."""

    id: str
    content: str
    metadata: dict[str, Any]
    created: datetime
    updated: datetime


class DocumentPage(BaseModel):
    """A page of documents in order of their ids."""

    object: Literal["list"] = "list"
    data: list[Document]
    next_cursor: str | None
    """Cursor for the next page; null on the last page."""


class SearchRequest(StrictModel):
    """A search for documents."""

    query: Query
    limit: Annotated[int, Field(ge=1, le=50), WHOLE] = 5
    filter: Metadata = Field(default_factory=dict)
    """Only documents whose metadata contains all of this."""


class Hit(BaseModel):
    """A found document."""

    id: str
    content: str
    metadata: dict[str, Any]
    score: float
    """Cosine similarity; 1 is the best match."""


class SearchResponse(BaseModel):
    """The nearest documents, best first."""

    object: Literal["list"] = "list"
    data: list[Hit]
    model: str


PUT_EXAMPLE = {
    "two": {
        "summary": "Two documents",
        "value": {
            "documents": [
                {"id": "opening", "content": "We open at nine.", "metadata": {"lang": "en"}},
                {"content": "Returns are free for 30 days."},
            ]
        },
    }
}
SEARCH_EXAMPLE = {
    "search": {
        "summary": "English documents only",
        "value": {"query": "When do you open?", "limit": 3, "filter": {"lang": "en"}},
    }
}
