"""The parts put together: one Flask app, served by threads, on loopback."""

import random
import threading
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from shop.sandbox import api, control_api, desk, mail_pages, pay_page, words
from shop.sandbox.clock import Clock
from shop.sandbox.config import ROOT, Config, is_loopback
from shop.sandbox.deliveries import SUBSCRIBED, Deliveries, Endpoint
from shop.sandbox.faults import Faults
from shop.sandbox.ids import Ids
from shop.sandbox.mailbox import Mailbox
from shop.sandbox.store import Store
from shop.sandbox.timers import Ticker
from shop.sandbox.world import World

LARGEST = 2 * 1024 * 1024


class QuietHandler(WSGIRequestHandler):
    """No line for every request: the log of calls has them."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def address_string(self) -> str:
        """Without asking the name service."""
        return str(self.client_address[0])


class Sandbox:
    """A sandbox that runs from `start()` to `stop()`."""

    def __init__(self, config: Config) -> None:
        config.instance.mkdir(parents=True, exist_ok=True)
        words.load(config.translations)
        clock = Clock(config.offset_file)
        store = Store(config.instance / "sandbox.sqlite")
        dice = random.Random(config.seed)  # noqa: S311
        default = None
        if config.webhook_url is not None:
            default = Endpoint("default", config.webhook_url, config.webhook_secrets, SUBSCRIBED)
        self.world = World(
            config=config,
            clock=clock,
            store=store,
            ids=Ids(config.seed),
            deliveries=Deliveries(store, clock, dice, default),
            faults=Faults(dice),
            base_url="",
        )
        self.mailbox = Mailbox(config.instance / "mail", config.smtp_port)
        self._ticker = Ticker(self.world)
        self._server: BaseWSGIServer = make_server(
            config.host, config.port, self._app(), threaded=True, request_handler=QuietHandler
        )
        host = f"[{config.host}]" if ":" in config.host else config.host
        self.world.base_url = config.public_url or f"http://{host}:{self._server.port}"

    def start(self) -> None:
        """Begin: letters, webhooks, time, and at last answers."""
        self.mailbox.start()
        self.world.deliveries.start()
        self._ticker.start()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="server", daemon=True).start()

    def stop(self) -> None:
        """Put everything away."""
        self._server.shutdown()
        self._ticker.stop()
        self.world.deliveries.stop()
        self._server.server_close()
        self.world.store.close()
        self.mailbox.stop()

    def _app(self) -> Flask:
        app = Flask(
            "sandbox",
            template_folder=str(ROOT / "templates"),
            static_folder=str(ROOT / "shop" / "sandbox" / "static"),
            static_url_path="/assets",
        )
        app.config["MAX_CONTENT_LENGTH"] = LARGEST
        app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST
        app.jinja_env.add_extension("jinja2.ext.i18n")
        app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
            lambda text: words.gettext(text), lambda one, many, num: words.ngettext(one, many, num), newstyle=True
        )
        app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
        app.jinja_env.globals.update(
            language=words.language, money=words.money, country=words.country, moment=words.moment
        )
        app.before_request(_only_from_here)
        app.register_error_handler(HTTPException, _plain_error)
        app.register_blueprint(api.blueprint(self.world))
        app.register_blueprint(control_api.blueprint(self.world, self.mailbox))
        app.register_blueprint(pay_page.blueprint(self.world))
        app.register_blueprint(mail_pages.blueprint(self.mailbox))
        app.register_blueprint(desk.blueprint(self.world, self.mailbox))
        return app


def _only_from_here() -> Response | None:
    """Loopback only, also for pages that a browser was tricked into opening under another name."""
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    if not is_loopback(request.remote_addr or "") or not is_loopback(host):
        return Response("The sandbox answers on loopback only.\n", 403, content_type="text/plain")
    foreign = request.headers.get("Sec-Fetch-Site") == "cross-site"
    if foreign and request.method == "POST" and not request.path.startswith("/c/pay/"):
        return Response("Another site cannot press the sandbox's buttons.\n", 403, content_type="text/plain")
    return None


def _plain_error(error: HTTPException) -> Response:
    """404, 405, 413 and their like, in few words."""
    return Response(f"{error.code} {error.name}\n", error.code or 500, content_type="text/plain; charset=utf-8")
