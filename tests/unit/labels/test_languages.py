"""A classifier trained on English abstains on other languages, also if a text is too short to detect its language."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("wordllama")
pytest.importorskip("threadpoolctl")

from hubbub.labels.classifier import Classifier  # noqa: E402
from tests.unit.labels.test_reasons import SAID, learned  # noqa: E402

OTHERS = {
    "Spanish": ("No tengo internet", "La contraseña del router no funciona en mi laptop", "El desayuno estaba frío"),
    "German": ("Router kaputt", "Es gibt ein Problem mit dem Internet in unserem Zimmer", "Frühstück war kalt"),
    "Japanese": ("インターネットに接続できません", "朝食は何時ですか", "wifiできない"),
    "Arabic": ("الإنترنت لا يعمل في الغرفة", "متى الفطور؟", "شكرا"),
    "Hinglish": ("router mein problem hai bhai", "breakfast kab milega", "internet nahi chal raha hai room mein"),
    "Chinese": ("房间里没有网络", "早餐几点开始"),
}


@cache
def sure() -> Classifier:
    """Return a classifier without thresholds, so that only the language guard abstains."""
    return replace(learned(), thresholds=np.zeros(len(learned().labels), dtype=np.float32))


@pytest.mark.parametrize("language", list(OTHERS))
def test_texts_in_another_language_stay_unlabelled(language: str) -> None:
    """No text of another language gets a label: neither a clear one, nor a short one, nor one with a word of the examples."""
    assert [guess.label for guess in sure().guess(OTHERS[language]) if guess.sure] == []


@pytest.mark.parametrize("label", list(SAID))
def test_texts_in_the_words_of_the_examples_count(label: str) -> None:
    """Links, mentions and numbers are not words, and do not make a text foreign."""
    word, other = SAID[label][:2]
    text = f"<@U0123> please help, problem with the {word} and the {other} in room 1217: https://pictures.example/a/b/c?d=e"
    (guess,) = sure().guess([text])
    assert guess.sure and guess.label == label
