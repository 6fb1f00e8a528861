"""No model writes a secret out, except for the seal.

Every text field of every model is filled with a marker that names it. Which of them may be shown is
listed by hand, so that a new field is a secret until it is listed.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr

from oncegate import SubmitPassword, adapters
from oncegate.adapters import EVENT_TYPES, FROM_STORE, REVEAL, Challenge, StoredModel, Tokens
from oncegate.challenges import ACCOUNT_EVENT_TYPES, InMemory, SignedIn
from oncegate.devices import Device
from oncegate.record import Flow

PUBLIC_NAMES = frozenset(
    {
        *("username", "typed", "email", "attributes", "required_attributes", "parameters", "name"),
        *("key", "group_key", "device_key", "medium", "destination", "options", "passkey_options"),
        *("title", "title_code", "label", "label_code", "hint", "hint_code", "event", "value"),
        *("beside", "summary", "summary_code"),
        *("autocomplete", "pattern", "message", "text", "detail", "challenge"),
        *("session_id", "token_type"),
        *("attempted_digests", "accepted_digest", "accepted_event", "account_tag", "worker"),
        *("own_name", "provider", "values", "error", "error_description"),
        *("owner", "sub"),  # the pool's ID of the user
        "passkey_creation",
    }
)
"""Fields that are not secret in any model."""

PUBLIC = frozenset({"Message.code", "Message.field", "Rejected.for_user"})
"""Fields that are not secret in one model."""

SHOWN_BUT_NOT_IN_REPR = frozenset(
    {
        # Where the browser goes: it repeats the flow's state and nonce.
        *("Step.authorize_url", "ProviderChallenge.url"),
        # Personal, but no secret.
        *("AddressVerification.address", "SubmitAddress.address"),
        *("Step.flow_id", "TotpSecret.secret", "TotpSecret.uri"),
        *("Tokens.access_token", "Tokens.id_token", "Tokens.refresh_token"),
    }
)
"""Fields whose purpose is to be given to the user or to the application, but not to a log."""

MODELS = sorted(
    {
        *(
            model
            for model in vars(adapters).values()
            if isinstance(model, type) and issubclass(model, BaseModel)
        ),
        *EVENT_TYPES,
        *ACCOUNT_EVENT_TYPES,
        Flow,
        SignedIn,
    },
    key=lambda model: model.__name__,
)
CHALLENGES: tuple[type[BaseModel], ...] = get_args(get_args(Challenge)[0])


def filled(model: type[BaseModel], **given: object) -> BaseModel:
    """Return a model whose text fields hold ``marker:<model>.<field>;``."""
    model.model_rebuild()
    values = {
        name: _value(field.annotation, f"marker:{model.__name__}.{name};")
        for name, field in model.model_fields.items()
    }
    return model.model_construct(**{**values, **given})


def _value(annotation: Any, marker: str) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _value(arguments[0], marker)
    if origin in {Union, types.UnionType}:
        return _value(next(one for one in arguments if one is not type(None)), marker)
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        return (_value(arguments[0], marker),)
    if origin is dict:
        return {"key": _value(arguments[1], marker)}
    if issubclass(annotation, Enum):
        return next(iter(annotation))
    if issubclass(annotation, BaseModel):
        return filled(annotation)
    if issubclass(annotation, datetime):
        return datetime.now(UTC)
    return annotation(marker) if issubclass(annotation, str | SecretStr) else annotation(1)


def markers(text: str) -> set[str]:
    """Return the fields whose markers are in a text, as ``<model>.<field>``."""
    return set(re.findall(r"marker:(\w+\.\w+);", text))


def secrets_in(text: str) -> set[str]:
    return {name for name in markers(text) - PUBLIC if name.partition(".")[2] not in PUBLIC_NAMES}


def dumps(model: BaseModel) -> Iterator[str]:
    """Yield the model written in every way that does not have the seal's context."""
    contexts: tuple[dict[str, Any] | None, ...] = (None, {}, dict(REVEAL), dict(FROM_STORE))
    for context in contexts:
        for more in ({}, {"round_trip": True}, {"serialize_as_any": True}, {"by_alias": True}):
            options: dict[str, Any] = {"context": context, **more}
            yield model.model_dump_json(**options)
            yield repr(model.model_dump(**options))
            yield repr(model.model_dump(mode="json", **options))


CASES = [
    *(pytest.param(filled(model), id=model.__name__) for model in MODELS),
    *(
        pytest.param(filled(Flow, challenge=filled(model)), id=f"Flow-{model.__name__}")
        for model in CHALLENGES
    ),
]
HOLDS_TOKENS = {"Tokens"}
"""Models that write tokens out: `Tokens` for session stores, the others because they contain one."""


@pytest.mark.parametrize("model", CASES)
def test_model_dumped_without_the_seal_has_no_secret(model: BaseModel) -> None:
    allowed = {name for name in SHOWN_BUT_NOT_IN_REPR if not name.startswith("Tokens.")}
    if type(model).__name__ in HOLDS_TOKENS:
        allowed = set(SHOWN_BUT_NOT_IN_REPR)
    for text in dumps(model):
        assert secrets_in(text) <= allowed


@pytest.mark.parametrize("model", CASES)
def test_repr_of_a_model_has_no_secret(model: BaseModel) -> None:
    assert not secrets_in(f"{model!r} {model} {[model]}")


def test_repr_of_what_a_worker_holds_has_no_secret() -> None:
    models: dict[str, type[BaseModel]] = {
        "event": SubmitPassword,
        "device": Device,
        "tokens": Tokens,
        "signed_in": SignedIn,
    }
    held: dict[str, Any] = {name: filled(model) for name, model in models.items()}
    memory = InMemory(**held, password=SecretStr("marker:InMemory.password;"))
    assert not secrets_in(repr(memory))


STORED = [
    case
    for case in CASES
    if isinstance(case.values[0], StoredModel) and not isinstance(case.values[0], Tokens)
]


@pytest.mark.parametrize("model", STORED)
def test_stored_model_dumped_for_the_seal_has_every_field(model: StoredModel) -> None:
    """A field that is a plain `SecretStr` would be stored as asterisks."""
    expected = {
        f"{type(part).__name__}.{name}"
        for part in (model, *(value for _, value in model if isinstance(value, BaseModel)))
        for name, value in part
        if isinstance(value, SecretStr)
    }
    assert expected <= markers(model.model_dump_json(context=REVEAL))


def test_secret_fields_are_found_in_every_group_of_models() -> None:
    """The search is sensitive: it fills the fields that are known to be secret."""
    found = {
        f"{type(model).__name__}.{name}"
        for model in map(filled, [*MODELS, *CHALLENGES])
        for name, value in model
        if isinstance(value, SecretStr)
    }
    assert found >= {
        *("Flow.retained_password", "Flow.start_session", "CodeChallenge.session"),
        *("TotpSetup.secret", "TotpSetup.uri", "DeviceOffer.access_token", "Device.password"),
        "Confirmed.session",
        *("CheckPassword.password", "CheckCode.code", "StartSignIn.access_token"),
        *("SubmitPassword.password", "SubmitCode.code", "ResetPassword.new_password"),
        *("SignedIn.access_token", "AuthenticatorSetup.secret", "AuthenticatorSetup.uri"),
        *("ChangePassword.password", "ChangePassword.new_password"),
        *("ReplacePassword.new_password", "ChangeAddress.access_token", "ConfirmAddress.code"),
    }
