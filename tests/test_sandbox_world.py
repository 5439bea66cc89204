"""The sandbox as a whole: its clock, controls, pages, mailbox, restarts and refusals."""

import json
import smtplib
import socket
import subprocess
import sys
import time
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.sandbox_process import ROOT, Sandbox, fetch, free_port
from tests.sandbox_shop import Shop, sandbox, shop

__all__ = ["sandbox", "shop"]


def test_a_restart_forgets_nothing() -> None:
    with Sandbox() as sandbox:
        shop = Shop(sandbox)
        session = shop.paid("4000000000007726")
        refund = shop.v1.refunds.create({"payment_intent": session.payment_intent.id}, {"idempotency_key": "r"})
        open_one = shop.open()
        sandbox.advance(10)
        truth = sandbox.ledger()
        sandbox.kill()
        sandbox.start()
        after = sandbox.ledger()
        assert after["sessions"] == truth["sessions"]
        assert after["totals"] == truth["totals"]
        assert (
            shop.v1.refunds.create({"payment_intent": session.payment_intent.id}, {"idempotency_key": "r"}).id
            == refund.id
        )
        assert sandbox.pay(open_one.url).status == 303
        sandbox.restart()
        sandbox.advance(60)
        assert shop.v1.refunds.retrieve(refund.id).status == "succeeded"


def test_it_stops_within_a_second() -> None:
    with Sandbox() as sandbox:
        Shop(sandbox).open()
        started = time.monotonic()
        assert sandbox.process is not None
        process = sandbox.process
        sandbox.stop()
        assert time.monotonic() - started < 1
        assert process.returncode == 0


def test_a_seed_makes_the_same_ids() -> None:
    ids = []
    for _ in range(2):
        with Sandbox(seed="storm 7") as sandbox:
            session = Shop(sandbox).paid()
            ids.append((session.id, session.payment_intent.id, session.payment_intent.latest_charge.id))
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    "environ",
    [
        {"SANDBOX_HOST": "0.0.0.0"},  # noqa: S104
        {"SANDBOX_HOST": "192.0.2.1"},
        {"SANDBOX_PORT": "http"},
        {"SANDBOX_WEBHOOK_URL": "/stripe/webhook"},
        {"SANDBOX_WEBHOOK_URL": "http://127.0.0.1:9/", "STRIPE_WEBHOOK_SECRET": ""},
        {"STRIPE_SECRET_KEY": "sk_live_1"},
    ],
    ids=str,
)
def test_it_refuses_to_start_where_it_must_not(environ: dict[str, str]) -> None:
    sandbox = Sandbox(environ=environ)
    ended = subprocess.run(
        [sys.executable, "-m", "shop.sandbox"],
        cwd=ROOT,
        env=sandbox.environ(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == 2
    assert next(iter(environ)).encode() in ended.stderr or b"STRIPE_WEBHOOK_SECRET" in ended.stderr
    sandbox.__exit__()


def test_it_listens_on_loopback_only_and_to_loopback_names_only(sandbox: Sandbox) -> None:
    with socket.socket() as probe:
        probe.settimeout(1)
        address = socket.gethostbyname(socket.gethostname())
        if not address.startswith("127."):
            assert probe.connect_ex((address, sandbox.port)) != 0
    assert fetch(f"{sandbox.url}/", headers={"Host": "evil.example"}).status == 403
    foreign = {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"}
    assert fetch(f"{sandbox.url}/_control/clock", "POST", '{"advance": 1}', foreign).status == 403


def test_the_clock_moves_forward_only_and_for_all(sandbox: Sandbox) -> None:
    before = sandbox.control("clock")["now"]
    sandbox.advance(500)
    assert 500 <= sandbox.control("clock")["now"] - before < 520
    offset = int(sandbox.clock_file.read_text())
    sandbox.clock_file.write_text(f"{offset + 100}")
    assert 600 <= sandbox.control("clock")["now"] - before < 620
    for bad in (-1, 1.5, "1", None, True, 10**12):
        sandbox.control("clock", {"advance": bad}, status=400)
    sandbox.control("clock", {"back": 1}, status=400)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("webhooks", {"drop": 2}),
        ("webhooks", {"drop": "all"}),
        ("webhooks", {"lose": 1}),
        ("faults", {"before": -1}),
        ("faults", {"rate": 1.1}),
        ("faults", {"status": 418}),
        ("faults", {"slow": "very"}),
        ("sessions/cs_none", {"do": "expire"}),
        ("sessions/cs_none", {"do": "dance"}),
        ("sessions/cs_none", {}),
        ("refunds", {}),
        ("refunds", {"payment_intent": "pi_none"}),
        ("refunds", {"payment_intent": ["pi"]}),
        ("refunds", {"payment_intent": "pi_none", "amount": "1"}),
        ("refunds/re_none", {"do": "fail"}),
        ("disputes", {"charge": "ch_none"}),
        ("disputes", {"charge": "ch_none", "reason": "bored"}),
        ("disputes/du_none", {"do": "win"}),
        ("warnings", {"charge": None}),
        ("mail", {"refuse": "yes"}),
        ("pay", {"session": "cs_none"}),
        ("resend", {"event": "evt_none"}),
        ("nothing", {}),
    ],
    ids=str,
)
def test_a_senseless_control_is_refused_in_json(sandbox: Sandbox, path: str, body: dict[str, Any]) -> None:
    answer = fetch(f"{sandbox.url}/_control/{path}", "POST", json.dumps(body))
    assert 400 <= answer.status < 500
    assert answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"1", b"[" * 100_000])
def test_a_control_without_a_json_object_is_refused(sandbox: Sandbox, body: bytes) -> None:
    answer = fetch(f"{sandbox.url}/_control/clock", "POST", body)
    assert answer.status == 400
    assert answer.json()["error"]


def test_a_session_is_paid_by_control(shop: Shop) -> None:
    session = shop.open()
    form = {
        "email": "a@example.com",
        "name": "A",
        "line1": "1",
        "city": "L",
        "postal_code": "E1 6AN",
        "country": "GB",
    }
    done = shop.sandbox.control("pay", {"session": session.id, "card_number": "4000000000003220", **form})
    assert done["state"] == "done"
    assert shop.look(session.id).payment_status == "paid"
    shop.sandbox.control("pay", {"session": shop.open().id, "card_number": "4242424242424242"}, status=422)


def test_a_session_is_expired_by_control(shop: Shop) -> None:
    session = shop.open()
    shop.sandbox.control(f"sessions/{session.id}", {"do": "expire"})
    assert shop.look(session.id).status == "expired"
    shop.sandbox.control(f"sessions/{session.id}", {"do": "expire"}, status=409)
    shop.sandbox.control(f"sessions/{session.id}", {"do": "complete_delayed"}, status=409)


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.forms.append((values.get("action") or "", {}))
        elif tag == "input" and values.get("name") and (values.get("type") != "checkbox" or "checked" in values):
            self.forms[-1][1][values["name"] or ""] = values.get("value") or ""


def press(sandbox: Sandbox, action: str, **wanted: str) -> None:
    """Press the button of the form that has these values."""
    page = Forms(fetch(f"{sandbox.url}/?lang=en").text)
    for where, fields in page.forms:
        if where == action and all(fields.get(name, "") == value for name, value in wanted.items()):
            answer = fetch(
                sandbox.url + where,
                "POST",
                urlencode(fields),
                {"Content-Type": "application/x-www-form-urlencoded"},
            )
            assert answer.status == 303, answer.text
            return
    raise AssertionError(f"no form {action} {wanted}")


def test_a_person_does_everything_from_the_control_page(shop: Shop) -> None:
    sandbox = shop.sandbox
    session = shop.open()
    assert f'href="{session.url}"' in fetch(sandbox.url).text
    press(sandbox, "/desk/session", id=session.id, do="expire")
    assert shop.look(session.id).status == "expired"
    late = shop.paid("4000000000030009")
    press(sandbox, "/desk/session", id=late.id, do="complete_delayed")
    assert shop.look(late.id).payment_status == "paid"
    intent = shop.paid().payment_intent
    press(sandbox, "/desk/refund", payment_intent=intent.id)
    refund = shop.v1.refunds.list({"payment_intent": intent.id}).data[0]
    press(sandbox, "/desk/steer-refund", id=refund.id, do="fail")
    assert shop.v1.refunds.retrieve(refund.id).status == "failed"
    press(sandbox, "/desk/warning", charge=intent.latest_charge.id)
    press(sandbox, "/desk/dispute", charge=intent.latest_charge.id, inquiry="")
    dispute = shop.v1.disputes.list({"payment_intent": intent.id}).data[0]
    press(sandbox, "/desk/steer-dispute", id=dispute.id, do="lose")
    assert shop.v1.disputes.retrieve(dispute.id).status == "lost"
    before = sandbox.control("clock")["offset"]
    press(sandbox, "/desk/clock", advance="86400")
    assert sandbox.control("clock")["offset"] == before + 86400
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert fetch(f"{sandbox.url}/desk/webhooks", "POST", "drop=25&repeat=12,5", headers).status == 303
    assert sandbox.control("webhooks") == {"drop": 0.25, "repeat": 0.125, "delay": 0.0, "shuffle": 0.0}
    assert fetch(f"{sandbox.url}/desk/faults", "POST", "before=2&status=503&rate=10", headers).status == 303
    assert sandbox.control("faults")["before"] == 2
    sandbox.control("faults", {})
    for bad in ("clock", "webhooks", "session", "refund", "dispute", "warning", "resend", "nothing"):
        answer = fetch(f"{sandbox.url}/desk/{bad}", "POST", "advance=soon&drop=much&id=x&charge=x", headers)
        assert 400 <= answer.status < 500
        assert 'role="alert"' in answer.text


def test_the_control_page_speaks_both_languages(sandbox: Sandbox) -> None:
    assert '<html lang="ru">' in fetch(f"{sandbox.url}/", headers={"Accept-Language": "ru"}).text
    assert '<html lang="en">' in fetch(f"{sandbox.url}/?lang=en", headers={"Accept-Language": "ru"}).text
    assert '<html lang="ru">' in fetch(f"{sandbox.url}/mailbox?lang=ru").text


def letter(subject: str = "Ваш заказ") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Shop <shop@example.com>"
    message["To"] = "Ада <ada@example.com>"
    message["Reply-To"] = "owner@example.com"
    message["Subject"] = subject
    message["Message-ID"] = f"<{time.time_ns()}@shop.example>"
    message.set_content("Здравствуйте! Заказ принят.")
    message.add_alternative("<p>Здравствуйте!<script>alert(1)</script></p>", subtype="html")
    return message


def send(sandbox: Sandbox, message: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port, timeout=10) as server:
        server.send_message(message)


def test_letters_are_caught_kept_and_shown(sandbox: Sandbox) -> None:
    before = len(sandbox.mail())
    message = letter()
    send(sandbox, message)
    sandbox.restart()
    found = sandbox.mail()[0]
    assert found["subject"] == "Ваш заказ"
    assert found["to"] == "Ада <ada@example.com>"
    assert found["envelope_to"] == ["ada@example.com"]
    assert found["reply_to"] == "owner@example.com"
    assert found["message_id"] == message["Message-ID"]
    assert found["text"].startswith("Здравствуйте! Заказ принят.")
    assert "<p>" in found["html"]
    assert len(list((sandbox.instance / "mail").glob("*.eml"))) == before + 1
    listed = fetch(f"{sandbox.url}/mailbox?lang=en").text
    assert "caught on this machine" in listed
    assert found["id"] in listed
    page = fetch(f"{sandbox.url}/mailbox/{found['id']}").text
    assert "Заказ принят" in page
    assert "<script>" not in page
    html = fetch(f"{sandbox.url}/mailbox/{found['id']}/html")
    assert html.headers["content-security-policy"].startswith("sandbox")
    assert fetch(f"{sandbox.url}/mailbox/{found['id']}.eml").status == 200
    for nowhere in ("0", "../sandbox", "%2e%2e", "0" * 16 + "-deadbeef"):
        assert fetch(f"{sandbox.url}/mailbox/{nowhere}").status == 404


def test_the_mailbox_refuses_on_demand(sandbox: Sandbox) -> None:
    count = len(sandbox.mail())
    sandbox.control("mail", {"refuse": True})
    with pytest.raises(smtplib.SMTPResponseException) as caught:
        send(sandbox, letter("No"))
    assert caught.value.smtp_code == 451
    sandbox.control("mail", {"refuse": False})
    send(sandbox, letter("Yes"))
    assert len(sandbox.mail()) == count + 1
    assert sandbox.mail()[0]["subject"] == "Yes"


def test_odd_letters_break_nothing(sandbox: Sandbox) -> None:
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port, timeout=10) as server:
        for raw in (
            b"no headers at all",
            b"Subject: \xff\xfe\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff",
            b"",
        ):
            server.sendmail("a@example.com", ["b@example.com"], raw)
    letters = sandbox.mail()
    assert len(letters) >= 3
    for found in letters[:3]:
        assert fetch(f"{sandbox.url}/mailbox/{found['id']}").status == 200


def test_without_a_port_there_is_no_mailbox() -> None:
    port = free_port()
    with Sandbox(smtp_port=0, port=port) as sandbox:
        assert sandbox.mail() == []


def test_unknown_addresses_are_plain_404s(sandbox: Sandbox) -> None:
    for path in ("/nothing", "/c/pay/", "/c/pay/x/y/z", "/desk/clock"):
        assert fetch(sandbox.url + path).status in (404, 405)
