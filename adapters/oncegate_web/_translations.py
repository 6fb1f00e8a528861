"""Texts in the user's language: catalogues keyed by the codes of `oncegate.messages.TEXTS`.

English is the table itself. Other languages are gettext catalogues in ``locale/`` (domain
``oncegate``). An application can put catalogues of its own before them, in English too.

A text with a number has two codes, gettext's singular and plural: that for one ends in ``.one``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Literal, NamedTuple

from oncegate import Misconfigured
from oncegate.adapters import TEXTS, logger

LOCALE = Path(__file__).with_name("locale")
DOMAIN = "oncegate"

Identifier = Literal["username", "email", "phone"]
"""What the users of a pool sign in with."""

_MOST_TAGS = 8
_FROM_THE_RIGHT = {
    *("ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi"),
    *("adlm", "arab", "hebr", "nkoo", "rohg", "syrc", "thaa"),
}
"""Languages and scripts that are written from right to left (CLDR, ISO 15924)."""

_SCRIPT_LETTERS = 4


class Part(NamedTuple):
    """A part of a text.

    Attributes:
        text: the text.
        is_value: whether it takes the place of a placeholder, such as the destination of a code.
    """

    text: str
    is_value: bool = False


class _English(NullTranslations):
    """The table of texts, as the catalogue that every other one falls back to."""

    def gettext(self, message: str) -> str:
        return TEXTS.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


class Translator:
    """Returns the texts of one language, by their codes.

    Args:
        language: BCP 47 tag.
        catalogue: the texts.
        identifier: what users sign in with. Texts that name it have variants, such as
            ``field.username.email``.

    Attributes:
        language: BCP 47 tag, for the page.
        direction: ``ltr`` or ``rtl``, for the page.
    """

    def __init__(
        self, language: str, catalogue: NullTranslations, identifier: Identifier = "username"
    ) -> None:
        self.language = language
        self.direction = "rtl" if _script_of(language) in _FROM_THE_RIGHT else "ltr"
        self._catalogue = catalogue
        self._variant = f".{identifier}"
        self._log = logger()

    def __call__(self, code: str, **values: object) -> str:
        variant = f"{code}{self._variant}"
        code = variant if variant in TEXTS else code
        # gettext returns the catalogue's header for an empty ID.
        text = self._catalogue.gettext(code) if code else ""
        return self._filled(code, text, values) if values else text

    def count(self, code: str, count: int) -> str:
        """Return a text with a number, in the plural form that it needs.

        In a catalogue, both codes are one entry: ``msgid "….one"``, ``msgid_plural "…"``.
        """
        text = self._catalogue.ngettext(f"{code}.one", code, count)
        own = f"{code}.one" if count == 1 else code
        return self._filled(own, text, {"count": count})

    def parts(self, code: str, **values: str) -> tuple[Part, ...]:
        """Return a text in parts, so that a page can mark the values."""
        marked = self(code, **{name: f"\x00{name}\x00" for name in values})
        parts = (
            Part(values.get(piece, piece), is_value=bool(number % 2))
            for number, piece in enumerate(marked.split("\x00"))
        )
        return tuple(part for part in parts if part.text)

    def _filled(self, code: str, text: str, values: dict[str, object]) -> str:
        try:
            return text.format(**values)
        except Exception:  # noqa: BLE001 - whatever an application's text makes of a value
            # A placeholder of the application's own catalogue is wrong. A page is better than none.
            self._log.error("invalid text in a catalogue", text=code, language=self.language)
            return TEXTS[code].format(**values)

    def time(self, seconds: float) -> str:
        """Return a duration as minutes and seconds, such as ``1:05``."""
        minutes, rest = divmod(max(0, int(seconds)), 60)
        return f"{minutes}:{rest:02}"


class Translators:
    """The languages that an application has catalogues for.

    Args:
        folders: folders with catalogues of the application, in gettext's layout. The first catalogue
            that has a text wins.
        identifier: what users sign in with.
    """

    def __init__(self, folders: Iterable[Path] = (), identifier: Identifier = "username") -> None:
        self._identifier = identifier
        self._catalogues: dict[str, list[Path]] = {}
        for folder in (*folders, LOCALE):
            for path in sorted(Path(folder).glob(f"*/LC_MESSAGES/{DOMAIN}.mo")):
                tag = path.parts[-3].replace("_", "-").lower()
                self._catalogues.setdefault(tag, []).append(path)
        # All now, so that a broken catalogue is found when the sign-in is made.
        self._translators = {tag: self._load(tag) for tag in {*self._catalogues, "en"}}

    def best(self, languages: tuple[str, ...]) -> Translator:
        """Return the translator of the first language that there is a catalogue for, or English.

        Args:
            languages: BCP 47 tags, best first. ``pt-BR`` is tried before ``pt``.
        """
        for language in languages[:_MOST_TAGS]:
            for tag in _with_parents(language):
                if tag in self._catalogues or tag == "en":
                    return self._translators[tag]
        return self._translators["en"]

    def _load(self, tag: str) -> Translator:
        paths = [path for one in _with_parents(tag) for path in self._catalogues.get(one, ())]
        catalogue: NullTranslations = _English()
        for path in reversed(paths):
            own = _read(path)
            own.add_fallback(catalogue)
            catalogue = own
        return Translator(_spelled(tag), catalogue, self._identifier)


def _read(path: Path) -> GNUTranslations:
    """Return a catalogue, after its plural forms were tried.

    Raises:
        Misconfigured: it cannot be read, or its plural forms are none.
    """
    try:
        with path.open("rb") as file:
            catalogue = GNUTranslations(file)
        for number in range(200):
            catalogue.ngettext("", "", number)
    except Exception as error:  # noqa: BLE001 - the file's format has no errors of its own
        raise Misconfigured(
            f"{path} is no catalogue ({error}): compile it with msgfmt or pybabel compile"
        ) from None
    return catalogue


def _with_parents(language: str) -> Iterator[str]:
    """Yield a tag and the tags that it narrows down: ``pt-br``, ``pt``."""
    parts = language.replace("_", "-").lower().split("-")[:4]
    for length in range(len(parts), 0, -1):
        yield "-".join(parts[:length])


def _script_of(language: str) -> str:
    """Return the script that a tag names (RFC 5646, 2.2.3), or its language, for its usual script."""
    first, *others = language.lower().split("-")
    return next((part for part in others if len(part) == _SCRIPT_LETTERS), first)


def _spelled(tag: str) -> str:
    """Return a tag in its usual spelling (RFC 5646, 2.1.1): ``pt-BR``, ``zh-Hant``."""
    first, *others = tag.split("-")
    return "-".join(
        [first, *(part.upper() if len(part) == 2 else part.capitalize() for part in others)]
    )
