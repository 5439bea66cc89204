"""What every answer carries, whose posts are taken, and what becomes of input that is no text."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import unquote

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import create_environ, run_wsgi_app

from shop import revisions
from shop.settings import ROOT
from tests.client import Client
from tests.conftest import opened, settings_for
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway

ORDER = {"paperback": "1", "country": "GB", "shown_total": "2550"}


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
    ],
)
def test_only_our_own_pages_may_post(
    client: Client, catalogue: Catalogue, headers: dict[str, str], taken: bool
) -> None:
    answer = client.post("/ru-gb/order", data=ORDER, headers=headers)
    assert answer.status_code == (303 if taken else 403)
    if not taken:
        assert answer.page.language == "ru"


@pytest.mark.parametrize("host", ["xn--", "xn--a.example", "..", "a" * 300])
def test_a_host_that_is_none_is_a_refusal_and_no_mistake_of_ours(
    app: Flask, catalogue: Catalogue, host: str
) -> None:
    environ = create_environ("/ru-gb/order", method="POST", data=ORDER)
    environ |= {"HTTP_HOST": host, "HTTP_ORIGIN": f"http://{host}"}
    _body, status, _headers = run_wsgi_app(app, environ)
    assert status.startswith("4")


@pytest.mark.parametrize("typed", ["\x011", "1\x01", "\x7f1", "\x1b"])
def test_what_no_page_can_hold_is_not_shown_again(client: Client, catalogue: Catalogue, typed: str) -> None:
    answer = client.post("/ru-gb/order", data={**ORDER, "paperback": typed})
    assert answer.status_code == 400
    assert answer.page.language == "ru"


def test_every_post_but_the_webhook_refuses_other_sites(app: Flask, client: Client) -> None:
    for rule in app.url_map.iter_rules():
        if not (rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"} or rule.rule == "/stripe/webhook":
            continue
        address = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule.rule.replace("<market:market>", "en-gb"))
        address = re.sub(r"<[^>]*>", "1", address)
        assert client.post(address, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403, rule


def test_the_stylesheet_in_a_page_is_the_one_that_its_policy_names(client: Client, catalogue: Catalogue) -> None:
    for path in ("/en-gb/", "/ru-us/books/russian", "/en-us/privacy"):
        answer = client.get(path)
        (style,) = re.findall(r"<style>(.*?)</style>", answer.get_data(as_text=True), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'self' 'sha256-{digest}';" in answer.headers["Content-Security-Policy"]
        for font in re.findall(r'url\("([^"]+)"\)', style):
            assert client.get(font).status_code == 200, font
    assert "<style>" not in client.get("/en-gb/order").get_data(as_text=True)


def test_every_answer_carries_the_headers_that_protect_its_reader(client: Client, catalogue: Catalogue) -> None:
    for path in ("/", "/en-gb/", "/en-gb/order", "/nowhere", "/robots.txt", "/healthz", "/static/shop.css"):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert "form-action 'self' https://checkout.stripe.com http://127.0.0.1:9;" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Permissions-Policy" in answer.headers
        assert "Strict-Transport-Security" not in answer.headers
        assert "Set-Cookie" not in answer.headers
        answer.close()


def test_a_font_carries_what_concerns_a_font(client: Client, catalogue: Catalogue) -> None:
    page = client.get("/en-gb/").page
    (font, *_) = [each.get("href", "") for each in page.all("head/link[@rel='preload']")]
    with client.get(font) as answer:
        assert answer.mimetype == "font/woff2"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert sum(len(name) + len(value) + 4 for name, value in answer.headers) < 350


def test_the_icon_needs_no_request_and_is_a_file_for_those_who_ask(client: Client, catalogue: Catalogue) -> None:
    file, held = client.get("/en-gb/").page.all("head/link[@rel='icon']")
    kind, _, drawing = held.get("href", "").partition(",")
    assert kind == "data:image/svg+xml"
    with client.get(file.get("href", "")) as answer:
        drawn = answer.get_data(as_text=True).strip()
    assert unquote(drawing).replace("'", '"') == drawn


@pytest.mark.parametrize(
    "path",
    [
        *("/ru-gb/%ff", "/ru-gb/%00", "/ru-gb/orders/%00", "/ru-gb/books/%00", "/ru-gb/books/%ff", "/ru-gb/%zz"),
        *("/ru-gb/order?paperback=%ff", "/ru-gb/order?note=%00", "/ru-gb/order?note=%zz"),
        *("/ru-gb/order?note=%ED%A0%80", "/ru-gb/" + "x" * 5000),
        *("/ru-gb/books/" + "x" * 5000, "/ru-gb/books/hardback"),
    ],
)
def test_a_broken_address_gets_a_clear_answer_in_the_readers_language(
    client: Client, catalogue: Catalogue, path: str
) -> None:
    answer = client.get(path)
    assert 400 <= answer.status_code < 500
    assert answer.page.language == "ru"


@pytest.mark.parametrize("query", ["utm_term=%EA%ED%E8%E3%E0", "%00=1", "q=%zz", "utm_source=a&utm_source=b", "?"])
@pytest.mark.parametrize("path", ["/ru-gb/", "/ru-gb/books/paperback", "/ru-gb/books/hardback", "/robots.txt"])
def test_a_page_that_reads_no_query_takes_whatever_is_hung_on_its_address(
    client: Client, catalogue: Catalogue, path: str, query: str
) -> None:
    assert client.get(f"{path}?{query}").status_code == client.get(path).status_code


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/en-gb/order/", "/en-gb/order"),
        ("/en-gb/books/paperback/?from=letter", "/en-gb/books/paperback?from=letter"),
        ("/en-GB/order?paperback=1&country=GB", "/en-gb/order?paperback=1&country=GB"),
        ("/EN-GB", "/en-gb/"),
        ("/RU-GB/", "/ru-gb/"),
        ("/en-gb/Delivery", "/en-gb/delivery"),
        ("/ru-gb/orders/TokenOfAnOrder.", "/ru-gb/orders/TokenOfAnOrder"),
        ("/ru-gb/orders/TokenOfAnOrder%C2%BB,", "/ru-gb/orders/TokenOfAnOrder"),
        ("/RU-gb/orders/TokenOfAnOrder)", "/ru-gb/orders/TokenOfAnOrder"),
        ("/Sitemap.xml", "/sitemap.xml"),
    ],
)
def test_an_address_with_a_slash_a_full_stop_or_capitals_too_many_leads_where_it_was_meant_to(
    client: Client, catalogue: Catalogue, typed: str, meant: str
) -> None:
    answer = client.get(typed)
    assert (answer.status_code, answer.headers.get("Location")) == (301, meant)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/en-gb/nothing/",
        "/en-gb/orders/TokenOfNoOrder",
        "/evil.example/.",
        "/en-gb/books/hardback",
        "/.",
        "/%2F/evil",
    ],
)
def test_an_address_that_was_meant_to_be_nothing_is_not_found(
    client: Client, catalogue: Catalogue, path: str
) -> None:
    assert client.get(path).status_code == 404
    assert client.post("/en-gb/author/").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        *(b"note=%00&paperback=1", b"note=%ff", b"note=\xff\xfe", b"note=%ED%A0%80", b"note=%", b"%00=1"),
        *(b"note=\x00", b"country=%C0%80", b"&&&===", b""),
    ],
)
@pytest.mark.parametrize("path", ["/ru-gb/order", "/ru-gb/orders", "/ru-gb/libraries"])
def test_a_broken_form_gets_a_clear_answer_in_the_readers_language(
    client: Client, catalogue: Catalogue, path: str, body: bytes
) -> None:
    answer = client.post(path, data=body, content_type="application/x-www-form-urlencoded")
    assert 400 <= answer.status_code < 500
    assert answer.page.language == "ru"


@pytest.mark.parametrize("value", [b"\x00", b"\xff", b"x" * 600])
def test_a_broken_form_in_parts_gets_a_clear_answer(client: Client, catalogue: Catalogue, value: bytes) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\n' + value + b"\r\n--x--\r\n"
    answer = client.post("/ru-gb/order", data=body, content_type="multipart/form-data; boundary=x")
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", "x"])
def test_a_body_of_another_kind_is_a_bad_request(client: Client, catalogue: Catalogue, kind: str) -> None:
    assert client.post("/en-gb/order", data=b'{"paperback": 1}', content_type=kind).status_code == 400


def test_a_body_that_is_too_large_is_refused_unread(client: Client, catalogue: Catalogue) -> None:
    for path in ("/ru-gb/order", "/ru-gb/orders"):
        for data in ({"note": "x" * 300_000}, "note=" + "x" * 300_000):
            answer = client.post(path, data=data)
            assert answer.status_code in (400, 413)
    large = client.post(
        "/ru-gb/order", data="note=" + "x" * 300_000, content_type="application/x-www-form-urlencoded"
    )
    assert large.status_code == 413
    assert large.page.language == "ru"


@pytest.mark.parametrize("market", ["de-de", "en", "en_gb", "ru-eu", "en-gb2"])
def test_a_market_that_is_not_kept_is_no_page(client: Client, market: str) -> None:
    answer = client.get(f"/{market}/", headers={"Accept-Language": "ru"})
    assert answer.status_code == 404
    assert answer.page.language == "ru"
    assert "Accept-Language" in answer.headers["Vary"]


def test_a_method_that_is_not_meant_is_named_with_those_that_are(client: Client) -> None:
    answer = client.post("/ru-gb/terms")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.page.language == "ru"


def test_the_market_without_its_slash_leads_to_it(client: Client) -> None:
    answer = client.get("/ru-us")
    assert (answer.status_code, answer.headers["Location"]) == (301, "/ru-us/")


@pytest.mark.parametrize(
    ("accepted", "market"),
    [
        ("", "en-gb"),
        ("en-US,en;q=0.9", "en-us"),
        ("en-CA,en;q=0.9", "en-gb"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8", "ru-gb"),
        ("de-DE,de;q=0.9", "en-gb"),
        ("en-US;q=0.5,ru;q=0.9", "ru-gb"),
        ("fr,ru;q=0.1", "ru-gb"),
        ("ru;q=0,en", "en-gb"),
        ("*", "en-gb"),
        (";;;,q=,\xff", "en-gb"),
    ],
)
def test_the_entrance_leads_to_the_readers_language(client: Client, accepted: str, market: str) -> None:
    answer = client.get("/", headers={"Accept-Language": accepted})
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/{market}/")
    assert answer.headers["Vary"] == "Accept-Language"


def test_a_host_that_is_not_ours_is_a_bad_request(
    client: Client, catalogue: Catalogue, database_url: str, tmp_path: object
) -> None:
    named = settings_for(database_url, tmp_path, TRUSTED_HOSTS="shop.example")  # type: ignore[arg-type]
    with opened(named, gateway=FakeGateway()) as app:
        visitor = app.test_client()
        assert visitor.get("/en-gb/", base_url="http://shop.example").status_code == 200
        for host in ("evil.example", "shop.example.evil.example", "x" * 300):
            answer = visitor.get("/ru-gb/", headers={"Host": host})
            assert answer.status_code == 400
            assert 'lang="ru"' in answer.get_data(as_text=True)
            assert visitor.post("/ru-gb/order", headers={"Host": host, "Origin": "http://a"}).status_code in (
                400,
                403,
            )


def test_machines_find_what_they_look_for(client: Client, session: Session, catalogue: Catalogue) -> None:
    assert client.get("/healthz").get_data(as_text=True) == "ok\n"
    assert client.get("/readyz").status_code == 200
    assert "Sitemap: http://localhost/sitemap.xml" in client.get("/robots.txt").get_data(as_text=True)
    sitemap = client.get("/sitemap.xml").get_data(as_text=True)
    for market in ("en-gb", "en-us", "ru-gb", "ru-us"):
        assert f"<loc>http://localhost/{market}/books/russian</loc>" in sitemap
    assert client.get("/favicon.ico").mimetype == "image/svg+xml"


def test_it_is_ready_with_the_very_migrations_that_alembic_takes_for_the_last() -> None:
    assert revisions.heads() == set(ScriptDirectory(str(ROOT / "migrations")).get_heads())


def test_every_place_of_the_site_map_is_a_page(client: Client, catalogue: Catalogue) -> None:
    lines = client.get("/sitemap.xml").get_data(as_text=True).splitlines()
    places = [line.strip()[len("<loc>http://localhost") : -len("</loc>")] for line in lines if "<loc>" in line]
    assert len(places) == len(set(places)) > 40
    for place in places:
        assert client.get(place).status_code == 200, place


def test_metrics_are_for_this_machine_or_the_token(
    client: Client, catalogue: Catalogue, database_url: str, tmp_path: object
) -> None:
    text = client.get("/metrics").get_data(as_text=True)
    assert 'bookstall_stock{edition="paperback",kind="on_hand"} 40' in text
    assert "bookstall_letters_owed 0" in text
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 403
    with_token = settings_for(database_url, tmp_path, METRICS_TOKEN="sesame")  # type: ignore[arg-type]
    with opened(with_token, gateway=FakeGateway()) as app:
        for given, status in (("Bearer sesame", 200), ("Bearer open", 403), ("Bearer é", 403), ("", 403)):
            answer = app.test_client().get(
                "/metrics", headers={"Authorization": given}, environ_base={"REMOTE_ADDR": "192.0.2.1"}
            )
            assert answer.status_code == status


@pytest.mark.parametrize("path", ["/ru-gb/order", "/admin/sign-in", "/stripe/webhook"])
def test_a_body_that_is_too_long_is_read_so_that_the_connection_lives_on(
    app: Flask, catalogue: Catalogue, path: str
) -> None:
    environ = create_environ(path, method="POST", data={"note": "x" * 2_000_000})
    body = environ["wsgi.input"]
    _body, status, _headers = run_wsgi_app(app, environ)
    assert status.startswith("413")
    assert body.read() == b""


def test_a_body_from_another_site_is_read_so_that_the_connection_lives_on(
    app: Flask, catalogue: Catalogue
) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    environ = create_environ("/ru-gb/order", method="POST", data={"note": "x"}, headers=headers)
    body = environ["wsgi.input"]
    _body, status, _headers = run_wsgi_app(app, environ)
    assert status.startswith("403")
    assert body.read() == b""
