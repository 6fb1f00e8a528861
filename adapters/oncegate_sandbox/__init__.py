"""A local Cognito server for tests and demos: SDKs can sign in, and all messages are recorded."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oncegate_sandbox._requests import LoggedRequest
    from oncegate_sandbox._user_state import UserState
    from oncegate_sandbox.clock import SandboxClock
    from oncegate_sandbox.errors import CognitoError
    from oncegate_sandbox.faults import Fault
    from oncegate_sandbox.inbox import SentMessage
    from oncegate_sandbox.pool import Pool
    from oncegate_sandbox.seed import (
        DEMO_SEED,
        PasskeySeed,
        PoolSeed,
        Seed,
        UserSeed,
        load_seed,
    )
    from oncegate_sandbox.server import Sandbox

__all__ = [
    "DEMO_SEED",
    "CognitoError",
    "Fault",
    "LoggedRequest",
    "PasskeySeed",
    "Pool",
    "PoolSeed",
    "Sandbox",
    "SandboxClock",
    "Seed",
    "SentMessage",
    "UserSeed",
    "UserState",
    "load_seed",
]

_MODULES = {
    "CognitoError": "errors",
    "Fault": "faults",
    "LoggedRequest": "_requests",
    "Pool": "pool",
    "Sandbox": "server",
    "SandboxClock": "clock",
    "SentMessage": "inbox",
    "UserState": "_user_state",
}


def __getattr__(name: str) -> Any:
    """Import a name at first use: pytest loads this package's plugin in every run (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES.get(name, 'seed')}")
    value = globals()[name] = getattr(module, name)
    return value
