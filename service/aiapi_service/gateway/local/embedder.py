"""Embeddings on this machine: WordLlama's vectors, averaged over the tokens of a text.

Its files are loaded directly, and in the process that workers are forked from, so that all share
one copy. A text costs tens of microseconds, less than a thread would.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NAME = "wordllama-256"
DIMENSIONS = 256
_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_MOST_TOKENS = 8192
# About as many tokens and half as many more. The tokenizer lets no other thread run meanwhile: a
# text of megabytes would hold the loop for seconds.
_MOST_CHARACTERS = 6 * _MOST_TOKENS


@dataclass(frozen=True)
class Vectors:
    """In the order of the texts, with the tokens that they had."""

    vectors: Any
    tokens: int


def available() -> bool:
    """Whether the package is installed."""
    return all(find_spec(name) for name in ("numpy", "safetensors", "tokenizers", "wordllama"))


class LocalEmbedder:
    """Loaded when made."""

    def __init__(self) -> None:
        # A thread pool for matrices, which this never multiplies, would keep the app from forking.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        import numpy  # noqa: PLC0415 - after the line above; only where it is used
        from safetensors.numpy import load_file  # noqa: PLC0415 - belongs to the extra `local`
        from tokenizers import Tokenizer  # noqa: PLC0415 - belongs to the extra `local`

        spec = find_spec("wordllama")
        assert spec is not None and spec.origin is not None  # noqa: S101, PT018 - see available()
        folder = Path(spec.origin).parent
        self._numpy = numpy
        self._weights = load_file(folder / _WEIGHTS)["embedding.weight"]
        self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A row of unit length a text; a text without any token is all zeros."""
        numpy = self._numpy
        vectors = numpy.zeros((len(texts), DIMENSIONS), dtype=numpy.float32)
        tokens = 0
        for row, text in enumerate(texts):
            cut = text[:_MOST_CHARACTERS]
            ids = self._tokenizer.encode(cut, add_special_tokens=False).ids[:_MOST_TOKENS]
            tokens += len(ids)
            if ids:
                mean = self._weights[ids].mean(axis=0, dtype=numpy.float32)
                vectors[row] = mean / max(float(numpy.linalg.norm(mean)), 1e-9)
        return Vectors(vectors, tokens)
