"""A crowd: people who sign in at the same time, click everything twice, and reload now and then."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
from tests.web.pages import Visit

from oncegate import Factor
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed

PASSWORD = "Correct-horse-1"
AT_ONCE = 8
"""People who sign in at the same moment."""


def seed(people: int) -> Seed:
    """Return a seed with so many users, each with an own phone for codes by SMS."""
    users = tuple(
        UserSeed.model_validate(
            {
                "username": f"user{number}",
                "password": PASSWORD,
                "phone_number": f"+1202555{number:06d}",
                "mfa": (Factor.SMS,),
                "preferred_mfa": Factor.SMS,
            }
        )
        for number in range(people)
    )
    return Seed(pool=PoolSeed(), users=users)


@dataclass
class Result:
    """What a crowd saw.

    Attributes:
        texts: number of codes that were sent to each user.
        signed_in: users who see their own orders in the end.
        statuses: how often each HTTP status was answered.
        failures: what else went wrong, one line for each user.
        seconds: duration of all, in seconds.
    """

    texts: Counter[str] = field(default_factory=Counter)
    signed_in: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def got_two(self) -> set[str]:
        """Users who got more than one code."""
        return {user for user, texts in self.texts.items() if texts > 1}

    @property
    def server_errors(self) -> dict[int, int]:
        """How often each status from 500 on was answered."""
        return {status: times for status, times in self.statuses.items() if status >= 500}


class Crowd:
    """People at one server.

    Args:
        sandbox: the Cognito behind the server, with the users of `seed`.
        url: URL of the server.
        people: number of people.
    """

    def __init__(self, sandbox: Sandbox, url: str, people: int) -> None:
        self._sandbox = sandbox
        self._url = url
        self._users = [f"user{number}" for number in range(people)]
        self.result = Result()

    def sign_in(self) -> Result:
        """Sign all in, and return what they saw."""
        before = Counter(message.username for message in self._sandbox.messages())
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(self._one, self._users))
        self.result.seconds = time.monotonic() - began
        self.result.texts = Counter(m.username for m in self._sandbox.messages()) - before
        return self.result

    def _one(self, user: str) -> None:
        headers = {"accept": "text/html,application/xhtml+xml", "accept-language": "en"}
        counts: dict[str, list[Callable[[httpx.Response], None]]] = {"response": [self._count]}
        # Idle connections are closed before a server closes them: a browser repeats a request that meets
        # such an end, and httpx does not.
        limits = httpx.Limits(keepalive_expiry=1.0)
        with httpx.Client(
            base_url=self._url, headers=headers, timeout=60, limits=limits, event_hooks=counts
        ) as client:
            try:
                Person(client, user, self._newest_code).sign_in()
            except Exception as error:  # noqa: BLE001 - whatever it is, the user is not signed in
                self.result.failures.append(f"{user}: {type(error).__name__}: {error}")
                return
            self.result.signed_in.add(user)

    def _count(self, response: httpx.Response) -> None:
        self.result.statuses[response.status_code] += 1

    def _newest_code(self, user: str) -> str:
        return [one.code for one in self._sandbox.messages() if one.username == user][-1]


class Person:
    """A user in a browser without JavaScript, who clicks every button twice.

    Args:
        client: the browser.
        user: username.
        newest_code: returns the newest code on a user's phone.
    """

    def __init__(self, client: httpx.Client, user: str, newest_code: Callable[[str], str]) -> None:
        self._client = client
        self._user = user
        self._newest_code = newest_code
        self._visit = Visit(client)
        self._random = random.Random(user)

    def sign_in(self) -> None:
        """Sign in, and look at the own orders; AssertionError if a page is not the expected one."""
        self._shows(self._visit.open(), "idle")
        self._reload_now_and_then()
        shown = self._click_twice("submit_password", username=self._user, password=PASSWORD)
        self._shows(shown, "awaiting_mfa")
        self._reload_now_and_then()
        shown = self._click_twice("submit_code", code=self._newest_code(self._user))
        self._shows(shown, "authenticated")
        for _ in range(2):
            orders = self._client.get("/orders")
            assert orders.status_code == 200, f"orders: {orders.status_code}"
            assert orders.json() == {"user": self._user}, orders.text

    def _shows(self, state: str, wanted: str) -> None:
        assert self._visit.response is not None
        text = " ".join(self._visit.page.text.split())
        assert state == wanted, f"{self._visit.response.status_code} {state!r}: {text[-300:]}"

    def _click_twice(self, event: str, **fields: str) -> str:
        """Post a form twice at the same time; return the state that both clicks lead to."""
        form = self._visit.page.forms[event.replace("_", "-")]
        values = {**form.values, **fields}
        with ThreadPoolExecutor(2) as clicks:
            posts = [clicks.submit(self._visit.post, form.action, values) for _ in range(2)]
            answers = [post.result() for post in posts]
        for answer in answers:
            assert answer.status_code == 303, f"{event}: {answer.status_code}"
        if self._random.random() < 0.3:  # back, and once more
            assert self._visit.post(form.action, values).status_code == 303
        return self._visit.open()

    def _reload_now_and_then(self) -> None:
        if self._random.random() < 0.3:
            before = self._visit.page.state
            assert self._visit.open() == before, f"reloaded {before}: {self._visit.page.state!r}"
