"""Events: what a user interface says. The machine decides what comes of them.

Every event is a frozen pydantic model with a literal ``type``, so that JSON from a browser becomes
one by `parse_event`. Validation errors never repeat what was typed.
"""

from __future__ import annotations

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


Code = Annotated[SecretStr, BeforeValidator(_unspaced), AfterValidator(_digits)]
# Cognito's own limits (botocore's service model): UsernameType 1..128, PasswordType at most 256.
Username = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
Password = Annotated[SecretStr, Field(min_length=1, max_length=256)]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][\w:.-]{0,63}$")]
AttributeValue = Annotated[str, StringConstraints(max_length=2048)]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    machine_event: ClassVar[str]


class SubmitPassword(_Event):
    """The first factor: a username (or an alias of it) and a password."""

    machine_event: ClassVar[str] = "submit_password"
    type: Literal["submit_password"] = "submit_password"
    username: Username
    password: Password


class ChooseFactor(_Event):
    """Which second factor to use. The choice makes Cognito send the code where it is SMS or email."""

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


class RequestNewCode(_Event):
    """Ask for a new code. No state allows it yet: sign in again to get one."""

    machine_event: ClassVar[str] = "request_new_code"
    type: Literal["request_new_code"] = "request_new_code"


class RememberDevice(_Event):
    """Answer the offer to remember this device. No state makes that offer yet."""

    machine_event: ClassVar[str] = "remember_device"
    type: Literal["remember_device"] = "remember_device"
    remember: bool = True


class Cancel(_Event):
    """The user gives up. The flow ends; a new one can be started."""

    machine_event: ClassVar[str] = "cancel"
    type: Literal["cancel"] = "cancel"


Event = (
    SubmitPassword
    | ChooseFactor
    | SubmitCode
    | SubmitNewPassword
    | RequestNewCode
    | RememberDevice
    | Cancel
)

_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


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
            return _EVENTS.validate_python(data)
        return _EVENTS.validate_json(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'event'}: {problem['type']}"
            for problem in error.errors(
                include_input=False, include_url=False, include_context=False
            )
        )
        # `from None`: the cause holds what was typed.
        raise InvalidInput(f"not an event: {problems}"[:500]) from None
