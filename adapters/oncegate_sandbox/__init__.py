"""A faithful local Cognito: every SDK can sign in against it, and it counts the codes it sends."""

from oncegate_sandbox.faults import Fault
from oncegate_sandbox.inbox import SentMessage
from oncegate_sandbox.seed import DEMO_SEED, PoolSeed, Seed, UserSeed, load_seed
from oncegate_sandbox.server import Sandbox

__all__ = [
    "DEMO_SEED",
    "Fault",
    "PoolSeed",
    "Sandbox",
    "Seed",
    "SentMessage",
    "UserSeed",
    "load_seed",
]
