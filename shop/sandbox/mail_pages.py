"""The mailbox's pages and its JSON for tests."""

import json

from flask import Blueprint, Response, render_template

from shop.sandbox.mailbox import Mailbox
from shop.sandbox.words import choose, speak


def blueprint(mailbox: Mailbox) -> Blueprint:
    """The addresses /mailbox, /mailbox.json and /mailbox/{id}."""
    pages = Blueprint("mail", __name__)

    @pages.get("/mailbox")
    def index() -> str:
        speak(choose())
        return render_template("sandbox/mailbox.html", letters=mailbox.letters())

    @pages.get("/mailbox.json")
    def as_json() -> Response:
        letters = [letter.as_json() for letter in mailbox.letters()]
        return Response(json.dumps(letters, ensure_ascii=False, indent=2), content_type="application/json")

    @pages.get("/mailbox/<name>")
    def letter(name: str) -> tuple[str, int]:
        speak(choose())
        found = mailbox.letter(name)
        return render_template("sandbox/letter.html", letter=found), 200 if found else 404

    @pages.get("/mailbox/<name>/html")
    def html(name: str) -> Response:
        """The letter's own HTML, shut in: no scripts, no forms, nothing from elsewhere."""
        found = mailbox.letter(name)
        body = found.part("html") if found is not None else None
        response = Response(body or "", 200 if body else 404, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = (
            "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
        )
        return response

    @pages.get("/mailbox/<name>.eml")
    def source(name: str) -> Response:
        found = mailbox.letter(name)
        data = found.message.as_bytes() if found is not None else b""
        return Response(data, 200 if found else 404, content_type="text/plain; charset=utf-8")

    return pages
