"""`python -m shop.sandbox`: run the sandbox until it is told to stop."""

import os
import signal
import sys
import threading
from types import FrameType

from shop.sandbox.config import Config, ConfigError
from shop.sandbox.server import Sandbox


def main() -> int:
    """Start, say where, and stop at once on SIGTERM or Ctrl-C."""
    try:
        config = Config.from_environ(os.environ)
    except ConfigError as problem:
        print(f"sandbox: {problem}", file=sys.stderr)
        return 2
    try:
        sandbox = Sandbox(config)
        sandbox.start()
    except OSError as problem:
        print(f"sandbox: cannot listen: {problem}", file=sys.stderr)
        return 1

    def leave(signum: int, frame: FrameType | None) -> None:
        # shutdown() waits for serve_forever(), which runs in this very thread.
        threading.Thread(target=sandbox.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    print(f"Sandbox: {sandbox.world.base_url}/", flush=True)
    sandbox.serve()
    sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
