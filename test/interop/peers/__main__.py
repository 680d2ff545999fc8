"""C-core gRPC, the runtime under gRPC for Python, Ruby, PHP, C# and C++, as client and server.

Messages are bytes: the handlers are generic, and nothing is generated. A request that asks for something is a
JSON object, padded with zero bytes to the size that the case wants.

    peers serve SETTINGS          a server; prints {"event": "listening", "port": …}, and what its calls meet
    peers call SETTINGS CASE…     a client; prints one line per case: {"case": …, "ok": true, …}

SETTINGS is JSON: "port", "role" and "options" of a server, "target" and "options" of a client.
"""

import json
import os
import sys
import time
import traceback

import interop_cases  # noqa: F401 (registers its cases)
import load_cases  # noqa: F401 (registers its cases)
from backend import serve
from client import CASES, Client
from common import report


def run_cases(settings, names):
    client = Client(settings)
    failed = False
    for name in names:
        begin = time.monotonic()
        try:
            facts = CASES[name](client) or {}
            report(**{"case": name, "ok": True, "seconds": time.monotonic() - begin, **facts})
        except Exception as error:
            failed = True
            report(case=name, ok=False, error=f"{error!r}", trace=traceback.format_exc())
    client.channel.close()
    sys.stdout.flush()
    # Request generators that nobody ends would keep the process alive.
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(json.loads(sys.argv[2]))
    else:
        run_cases(json.loads(sys.argv[2]), sys.argv[3:])
