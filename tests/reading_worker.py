"""Read files in a process that may be lost: one line of JSON for each.

Run as: python reading_worker.py < list-of-paths. Memory is limited, and an alarm ends
the process if one file takes too long, so that the caller knows which it was.
"""

import json
import resource
import signal
import sys

from medcnn import io
from medcnn.errors import ReadError

MEMORY_BYTES = 4 * 2**30
SECONDS = 20


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for line in sys.stdin:
        path = line.rstrip("\n")
        signal.alarm(SECONDS)
        try:
            image = io.load(path)
            result = {"kind": "ok", "shape": image.shape}
        except ReadError as error:
            result = {"kind": type(error).__name__, "message": error.message}
        except Exception as error:  # noqa: BLE001
            result = {"kind": "foreign", "message": repr(error)[:200]}
        signal.alarm(0)
        sys.stdout.write(json.dumps({"path": path} | result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
