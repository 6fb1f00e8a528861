"""Texts in the user's language: catalogues keyed by the codes of `oncegate.messages.TEXTS`.

English is the table itself. Other languages are gettext catalogues in ``locale/`` (domain
``oncegate``). An application can put catalogues of its own before them, in English too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from oncegate.adapters import TEXTS, logger

LOCALE = Path(__file__).with_name("locale")
DOMAIN = "oncegate"

_MOST_TAGS = 8


class _English(NullTranslations):
    """The table of texts, as the catalogue that every other one falls back to."""

    def gettext(self, message: str) -> str:
        return TEXTS.get(message, message)


class Translator:
    """Returns the texts of one language, by their codes.

    Attributes:
        language: BCP 47 tag, for the page.
    """

    def __init__(self, language: str, catalogue: NullTranslations) -> None:
        self.language = language
        self._catalogue = catalogue
        self._log = logger()

    def __call__(self, code: str, **values: object) -> str:
        # gettext returns the catalogue's header for an empty ID.
        text = self._catalogue.gettext(code) if code else ""
        try:
            return text.format(**values) if values else text
        except (LookupError, ValueError, AttributeError):
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
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._catalogues: dict[str, list[Path]] = {}
        for folder in (*folders, LOCALE):
            for path in sorted(Path(folder).glob(f"*/LC_MESSAGES/{DOMAIN}.mo")):
                tag = path.parts[-3].replace("_", "-").lower()
                self._catalogues.setdefault(tag, []).append(path)
        self._translator = lru_cache(maxsize=None)(self._load)  # one for each catalogue

    def best(self, languages: tuple[str, ...]) -> Translator:
        """Return the translator of the first language that there is a catalogue for, or English.

        Args:
            languages: BCP 47 tags, best first. ``pt-BR`` is tried before ``pt``.
        """
        for language in languages[:_MOST_TAGS]:
            for tag in _with_parents(language):
                if tag == "en" or tag in self._catalogues:
                    return self._translator(tag)
        return self._translator("en")

    def _load(self, tag: str) -> Translator:
        paths = [path for one in _with_parents(tag) for path in self._catalogues.get(one, ())]
        catalogue: NullTranslations = _English()
        for path in reversed(paths):
            with path.open("rb") as file:
                own = GNUTranslations(file)
            own.add_fallback(catalogue)
            catalogue = own
        return Translator(_spelled(tag), catalogue)


def _with_parents(language: str) -> Iterator[str]:
    """Yield a tag and the tags that it narrows down: ``pt-br``, ``pt``."""
    parts = language.replace("_", "-").lower().split("-")[:4]
    for length in range(len(parts), 0, -1):
        yield "-".join(parts[:length])


def _spelled(tag: str) -> str:
    """Return a tag in its usual spelling (RFC 5646, 2.1.1): ``pt-BR``, ``zh-Hant``."""
    first, *others = tag.split("-")
    return "-".join(
        [first, *(part.upper() if len(part) == 2 else part.capitalize() for part in others)]
    )
