"""A worker process for the tests that kill one: reads orders, one JSON object a line, and obeys."""

from __future__ import annotations

import json
import sys

from oncegate import OncegateError, SignIn, parse_event
from oncegate_cognito import CognitoTransport
from oncegate_stores import SQLiteStore


def main() -> None:
    endpoint, pool_id, client_id, path = sys.argv[1:]
    transport = CognitoTransport(
        pool_id=pool_id,
        client_id=client_id,
        endpoint_url=endpoint,
        connect_timeout=0.5,
        read_timeout=1.5,
    )
    sign_in = SignIn(transport=transport, store=SQLiteStore(path))
    print(json.dumps({"ready": sign_in._policy.lease}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "event" in order:
                step = sign_in.send(
                    order["flow_id"], parse_event(order["event"]), version=order.get("version")
                )
            else:
                step = sign_in.get(order["flow_id"])
            answer = {**step.model_dump(mode="json"), "signed_in": step.tokens is not None}
        except OncegateError as error:
            answer = {"error": type(error).__name__}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
