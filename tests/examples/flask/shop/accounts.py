"""The shop's own users, in SQLite."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, g
from flask_login import UserMixin

from oncegate_web import User
from oncegate_web.flask import user_logged_in, user_login_failed

from .extensions import oncegate


@dataclass
class Account(UserMixin):
    id: int
    name: str
    groups: tuple[str, ...]
    is_active: bool = True


@oncegate.user_loader
def account_of(user: User) -> Account:
    number, name, is_active = find_or_create(user.sub, user.display_name)
    return Account(number, name, user.groups, bool(is_active))


@user_logged_in.connect
def note_sign_in(app: Flask, user: Account, **_: Any) -> None:
    """Once for each sign-in, however often the user clicked."""
    app.logger.info("signed in: account %s", user.get_id())


@user_login_failed.connect
def note_failure(app: Flask, code: str, **_: Any) -> None:
    """After each answer that Cognito rejected, such as ``wrong_credentials``."""
    app.logger.warning("sign-in failed: %s", code)


def init_app(app: Flask) -> None:
    """Create the table, and close the connection of each request."""
    app.teardown_appcontext(_close)
    with app.app_context():
        database().execute(
            "CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, sub TEXT UNIQUE, "
            "name TEXT, is_active INTEGER DEFAULT 1)"
        )


def find_or_create(sub: str, name: str) -> tuple[int, str, int]:
    """Return ID, name and state of an account; the first sign-in creates it."""
    with database() as transaction:
        transaction.execute(
            "INSERT INTO accounts (sub, name) VALUES (?, ?) ON CONFLICT DO NOTHING", (sub, name)
        )
        found: tuple[int, str, int] = transaction.execute(
            "SELECT id, name, is_active FROM accounts WHERE sub = ?", (sub,)
        ).fetchone()
    return found


def database() -> sqlite3.Connection:
    """Return the connection of the current request."""
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"])
    found: sqlite3.Connection = g.database
    return found


def _close(_: BaseException | None) -> None:
    if "database" in g:
        g.pop("database").close()
