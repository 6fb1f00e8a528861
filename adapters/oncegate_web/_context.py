"""The `RequestContext` of a request: what the server knows, and what the browser may add."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from oncegate import InvalidInput, Misconfigured, RequestContext
from oncegate.adapters import event_adapter, logger
from oncegate_web.http import Fields, Request

MetadataHook = Callable[[Request], Mapping[str, str]]

ENCODED_DATA = "_encoded_data"
"""Name of the field of a form."""

MAX_METADATA_CHARACTERS = 8192
"""CAPTCHA tokens have up to 4,000."""
MAX_ENCODED_CHARACTERS = 16384

FRAMEWORK_FIELDS = frozenset({"csrf_token", "csrfmiddlewaretoken"})
"""What Flask-WTF and Django add to forms."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class BrowserContext:
    """What a browser sent beside an event. Its repr does not show it, as with `Fields`.

    Attributes:
        metadata: client metadata, by name.
        encoded_data: what AWS's script for threat protection collected.
    """

    __slots__ = ("encoded_data", "metadata")

    def __init__(self, metadata: Mapping[str, str] | None = None, encoded_data: str = "") -> None:
        self.metadata = Fields(metadata)
        self.encoded_data = Fields({"": encoded_data} if encoded_data else {})

    def __repr__(self) -> str:
        return "<browser context>"


class Contexts:
    """Builds the contexts of the requests of one sign-in.

    Args:
        from_browser: names of client metadata that a browser may send.
        client_metadata: returns the application's own for a request.
    """

    def __init__(self, from_browser: Iterable[str], client_metadata: MetadataHook | None) -> None:
        self.names = _checked_names(from_browser)
        if client_metadata is not None and not callable(client_metadata):
            raise Misconfigured(
                "client_metadata is a function of the request; the same for all requests is "
                "CognitoTransport(client_metadata=…)"
            )
        self._client_metadata = client_metadata
        self._told: set[str] = set()
        self._log = logger()

    def of_form(self, form: Fields) -> BrowserContext:
        """Return what a form has beside its event: hidden fields, or a CAPTCHA's own field."""
        sent = {name: form[name] for name in self.names if name in form}
        return self._limited(sent, form.get(ENCODED_DATA, ""))

    def not_of_event(self, form: Fields) -> frozenset[str]:
        """Return the fields of a form that are not the event's: metadata, and what no event has."""
        unknown = frozenset(
            name
            for name, _ in form.items()
            if not name.startswith(("_", "attributes."))
            and name not in _names_of_fields() | self.names
        )
        if unknown:
            self._tell("client_metadata", "a name that client_metadata_from_browser does not have")
        return self.names | unknown

    def of_json(self, sent: object) -> BrowserContext:
        """Return the ``context`` of an event in JSON.

        Raises:
            InvalidInput: it is not what the OpenAPI document says.
        """
        if sent is None:
            return BrowserContext()
        if not isinstance(sent, dict) or sent.keys() - {"client_metadata", "encoded_data"}:
            raise InvalidInput("context: an object with client_metadata and encoded_data")
        metadata, encoded = sent.get("client_metadata", {}), sent.get("encoded_data", "")
        if not isinstance(encoded, str):
            raise InvalidInput("context.encoded_data: text")
        if not isinstance(metadata, dict) or not all(
            isinstance(value, str) for value in metadata.values()
        ):
            raise InvalidInput("context.client_metadata: an object with text by name")
        if metadata.keys() - self.names:
            self._tell("client_metadata", "a name that client_metadata_from_browser does not have")
        return self._limited(
            {name: metadata[name] for name in self.names & metadata.keys()}, encoded
        )

    def of(self, request: Request, browser: BrowserContext, **more: Any) -> RequestContext:
        """Return the context of an event. The application's metadata takes precedence.

        Args:
            request: brought the event.
            browser: what came with the event.
            more: further arguments of `RequestContext`.
        """
        own: Mapping[str, str] = {}
        if self._client_metadata is not None:
            own = self._client_metadata(request)
            if not isinstance(own, Mapping) or not all(
                isinstance(part, str) for item in own.items() for part in item
            ):
                raise Misconfigured("client_metadata has to return text by name")
        return context_of(
            request,
            client_metadata={**dict(browser.metadata.items()), **own},
            encoded_data=browser.encoded_data.get("", ""),
            **more,
        )

    def _limited(self, metadata: Mapping[str, str], encoded_data: str) -> BrowserContext:
        """Return it without what is too long: it only helps, so it must not stop a sign-in."""
        fitting = {}
        for name, value in metadata.items():
            if len(value) <= MAX_METADATA_CHARACTERS:
                fitting[name] = value
            else:
                self._tell(name, f"longer than {MAX_METADATA_CHARACTERS} characters")
        if len(encoded_data) > MAX_ENCODED_CHARACTERS:
            self._tell("encoded_data", f"longer than {MAX_ENCODED_CHARACTERS} characters")
            encoded_data = ""
        return BrowserContext(fitting, encoded_data)

    def _tell(self, name: str, reason: str) -> None:
        """Log once for each of our own names: the browser's must not fill the log."""
        if name not in self._told:
            self._told.add(name)
            self._log.warning("context of a browser left out", name=name, reason=reason)


def context_of(request: Request, **more: Any) -> RequestContext:
    """Return what the server knows of a request, for the engine and the lists of sessions.

    Args:
        request: the browser's request.
        more: further arguments of `RequestContext`.
    """
    if (request_id := request.request_id) is not None:
        more["request_id"] = request_id
    return RequestContext(
        source_address=request.client,
        user_agent=request.headers.get("user-agent", ""),
        language=next(iter(request.languages), ""),
        server_name=request.host,
        server_path=f"{request.prefix}{request.path}",
        **more,
    )


def _checked_names(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise Misconfigured("client_metadata_from_browser is a list of names")
    found = frozenset(names)
    taken = _names_of_fields() if found else ()
    for name in found:
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise Misconfigured(
                f"client_metadata_from_browser: {name!r} is not 1 to 64 letters, digits, - . and _"
            )
        if name.startswith(("_", "attributes.")) or name in taken:
            raise Misconfigured(f"client_metadata_from_browser: {name!r} is a field of the forms")
    return found


@cache
def _names_of_fields() -> frozenset[str]:
    models = event_adapter().json_schema()["$defs"].values()
    return FRAMEWORK_FIELDS.union(*(model.get("properties", ()) for model in models))
