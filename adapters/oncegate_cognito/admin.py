"""`AdminCognitoTransport`: the same calls with IAM credentials. Extra: ``oncegate[cognito]``."""

from __future__ import annotations

from typing import Any, Literal

from oncegate_cognito.transport import CognitoTransport


class AdminCognitoTransport(CognitoTransport):
    """For servers with IAM credentials: AdminInitiateAuth and AdminRespondToAuthChallenge.

    Takes what `CognitoTransport` takes. boto3 finds the credentials in its usual places, unless a
    client is given. With USER_PASSWORD_AUTH the password goes out as ADMIN_USER_PASSWORD_AUTH, which
    is what a server's app client has enabled.
    """

    _is_signed = True

    def _send_initiate(self, request: dict[str, Any]) -> Any:
        flow: Literal["ADMIN_USER_PASSWORD_AUTH"] | str = request["AuthFlow"]
        if flow == "USER_PASSWORD_AUTH":
            flow = "ADMIN_USER_PASSWORD_AUTH"
        return self.app.boto.admin_initiate_auth(
            **{**request, "UserPoolId": self.app.pool_id, "AuthFlow": flow}
        )

    def _send_respond(self, request: dict[str, Any]) -> Any:
        return self.app.boto.admin_respond_to_auth_challenge(
            **{**request, "UserPoolId": self.app.pool_id}
        )
