"""The transport to Amazon Cognito user pools, over boto3."""

from oncegate_cognito.admin import AdminCognitoTransport
from oncegate_cognito.managed_login import ManagedLogin
from oncegate_cognito.session import Session
from oncegate_cognito.tokens import CognitoTokenService, TokenVerifier
from oncegate_cognito.transport import CognitoTransport

__all__ = [
    "AdminCognitoTransport",
    "CognitoTokenService",
    "CognitoTransport",
    "ManagedLogin",
    "Session",
    "TokenVerifier",
]
