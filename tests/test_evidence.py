"""What the desk can show a bank, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.letters.models import Kind, Letter
from shop.payments import disputes
from tests import factories
from tests.client import Client
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway
from tests.test_admin_orders import desk, form_to, url

__all__ = ["desk"]


def test_a_dispute_shows_its_deadline_and_offers_evidence_until_it_is_over(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    desk.submit(form_to(desk.get(url(order)), "/post"), carrier="Royal Mail", tracking="RM 77")
    letter = session.scalars(select(Letter).where(Letter.kind == Kind.POSTED)).one()
    letter.text = "Your parcel was posted, посылка отправлена."
    session.commit()
    now = datetime.now(UTC)
    made = gateway.dispute(next(iter(gateway.checkouts.values())))
    gateway.disputes[made.provider_id] = replace(made, due_by=now + timedelta(days=7))
    disputes.learn(session, gateway, made.provider_id, now)
    today = desk.get("/admin/").page.text
    assert "Disputes to answer" in today
    assert "answer by" in today
    page = desk.get(url(order)).page
    assert "answer by" in page.text
    assert f"https://dashboard.stripe.com/test/payments/{made.intent_id}" in page.links()
    for language, word in (("en", "Letters"), ("ru", "Письма")):
        link = url(order, f"/evidence.txt?language={language}")
        assert link in page.links()
        answer = desk.get(link)
        assert answer.content_type == "text/plain; charset=utf-8"
        assert order.number in answer.headers["Content-Disposition"]
        text = answer.get_data(as_text=True)
        for part in ("RM 77", "London", "посылка отправлена", made.intent_id, word):
            assert part in text
    gateway.close_dispute(made.provider_id, "won")
    disputes.learn(session, gateway, made.provider_id, now)
    assert "answer by" not in desk.get("/admin/").page.text
    assert "won" in desk.get(url(order)).page.text
