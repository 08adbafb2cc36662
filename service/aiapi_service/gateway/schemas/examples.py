"""Examples in the OpenAPI document. A test sends them."""

from typing import Any

CHAT: dict[str, Any] = {
    "whole": {
        "summary": "A question",
        "value": {
            "model": "smollm2-135m",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "max_tokens": 32,
        },
    },
    "streamed": {
        "summary": "A streamed completion",
        "value": {
            "model": "smollm2-135m",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "max_tokens": 32,
            "stream": True,
        },
    },
}

CHAT_ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "smollm2-135m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "The capital of France is Paris."},
        }
    ],
    "usage": {"prompt_tokens": 37, "completion_tokens": 8, "total_tokens": 45},
}

CHAT_EVENTS = """\
data: {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767225600, \
"model": "smollm2-135m", "choices": [{"index": 0, "delta": {"content": "Paris"}}]}

data: [DONE]

"""

COMPLETIONS: dict[str, Any] = {
    "prompt": {
        "summary": "A prompt",
        "value": {"model": "smollm2-135m", "prompt": "Once upon a time", "max_tokens": 16},
    }
}

COMPLETIONS_ANSWER: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1767225600,
    "model": "smollm2-135m",
    "choices": [{"index": 0, "finish_reason": "length", "text": ", there was a fox."}],
    "usage": {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10},
}

COMPLETIONS_EVENTS = """\
data: {"id": "cmpl-1", "object": "text_completion", "created": 1767225600, \
"model": "smollm2-135m", "choices": [{"index": 0, "text": ", there was"}]}

data: [DONE]

"""

RESPONSES: dict[str, Any] = {
    "text": {
        "summary": "A question",
        "value": {
            "model": "smollm2-135m",
            "input": "What is the capital of France?",
            "max_output_tokens": 32,
        },
    }
}

RESPONSES_ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1767225600,
    "model": "smollm2-135m",
    "status": "completed",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Paris.", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 37, "output_tokens": 3, "total_tokens": 40},
}

RESPONSES_EVENTS = """\
event: response.output_text.delta
data: {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, \
"content_index": 0, "delta": "Paris"}

"""

EMBEDDINGS: dict[str, Any] = {
    "texts": {
        "summary": "Two texts",
        "value": {"model": "wordllama-256", "input": ["reset my password", "the weather"]},
    }
}

EMBEDDINGS_ANSWER: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0213, -0.0871]}],
    "model": "wordllama-256",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}

MODELS_ANSWER: dict[str, Any] = {
    "object": "list",
    "data": [{"id": "smollm2-135m", "object": "model", "created": 0, "owned_by": "local"}],
}

FANOUT: dict[str, Any] = {
    "prompts": {
        "summary": "Several prompts to one model",
        "value": {
            "model": "smollm2-135m",
            "prompts": ["Name a fruit.", "Name a river."],
            "parameters": {"max_tokens": 16},
        },
    },
    "models": {
        "summary": "One prompt to several models",
        "value": {
            "models": ["smollm2-135m", "another-model"],
            "prompt": "Name a fruit.",
            "parameters": {"max_tokens": 16},
            "timeout": 20,
        },
    },
}

FANOUT_ANSWER: dict[str, Any] = {
    "object": "fanout",
    "succeeded": 1,
    "failed": 1,
    "seconds": 0.412,
    "usage": {"prompt_tokens": 33, "completion_tokens": 5, "total_tokens": 38},
    "results": [
        {
            "index": 0,
            "model": "smollm2-135m",
            "seconds": 0.411,
            "completion": CHAT_ANSWER,
            "problem": None,
        },
        {
            "index": 1,
            "model": "another-model",
            "seconds": 0.001,
            "completion": None,
            "problem": {
                "type": "urn:aiapi:problem:model-not-found",
                "title": "No such model",
                "status": 404,
                "detail": "No upstream serves the model 'another-model' for chat.",
            },
        },
    ],
}
