"""The AWS Lambda function of each framework's application: its handler, behind a bridge."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

framework = os.environ["FRAMEWORK"]
app: Any = import_module(f"tests.deployments.apps.{framework}_app").app

handler: Any
if framework == "fastapi":
    from mangum import Mangum

    handler = Mangum(app, lifespan="off")
else:
    from apig_wsgi import make_lambda_handler

    handler = make_lambda_handler(app)
