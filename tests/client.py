"""A browser without a screen: sends requests to the shop and parses every page strictly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree

import html5lib
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from shop import staff
from shop.admin.desk import TOKEN
from shop.database import transact
from shop.extensions import db, now
from shop.staff import journal

SILENT = ("script", "style", "template")
BLOCKS = ("p", "div", "li", "dt", "dd", "h1", "h2", "h3", "td", "th", "tr", "br", "label", "option", "button")


class Broken(AssertionError):
    """A page that a strict reader refuses."""


class Form:
    """A form as a browser without JavaScript would send it."""

    def __init__(self, element: ElementTree.Element, page_url: str) -> None:
        self.element = element
        self.method = element.get("method", "get").upper()
        self.action = urljoin(page_url, element.get("action") or page_url)
        self.fields: dict[str, str] = {}
        self.buttons: list[tuple[str, str, str]] = []
        for each in element.iter():
            self._take(each)

    def _take(self, each: ElementTree.Element) -> None:
        name, kind = each.get("name"), each.get("type", "")
        if each.tag == "button" or (each.tag == "input" and kind == "submit"):
            self.buttons.append((name or "", each.get("value", ""), "".join(each.itertext()).strip()))
        elif not name or each.get("disabled") is not None:
            return
        elif each.tag == "input" and kind in ("checkbox", "radio"):
            if each.get("checked") is not None:
                self.fields[name] = each.get("value", "on")
        elif each.tag == "input":
            self.fields[name] = each.get("value", "")
        elif each.tag == "textarea":
            self.fields[name] = "".join(each.itertext()).removeprefix("\n")
        elif each.tag == "select":
            options = list(each.iter("option"))
            chosen = [option for option in options if option.get("selected") is not None] or options[:1]
            for option in chosen:
                value = option.get("value")
                self.fields[name] = "".join(option.itertext()).strip() if value is None else value


@lru_cache(maxsize=400)
def _parsed(html: str) -> ElementTree.Element:
    """The root of a page. Many tests get the same public pages to the letter, and parsing one takes as long as making
    it; nobody may change what comes back."""
    parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), strict=True, namespaceHTMLElements=False)
    try:
        root: ElementTree.Element = parser.parse(html)
    except html5lib.html5parser.ParseError as error:
        line = parser.tokenizer.stream.position()[0]
        around = "\n".join(html.splitlines()[max(0, line - 3) : line + 1])
        raise Broken(f"line {line}: {error}\n{around}") from error
    return root


class Page:
    """A page that was parsed strictly (HTML living standard, through html5lib)."""

    def __init__(self, html: str, url: str = "") -> None:
        try:
            self.root = _parsed(html)
        except Broken as error:
            raise Broken(f"{url}, {error}") from error
        self.url = url
        self._check()

    def _check(self) -> None:
        ids = Counter(each.get("id") for each in self.root.iter() if each.get("id"))
        twice = [name for name, times in ids.items() if times > 1]
        if twice:
            raise Broken(f"{self.url}: the same id twice: {', '.join(map(str, twice))}")
        for attribute in ("for", "aria-labelledby", "aria-describedby"):
            for each in self.root.iter():
                for target in (each.get(attribute) or "").split():
                    if target not in ids:
                        raise Broken(f"{self.url}: {attribute}={target!r} names nothing")
        if not self.language:
            raise Broken(f"{self.url}: the page does not say its language")
        if not self.title:
            raise Broken(f"{self.url}: the page has no title")

    @property
    def language(self) -> str:
        return self.root.get("lang", "")

    @property
    def title(self) -> str:
        return "".join(self.root.findtext("head/title") or "").strip()

    @cached_property
    def text(self) -> str:
        """What a reader reads: all text, white space joined (no-break spaces stay)."""
        return _text(self.root.find("body"))

    def links(self) -> dict[str, str]:
        """Where each link leads → its text, in order."""
        return {each.get("href", ""): _text(each) for each in self.root.iter("a") if each.get("href")}

    def forms(self) -> list[Form]:
        return [Form(each, self.url) for each in self.root.iter("form")]

    def form(self, field: str) -> Form:
        """The one form that has a field of this name."""
        found = [form for form in self.forms() if field in form.fields]
        assert len(found) == 1, f"{self.url}: {len(found)} forms with a field {field!r}"
        return found[0]

    def all(self, path: str) -> list[ElementTree.Element]:
        """Elements by ElementTree's XPath, such as ``.//*[@class='price']``."""
        return self.root.findall(path)


def _text(element: ElementTree.Element | None) -> str:
    pieces: list[str] = []

    def walk(each: ElementTree.Element) -> None:
        if each.tag in SILENT:
            return
        if each.tag in BLOCKS:
            pieces.append("\n")
        pieces.append(each.text or "")
        for child in each:
            if isinstance(child.tag, str):
                walk(child)
            pieces.append(child.tail or "")
        if each.tag in BLOCKS:
            pieces.append("\n")

    if element is not None:
        walk(element)
    lines = (" ".join(line.split(" ")).strip(" \t\r") for line in "".join(pieces).split("\n"))
    return "\n".join(" ".join(part for part in line.split(" ") if part) for line in lines if line)


class Answer(Response):
    """A response; ``page`` is its strictly parsed page."""

    url = ""

    @cached_property
    def page(self) -> Page:
        assert self.mimetype == "text/html", f"{self.url}: {self.status}, {self.mimetype} and no page"
        return Page(self.get_data(as_text=True), self.url)


class Client(FlaskClient):
    """Flask's test client that parses whatever comes back, and lets a test look afresh after each request."""

    after: Callable[[], object] | None = None

    def open(self, *args: Any, **kwargs: Any) -> Answer:  # type: ignore[override]
        answer = super().open(*args, **kwargs)
        request = answer.request
        answer.url = request.url
        if self.after:
            self.after()
        if answer.is_streamed and answer.direct_passthrough:
            return answer
        body = answer.get_data()
        if not body or request.method == "HEAD":
            return answer
        if answer.mimetype == "text/html":
            assert answer.page
        elif answer.mimetype.endswith(("/xml", "+xml")):
            ElementTree.fromstring(body)
        elif answer.mimetype.endswith(("/json", "+json")):
            json.loads(body)
        return answer

    def submit(self, form: Form, button: tuple[str, str] | None = None, **changes: str) -> Answer:
        """Send a form with some fields changed, as a browser would from the same site."""
        data = {**form.fields, **changes, **(dict([button]) if button else {})}
        headers = {"Sec-Fetch-Site": "same-origin"}
        if form.method == "GET":
            return self.get(form.action, query_string=data, headers=headers)
        return self.post(form.action, data=data, headers=headers)


def make_client(app: Flask, after: Callable[[], object] | None = None) -> Client:
    """A client of this shop; ``after`` is called after each request."""
    client = Client(app, Answer, use_cookies=True)
    client.after = after
    return client


def let_in(client: Client, email: str = "vera@longlane.example") -> None:
    """Go on as somebody who has signed in to the desk. The sign-in page, whose hashing is meant to take its time, has
    tests of its own (``test_admin_signing``, ``test_people``)."""

    def begin(session: Session) -> str:
        person = staff.by_email(session, email)
        assert person is not None, email
        journal.note(session, "sign_in_try", person, now())
        return staff.open_session(session, person.id, now())

    with client.application.app_context():
        token = transact(db.session(), begin)
        db.session.remove()
    with client.session_transaction() as cookie:
        cookie.clear()
        cookie[TOKEN] = token
