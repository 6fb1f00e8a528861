"""A real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.browser.example_app import ExampleApp
from tests.web.example_apps import FRAMEWORKS, web_at
from tests.web.servers import serving

from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed
from oncegate_sandbox.seed import DEMO_SEED

CHROMIUM = "chromium-headless-shell"
"""Chromium without its own windows, which take half of the time."""

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Without these, chromium contacts its vendor's hosts, and does not start as root."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.needs(CHROMIUM))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Per module: while Playwright runs, so does its event loop, and asyncio allows no other.
    with sync_playwright() as playwright:
        found = shutil.which(CHROMIUM)
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


NewContext = Callable[..., BrowserContext]


@pytest.fixture
def new_context(chromium: Browser) -> Iterator[NewContext]:
    with ExitStack() as opened:

        def make(**options: Any) -> BrowserContext:
            context = chromium.new_context(locale="en-GB", **options)
            context.set_default_timeout(10_000)
            opened.callback(context.close)
            return context

        yield make


@pytest.fixture
def page(new_context: NewContext) -> Page:
    return new_context().new_page()


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def open_app() -> Iterator[Callable[..., ExampleApp]]:
    """Start an application with its own Cognito, on a real server."""
    with ExitStack() as opened:

        def make(
            framework: str = "fastapi",
            *users: UserSeed,
            pool: dict[str, Any] | None = None,
            **web: Any,
        ) -> ExampleApp:
            seed = Seed(pool=PoolSeed.model_validate(pool or {}), users=users or DEMO_SEED.users)
            sandbox = opened.enter_context(Sandbox(seed))
            url = opened.enter_context(serving(framework, web_at(sandbox, **web)))
            return ExampleApp(url, sandbox)

        yield make
