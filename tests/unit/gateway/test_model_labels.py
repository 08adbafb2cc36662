"""Invented model names do not take the labels of real ones."""

from aiapi_runtime.telemetry.metrics import MAX_LABEL_SETS
from aiapi_service.gateway.upstreams.model_labels import ModelLabels


def labels_of(labels: ModelLabels, models: list[str], upstream: str = "u") -> set[str]:
    return {labels.label(upstream, model) for model in models}


INVENTED = [f"invented-{index}" for index in range(240)]


def test_models_of_the_settings_keep_their_labels() -> None:
    labels = ModelLabels()
    labels.reserve("u", ["named"])
    assert len(labels_of(labels, INVENTED)) == 9, "8 and `other`"
    assert labels.label("u", "named") == "named"


def test_listed_models_keep_their_labels_even_if_they_are_listed_late() -> None:
    labels = ModelLabels()
    labels_of(labels, INVENTED)
    assert labels.label("u", "listed") == "other"
    labels.note_listed("u", ["listed"])
    assert labels.label("u", "listed") == "listed"
    assert labels.label("other-upstream", "listed") == "other"


def test_all_labels_fit_into_a_metric() -> None:
    labels = ModelLabels()
    labels.reserve("a", [f"named-{index}" for index in range(30)])
    listed = [f"listed-{index}" for index in range(100)]
    labels.note_listed("a", listed)
    used = {
        (upstream, labels.label(upstream, model))
        for upstream in ("a", "b", "c")
        for model in [*listed, *INVENTED]
    }
    pairs = used | {("a", f"named-{index}") for index in range(30)}
    assert 2 * len(pairs) <= MAX_LABEL_SETS, "two directions of tokens"
