"""How users can come in, beside the sign-in by password or username: settings of the transport."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as ModelField

from oncegate.challenges._base import AttributeName

_LABELS: Final = {
    "SignInWithApple": "Apple",
    "LoginWithAmazon": "Amazon",
    "COGNITO": "Cognito",
}
"""Names of Cognito's own providers (API reference, CreateIdentityProvider) that are no brands."""


class Provider(BaseModel):
    """An identity provider of the user pool.

    Attributes:
        name: Cognito's name of it: ``"Google"``, ``"SignInWithApple"``, ``"Facebook"``,
            ``"LoginWithAmazon"``, that of your SAML or OIDC provider, or ``"COGNITO"`` for the pages of
            managed login.
        label: what users know it as. Default: its brand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ModelField(min_length=1, max_length=32)
    label: str = ModelField(default="", max_length=64)

    @property
    def display_name(self) -> str:
        """What the button calls it."""
        return self.label or _LABELS.get(self.name, self.name)


class SignUpForm(BaseModel):
    """What users enter to create an account.

    Attributes:
        attributes: Cognito's names of the attributes to ask for, such as ``"email"``, in the order of
            the form: those that the pool requires. One that users sign in with is the username, and
            does not belong here.
        password: whether a password is asked for: ``"required"``, ``"optional"`` or ``"none"``. Without
            one, the pool has to allow sign-in by a code or passkey (USER_AUTH).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attributes: tuple[AttributeName, ...] = ModelField(default=(), max_length=50)
    password: Literal["required", "optional", "none"] = "required"


class WaysIn(BaseModel):
    """What the first step offers beside the sign-in.

    Attributes:
        password_reset: whether users may reset a forgotten password. Switch it off if the pool's
            account recovery is by administrators only.
        sign_up: the form of a new account; None if users cannot sign up.
        providers: the identity providers to offer, in the order of their buttons.
        passkey: whether a passkey is offered on the first step. The transport has to begin with the
            username (USER_AUTH).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    password_reset: bool = True
    sign_up: SignUpForm | None = None
    providers: tuple[Provider, ...] = ()
    passkey: bool = False
