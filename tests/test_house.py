"""Promises about the whole house, each checked wherever it might be broken."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from werkzeug.routing import Rule

from shop.database import Base, UTCDateTime
from shop.markets import MARKETS
from shop.settings import Settings
from tests.client import Client, Page
from tests.conftest import engine_of
from tests.factories import make_order
from tools import translations

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 420  # lines of a module of ours
VAGUE = {"utils", "helpers", "services", "common", "misc", "core", "manager"}
MODULES = sorted((ROOT / "shop").rglob("*.py"))
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*.*"))
ELSEWHERE = {"attacker": "https://evil.example", "another port": "http://localhost:9999", "nobody": "null"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Code


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_what_it_is_for_and_stays_short(path: Path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)) or not text.strip(), "no docstring"
    assert text.count("\n") <= LONGEST, "too long: split it by noun"
    assert path.stem not in VAGUE


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_sandbox_and_the_shop_do_not_know_each_other():
    for path in MODULES:
        inside = "sandbox" in path.parts
        for name in imports(path):
            if inside:
                assert not name.startswith("shop.") or name.startswith("shop.sandbox"), f"{named(path)}: {name}"
            else:
                assert not name.startswith("shop.sandbox"), f"{named(path)}: {name}"


def test_the_time_is_read_in_one_place():
    told = re.compile(r"datetime\.(now|utcnow|today)\(|date\.today\(|time\.time\(\)")
    reading = {named(path) for path in MODULES if "sandbox" not in path.parts and told.search(path.read_text())}
    assert reading == {"shop/clock.py"}


def test_no_exception_is_swallowed_unseen():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{named(path)}:{node.lineno}: a bare except"


def test_nothing_is_committed_but_by_the_one_function_that_can_begin_again():
    """What is written elsewhere could be refused by a database at a strict level, with nobody to write it again.

    ``gathering.commit`` is that function's last step.
    """
    for path in MODULES:
        if "sandbox" not in path.parts and path.name not in ("database.py", "gathering.py"):
            called = {node.func.attr for node in calls(path) if isinstance(node.func, ast.Attribute)}
            assert not called & {"commit", "begin"}, named(path)


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def test_nothing_asks_whether_it_is_tested():
    asked = re.compile(r"\bTESTING\b|PYTEST|\bpytest\b|\bunittest\b|\bmock\b|\.testing\b")
    for path in MODULES:
        assert not asked.search(path.read_text()), named(path)


def test_every_dependency_is_locked_with_its_hashes():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=~ ]", each)[0].lower() for each in wanted}
    for lock in ("production", "sandbox", "tests"):
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        locked = set(re.findall(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^\]]*\])?==", text, re.MULTILINE))
        assert names <= locked, lock
        assert "--hash=sha256:" in text


def test_nothing_made_by_machines_is_kept_in_the_repository():
    try:
        kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a source archive has no list of what is kept: this needs a git repository")
    for name in kept.split():
        assert not name.endswith((".mo", ".pyc", ".sqlite", ".env")), name
        assert not name.startswith(("instance", ".venv")), name


# Words


def test_every_text_is_translated():
    assert list(translations.problems()) == []


def test_every_setting_is_documented():
    readme = (ROOT / "README.md").read_text()
    assert [field.name for field in fields(Settings) if f"`{field.name.upper()}`" not in readme] == []


def test_every_command_of_the_readme_is_there():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    documents = [(ROOT / name).read_text() for name in ("README.md", "ARCHITECTURE.md")]
    asked = {name for text in documents for name in re.findall(r"`make ([a-z]+)", text)}
    assert asked <= targets, asked - targets


# Templates


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_every_template_compiles(path: Path, plain_app: Flask):
    name = str(path.relative_to(ROOT / "templates"))
    if name.startswith("sandbox/"):
        plain_app.jinja_env.parse(path.read_text(), name)  # the sandbox has filters of its own
    else:
        assert plain_app.jinja_env.get_template(name)


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_no_template_runs_scripts_or_styles_in_line_nor_marks_text_as_safe_html(path: Path):
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>(?!\s*</script>)", text) or "application/ld+json" in text
    assert not re.search(r"\son[a-z]+=", text), "an event handler in a template"
    assert not re.search(r"(src|action)=[\"']https?://", text), "something from a third party"


@pytest.fixture(scope="module")
def plain_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A shop whose database nobody looks at."""
    from tests.conftest import opened, settings_for

    folder = tmp_path_factory.mktemp("plain")
    with opened(settings_for(f"sqlite:///{folder}/shop.sqlite", folder)) as app:
        yield app


# Tables


def test_models_and_migrations_agree(app: Flask):
    def same_type(_context, _inspected, _metadata, inspected_type, metadata_type) -> bool | None:
        return False if isinstance(metadata_type, UTCDateTime) else None

    with engine_of(app).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": same_type})
        assert compare_metadata(context, Base.metadata) == []


def test_every_table_is_made_by_its_room_and_says_what_it_is_for():
    for mapper in Base.registry.mappers:
        assert mapper.class_.__doc__ or mapper.class_.__name__ in ("Contributor",), mapper.class_


# Requests


def posting_rules(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]


def address_of(app: Flask, rule: Rule) -> str:
    """An address that the rule answers to, whatever it leads to."""
    filled = {}
    for name in rule.arguments:
        converter = rule._converters[name]
        kind = type(converter).__name__
        if name == "market":
            filled[name] = MARKETS["en-gb"]
        elif kind == "IntegerConverter":
            filled[name] = 1
        elif kind == "AnyConverter":
            filled[name] = sorted(converter.items)[0]
        else:
            filled[name] = "x"
    with app.test_request_context():
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        return app.url_map.bind("localhost").build(rule.endpoint, filled, method=method)


def test_every_post_from_another_site_is_refused(app: Flask, client: Client):
    rules = posting_rules(app)
    assert len(rules) > 15
    for rule in rules:
        if rule.endpoint == "webhooks.stripe_webhook":
            continue
        url = address_of(app, rule)
        for site in ("cross-site", "same-site"):
            assert client.post(url, headers={"Sec-Fetch-Site": site}).status_code == 403, f"{url} from {site}"
        for who, origin in ELSEWHERE.items():
            assert client.post(url, headers={"Origin": origin}).status_code == 403, f"{url} from {who}"


def test_a_webhook_without_a_signature_is_refused(client: Client):
    assert client.post("/stripe/webhook", data=b"{}").status_code == 400


def test_every_address_refuses_methods_it_does_not_know(app: Flask, client: Client):
    for rule in posting_rules(app):
        assert client.delete(address_of(app, rule)).status_code in (302, 303, 404, 405), rule


# Pages


def outside(page: Page) -> list[str]:
    """Whatever a page would load from elsewhere."""
    loading = {"img": "src", "script": "src", "iframe": "src", "link": "href", "source": "srcset", "use": "href"}
    found = []
    for tag, attribute in loading.items():
        for element in page.root.iter(tag):
            url = element.get(attribute, "")
            if tag == "link" and element.get("rel") in ("canonical", "alternate"):
                continue
            # A drawing in the page itself is loaded from nowhere.
            if not url.startswith("data:") and urlsplit(urljoin("http://localhost/", url)).netloc != "localhost":
                found.append(url)
    return found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_link_leads_somewhere_and_no_page_loads_anything_from_elsewhere(session, catalogue, client: Client):
    order = make_order(session, "ru-gb")
    waiting, seen = ["/en-gb/", f"/ru-gb/orders/{order.token}"], set()
    while waiting:
        url = waiting.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = client.get(url)
        assert answer.status_code in (200, 302), f"{url}: {answer.status}"
        assert "Set-Cookie" not in answer.headers, url
        if answer.mimetype != "text/html" or answer.status_code != 200:
            continue
        assert outside(answer.page) == [], url
        for link in answer.page.links():
            parts = urlsplit(urljoin(f"http://localhost{url}", link))
            if parts.netloc == "localhost" and parts.scheme == "http":
                waiting.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    for market in MARKETS:
        assert f"/{market}/" in seen
        assert f"/{market}/books/russian" in seen
    assert len(seen) > 40
