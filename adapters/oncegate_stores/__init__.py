"""Stores: where flows are kept between the steps. Each is one file and fills `oncegate.FlowStore`."""

from oncegate_stores.memory import MemoryStore
from oncegate_stores.sqlite import SQLiteStore

__all__ = ["MemoryStore", "SQLiteStore"]
