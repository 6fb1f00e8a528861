"""`AdminCognitoTransport`: the same calls with IAM credentials. Extra: ``oncegate[cognito]``."""

from __future__ import annotations

from oncegate_cognito._requests import AdminRequests
from oncegate_cognito.transport import CognitoTransport


class AdminCognitoTransport(CognitoTransport):
    """For servers with IAM credentials: AdminInitiateAuth and AdminRespondToAuthChallenge.

    Takes the arguments of `CognitoTransport`. boto3 finds the credentials in its usual places, unless
    a client is given. With USER_PASSWORD_AUTH the password is sent as ADMIN_USER_PASSWORD_AUTH, which
    is the flow that a server's app client enables.
    """

    _requests_type = AdminRequests
    _is_signed = True
