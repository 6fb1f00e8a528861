"""The catalogues: complete, with the same placeholders, and compiled from the readable files."""

from __future__ import annotations

import re
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from oncegate import Misconfigured
from oncegate.adapters import TEXTS
from oncegate_web._translations import LOCALE, Identifier, Part, Translator, Translators

CATALOGUES = sorted(LOCALE.glob("*/LC_MESSAGES/oncegate.po"))


def _placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_catalogue_has_every_code_and_no_other(path: Path) -> None:
    translated = _texts(read_po(BytesIO(path.read_bytes())))
    assert set(translated) == set(TEXTS)
    for code, texts in translated.items():
        for text in texts:
            assert text, code
            # A text for one needs no number.
            missing = set(_placeholders(TEXTS[code])) ^ set(_placeholders(text))
            assert missing <= ({"{count}"} if code.endswith(".one") else set()), code
    compiled = _texts(read_mo(BytesIO(path.with_suffix(".mo").read_bytes())))
    assert compiled == translated, (
        "stale: run pybabel compile -d adapters/oncegate_web/locale -D oncegate"
    )


def _texts(catalogue: Catalog) -> dict[str, tuple[str, ...]]:
    """Return the texts by code; those with a number are under both of their codes."""
    texts: dict[str, tuple[str, ...]] = {}
    for message in catalogue:
        if isinstance(message.id, (tuple, list)):
            one, many = message.id
            forms = tuple(message.string or ())
            texts |= {one: forms[:1], many: forms[1:]}
        elif message.id:
            texts[message.id] = (str(message.string),)
    return texts


def test_german_is_bundled() -> None:
    assert [path.parts[-3] for path in CATALOGUES] == ["de"]


@pytest.mark.parametrize(
    ("languages", "language", "text"),
    [
        (("de-at", "en"), "de", "Anmelden"),
        (("de_AT",), "de", "Anmelden"),
        (("en-gb", "de"), "en", "Sign in"),
        (("tlh", "de"), "de", "Anmelden"),
        (("../../etc", "*"), "en", "Sign in"),
        ((), "en", "Sign in"),
    ],
)
def test_first_language_with_a_catalogue_is_used(
    languages: tuple[str, ...], language: str, text: str
) -> None:
    translate = Translators().best(languages)
    assert (translate.language, translate("title.idle")) == (language, text)


def test_unknown_code_is_returned_and_empty_code_is_empty() -> None:
    for language in ("en", "de"):
        translate = Translators().best((language,))
        assert translate("message.of_a_later_release") == "message.of_a_later_release"
        assert translate("") == ""


def _write(folder: Path, language: str, **texts: str) -> None:
    path = folder / language / "LC_MESSAGES" / "oncegate.mo"
    path.parent.mkdir(parents=True)
    catalogue = Catalog()
    for name, text in texts.items():
        catalogue.add(name.replace("__", "."), text)
    with path.open("wb") as file:
        write_mo(file, catalogue)


def test_own_catalogue_precedes_the_bundled_one(tmp_path: Path) -> None:
    _write(tmp_path, "de", title__idle="Willkommen")
    translate = Translators([tmp_path]).best(("de",))
    assert translate("title.idle") == "Willkommen"
    assert translate("action.cancel") == "Zurück zur Anmeldung"


@pytest.mark.parametrize("languages", [("en",), ("en-gb",), ("tlh",), ()])
def test_own_english_catalogue_precedes_the_table(
    tmp_path: Path, languages: tuple[str, ...]
) -> None:
    _write(tmp_path, "en", field__username="Email")
    translate = Translators([tmp_path]).best(languages)
    assert translate.language == "en"
    assert translate("field.username") == "Email"
    assert translate("field.password") == "Password"


@pytest.mark.parametrize("text", ["Code an {ziel}", "Code an {0}", "Code an {", "{destination.x}"])
def test_wrong_placeholder_of_an_own_catalogue_falls_back_to_english(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path, "de", hint__sent_sms=text)
    translate = Translators([tmp_path]).best(("de",))
    assert translate("hint.sent_sms", destination="+1") == "We texted a code to +1."
    assert "hint.sent_sms" in caplog.text


@pytest.mark.parametrize("folder", ["pt_BR", "pt-BR"])
def test_full_tag_precedes_the_bare_language(tmp_path: Path, folder: str) -> None:
    _write(tmp_path, folder, title__idle="Entrar")
    _write(tmp_path, "pt", title__idle="Iniciar sessão", action__cancel="Voltar")
    translators = Translators([tmp_path])
    brazilian, portuguese = translators.best(("pt-br",)), translators.best(("pt-pt",))
    assert (brazilian.language, brazilian("title.idle")) == ("pt-BR", "Entrar")
    assert brazilian("action.cancel") == "Voltar"
    assert (portuguese.language, portuguese("title.idle")) == ("pt", "Iniciar sessão")
    assert portuguese("field.password") == "Password"


def test_english_can_be_changed(tmp_path: Path) -> None:
    _write(tmp_path, "en", field__username="Member number")
    for languages in (("en",), ("en-GB",), ("fr",), ()):
        translate = Translators([tmp_path]).best(languages)
        assert translate("field.username") == "Member number"
        assert translate("field.password") == "Password"


@pytest.mark.parametrize(
    ("identifier", "label"),
    [("username", "Username"), ("email", "Email"), ("phone", "Phone number")],
)
def test_label_says_what_users_sign_in_with(identifier: Identifier, label: str) -> None:
    translate = Translators((), identifier).best(("en",))
    assert translate("field.username") == label
    assert label.lower() in translate("message.wrong_credentials")


@pytest.mark.parametrize(
    ("language", "direction"),
    [
        ("az-Arab", "rtl"),
        ("ur-Latn", "ltr"),
        ("iw", "rtl"),
        ("ar", "rtl"),
        ("ar-EG", "rtl"),
        ("he", "rtl"),
        ("de", "ltr"),
        ("en", "ltr"),
        ("az", "ltr"),
    ],
)
def test_direction_follows_the_language(language: str, direction: str) -> None:
    assert Translator(language, NullTranslations()).direction == direction


def test_number_has_the_plural_form_that_the_language_needs() -> None:
    english, german = (Translators().best((language,)) for language in ("en", "de"))
    assert english.count("hint.attempts", 1) == "This is your last try."
    assert english.count("hint.attempts", 3) == "You have 3 tries left."
    assert german.count("hint.time_left", 1) != german.count("hint.time_left", 2)
    assert "2" in german.count("hint.time_left", 2)


def test_value_of_a_text_is_a_part_of_its_own() -> None:
    parts = Translators().best(("de",)).parts("hint.sent_sms", destination="+***1234")
    assert [part for part in parts if part.is_value] == [Part("+***1234", is_value=True)]
    assert "".join(part.text for part in parts) == (
        "Wir haben einen Code per SMS an +***1234 gesendet."
    )


@pytest.mark.parametrize("content", [b"", b"no catalogue", b"\xde\x12\x04\x95" + bytes(9)])
def test_file_that_is_no_catalogue_is_found_at_the_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fr" / "LC_MESSAGES" / "oncegate.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match="msgfmt"):
        Translators([tmp_path])


def test_plural_forms_that_are_none_are_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "fr" / "LC_MESSAGES" / "oncegate.mo"
    path.parent.mkdir(parents=True)
    catalogue = Catalog(locale="fr")
    catalogue._plural_expr = "n/0"  # type: ignore[assignment]
    catalogue.add("title.idle", "Connexion")
    with path.open("wb") as file:
        write_mo(file, catalogue)
    with pytest.raises(Misconfigured, match="fr/LC_MESSAGES"):
        Translators([tmp_path])


@pytest.mark.parametrize("text", ["{count[0]}", "{count.x}", "{0}", "{", "{count:d", "{count!x}"])
def test_wrong_placeholder_shows_the_english_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "de" / "LC_MESSAGES" / "oncegate.mo"
    path.parent.mkdir(parents=True)
    catalogue = Catalog(locale="de")
    catalogue.add(("hint.attempts.one", "hint.attempts"), (text, text))
    with path.open("wb") as file:
        write_mo(file, catalogue)
    translate = Translators([tmp_path]).best(("de",))
    assert translate.count("hint.attempts", 3) == "You have 3 tries left."
