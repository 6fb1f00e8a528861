"""What a request has beside its operation's own arguments: metadata for triggers, context for risks.

botocore's service model says which operation has which member, so a new operation gets them by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from oncegate import Misconfigured
from oncegate.adapters import RequestContext, check_flag, logger

_ADDRESS: Final = "IpAddress"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,8}")


@dataclass(frozen=True, slots=True)
class ContextSettings:
    """What an application sets once; `oncegate_cognito.CognitoTransport` documents it.

    Attributes:
        send_source_address: whether public operations send `RequestContext.source_address`.
    """

    client_metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    language_key: str | None = "language"
    analytics_endpoint_id: str | None = None
    force_alias_creation: bool = False
    send_source_address: bool = False

    def __post_init__(self) -> None:
        check_metadata("client_metadata", self.client_metadata)
        for name in ("language_key", "analytics_endpoint_id"):
            value = getattr(self, name)
            if not (value is None or (isinstance(value, str) and value)):
                raise Misconfigured(f"{name} has to be text, or None")
        for name in ("force_alias_creation", "send_source_address"):
            check_flag(name, getattr(self, name))


def check_metadata(name: str, given: object) -> None:
    """Raise `Misconfigured` unless a setting maps text to text. Values are not quoted."""
    if not isinstance(given, Mapping):
        raise Misconfigured(f"{name} has to map names to text")
    for key, value in given.items():
        if not (isinstance(key, str) and key and isinstance(value, str)):
            raise Misconfigured(f"{name}: the value of {key!r} has to be text")


class SentContext:
    """Makes these members for each request. Thread-safe.

    Args:
        client: boto3 client that sends the requests. A double without a service model sends none.
        settings: the application's settings.
    """

    def __init__(self, client: Any, settings: ContextSettings) -> None:
        self._meta = client.meta
        self._settings = settings
        self._members: dict[str, Mapping[str, Any]] = {}
        self._told: set[str] = set()
        self._log = logger()
        self._makers: dict[str, Callable[[RequestContext, Any], Any]] = {
            "ClientMetadata": self._client_metadata,
            "UserContextData": self._user_context_data,
            "ContextData": self._context_data,
            "AnalyticsMetadata": self._analytics_metadata,
            "ForceAliasCreation": self._force_alias_creation,
        }

    def of(self, method: str, context: RequestContext) -> dict[str, Any]:
        """Return the members for one request, by name; none that Cognito's model does not have.

        Args:
            method: method of the boto3 client, such as ``initiate_auth``.
            context: the user's request.
        """
        shapes = self._shapes(method)
        made = {name: self._makers[name](context, shape) for name, shape in shapes.items()}
        return {name: value for name, value in made.items() if value}

    def _shapes(self, method: str) -> Mapping[str, Any]:
        if method not in self._members:
            model = getattr(self._meta, "service_model", None)
            found: Mapping[str, Any] = {}
            if model is not None:
                operation = model.operation_model(self._meta.method_to_api_mapping[method])
                found = operation.input_shape.members
            self._members[method] = {name: found[name] for name in self._makers if name in found}
        return self._members[method]

    def _client_metadata(self, context: RequestContext, shape: Any) -> dict[str, str]:
        settings, tag = self._settings, language_of(context)
        language = {settings.language_key: tag} if settings.language_key and tag else {}
        event = context.client_metadata
        own = event if isinstance(event, Mapping) else {}
        given = {**language, **settings.client_metadata, **own}
        return {
            name: value
            for name, value in given.items()
            if self._fits(f"ClientMetadata {name}", name, shape.key)
            and (value == "" or self._fits(f"ClientMetadata {name}", value, shape.value))
        }

    def _user_context_data(self, context: RequestContext, shape: Any) -> dict[str, str]:
        address = _address(context) if self._settings.send_source_address else ""
        given = {_ADDRESS: address, "EncodedData": context.encoded_data}
        return self._fitting(given, shape)

    def _context_data(self, context: RequestContext, shape: Any) -> dict[str, Any]:
        if not (address := _address(context)):
            return {}  # the model requires it
        headers = {"User-Agent": context.user_agent, "Accept-Language": language_of(context)}
        value = shape.members["HttpHeaders"].member.members["headerValue"]
        return {
            # The model requires these two, and takes empty ones.
            "ServerName": "",
            "ServerPath": "",
            **self._fitting(
                {
                    _ADDRESS: address,
                    "ServerName": context.server_name,
                    "ServerPath": context.server_path,
                    "EncodedData": context.encoded_data,
                },
                shape,
            ),
            "HttpHeaders": [
                {"headerName": name, "headerValue": text}
                for name, text in headers.items()
                if self._fits(f"header {name}", text, value)
            ],
        }

    def _analytics_metadata(self, _: RequestContext, shape: Any) -> dict[str, str]:
        endpoint = self._settings.analytics_endpoint_id or ""
        return self._fitting({"AnalyticsEndpointId": endpoint}, shape)

    def _force_alias_creation(self, _: RequestContext, __: Any) -> bool:
        return self._settings.force_alias_creation

    def _fitting(self, given: Mapping[str, str], shape: Any) -> dict[str, str]:
        members = shape.members
        return {
            name: value for name, value in given.items() if self._fits(name, value, members[name])
        }

    def _fits(self, name: str, value: object, shape: Any) -> bool:
        """Return whether a value is there and Cognito takes it; log once for each name if it does not.

        What is sent here only helps, so what cannot be sent must not stop a sign-in.
        """
        if value is None or value == "":
            return False
        reason = _problem(value, shape.metadata.get("max"))
        if reason and name not in self._told and len(self._told) < _MOST_WARNINGS:
            self._told.add(name)
            self._log.warning("context not sent to Cognito", name=name[:100], reason=reason)
        return not reason


_MOST_WARNINGS: Final = 20
"""Names for which a warning is logged."""


def _problem(value: object, most: int | None) -> str:
    if not isinstance(value, str):
        return "not text"
    if most is not None and len(value) > most:
        return f"longer than {most} characters"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "not valid Unicode"
    return ""


def language_of(context: RequestContext) -> str:
    """Return the language tag; empty if it is none, since a trigger may write it into a message."""
    language = context.language
    return language if isinstance(language, str) and _LANGUAGE.fullmatch(language) else ""


def _address(context: RequestContext) -> str:
    """Return the client's IP address; empty if it is none, such as the path of a Unix socket."""
    try:
        address = ip_address(str(context.source_address).partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
