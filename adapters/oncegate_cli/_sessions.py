"""The sessions that ``oncegate login`` keeps between commands, one for each profile and app client.

A session is a file that only its owner can read, sealed with a key in the system's keyring. The tokens
themselves would not fit there: an entry of Windows' keyring has 2560 bytes, and Cognito's tokens
together have more. One file is also replaced atomically, which several entries are not, and a renewal
does not write to the keyring. With ``--insecure-storage``, the file is not sealed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from oncegate import (
    Misconfigured,
    MissingExtra,
    RecordUnreadable,
    SealingKeys,
    SignedOut,
    Tokens,
    Unreachable,
)
from oncegate.adapters import FROM_STORE, StoredModel, new_key
from oncegate_cli import _adapters as adapters
from oncegate_cli._options import Account
from oncegate_cli._profiles import folder

EARLY: Final = 60.0
"""Seconds before an access token expires at which it is renewed."""

_LOCK_TIMEOUT: Final = 30.0
"""Seconds for which a command waits while another one renews the tokens; a renewal takes 10 at most."""

_NAMES: Final = (
    "cognito:username",
    "username",
    "preferred_username",
    "email",
    "phone_number",
    "sub",
)
_PLAIN: Final = (
    "keep tokens in a plain file that only you can read: oncegate login --insecure-storage"
)


class StartedChange(StoredModel):
    """A change of the account that a command began and the next one can go on with.

    Attributes:
        wish: what is wanted, such as the new phone number.
        flow_id: the flow, whose record is in a store beside the session.
    """

    wish: str = Field(default="", repr=False)
    flow_id: str = Field(repr=False)


class KeptSession(StoredModel):
    """A signed-in user's tokens, and what the next commands need to know of the sign-in.

    Attributes:
        username: the user's name, for the terminal.
        names: all names by which the user can be meant.
        tokens: the current tokens.
        signed_in_at: time of the sign-in, in seconds since the epoch.
        issued_at: time at which the tokens were issued, in seconds since the epoch.
        domain: URL of the user pool's domain, if managed login has a session of its own.
        redirect_uri: where the browser came back to from there.
        changes: changes of the account that have begun, by what they change.
    """

    username: str
    names: tuple[str, ...] = Field(default=(), repr=False)
    tokens: Tokens
    signed_in_at: float
    issued_at: float
    domain: str = ""
    redirect_uri: str = ""
    changes: dict[str, StartedChange] = Field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, tokens: Tokens, account: Account, *, typed: str = "", redirect_uri: str = ""
    ) -> KeptSession:
        """Return the session of a sign-in that just succeeded.

        Args:
            tokens: its tokens.
            account: the app client.
            typed: the name that the user typed, or named in advance; empty if there is none.
            redirect_uri: where the browser came back to from an identity provider.
        """
        claims = _claims(tokens.access_token) | _claims(tokens.id_token)
        names = [str(claims[name]) for name in _NAMES if claims.get(name)]
        now = time.time()
        return cls(
            username=next(iter(names), typed or "a user without a name"),
            names=tuple(dict.fromkeys(filter(None, (*names, typed)))),
            tokens=tokens,
            signed_in_at=now,
            issued_at=now,
            domain=account.domain or account.endpoint_url or "" if tokens.by_managed_login else "",
            redirect_uri=redirect_uri,
        )

    @property
    def expires_at(self) -> float:
        """Time at which the access token expires, in seconds since the epoch."""
        return self.issued_at + self.tokens.expires_in

    def is_of(self, username: str | None) -> bool:
        """Whether it is the session of a user; None means any user."""
        return not username or username in self.names

    def is_fresh(self) -> bool:
        """Whether the access token is not about to expire, as far as this machine's clock tells."""
        return self.issued_at <= time.time() < self.expires_at - EARLY


def _claims(token: str | None) -> dict[str, Any]:
    """Return the claims of a token that came from Cognito itself, over TLS.

    So they need no check of the signature (OpenID Connect Core 1.0, 3.1.3.7, 6).
    """
    import jwt  # only after a sign-in: importing it takes as long as printing a token

    try:
        return jwt.decode(token or "", options={"verify_signature": False})
    except jwt.PyJWTError:
        return {}


class SessionFile:
    """The file of one session.

    Args:
        account: the profile, the user pool and the app client.

    Attributes:
        path: the file.
    """

    def __init__(self, account: Account) -> None:
        # With the endpoint, so that the tokens of one Cognito are not sent to another.
        parts = (account.pool_id, account.client_id, account.endpoint_url or "")
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        self.path = folder() / f"session-{account.profile}-{digest}.json"
        self._key: str | None = None

    @property
    def place(self) -> str:
        """Where the session is, in words."""
        return f"{self.path}, {'sealed by the system’s keyring' if self._key else 'in plain text'}"

    def prepare(self, *, insecure: bool) -> None:
        """Make sure that a session can be saved. Called before any code is sent.

        Args:
            insecure: whether it may be saved in plain text.

        Raises:
            Misconfigured: the keyring does not work, or the folder cannot be written.
        """
        with self.locked():
            self._key = None if insecure else _made_key(self.path.stem)

    def renew_key(self) -> None:
        """Take the key from the keyring again: a logout may have removed it since `prepare`."""
        if self._key:
            self._key = _made_key(self.path.stem)

    def load(self, *, checked: bool = True) -> KeptSession | None:
        """Return the session; None if there is none, or one that is unreadable.

        Args:
            checked: whether to refuse a file that other users can read.

        Raises:
            Misconfigured: other users can read the file, or the keyring does not answer.
        """
        try:
            with self.path.open("rb") as file:
                if checked:
                    _check_mode(self.path, os.fstat(file.fileno()))
                stored = _Stored.model_validate_json(file.read(), context=FROM_STORE)
            if stored.session:
                self._key = None
                return stored.session
            self._key = _stored_key(self.path.stem)
            if self._key is None:
                return None
            plain = self._keys().unseal(base64.b64decode(stored.sealed), self._name)
            return KeptSession.model_validate_json(plain, context=FROM_STORE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Misconfigured(f"{self.path}: {error.strerror}") from None
        except (ValueError, RecordUnreadable):  # of pydantic, base64 and text that is no ASCII
            return None

    def save(self, session: KeptSession) -> None:
        """Replace the session.

        Raises:
            Misconfigured: the file cannot be written.
        """
        plain = session.model_dump_json().encode()
        if self._key:
            sealed = base64.b64encode(self._keys().seal(plain, self._name)).decode()
            stored = _Stored(sealed=sealed)
        else:
            stored = _Stored(session=session)
        try:
            adapters.replace_private(self.path, stored.model_dump_json(exclude_defaults=True))
        except OSError as error:
            raise Misconfigured(f"{self.path}: {error.strerror}") from None

    def remove(self) -> None:
        """Forget the session, and its key.

        Raises:
            Misconfigured: the file cannot be removed.
        """
        try:
            # Also what a command that was killed while it wrote has left.
            for path in self.path.parent.glob(f"{self.path.name}*"):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise Misconfigured(f"{self.path}: {error.strerror}") from None
        with suppress(
            Exception
        ):  # whatever a keyring raises: without the file, the key opens nothing
            _keyring().delete_password("oncegate", self.path.stem)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from changing the session while the block runs.

        Raises:
            Unreachable: another command changes it for too long.
            Misconfigured: the folder cannot be written, or its file system has no locks.
        """
        with adapters.needs_extra("cli"):
            from filelock import FileLock, Timeout
        lock = FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_TIMEOUT, mode=0o600)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise Unreachable("another command is renewing the tokens: try again") from None
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or "the file system has no locks"
            raise Misconfigured(f"{self.path.parent}: {reason}") from None
        try:
            yield
        finally:
            lock.release()

    @property
    def _name(self) -> bytes:
        return self.path.name.encode()

    def _keys(self) -> SealingKeys:
        try:
            return SealingKeys(self._key).bound_to("oncegate_cli")
        except Misconfigured:
            raise RecordUnreadable("the entry of the keyring is no key") from None


class _Stored(StoredModel):
    """What the file has: a session, or a sealed one in base64."""

    session: KeptSession | None = None
    sealed: str = ""


def _check_mode(path: Path, status: os.stat_result) -> None:
    """Refuse a file that other users can read or could have written.

    Raises:
        Misconfigured: its mode or its owner is not as this command leaves it.
    """
    if os.name == "nt":
        return
    if status.st_uid != os.getuid():
        raise Misconfigured(f"{path} belongs to another user: remove it")
    if status.st_mode & 0o077:
        raise Misconfigured(
            f"other users of this machine can read {path}: run oncegate logout, which revokes the "
            f"tokens, or chmod 600 {path} if no other user has read them"
        )


def _keyring() -> Any:
    """Return the ``keyring`` package.

    Raises:
        Misconfigured: it is not installed.
    """
    try:
        return import_module("keyring")
    except ModuleNotFoundError:
        missing = MissingExtra("keyring")
    raise Misconfigured(f"the keyring package is {missing}; or {_PLAIN}")


def _stored_key(name: str) -> str | None:
    """Return an entry of the system's keyring.

    Raises:
        Misconfigured: the keyring does not answer, or is not installed.
    """
    keyring, error = _keyring(), ""
    try:
        found: str | None = keyring.get_password("oncegate", name)
    except Exception as failure:  # noqa: BLE001 - back ends raise what their systems raise
        error = type(failure).__name__
    if error:
        raise Misconfigured(
            f"the system's keyring does not answer ({error}): unlock it, or {_PLAIN}"
        )
    return found


def _is_key(text: str) -> bool:
    try:
        SealingKeys(text)
    except (Misconfigured, ValueError):
        return False
    return True


def _made_key(name: str) -> str:
    """Return the key of a session's file in the keyring; a new one if there is none.

    Raises:
        Misconfigured: the keyring does not answer, does not store the key, or is not installed.
    """
    found = _stored_key(name)
    if found and _is_key(found):
        return found
    made, error = new_key(), "it forgets what is stored"
    try:
        _keyring().set_password("oncegate", name, made)
    except Exception as failure:  # noqa: BLE001 - as above
        error = type(failure).__name__
    else:
        if _stored_key(name) == made:
            return made
    raise Misconfigured(f"the system's keyring does not work ({error}): unlock it, or {_PLAIN}")


def current(file: SessionFile, account: Account) -> KeptSession:
    """Return the session, renewed first if its access token is about to expire.

    Only one of several commands renews it: refresh tokens can be valid once.

    Args:
        file: the session's file.
        account: the app client.

    Raises:
        SignedOut: there is no session, or it has ended. Then it is forgotten.
        Unreachable: the access token has expired, and Cognito did not answer or refused for now.
        Misconfigured: Cognito refused because of the set-up, or the session cannot be read or written.
    """
    found = file.load()
    if found is not None and found.is_fresh():
        return found
    if found is None:
        raise SignedOut
    with file.locked():
        found = file.load()
        if found is None:
            raise SignedOut
        session = found

        def save(tokens: Tokens) -> None:
            nonlocal session
            session = session.model_copy(update={"tokens": tokens, "issued_at": time.time()})
            file.save(session)

        # If the clock was set back since, only Cognito knows when the tokens expire.
        issued_at = found.issued_at if found.issued_at <= time.time() else 0.0
        try:
            adapters.renewed(account, found.tokens, issued_at=issued_at, save=save)
        except SignedOut:
            file.remove()
            raise
        return session


def checked(file: SessionFile, account: Account) -> KeptSession | None:
    """Return the session if Cognito says that it goes on, otherwise None. Then it is forgotten.

    Args:
        file: the session's file.
        account: the app client.

    Raises:
        Unreachable: Cognito did not answer.
        Misconfigured: see `current`.
    """
    try:
        session = current(file, account)
    except SignedOut:
        return None
    service = adapters.service(account)
    try:
        service.check(session.tokens)
    except SignedOut:
        forget(file, session)
        return None
    except Misconfigured:
        pass  # tokens without the scope of GetUser are valid all the same; the log has the reason
    return session


def forget(file: SessionFile, session: KeptSession) -> None:
    """Forget a session, unless another command has replaced it."""
    with file.locked():
        found = file.load(checked=False)
        if found and found.tokens == session.tokens:
            file.remove()


def flow_of(file: SessionFile, change: str, wish: str, new: Callable[[], str]) -> str:
    """Return the flow ID of a wish: that of an earlier command, or one beside it, otherwise a new one.

    It is kept before anything is sent, so that a command that is killed and run again sends no second
    code.

    Args:
        file: the session's file.
        change: what is changed, such as ``"phone_number"``. Another wish replaces the one before.
        wish: what is wanted, such as the new number.
        new: returns a new flow ID.

    Raises:
        SignedOut: there is no session.
        Unreachable: another command changes the session for too long.
        Misconfigured: the session cannot be read or written.
    """
    with file.locked():
        session = file.load()
        if session is None:
            raise SignedOut
        found = session.changes.get(change)
        if found is None or found.wish != wish:
            found = StartedChange(wish=wish, flow_id=new())
            changes = {**session.changes, change: found}
            file.save(session.model_copy(update={"changes": changes}))
        return found.flow_id


def drop_flow(file: SessionFile, flow_id: str) -> None:
    """Forget a flow that has ended.

    Args:
        file: the session's file.
        flow_id: the flow.
    """
    with file.locked():
        session = file.load()
        if session is None:
            return
        changes = {name: one for name, one in session.changes.items() if one.flow_id != flow_id}
        if changes != session.changes:
            file.save(session.model_copy(update={"changes": changes}))


def keep(file: SessionFile, account: Account, session: KeptSession) -> KeptSession | None:
    """Save a new session, and return the one that it replaced, if any.

    Args:
        file: the session's file, which was prepared.
        account: the app client.
        session: the session.

    Raises:
        Misconfigured: the file cannot be written.
    """
    replaced = None
    with file.locked():
        with suppress(Misconfigured):  # that of another storage, which does not answer
            replaced = SessionFile(account).load(checked=False)
        file.renew_key()
        if replaced and replaced.username == session.username:
            # A code for a new address works after a further sign-in.
            session = session.model_copy(update={"changes": replaced.changes})
        file.save(session)
    return replaced
