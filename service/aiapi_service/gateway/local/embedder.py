"""The local embedding model: WordLlama's vectors, averaged over the tokens of a text.

It is loaded in the process that workers are forked from, so that all share one copy. A text takes
tens of microseconds, less than a switch to a thread.
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
_MAX_TOKENS = 8192
# Enough characters for about 1.5 times as many tokens. The tokenizer holds the GIL, so a text of
# megabytes would block the event loop for seconds.
_MAX_CHARACTERS = 6 * _MAX_TOKENS


@dataclass(frozen=True)
class Vectors:
    """One vector per text, in order, and the total number of tokens."""

    vectors: Any
    tokens: int


def available() -> bool:
    """Whether the packages are installed."""
    return all(find_spec(name) for name in ("numpy", "safetensors", "tokenizers", "wordllama"))


class LocalEmbedder:
    """Loads the model on creation."""

    def __init__(self) -> None:
        # OpenBLAS would start a thread pool, which prevents forking and is not needed here.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        import numpy  # noqa: PLC0415 - after the line above; optional
        from safetensors.numpy import load_file  # noqa: PLC0415 - from the extra `local`
        from tokenizers import Tokenizer  # noqa: PLC0415 - from the extra `local`

        spec = find_spec("wordllama")
        assert spec is not None and spec.origin is not None  # noqa: S101, PT018 - see available()
        folder = Path(spec.origin).parent
        self._numpy = numpy
        self._weights = load_file(folder / _WEIGHTS)["embedding.weight"]
        self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector per text; zeros for a text without tokens."""
        numpy = self._numpy
        vectors = numpy.zeros((len(texts), DIMENSIONS), dtype=numpy.float32)
        tokens = 0
        for row, text in enumerate(texts):
            cut = text[:_MAX_CHARACTERS]
            ids = self._tokenizer.encode(cut, add_special_tokens=False).ids[:_MAX_TOKENS]
            tokens += len(ids)
            if ids:
                mean = self._weights[ids].mean(axis=0, dtype=numpy.float32)
                vectors[row] = mean / max(float(numpy.linalg.norm(mean)), 1e-9)
        return Vectors(vectors, tokens)
