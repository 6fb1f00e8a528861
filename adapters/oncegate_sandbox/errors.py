"""Cognito's errors, with Cognito's messages."""

from __future__ import annotations


class CognitoError(Exception):
    """An error response: ``{"__type": …, "message": …}``.

    Args:
        code: name of the exception in botocore's service model.
        message: Cognito's own text if a public report or document quotes it.
        status: status code of the HTTP response. Default: 400.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def not_authorized(message: str) -> CognitoError:
    """Return a NotAuthorizedException. Its message distinguishes a dozen causes."""
    return CognitoError("NotAuthorizedException", message)


def no_such_device() -> CognitoError:
    """Return the error for a device that is unknown or was forgotten (source: amplify-js)."""
    return CognitoError("ResourceNotFoundException", "Device does not exist.")


def no_such_pool(pool_id: str) -> CognitoError:
    """Return the error for a user pool that does not exist."""
    return CognitoError("ResourceNotFoundException", f"User pool {pool_id} does not exist.")


def no_such_client(client_id: str) -> CognitoError:
    """Return the error for an app client that does not exist."""
    return CognitoError(
        "ResourceNotFoundException", f"User pool client {client_id} does not exist."
    )


def invalid_parameter(message: str) -> CognitoError:
    """Return an InvalidParameterException."""
    return CognitoError("InvalidParameterException", message)


WRONG_PASSWORD = "Incorrect username or password."
LOCKED = "Password attempts exceeded"
MFA_LOCKED = (
    "Too many invalid credentials attempts. User temporarily locked. Please try again after few "
    "seconds."
)
SESSION_FOREIGN = "Invalid session for the user."
SESSION_USED = "Invalid session for the user, session can only be used once."
SESSION_EXPIRED = "Invalid session for the user, session is expired."
WRONG_CODE = "Invalid code or auth state for the user."
DISABLED = "User is disabled."
WRONG_TOTP = "Invalid code received for user"
TOTP_USED = "Your software token has already been used once."
