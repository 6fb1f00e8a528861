"""What oncegate relies on, as test suites for third parties' adapters.

Subclass a suite in a file that pytest collects, and return what is under test::

    from oncegate.testing import StoreConformance

    class TestMyStore(StoreConformance):
        def make(self):
            return MyStore(...)

Nothing here needs pytest: a suite is a class with methods that assert. `ScriptedTransport` replaces
Cognito in the tests of a user interface, without a network.
"""

from oncegate.testing.interfaces import Interface, InterfaceConformance
from oncegate.testing.stores import StoreConformance
from oncegate.testing.transports import (
    LocalCognito,
    ScriptedTransport,
    SentMessage,
    TransportConformance,
)
from oncegate.testing.vaults import VaultConformance

__all__ = [
    "Interface",
    "InterfaceConformance",
    "LocalCognito",
    "ScriptedTransport",
    "SentMessage",
    "StoreConformance",
    "TransportConformance",
    "VaultConformance",
]
