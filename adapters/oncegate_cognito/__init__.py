"""The transport to Amazon Cognito user pools, over boto3."""

from oncegate_cognito.transport import CognitoTransport

__all__ = ["CognitoTransport"]
