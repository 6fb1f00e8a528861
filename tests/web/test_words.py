"""The catalogues: whole, with the same blanks to fill in, and compiled from what is there to be read."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from oncegate_web.words import LOCALE, Languages, all_texts

CATALOGUES = sorted(LOCALE.glob("*/LC_MESSAGES/oncegate.po"))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_catalogue_is_whole(path: Path) -> None:
    read = read_po(BytesIO(path.read_bytes()))
    translated = {message.id: message.string for message in read if message.id}
    assert set(translated) == set(all_texts())
    for text, other in translated.items():
        assert other
        assert sorted(re.findall(r"\{\w+\}", str(text))) == sorted(
            re.findall(r"\{\w+\}", str(other))
        )
    compiled = read_mo(BytesIO(path.with_suffix(".mo").read_bytes()))
    assert {message.id: message.string for message in compiled if message.id} == translated, (
        "stale: run pybabel compile -d adapters/oncegate_web/locale -D oncegate"
    )


def test_there_is_one_more_than_english() -> None:
    assert CATALOGUES


@pytest.mark.parametrize(
    ("wanted", "language", "said"),
    [
        (("de-at", "en"), "de", "Anmelden"),
        (("en-gb", "de"), "en", "Sign in"),
        (("tlh", "de"), "de", "Anmelden"),
        (("../../etc", "*"), "en", "Sign in"),
        ((), "en", "Sign in"),
    ],
)
def test_the_first_that_there_is(wanted: tuple[str, ...], language: str, said: str) -> None:
    words = Languages().words(wanted)
    assert (words.language, words("Sign in")) == (language, said)


def test_an_applications_own_words_go_first(tmp_path: Path) -> None:
    source = tmp_path / "de" / "LC_MESSAGES" / "oncegate.mo"
    source.parent.mkdir(parents=True)
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    own = Catalog(locale="de")
    own.add("Sign in", "Hereinspaziert")
    with source.open("wb") as file:
        write_mo(file, own)
    words = Languages([tmp_path]).words(("de",))
    assert words("Sign in") == "Hereinspaziert"
    assert words("Cancel") == "Abbrechen"
