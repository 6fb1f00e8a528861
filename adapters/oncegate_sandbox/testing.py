"""What the pytest fixtures ``cognito`` and ``inbox`` return. It also works without pytest."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oncegate_sandbox.faults import Fault
from oncegate_sandbox.inbox import SentMessage
from oncegate_sandbox.seed import PoolSeed, Seed, UserSeed, address_in, load_seed
from oncegate_sandbox.server import Sandbox

if TYPE_CHECKING:
    from oncegate_sandbox._requests import LoggedRequest
    from oncegate_sandbox._user_state import UserState


def start(seed: Seed | Path | None = None) -> Sandbox:
    """Return a sandbox for tests. It serves once it is entered as a context manager.

    Args:
        seed: settings and users, or the path of a seed file. Default: a pool without users, where MFA
            is optional.

    Raises:
        InvalidInput: the seed file cannot be read or is invalid.
    """
    if isinstance(seed, Seed):
        return Sandbox(seed)
    return Sandbox(load_seed(seed) if seed else Seed(pool=PoolSeed(mfa="optional")))


@cache
def _client(endpoint_url: str, region: str) -> Any:
    """Return the client of an endpoint. Making one takes a quarter of a second."""
    import boto3

    return boto3.session.Session().client(
        "cognito-idp",
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",  # noqa: S106 - AWS does not know it
    )


def _without_proxy() -> dict[str, str]:
    """Return ``NO_PROXY`` with this machine's names; the lower-case variable takes precedence."""
    found = {}
    for name in ("NO_PROXY", "no_proxy"):
        if name == "NO_PROXY" or name in os.environ:
            hosts = [host for host in os.environ.get(name, "").split(",") if host]
            local = [host for host in ("127.0.0.1", "localhost") if host not in hosts]
            found[name] = ",".join((*hosts, *local))
    return found


class CognitoPool:
    """A running user pool.

    Args:
        sandbox: the server.

    Attributes:
        sandbox: the server, for everything that this class lacks.
        endpoint_url: endpoint URL for SDKs.
        pool_id: user pool ID.
        client_id: app client ID.
        region: region of the pool.
        seed: the seed that the pool was made from.
        inbox: the messages that the pool has sent.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.endpoint_url = sandbox.endpoint
        self.pool_id = sandbox.pool_id
        self.client_id = sandbox.client_id
        self.region = sandbox.pool.region
        self.seed = sandbox.seed
        self.inbox = Inbox(sandbox)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that make AWS's SDKs and CLI use the sandbox, not through a proxy."""
        return {
            **_without_proxy(),
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_SESSION_TOKEN": "",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        }

    @property
    def client(self) -> Any:
        """A boto3 client of ``cognito-idp`` with credentials that are invalid elsewhere."""
        return _client(self.endpoint_url, self.region)

    def add_user(self, username: str, password: str = "Correct-horse-1", **keys: Any) -> UserState:  # noqa: S107
        """Add a user to the pool.

        Args:
            username: the user's own name. In a pool with UsernameAttributes, an email address or a phone
                number is also the user's attribute.
            password: the password. Default: ``Correct-horse-1``.
            keys: further keys of ``[[users]]``, as in a seed file: ``email="ana@example.com"``,
                ``mfa=["SMS_MFA"]``, ``status="UNCONFIRMED"``.

        Returns:
            The state of the user.

        Raises:
            ValueError: the keys are invalid, or a user has this name.
        """
        address = address_in(username, self.sandbox.pool.settings.username_attributes)
        user = UserSeed.model_validate(
            {"username": username, "password": password, **address, **keys}
        )
        self.sandbox.add_user(user)
        return self.user(username)

    def user(self, name: str, *, pool_id: str | None = None) -> UserState:
        """Return the state of a user.

        Args:
            name: username or alias.
            pool_id: user pool ID of another pool, which the code under test created. Default: the
                seed's pool.

        Raises:
            InvalidInput: there is no such pool, or it has no such user.
        """
        return self.sandbox.user(name, pool_id=pool_id)

    def totp_code(self, name: str) -> str:
        """Return the current code of a user's authenticator app. Each code is accepted once.

        Raises:
            InvalidInput: there is no such user, or the user has no authenticator app.
        """
        return self.sandbox.totp_code(name)

    def return_from_provider(self, authorize_url: str, email: str | None) -> str:
        """Sign in on the page that stands for an identity provider, as a user does in a browser.

        Args:
            authorize_url: URL to which the application sends the browser.
            email: the user's email address at the provider. None: the user denies the access.

        Returns:
            The URL of the application to which the browser returns, with ``code`` and ``state``, or with
            ``error``.

        Raises:
            InvalidInput: the browser does not return to the application.
        """
        return self.sandbox.return_from_provider(authorize_url, email)

    def order(self, operation: str = "*", kind: str = "error", **keys: Any) -> None:
        """Order a fault for the next calls.

        Args:
            operation: name of the operation. Default: ``*``, any.
            kind: what happens; see `Fault`. Default: ``error``.
            keys: further attributes of `Fault`, such as ``code="CodeMismatchException"``.

        Raises:
            ValueError: the keys are invalid.
        """
        self.sandbox.order(Fault.model_validate({"operation": operation, "kind": kind, **keys}))

    def advance(self, seconds: float) -> None:
        """Move the pool's clock forward: sessions, codes and tokens expire."""
        self.sandbox.advance(seconds)

    def calls(self) -> dict[str, int]:
        """Return the number of calls received so far, by operation."""
        return self.sandbox.calls()

    def requests(self) -> tuple[LoggedRequest, ...]:
        """Return the requests received so far without their secrets, oldest first."""
        return self.sandbox.requests()


class Inbox:
    """The messages that the sandbox has sent, with assertions.

    Args:
        sandbox: the server.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def messages(self, username: str | None = None) -> tuple[SentMessage, ...]:
        """Return the messages to a user, or all messages, oldest first."""
        return tuple(
            message
            for message in self._sandbox.messages()
            if username is None or username in {message.username, message.destination}
        )

    def code_for(self, username: str) -> str:
        """Return the newest code that was sent to a user.

        Raises:
            AssertionError: none was sent.
        """
        __tracebackhide__ = True
        messages = self.messages(username)
        if not messages:
            raise AssertionError(f"no code was sent to {username!r}; {self._summary()}")
        return messages[-1].code

    def sent(self, username: str, *, times: int, purpose: str | None = None) -> bool:
        """Check the number of messages to a user.

        Args:
            username: the user.
            times: expected number.
            purpose: count only messages of this purpose, such as ``SMS_MFA``. Default: all.

        Returns:
            True, so that ``assert`` can precede the call.

        Raises:
            AssertionError: the number is another one.
        """
        __tracebackhide__ = True
        found = [m for m in self.messages(username) if purpose in {None, m.purpose}]
        if len(found) != times:
            what = f"{purpose} messages" if purpose else "messages"
            raise AssertionError(
                f"expected {times} {what} to {username!r}, got {len(found)}; {self._summary()}"
            )
        return True

    def sent_once(self, username: str, *, purpose: str | None = None) -> bool:
        """Check that exactly one message was sent to a user. See `sent`.

        Raises:
            AssertionError: none was sent, or more than one.
        """
        __tracebackhide__ = True
        return self.sent(username, times=1, purpose=purpose)

    def sent_nothing(self, username: str | None = None) -> bool:
        """Check that no message was sent to a user, or to any user. See `sent`.

        Raises:
            AssertionError: one was sent.
        """
        __tracebackhide__ = True
        if found := self.messages(username):
            whom = "anyone" if username is None else repr(username)
            raise AssertionError(
                f"expected no message to {whom}, got {len(found)}; {self._summary()}"
            )
        return True

    def clear(self) -> None:
        """Delete all messages."""
        self._sandbox.pool.inbox.clear()

    def _summary(self) -> str:
        """Return what was sent, without the codes, and what was called."""
        lines = [
            f"  {m.sent_at:%H:%M:%S} {m.medium} to {m.username!r} at {m.destination}: {m.purpose}"
            for m in self.messages()
        ]
        calls = ", ".join(f"{name} {count}" for name, count in self._sandbox.calls().items())
        sent = "sent so far:\n" + "\n".join(lines) if lines else "nothing was sent so far"
        return f"{sent}\n  calls: {calls or 'none'}"
