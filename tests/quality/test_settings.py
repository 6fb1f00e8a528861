"""Each number and each flag that an application can set is checked when the object is made."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from oncegate import AsyncSignIn, CodeBudget, Misconfigured, SignIn
from oncegate.account import Account, AsyncAccount
from oncegate.adapters import SealingKeys
from oncegate.budget import GuessLimit
from oncegate_cognito import CognitoTransport
from oncegate_cognito.tokens import TokenVerifier
from oncegate_stores import DynamoDBStore, MemoryStore, PostgresStore, RedisStore, SQLiteStore
from oncegate_web import WebSignIn
from oncegate_web._web import arguments

POOL: dict[str, Any] = {"pool_id": "us-east-1_Sandbox01", "client_id": "client"}
KEY = "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"


@cache
def driver() -> dict[str, Any]:
    return {"transport": CognitoTransport(**POOL), "store": MemoryStore()}


Needed = Callable[[], dict[str, Any]]

MADE: dict[type, Needed] = {
    SignIn: driver,
    AsyncSignIn: driver,
    Account: driver,
    AsyncAccount: driver,
    WebSignIn: lambda: {**driver(), "keys": KEY, "account": True},
    CognitoTransport: lambda: POOL,
    TokenVerifier: lambda: POOL,
    SealingKeys: lambda: {"sealing": KEY},
    SQLiteStore: lambda: {"path": "flows.db"},
    PostgresStore: lambda: {"pool": "postgresql://localhost/db"},
    RedisStore: lambda: {"redis": "redis://localhost"},
    DynamoDBStore: lambda: {"table": "flows"},
}
"""The classes, and what each needs."""

WRONG: dict[str, tuple[object, ...]] = {
    "float": (-1.0, math.nan, math.inf, "60", True),
    "int": (-1, "3", 1.5, True),
    "bool": ("no", 1),
}
"""Values that no setting of a type can have."""


def kinds(made: Callable[..., object]) -> dict[str, str]:
    """Return what the numbers and flags are that something takes, by name."""
    parts = {
        name: set(str(parameter.annotation).split(" | "))
        for name, parameter in inspect.signature(made).parameters.items()
    }
    found = {name: [kind for kind in WRONG if kind in of] for name, of in parts.items()}
    return {name: kinds[0] for name, kinds in found.items() if kinds}


def settings() -> Iterator[Any]:
    """Yield each class with each of its numbers and flags, and a wrong value."""
    for cls in MADE:
        for name, kind in kinds(cls).items():
            for value in WRONG[kind]:
                yield pytest.param(cls, name, value, id=f"{cls.__name__}-{name}-{value!r}")


@pytest.mark.parametrize(("cls", "name", "value"), list(settings()))
def test_wrong_setting_is_refused_by_its_name(cls: type, name: str, value: object) -> None:
    with pytest.raises(Misconfigured, match=name):
        cls(**{**MADE[cls](), name: value})


NO_OBJECT: dict[str, tuple[object, ...]] = {
    "transport": (None, "https://cognito", CognitoTransport),
    "store": (None, "sqlite:///flows.db", MemoryStore, {}),
    "keeper": ("sessions", 5),
    "vault": ("devices", 5),
    "clock": (5, print),
    "listeners": (5, ["log"], print),
}


def objects() -> Iterator[Any]:
    """Yield each class with each of the objects that it takes."""
    for cls in (SignIn, AsyncSignIn, Account, AsyncAccount, WebSignIn):
        takes = arguments() if cls is WebSignIn else inspect.signature(cls).parameters
        for name in NO_OBJECT:
            if name in takes:
                yield pytest.param(cls, name, id=f"{cls.__name__}-{name}")


@pytest.mark.parametrize(("cls", "name"), list(objects()))
def test_object_without_the_methods_of_a_port_is_refused_by_its_name(cls: type, name: str) -> None:
    """With the store's URL instead of the store, the first user would find out."""
    for value in NO_OBJECT[name]:
        with pytest.raises(Misconfigured, match=f"{name}.* has to be"):
            cls(**{**MADE[cls](), name: value})


def test_error_names_what_an_object_lacks() -> None:
    class Half:
        def load(self, key: str) -> None: ...

        def now(self) -> float:
            return 0.0

    with pytest.raises(Misconfigured, match=r"not Half without epoch, swap$"):
        SignIn(**{**driver(), "store": Half()})


def test_value_is_not_in_the_error() -> None:
    with pytest.raises(Misconfigured) as refused:
        SignIn(**{**driver(), "store": "redis://:secret@host"})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", [CodeBudget, GuessLimit])
def test_wrong_limit_is_refused_by_its_name(kind: type[CodeBudget] | type[GuessLimit]) -> None:
    argument = "budget" if kind is CodeBudget else "guess_limit"
    for name, of in kinds(kind).items():
        for value in WRONG[of]:
            given: dict[str, Any] = {name: value}
            wrong = kind(**given)
            with pytest.raises(Misconfigured, match=f"{kind.__name__}.{name}"):
                SignIn(**{**driver(), argument: wrong})
    with pytest.raises(Misconfigured, match=argument):
        SignIn(**{**driver(), argument: 10})


@pytest.mark.parametrize("cls", list(MADE), ids=lambda cls: cls.__name__)
def test_defaults_are_accepted(cls: type) -> None:
    cls(**MADE[cls]())
