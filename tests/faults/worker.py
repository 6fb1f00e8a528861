"""A worker process for the tests that kill one: reads orders, one JSON object a line, and obeys."""

from __future__ import annotations

import json
import sys

import oncegate.signin
from oncegate import OncegateError, SignIn, parse_event
from oncegate_cognito import CognitoTransport
from oncegate_stores import store_from_url


def main() -> None:
    endpoint, pool_id, client_id, url, patience = sys.argv[1:]
    oncegate.signin.LEASE_MARGIN = 0.5  # or the test would wait for half a minute
    transport = CognitoTransport(
        pool_id=pool_id,
        client_id=client_id,
        endpoint_url=endpoint,
        connect_timeout=0.5,
        read_timeout=1.0,
        auth_flow="USER_PASSWORD_AUTH",
    )
    sign_in = SignIn(
        transport=transport, store=store_from_url(url), budget=None, patience=float(patience)
    )
    print(json.dumps({"ready": sign_in._policy.lease}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "event" in order:
                event = parse_event(order["event"])
                step = sign_in.send(order["flow_id"], event, version=order.get("version"))
            else:
                step = sign_in.get(order["flow_id"])
            answer = {**step.model_dump(mode="json"), "signed_in": step.tokens is not None}
        except OncegateError as error:
            answer = {"error": type(error).__name__}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
