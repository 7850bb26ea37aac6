"""How bodies of one JSON value a line are written; schemathesis knows none."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    items = value if isinstance(value, list) else [value]
    return "".join(json.dumps(item) + "\n" for item in items).encode()
