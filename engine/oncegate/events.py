"""Events: what a user interface says. The machine decides what comes of them.

Every event is a frozen pydantic model with a literal ``type``, so that JSON from a browser becomes
one by `parse_event`. Validation errors never repeat what was typed.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from oncegate.challenge import Factor
from oncegate.errors import InvalidInput


def _unspaced(code: object) -> object:
    """Drop the spaces and hyphens that people and phones put into codes."""
    if isinstance(code, SecretStr):
        code = code.get_secret_value()
    return "".join(code.split()).replace("-", "") if isinstance(code, str) else code


def _digits(code: SecretStr) -> SecretStr:
    value = code.get_secret_value()
    if not (value.isascii() and value.isdigit() and 4 <= len(value) <= 12):
        raise ValueError("a code is 4 to 12 digits")
    return code


def _as_text(credential: object) -> object:
    return json.dumps(credential) if isinstance(credential, dict) else credential


def _json_object(credential: SecretStr) -> SecretStr:
    try:
        is_object = isinstance(json.loads(credential.get_secret_value()), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise ValueError("a credential is a JSON object")
    return credential


Code = Annotated[SecretStr, BeforeValidator(_unspaced), AfterValidator(_digits)]
# Cognito's own limits (botocore's service model): UsernameType 1..128, PasswordType at most 256.
Username = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
Password = Annotated[SecretStr, Field(min_length=1, max_length=256)]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[^@\s]{1,64}@[^@\s]{1,190}$")
]
Credential = Annotated[
    SecretStr, Field(max_length=16384), BeforeValidator(_as_text), AfterValidator(_json_object)
]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][\w:.-]{0,63}$")]
AttributeValue = Annotated[str, StringConstraints(max_length=2048)]


class _Event(BaseModel):
    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    machine_event: ClassVar[str]


class SubmitPassword(_Event):
    """The first factor: a username (or an alias of it) and a password.

    Attributes:
        username: may be left out where the flow knows it.
    """

    machine_event: ClassVar[str] = "submit_password"
    type: Literal["submit_password"] = "submit_password"
    username: Username | None = None
    password: Password


class SubmitUsername(_Event):
    """Begin without a password: Cognito says what it takes (USER_AUTH, CUSTOM_AUTH).

    Attributes:
        preferred: the first factor to go for; a code goes out at once where it is SMS or email.
        access_token: of the same user, to step an earlier sign-in up (ACCESS_TOKEN of USER_AUTH).
    """

    machine_event: ClassVar[str] = "submit_username"
    type: Literal["submit_username"] = "submit_username"
    username: Username
    preferred: Factor | None = None
    access_token: SecretStr | None = Field(default=None, max_length=16384)


class ChooseFactor(_Event):
    """Which factor to use. The choice makes Cognito send the code where it is SMS or email."""

    machine_event: ClassVar[str] = "choose_factor"
    type: Literal["choose_factor"] = "choose_factor"
    factor: Factor


class SubmitCode(_Event):
    """A code that was texted, mailed, or shown by an authenticator. Spaces in it do not matter.

    Attributes:
        remember_device: the answer, given ahead, to the offer to remember this device.
    """

    machine_event: ClassVar[str] = "submit_code"
    type: Literal["submit_code"] = "submit_code"
    code: Code
    remember_device: bool | None = None


class SubmitNewPassword(_Event):
    """The password that replaces a temporary one, with the attributes that the pool requires."""

    machine_event: ClassVar[str] = "submit_new_password"
    type: Literal["submit_new_password"] = "submit_new_password"
    new_password: Password
    attributes: dict[AttributeName, AttributeValue] = Field(default_factory=dict, max_length=50)


class SubmitEmail(_Event):
    """The address that codes are to be mailed to from now on. A first code goes there at once."""

    machine_event: ClassVar[str] = "submit_email"
    type: Literal["submit_email"] = "submit_email"
    email: Email


class SubmitPasskey(_Event):
    """What the browser's ``navigator.credentials.get`` answered.

    Attributes:
        credential: WebAuthn's AuthenticationResponseJSON, as text or as a mapping.
    """

    machine_event: ClassVar[str] = "submit_passkey"
    type: Literal["submit_passkey"] = "submit_passkey"
    credential: Credential


class SubmitAnswer(_Event):
    """The answer to a custom challenge."""

    machine_event: ClassVar[str] = "submit_answer"
    type: Literal["submit_answer"] = "submit_answer"
    answer: Annotated[SecretStr, Field(min_length=1, max_length=2048)]


class ResetPassword(_Event):
    """A code that was sent for the purpose, and the password that is to be the new one."""

    machine_event: ClassVar[str] = "reset_password"
    type: Literal["reset_password"] = "reset_password"
    code: Code
    new_password: Password


class RequestNewCode(_Event):
    """Ask for a code, or for a new one. That is a new challenge; an older code is worthless then."""

    machine_event: ClassVar[str] = "request_new_code"
    type: Literal["request_new_code"] = "request_new_code"


class RememberDevice(_Event):
    """Answer the offer to remember this device."""

    machine_event: ClassVar[str] = "remember_device"
    type: Literal["remember_device"] = "remember_device"
    remember: bool = True


class Cancel(_Event):
    """The user gives up. The flow ends; a new one can be started."""

    machine_event: ClassVar[str] = "cancel"
    type: Literal["cancel"] = "cancel"


Event = (
    SubmitPassword
    | SubmitUsername
    | ChooseFactor
    | SubmitEmail
    | SubmitCode
    | SubmitPasskey
    | SubmitAnswer
    | SubmitNewPassword
    | ResetPassword
    | RequestNewCode
    | RememberDevice
    | Cancel
)


@cache
def event_adapter() -> TypeAdapter[Event]:
    """What checks any event, and knows the JSON schema of all of them."""
    # Built when first used, like the models: a program that only imports us need not wait for it.
    return TypeAdapter(Annotated[Event, Field(discriminator="type")])


def parse_event(data: str | bytes | dict[str, object]) -> Event:
    """Make an event of JSON text or of a mapping, as it comes from a browser.

    Args:
        data: such as ``{"type": "submit_code", "code": "123 456"}``.

    Returns:
        The event.

    Raises:
        InvalidInput: says which field is wrong and why, never what was in it.
    """
    try:
        if isinstance(data, dict):
            return event_adapter().validate_python(data)
        return event_adapter().validate_json(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'event'}: {problem['type']}"
            for problem in error.errors(
                include_input=False, include_url=False, include_context=False
            )
        )
        # `from None`: the cause holds what was typed.
        raise InvalidInput(f"not an event: {problems}"[:500]) from None
