"""A local Cognito server for tests and demos: every SDK can sign in, and all messages are recorded."""

from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.faults import Fault
from oncegate_sandbox.inbox import SentMessage
from oncegate_sandbox.pool import Pool
from oncegate_sandbox.seed import DEMO_SEED, PasskeySeed, PoolSeed, Seed, UserSeed, load_seed
from oncegate_sandbox.server import Sandbox

__all__ = [
    "DEMO_SEED",
    "CognitoError",
    "Fault",
    "PasskeySeed",
    "Pool",
    "PoolSeed",
    "Sandbox",
    "SandboxClock",
    "Seed",
    "SentMessage",
    "UserSeed",
    "load_seed",
]
