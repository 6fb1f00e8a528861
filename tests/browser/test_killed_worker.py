"""A worker of the application is killed between two pages; another replaces it at the same address."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page
from tests.browser.example_app import SIGN_IN, ExampleApp, wait_for
from tests.faults.worker import FORKS
from tests.servers import free_port, wait_for_port
from tests.web.example_apps import web_at
from tests.web.servers import serving

from oncegate_sandbox import Sandbox
from oncegate_stores import SQLiteStore


class Elsewhere:
    """A sandbox in another process, with what a transport needs of it."""

    def __init__(self, about: dict[str, str]) -> None:
        self.endpoint, self.pool_id, self.client_id = about.values()


def serve(framework: str, about: dict[str, str], store: str, port: int) -> None:
    web = web_at(Elsewhere(about), store=SQLiteStore(store))  # type: ignore[arg-type]
    with serving(framework, web, port):
        time.sleep(600)


@pytest.mark.parametrize("framework", ["fastapi"])
def test_worker_killed_between_pages_loses_nothing(
    framework: str, sandbox: Sandbox, page: Page, tmp_path: Path
) -> None:
    port, about = free_port(), dict(sandbox.description())
    app = ExampleApp(f"http://localhost:{port}", sandbox)

    def start() -> object:
        process = FORKS.Process(
            target=serve, args=(framework, about, f"{tmp_path}/flows.db", port), daemon=True
        )
        process.start()
        wait_for_port(port)
        return process

    worker = start()
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "awaiting_mfa")
    for _ in range(2):
        worker.kill()  # type: ignore[attr-defined]
        worker.join()  # type: ignore[attr-defined]
        worker = start()
        page.reload()
        wait_for(page, "awaiting_mfa")
    app.answer(page)
    app.shows_orders(page)
    assert app.messages == 1
    worker.kill()  # type: ignore[attr-defined]
