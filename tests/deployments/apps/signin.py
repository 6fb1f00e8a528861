"""The sign-in of the applications in this folder, with its settings from the environment."""

from __future__ import annotations

import logging
import os

from oncegate import SignIn, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_stores import store_from_url
from oncegate_web import WebSignIn

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")

transport = CognitoTransport(
    pool_id=os.environ["POOL_ID"],
    client_id=os.environ["CLIENT_ID"],
    endpoint_url=os.environ["COGNITO_URL"],
)
store = store_from_url(os.environ["STORE_URL"])
web = WebSignIn(transport=transport, store=store, keys=os.environ["ONCEGATE_KEY"])

if os.environ.get("USED_AT_IMPORT"):
    # As an application that checks its settings when it starts: before a server forks its workers.
    assert web.check().is_ready
    driver = SignIn(transport=transport, store=store)
    unknown = SubmitPassword.model_validate({"username": "nobody", "password": "wrong-horse-1"})
    assert driver.send(driver.start(), unknown).message is not None
