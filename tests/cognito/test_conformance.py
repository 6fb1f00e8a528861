"""The transport against the suite for third parties' transports."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from oncegate.adapters import Transport
from oncegate.testing import LocalCognito, TransportConformance
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox


class TestBySRP(TransportConformance):
    def cognito(self) -> AbstractContextManager[LocalCognito]:
        return Sandbox()

    def make(self, **settings: Any) -> Transport:
        return CognitoTransport(**settings)


class TestByPassword(TestBySRP):
    sending_operation = "InitiateAuth"

    def make(self, **settings: Any) -> Transport:
        return CognitoTransport(**settings, auth_flow="USER_PASSWORD_AUTH")
