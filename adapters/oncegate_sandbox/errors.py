"""Cognito's errors, in Cognito's words."""

from __future__ import annotations


class CognitoError(Exception):
    """An error that goes over the wire as ``{"__type": …, "message": …}``.

    Args:
        code: the exception's name in botocore's service model.
        message: as Cognito says it, where a public report or document quotes it.
        status: of the HTTP response.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def not_authorized(message: str) -> CognitoError:
    """NotAuthorizedException, which Cognito uses for a dozen things; the message tells which."""
    return CognitoError("NotAuthorizedException", message)


def no_such_device() -> CognitoError:
    """What a device that was forgotten, or never was, is answered with (amplify-js)."""
    return CognitoError("ResourceNotFoundException", "Device does not exist.")


def invalid_parameter(message: str) -> CognitoError:
    """InvalidParameterException."""
    return CognitoError("InvalidParameterException", message)


WRONG_PASSWORD = "Incorrect username or password."
LOCKED = "Password attempts exceeded"
SESSION_FOREIGN = "Invalid session for the user."
SESSION_USED = "Invalid session for the user, session can only be used once."
SESSION_EXPIRED = "Invalid session for the user, session is expired."
WRONG_CODE = "Invalid code or auth state for the user."
WRONG_TOTP = "Invalid code received for user"
TOTP_USED = "Your software token has already been used once."
