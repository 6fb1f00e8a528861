"""Profiles: named settings in ``config.toml``, so that a command needs no options."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oncegate import Misconfigured
from oncegate_cli._options import DEFAULT_PROFILE, AuthFlow

_OF_SECRETS: Final = ("secret", "password", "token")


def folder() -> Path:
    """Return the application folder of this system, such as ``~/.config/oncegate``."""
    return Path(typer.get_app_dir("oncegate"))


class _Profile(BaseModel):
    """A ``[profile.NAME]`` table. Its keys are the options of the same names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    pool_id: str | None = None
    client_id: str | None = None
    endpoint_url: str | None = None
    username: str | None = None
    auth_flow: AuthFlow | None = None
    remember_device: bool | None = None
    provider: str | None = None
    domain: str | None = None
    callback_port: int | None = Field(default=None, ge=0, le=65535)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    profile: dict[str, _Profile] = {}


def settings_of(name: str) -> dict[str, Any]:
    """Return what a profile says, by the name of the option.

    Args:
        name: name of the profile. The default one need not exist.

    Raises:
        Misconfigured: there is no such profile, or the file is malformed, unreadable or can be
            changed by other users.
    """
    path = folder() / "config.toml"
    profiles = _read(path).profile
    if name in profiles:
        return profiles[name].model_dump(exclude_none=True)
    if name == DEFAULT_PROFILE:
        return {}
    known = ", ".join(sorted(profiles)) or "none"
    raise Misconfigured(f"{path}: no [profile.{name}] here; the profiles are: {known}")


def _read(path: Path) -> _File:
    try:
        with path.open("rb") as file:
            _check_owner(path, os.fstat(file.fileno()))
            text = file.read().decode()
    except FileNotFoundError:
        return _File()
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{path}: not UTF-8") from None
    try:
        return _File.model_validate(tomllib.loads(text))
    except ValidationError as error:
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        words = "; ".join(
            _words(problem["loc"], problem["type"], problem["msg"]) for problem in problems
        )
        raise Misconfigured(f"{path}: {words}") from None
    except (ValueError, RecursionError) as error:  # of tomllib, and a number of 4300 digits
        raise Misconfigured(f"{path}: invalid TOML: {error}") from None


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Refuse a file that another user could have written: it says where a password is sent.

    Raises:
        Misconfigured: another user owns it, or all users can write it.
    """
    if os.name == "nt":
        return
    if status.st_uid not in {0, os.getuid()}:
        raise Misconfigured(
            f"{path} belongs to another user: it could send your password elsewhere"
        )
    if status.st_mode & stat.S_IWOTH:
        raise Misconfigured(f"all users of this machine can change {path}: run chmod o-w {path}")


def _words(place: tuple[int | str, ...], kind: str, message: str) -> str:
    """Return what is wrong at a key, and what to do."""
    key = str(place[-1]) if place else ""
    where = f"[{'.'.join(map(str, place[:-1]))}] {key}" if len(place) > 1 else key
    if kind != "extra_forbidden":
        return f"{where}: {message[:1].lower()}{message[1:]}"
    if len(place) == 1:
        return f"{key}: not a table of this file; write [profile.NAME]"
    if any(word in key.lower() for word in _OF_SECRETS):
        return (
            f"{where}: no secret belongs in this file; set ONCEGATE_CLIENT_SECRET, or store the client "
            "secret in the system's keyring"
        )
    return f"{where}: not a key of a profile; the keys are {', '.join(_Profile.model_fields)}"
