"""Embeddings and the list of models, driven by the official OpenAI client."""

import math

import openai
import pytest

from deploy.local.model_simulator.testing import SimulatorControl


def test_embeddings_are_reproducible_unit_vectors_in_either_encoding(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    batch = openai_client.embeddings.create(model="text-embedding-3-small", input=["one two", "three"])
    floats = openai_client.embeddings.create(
        model="text-embedding-3-small", input="one two", encoding_format="float"
    )

    vector = batch.data[0].embedding
    assert (len(batch.data), len(vector)) == (2, 1536)
    assert vector == pytest.approx(floats.data[0].embedding)
    assert math.fsum(number * number for number in vector) == pytest.approx(1)
    assert batch.data[1].embedding != vector
    assert batch.usage.prompt_tokens == batch.usage.total_tokens == 3
    assert [entry["usage"] for entry in simulator.served()] == [
        {"prompt_tokens": 3, "total_tokens": 3},
        {"prompt_tokens": 2, "total_tokens": 2},
    ]


def test_dimensions_and_tokens_as_input_are_understood(openai_client: openai.OpenAI) -> None:
    short = openai_client.embeddings.create(
        model="text-embedding-3-large", input=[[1, 2, 3], [4]], dimensions=64
    )

    assert [len(one.embedding) for one in short.data] == [64, 64]
    assert short.usage.prompt_tokens == 4


def test_models_are_listed_and_not_billed(openai_client: openai.OpenAI, simulator: SimulatorControl) -> None:
    listed = [model.id for model in openai_client.models.list()]

    assert "gpt-4o-mini" in listed
    assert openai_client.models.retrieve("anything-else").id == "anything-else"
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("no-such-model")
    assert simulator.served() == []
