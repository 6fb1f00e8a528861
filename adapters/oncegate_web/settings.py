"""Settings of a sign-in on the web: one list for the environment, Django, Flask and FastAPI.

`OncegateSettings` reads them from the environment, as ``ONCEGATE_POOL_ID``; the integrations take them
from the framework's own settings. This is the only module of oncegate_web that makes a transport and a
store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    SecretStr,
    ValidationError,
)

from oncegate import (
    Misconfigured,
    MissingExtra,
    Provider,
    SealingKeys,
    SignUpForm,
    WaysIn,
)

try:
    from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError
except ModuleNotFoundError as error:
    raise MissingExtra("web") from error

from oncegate_cognito import CognitoTransport, ManagedLogin
from oncegate_stores import store_from_url
from oncegate_web._config import meant, split, split_keys
from oncegate_web._translations import Identifier
from oncegate_web._web import WebSignIn, arguments

ENV_PREFIX = "ONCEGATE_"


def _split(value: object) -> object:
    """Return the items of a list, which the environment has as text with commas."""
    return split(value) if isinstance(value, str) else value


def _split_keys(value: object) -> object:
    """Return the keys of a list, which the environment has as text with commas."""
    return split_keys(value) if isinstance(value, str) else value


def _or_none(value: object) -> object:
    """Return None for an empty text: a variable that is set to nothing."""
    return None if value == "" else value


def _true_or_none(value: object) -> object:
    """Return what a variable of the environment says, such as ``true`` or ``1``."""
    text = value.lower() if isinstance(value, str) else ""
    return True if text in {"true", "1"} else None if value == "" else value


_Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_keys)]
_Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
_Optional = BeforeValidator(_or_none)


_SAYS = {
    "missing": "is missing",
    "string_too_short": "is empty",
    "too_short": "is empty",
    "extra_forbidden": "is no setting",
}


class Settings(BaseModel):
    """The settings. An empty text is as none for those that may be left out.

    Attributes:
        pool_id: user pool ID, such as ``eu-west-1_aBcDeFgHi``.
        client_id: app client ID.
        client_secret: app client secret. Default: the client has none.
        endpoint_url: URL of a local Cognito. Default: Cognito itself.
        allow_insecure_endpoint: whether that URL may be plain HTTP on another host than this one, such
            as a container. Default: False.
        auth_flow: how a sign-in begins: ``USER_SRP_AUTH`` (default), ``USER_PASSWORD_AUTH``,
            ``USER_AUTH`` or ``CUSTOM_AUTH``.
        store: URL of the store, such as ``redis://localhost:6379/0`` or ``sqlite:///flows.db``.
        keys: sealing keys, such as `oncegate key` prints: the first one seals, all of them open.
            Default: from the ``SECRET_KEY`` of Django or Flask; otherwise they are needed.
        name: name of this sign-in in its cookies. Two on one host need different names. Default:
            ``oncegate``.
        login_redirect: URL after sign-in without ``next``. Default: ``/``.
        logout_redirect: URL after sign-out. Default: ``login_redirect``.
        session_lifetime: seconds from the sign-in to the end of a session. Default: 30 days.
        session_idle_lifetime: seconds without a request after which a session ends. Default: 7 days.
        secure: True if every request uses HTTPS, although the server cannot tell. Default: what the
            server says.
        allow_insecure: whether plain HTTP is answered on other hosts than this one. Default: False.
        origins: other origins of the same site whose scripts may use the JSON API. Default: none.
        identifier: what users sign in with: ``username`` (default), ``email`` or ``phone``.
        sign_up_attributes: attributes that a new account is asked for, such as ``email``; an empty list
            for none. Default: users create no accounts here.
        providers: identity providers to offer, by Cognito's names, such as ``Google``. Default: none.
        passkey: whether the first page offers passkeys; needs ``USER_AUTH``. Default: False.
        domain: URL of the user pool's domain; needed for ``providers``. Extra: ``oauth``.
        callback_url: URL that the browser comes back to from a provider: the mount point and
            ``/callback``; needed for ``providers``.
        signed_out_url: URL that the browser comes back to from the domain after a sign-out. Default:
            the first page.
        account: whether users change their accounts on the page ``/account``. Default: False.
        offer: what a user without a second factor is offered after a sign-in: ``authenticator``,
            ``passkey``; needs ``account``. Default: nothing.
        options: further arguments of `oncegate_web.WebSignIn`, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pool_id: str = Field(min_length=1)
    client_id: str = Field(min_length=1)
    client_secret: Annotated[SecretStr | None, _Optional] = None
    endpoint_url: Annotated[str | None, _Optional] = None
    allow_insecure_endpoint: bool = False
    auth_flow: Literal["USER_SRP_AUTH", "USER_PASSWORD_AUTH", "USER_AUTH", "CUSTOM_AUTH"] = (
        "USER_SRP_AUTH"
    )
    store: SecretStr = Field(min_length=1)
    keys: _Keys = ()
    name: str = "oncegate"
    login_redirect: str = "/"
    logout_redirect: Annotated[str | None, _Optional] = None
    session_lifetime: PositiveFloat | None = None
    session_idle_lifetime: PositiveFloat | None = None
    secure: Annotated[Literal[True] | None, BeforeValidator(_true_or_none)] = None
    allow_insecure: bool = False
    origins: _Names = ()
    identifier: Identifier = "username"
    sign_up_attributes: Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(_split)] = None
    providers: _Names = ()
    passkey: bool = False
    domain: Annotated[str | None, _Optional] = None
    callback_url: Annotated[str | None, _Optional] = None
    signed_out_url: Annotated[str | None, _Optional] = None
    account: bool = False
    offer: _Names = ()
    options: dict[str, Any] = Field(default_factory=dict, repr=False)

    def web_sign_in(self, *, default_keys: SealingKeys | None = None, **more: Any) -> WebSignIn:
        """Return the sign-in that these settings describe.

        Args:
            default_keys: keys to use if the settings have none.
            **more: further arguments of `oncegate_web.WebSignIn`; they take precedence.

        Raises:
            Misconfigured: a setting is invalid.
            MissingExtra: a setting needs an extra that is not installed.
        """
        given = {
            "session_lifetime": self.session_lifetime,
            "session_idle_lifetime": self.session_idle_lifetime,
        }
        made: dict[str, Any] = {
            "home": self.login_redirect,
            "after_sign_out": self.logout_redirect,
            "name": self.name,
            "secure": self.secure,
            "allow_insecure": self.allow_insecure,
            "origins": self.origins,
            "identifier": self.identifier,
            "account": self.account,
            "offer": self.offer,
            **{name: value for name, value in given.items() if value is not None},
            **self.options,
            **more,
        }
        made.setdefault("keys", SealingKeys(*self.keys) if self.keys else default_keys)
        if "transport" not in made:
            made["transport"] = self._transport()
        if "store" not in made:
            made["store"] = store_from_url(self.store.get_secret_value())
        _check_options(made)
        return WebSignIn(**made)

    def _transport(self) -> CognitoTransport:
        if self.passkey and self.auth_flow != "USER_AUTH":
            raise Misconfigured("the setting PASSKEY needs AUTH_FLOW to be USER_AUTH")
        if self.providers and self.domain is None:
            raise Misconfigured(
                "the setting PROVIDERS needs DOMAIN, the URL of the pool's domain, and CALLBACK_URL, "
                "the mount point and /callback"
            )
        asked = self.sign_up_attributes
        form = SignUpForm(attributes=asked) if asked is not None else None
        providers = tuple(Provider(name=name) for name in self.providers)
        return CognitoTransport(
            pool_id=self.pool_id,
            client_id=self.client_id,
            client_secret=self.client_secret,
            endpoint_url=self.endpoint_url,
            allow_insecure_endpoint=self.allow_insecure_endpoint,
            auth_flow=self.auth_flow,
            ways_in=WaysIn(sign_up=form, providers=providers, passkey=self.passkey),
            managed_login=self._managed_login(),
        )

    def _managed_login(self) -> ManagedLogin | None:
        if self.domain is None:
            return None
        if self.callback_url is None:
            raise Misconfigured(
                "the setting DOMAIN needs CALLBACK_URL, the mount point and /callback"
            )
        return ManagedLogin(self.domain, self.callback_url, self.signed_out_url)


class OncegateSettings(Settings, BaseSettings):
    """The settings from the environment: ``ONCEGATE_POOL_ID`` and so on, lists separated by commas.

    Example:
        >>> web = OncegateSettings().web_sign_in()
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    keys: _Keys = Field(min_length=1)

    def __init__(self, **given: Any) -> None:
        _check_spelling()
        is_no_json = False
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise _misconfigured(error, "the environment", _of_environment) from None
        except SettingsError:
            is_no_json = True
        if is_no_json:  # outside of ``except``: the error's cause has the whole text
            raise Misconfigured("the environment: ONCEGATE_OPTIONS is no JSON object")


def settings_from(
    given: Mapping[str, Any],
    *,
    where: str,
    spelled: Callable[[str], str] = str.upper,
    others: Iterable[str] = (),
) -> Settings:
    """Return the settings in those of a framework.

    Args:
        given: settings by the framework's names, without a prefix.
        where: where they are, for errors, such as ``ONCEGATE["default"]``.
        spelled: returns the framework's name of a setting, for errors.
        others: names of settings that the framework's adapter reads itself.

    Raises:
        Misconfigured: a setting is missing, unknown or invalid. The error names all of them.
    """
    if not isinstance(given, Mapping):
        raise Misconfigured(f"{where} is a dictionary of settings")
    names = {spelled(name): name for name in Settings.model_fields}
    known = {*names, *others}
    unknown = sorted(str(key) for key in given if key not in known)
    if unknown:
        raise Misconfigured(
            f"{where}: {', '.join(unknown)} is no setting{meant(unknown[0], known)}; there are "
            f"{', '.join(sorted(known))}"
        )
    own = {names[key]: value for key, value in given.items() if key in names}
    try:
        return Settings.model_validate(own)
    except ValidationError as error:
        raise _misconfigured(error, where, spelled) from None


def keys_from(secret_key: str, *fallbacks: str) -> SealingKeys:
    """Return sealing keys from the secret key of a framework, and those before it.

    Args:
        secret_key: ``SECRET_KEY`` of Django or Flask.
        fallbacks: ``SECRET_KEY_FALLBACKS``.

    Raises:
        Misconfigured: the secret key is too short or too simple.
    """
    return SealingKeys(secret_key, *fallbacks)


def _check_options(given: Mapping[str, Any]) -> None:
    """Raise `Misconfigured` for an argument that neither `WebSignIn` nor its driver has."""
    known = arguments()
    for name in sorted(given.keys() - known):
        raise Misconfigured(
            f"options: {name} is no argument of WebSignIn or SignIn{meant(name, known)}"
        )


def _of_environment(name: str) -> str:
    return f"{ENV_PREFIX}{name.upper()}"


def _check_spelling() -> None:
    """Raise `Misconfigured` for a variable that is almost a setting, and would be ignored."""
    known = [_of_environment(name) for name in Settings.model_fields]
    for given in sorted(os.environ):
        if given.startswith(ENV_PREFIX) and given not in known:
            for meant in get_close_matches(given, known, n=1, cutoff=0.9):
                raise Misconfigured(f"the environment: {given} is no setting; {meant} is one")


def _misconfigured(
    error: ValidationError, where: str, spelled: Callable[[str], str]
) -> Misconfigured:
    """Return what is wrong with each setting. No value is in it: it may be a secret."""
    found = []
    for one in error.errors(include_input=False, include_url=False, include_context=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        says = _SAYS.get(one["type"]) or f"is wrong: {one['msg'][:1].lower()}{one['msg'][1:]}"
        cure = " (`oncegate key` prints one)" if name == "keys" else ""
        found.append(f"{spelled(name)} {says}{cure}")
    return Misconfigured(f"{where}: {'; '.join(found)}")
