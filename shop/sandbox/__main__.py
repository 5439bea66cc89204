"""`python -m shop.sandbox`: run the sandbox until it is told to stop."""

import os
import signal
import sys
import threading

from shop.sandbox.config import Config, ConfigError
from shop.sandbox.server import Sandbox

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Start, say where, and stop at once on SIGTERM or Ctrl-C."""
    try:
        config = Config.from_environ(os.environ)
    except ConfigError as problem:
        print(f"sandbox: {problem}", file=sys.stderr)
        return 2
    # Blocked before any thread is made, so that the main thread alone waits for them, outside of every lock.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        sandbox = Sandbox(config)
        sandbox.start()
    except OSError as problem:
        print(f"sandbox: cannot listen: {problem}", file=sys.stderr)
        return 1

    print(f"Sandbox: {sandbox.world.base_url}/", flush=True)
    signal.sigwait(SIGNALS)
    # Whatever still runs is a daemon thread with nothing to lose; a mail client that lingers must not hold us up.
    watchdog = threading.Timer(0.8, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()
    sandbox.stop()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
