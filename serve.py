"""Granian with the shop loaded before its workers are: ``python serve.py`` takes every option of ``granian``.

Workers are forks of this process. They share what is loaded (most of what the shop needs in memory), and a worker that
takes the place of another one answers at once. Nothing that must not be shared is opened before: connections to the
database and to Stripe are made by the process that uses them. New code wants a restart, not a SIGHUP.
"""

import gc

# Nothing that is loaded here will be garbage. If the collector looked through it in a worker, it would write to it, and
# what is written to is shared no longer.
gc.disable()

from click import ClickException  # noqa: E402
from granian.cli import entrypoint  # noqa: E402

try:
    import wsgi
except ClickException as refused:  # a setting is missing or wrong
    raise SystemExit(refused.message) from None

for name in wsgi.app.jinja_env.list_templates():
    if name.startswith("storefront/") or "/" not in name:  # what readers see
        wsgi.app.jinja_env.get_template(name)
gc.freeze()
gc.enable()
# A page makes some thousand objects and drops them; by default they would be gone through several times meanwhile.
gc.set_threshold(10_000)

if __name__ == "__main__":
    entrypoint()  # type: ignore[no-untyped-call]
