"""What a cold start is compared with: the same framework, bridge and clients, without oncegate."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
from fastapi import FastAPI
from mangum import Mangum

url = urlsplit(os.environ["STORE_URL"])
options: dict[str, Any] = dict(parse_qsl(url.query))
table = boto3.client(
    "dynamodb", region_name=options["region"], endpoint_url=options["endpoint_url"]
)
cognito = boto3.client(
    "cognito-idp", region_name=options["region"], endpoint_url=os.environ["COGNITO_URL"]
)
app = FastAPI()


@app.get("/auth/")
def page() -> dict[str, bool]:
    found = table.get_item(TableName=url.netloc, Key={"key": {"S": "none"}}, ConsistentRead=True)
    return {"is_signed_in": "Item" in found}


handler = Mangum(app, lifespan="off")
