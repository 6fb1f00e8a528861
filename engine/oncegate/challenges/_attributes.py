"""User attributes that a form asks for: their inputs, and which of those entered are sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Literal

from oncegate.challenges._base import Field, plain_phone_number
from oncegate.messages import TEXTS


def attributes_for(
    entered: Mapping[str, str], names: Collection[str], challenge: str
) -> dict[str, str]:
    """Return the entered attributes that the form asks for, as Cognito takes them.

    With any other one, the user could write what the application keeps in the pool, such as
    ``custom:role``: Cognito sets each attribute that the app client may write (OWASP ASVS 5.0,
    15.3.3).

    Args:
        entered: values by name, without the ``userAttributes.`` prefix.
        names: the attributes that the form asks for.
        challenge: kind of the challenge, for the log.
    """
    kept = {
        name: plain_phone_number(value) if name == "phone_number" else value
        for name, value in entered.items()
        if name in names
    }
    dropped = len(entered) - len(kept)
    if dropped:
        # Imported here because the log knows the transitions, and they know the challenges.
        from oncegate._log import logger

        logger().warning("attributes_dropped", challenge=challenge, dropped=dropped)
    return kept


# The attributes of OIDC Core 5.1 that have an input type, a keyboard or an autofill token of their own.
_TYPES: Final[dict[str, Literal["email", "tel", "date", "url"]]] = {
    "email": "email",
    "phone_number": "tel",
    "birthdate": "date",
    "website": "url",
}
_KEYBOARDS: Final[dict[str, Literal["email", "tel", "url"]]] = {
    "email": "email",
    "phone_number": "tel",
    "website": "url",
}
_AUTOFILL: Final = {
    "name": "name",
    "given_name": "given-name",
    "family_name": "family-name",
    "middle_name": "additional-name",
    "nickname": "nickname",
    "birthdate": "bday",
    "email": "email",
    "phone_number": "tel",
    "address": "street-address",
    "website": "url",
    "gender": "sex",
}
_HINTS: Final = {"phone_number": "hint.phone_number"}


def attribute_field(name: str, value: str = "") -> Field:
    """Return the input for a user attribute.

    Args:
        name: Cognito's name of it, such as ``"email"`` or ``"custom:plan"``.
        value: initial value.
    """
    hint_code = _HINTS.get(name, "")
    code = f"attribute.{name}"
    plain = name.removeprefix("custom:").replace("_", " ").capitalize()
    return Field(
        name=f"attributes.{name}",
        label=TEXTS.get(code, plain),
        label_code=code if code in TEXTS else "",
        hint=TEXTS[hint_code] if hint_code else "",
        hint_code=hint_code,
        type=_TYPES.get(name, "text"),
        inputmode=_KEYBOARDS.get(name, "text"),
        autocomplete=_AUTOFILL.get(name, "off"),
        value=value,
    )
