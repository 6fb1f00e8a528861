"""Django REST framework: access tokens as bearer tokens, groups and scopes.

It needs ``pip install djangorestframework``. With drf-spectacular, the OpenAPI document has the scheme.
"""

from __future__ import annotations

from typing import Any

from oncegate import InvalidToken, Misconfigured
from oncegate_web._user import User
from oncegate_web._web import UNAVAILABLE
from oncegate_web.django._aliases import DEFAULT, web_sign_in
from oncegate_web.django._current import current_user

try:
    from rest_framework.authentication import BaseAuthentication, get_authorization_header
    from rest_framework.exceptions import APIException, AuthenticationFailed
    from rest_framework.permissions import BasePermission
    from rest_framework.request import Request
except ModuleNotFoundError as error:
    raise Misconfigured("not installed; run: pip install djangorestframework") from error

from django.contrib.auth import authenticate


class Unavailable(APIException):  # type: ignore[misc]
    """Answered with 503: the pool's public keys could not be fetched."""

    status_code = 503
    default_detail = "Try again in a moment."
    default_code = "unavailable"


class CognitoAuthentication(BaseAuthentication):  # type: ignore[misc]
    """Authenticates requests with an access token of the pool.

    ``request.user`` is the user of Django, and ``request.auth`` the `oncegate_web.User`. Name it first
    in ``authentication_classes``, so that an unauthenticated client gets 401 and not 403. For browsers
    that are signed in, add REST framework's own ``SessionAuthentication``.

    Attributes:
        alias: alias of the pool in ``ONCEGATE``; for another one, make a subclass.
    """

    alias = DEFAULT

    def authenticate(self, request: Request) -> tuple[Any, User] | None:
        """Return the users of Django and of the pool, or None without a bearer token."""
        if not get_authorization_header(request).lower().startswith(b"bearer "):
            return None
        cognito_user = self._verified(request)
        user = authenticate(
            request._request, cognito_user=cognito_user, username=cognito_user.username
        )
        if user is None:
            raise AuthenticationFailed("The user may not use this service.")
        return user, cognito_user

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        """Return ``WWW-Authenticate`` (RFC 6750, 3)."""
        return "Bearer"

    def _verified(self, request: Request) -> User:
        # No variable holds the token, because error reporters store variables.
        try:
            return web_sign_in(self.alias).bearer_user(
                get_authorization_header(request)[len(b"bearer ") :].strip().decode("latin-1")
            )
        except InvalidToken:
            raise AuthenticationFailed("The access token is invalid or has expired.") from None
        except UNAVAILABLE:
            raise Unavailable from None


def HasGroup(*groups: str) -> type[BasePermission]:  # noqa: N802 - a class to REST framework
    """Return a permission: the user is in one of these groups of the pool.

    Args:
        *groups: names of groups (the claim ``cognito:groups``).

    Example:
        >>> permission_classes = [HasGroup("staff") | IsAdminUser]
    """

    class InGroup(BasePermission):  # type: ignore[misc]
        def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
            user = _cognito_user(request)
            return user is not None and bool(set(groups) & set(user.groups))

    return InGroup


def HasScope(*scopes: str) -> type[BasePermission]:  # noqa: N802 - a class to REST framework
    """Return a permission: the access token has all of these scopes, such as ``orders/write``.

    Args:
        *scopes: scopes of the access token.
    """

    class WithScope(BasePermission):  # type: ignore[misc]
        def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
            user = _cognito_user(request)
            return user is not None and set(scopes) <= set(user.scopes)

    return WithScope


def _cognito_user(request: Request) -> User | None:
    """Return the user of the bearer token, or of the browser's session."""
    if not request.user.is_authenticated:
        return None
    return request.auth if isinstance(request.auth, User) else current_user(request._request)


try:
    from drf_spectacular.extensions import OpenApiAuthenticationExtension
except ModuleNotFoundError:
    pass
else:

    class _Scheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
        """The scheme in drf-spectacular's OpenAPI document, which finds it by itself."""

        target_class = CognitoAuthentication
        match_subclasses = True
        name = "cognito"

        def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
            return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


__all__ = ["CognitoAuthentication", "HasGroup", "HasScope", "Unavailable"]
