"""The sandbox's API answers as Stripe's does: shapes, lists, expansion, idempotency, faults."""

import inspect
import threading
import typing
from typing import Any

import pytest
import stripe

from shop.sandbox.expansion import CLASSES
from tests.sandbox_process import KEY, Sandbox, fetch
from tests.sandbox_shop import Shop, checkout, client_of, sandbox, shop

__all__ = ["sandbox", "shop"]

# The API description does not require these; they are there only when they mean something.
MAY_BE_ABSENT = {
    "checkout.session": "excluded_payment_method_types line_items name_collection presentment_details "
    "redirect_on_completion return_url",
    "payment_intent": "hooks payment_details presentment_details",
    "charge": "authorization_code level3 presentment_details refunds transfer",
    "refund": "description failure_balance_transaction failure_reason instructions_email next_action pending_reason "
    "presentment_details",
    "item": "discounts taxes",
    "price": "currency_options deleted tiers",
    "product": "deleted",
    "event": "account context",
    "webhook_endpoint": "deleted secret",
    "payment_method": "*",
    "dispute": "",
    "balance_transaction": "",
    "shipping_rate": "",
    "tax_code": "",
    "radar.early_fraud_warning": "",
}


def fields_of(kind: str) -> dict[str, Any]:
    """The fields that the package knows of a resource, with their types."""
    hints = inspect.get_annotations(CLASSES[kind])
    return {name: hint for name, hint in hints.items() if not name.startswith("_") and name != "OBJECT_NAME"}


def is_optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def compare(body: dict[str, Any]) -> None:
    kind = body["object"]
    fields, absent = fields_of(kind), MAY_BE_ABSENT[kind].split()
    assert set(body) - set(fields) == set(), f"{kind} has fields that Stripe's has not"
    missing = set(fields) - set(body)
    assert absent == ["*"] or missing <= set(absent), f"{kind} lacks {missing - set(absent)}"
    nulls = {name for name, value in body.items() if value is None and not is_optional(fields[name])}
    assert nulls == set(), f"{kind} has nulls that Stripe's has not"


def test_every_object_has_the_fields_that_the_package_knows(shop: Shop) -> None:
    session = shop.paid("4000000000000259")
    shop.paid("4000000000005423", "usd")
    shop.v1.refunds.create({"payment_intent": shop.paid("4000000000007726").payment_intent.id, "amount": 5})
    endpoint = shop.v1.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9/", "enabled_events": ["refund.failed"]}
    )
    shop.sandbox.advance(5)
    charge = session.payment_intent.latest_charge.id
    paths = [
        f"checkout/sessions/{session.id}",
        f"checkout/sessions/{session.id}/line_items",
        "checkout/sessions",
        "payment_intents",
        "charges",
        "refunds",
        "disputes",
        "events?limit=100",
        "balance_transactions",
        "radar/early_fraud_warnings",
        "tax_codes",
        f"webhook_endpoints/{endpoint.id}",
        f"charges/{charge}?expand[]=balance_transaction&expand[]=refunds",
        f"shipping_rates/{session.shipping_cost.shipping_rate}",
        f"prices/{session.line_items.data[0].price.id}",
        f"products/{session.line_items.data[0].price.product}",
    ]
    seen = set()
    for path in paths:
        answer = fetch(f"{shop.sandbox.url}/v1/{path}", headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status == 200, answer.text
        body = answer.json()
        for found in body["data"] if body["object"] == "list" else [body]:
            seen.add(found["object"])
            compare(found)
            if found["object"] == "event":
                compare(found["data"]["object"])
            if found["object"] == "item":
                compare(found["price"])
    shop.v1.webhook_endpoints.delete(endpoint.id)
    assert seen == set(CLASSES) - {"account", "payment_method"}


def test_a_new_session_waits_for_its_buyer(shop: Shop) -> None:
    session = shop.open("usd")
    assert session.id.startswith("cs_test_")
    assert len(session.id) == 66
    assert (session.status, session.payment_status, session.livemode) == ("open", "unpaid", False)
    assert session.payment_intent is None
    assert session.customer_details is None
    assert session.collected_information is None
    assert session.url.startswith(f"{shop.sandbox.url}/c/pay/{session.id}#")
    assert (session.amount_subtotal, session.amount_total) == (1899, 2249)
    assert session.total_details.to_dict() == {"amount_discount": 0, "amount_shipping": 350, "amount_tax": 0}
    assert session.shipping_cost.amount_total == 350
    assert session.ui_mode == "hosted_page"
    assert session.payment_method_types == ["card"]
    assert session.adaptive_pricing.enabled is False
    assert "line_items" not in session


def test_adaptive_pricing_is_on_unless_it_is_switched_off(shop: Shop) -> None:
    assert shop.open(adaptive_pricing=None).adaptive_pricing.enabled is True


def test_line_items_are_listed_and_expanded(shop: Shop) -> None:
    items = [
        {
            "quantity": n,
            "price_data": {"currency": "gbp", "unit_amount_decimal": "100.5", "product_data": {"name": f"B{n}"}},
        }
        for n in range(1, 14)
    ]
    session = shop.open(line_items=items, expand=["line_items.data.price.product"])
    assert session.amount_subtotal == sum((201 * n + 1) // 2 for n in range(1, 14))
    assert len(session.line_items.data) == 10
    assert session.line_items.has_more
    assert session.line_items.data[0].price.product.name == "B1"
    assert str(session.line_items.data[0].price.unit_amount_decimal) == "100.5"
    assert session.line_items.data[0].price.unit_amount is None
    listed = shop.v1.checkout.sessions.line_items.list(session.id, {"limit": 5})
    assert [item.description for item in listed.auto_paging_iter()] == [f"B{n}" for n in range(1, 14)]
    assert shop.v1.checkout.sessions.retrieve(session.id).to_dict().get("line_items") is None


def test_lists_come_newest_first_in_pages(shop: Shop) -> None:
    ids = [shop.open().id for _ in range(7)]
    page = shop.v1.checkout.sessions.list({"limit": 3})
    assert [s.id for s in page.data] == ids[:-4:-1]
    assert page.has_more
    after = shop.v1.checkout.sessions.list({"limit": 3, "starting_after": page.data[-1].id})
    assert [s.id for s in after.data] == ids[-4:-7:-1]
    before = shop.v1.checkout.sessions.list({"limit": 2, "ending_before": after.data[0].id})
    assert [s.id for s in before.data] == [ids[-2], ids[-3]]
    everything = [s.id for s in shop.v1.checkout.sessions.list({"limit": 2}).auto_paging_iter()]
    assert everything[:7] == ids[::-1]
    assert len(everything) == len(set(everything))


def test_lists_are_filtered(shop: Shop) -> None:
    shop.sandbox.advance(10)
    paid, unpaid = shop.paid(), shop.open()
    sessions = shop.v1.checkout.sessions
    intent = paid.payment_intent.id
    assert [s.id for s in sessions.list({"payment_intent": intent}).data] == [paid.id]
    assert paid.id in [s.id for s in sessions.list({"status": "complete"}).data]
    assert unpaid.id in [s.id for s in sessions.list({"status": "open"}).data]
    assert paid.id in [s.id for s in sessions.list({"customer_details": {"email": "reader@example.com"}}).data]
    assert sessions.list({"customer": "cus_1"}).data == []
    assert {s.id for s in sessions.list({"created": {"gte": paid.created}}).data} == {paid.id, unpaid.id}
    assert sessions.list({"created": {"gt": unpaid.created}}).data == []
    assert paid.id not in [s.id for s in sessions.list({"created": {"lt": paid.created}}).data]
    listed = sessions.list({"limit": 2, "expand": ["data.payment_intent"]}).data
    assert listed[0].payment_intent is None
    assert listed[1].payment_intent.status == "succeeded"  # type: ignore[union-attr]
    movement = shop.v1.balance_transactions.list({"source": paid.payment_intent.latest_charge.id}).data
    assert [m.amount for m in movement] == [2249]
    assert [c.id for c in shop.v1.charges.list({"payment_intent": intent}).data] == [
        paid.payment_intent.latest_charge.id
    ]


def test_expansion_reaches_into_expanded_objects(shop: Shop) -> None:
    session = shop.paid()
    shop.v1.refunds.create({"payment_intent": session.payment_intent.id, "amount": 100})
    found = shop.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge.refunds", "payment_intent.payment_method"]}
    )
    intent: Any = found.payment_intent
    assert intent.latest_charge.refunds.data[0].amount == 100
    assert intent.payment_method.card.last4 == "4242"
    refund: Any = shop.v1.refunds.list(
        {"expand": ["data.charge.balance_transaction", "data.balance_transaction"]}
    ).data[0]
    assert refund.charge.balance_transaction.fee == 54
    assert refund.balance_transaction.net == -100


@pytest.mark.parametrize(
    "path", ["colour", "status", "payment_intent.colour", "data.payment_intent", "total_details"]
)
def test_what_cannot_be_expanded_is_refused(shop: Shop, path: str) -> None:
    session = shop.open()
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        shop.v1.checkout.sessions.retrieve(session.id, {"expand": [path]})


def test_what_is_not_there_is_a_404(shop: Shop) -> None:
    for retrieve in (
        shop.v1.checkout.sessions.retrieve,
        shop.v1.payment_intents.retrieve,
        shop.v1.charges.retrieve,
        shop.v1.refunds.retrieve,
        shop.v1.disputes.retrieve,
        shop.v1.events.retrieve,
        shop.v1.balance_transactions.retrieve,
        shop.v1.tax_codes.retrieve,
        shop.v1.webhook_endpoints.retrieve,
        shop.v1.radar.early_fraud_warnings.retrieve,
        shop.v1.checkout.sessions.expire,
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            retrieve("none_1")
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_metadata_is_merged_and_unset_by_empty_values(shop: Shop) -> None:
    session = shop.open(metadata={"a": "1", "b": "2", "empty": ""})
    assert session.metadata.to_dict() == {"a": "1", "b": "2"}
    updated = shop.v1.checkout.sessions.update(session.id, {"metadata": {"a": "", "c": "3"}})
    assert updated.metadata is not None
    assert updated.metadata.to_dict() == {"b": "2", "c": "3"}
    cleared = shop.v1.checkout.sessions.update(session.id, {"metadata": ""})
    assert cleared.metadata is not None
    assert cleared.metadata.to_dict() == {}
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.checkout.sessions.update(session.id, {"line_items": [{"quantity": 1}]})


def test_the_same_key_gives_the_same_answer(shop: Shop) -> None:
    options: Any = {"idempotency_key": "attempt-1"}
    first = shop.v1.checkout.sessions.create(checkout(), options)  # type: ignore[arg-type]
    again = shop.v1.checkout.sessions.create(checkout(), options)  # type: ignore[arg-type]
    assert again.id == first.id
    assert again.last_response is not None
    headers = {name.lower(): value for name, value in again.last_response.headers.items()}
    assert headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        shop.v1.checkout.sessions.create(checkout(client_reference_id="other"), options)  # type: ignore[arg-type]
    with pytest.raises(stripe.IdempotencyError):
        shop.v1.checkout.sessions.expire(first.id, {}, options)
    shop.sandbox.advance(24 * 3600)
    assert shop.v1.checkout.sessions.create(checkout(), options).id != first.id  # type: ignore[arg-type]


def test_a_refusal_of_parameters_is_not_kept_under_its_key(shop: Shop) -> None:
    options: Any = {"idempotency_key": "attempt-bad"}
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.checkout.sessions.create(checkout(locale="xx"), options)  # type: ignore[arg-type]
    assert shop.v1.checkout.sessions.create(checkout(), options).status == "open"  # type: ignore[arg-type]


def test_a_refusal_by_the_state_of_things_is_kept_under_its_key(shop: Shop) -> None:
    session = shop.paid()
    options: Any = {"idempotency_key": "refund-too-much"}
    params: Any = {"payment_intent": session.payment_intent.id, "amount": 99999}
    messages = []
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            shop.v1.refunds.create(params, options)
        messages.append(caught.value)
    assert messages[1].headers is not None
    assert {k.lower() for k in messages[1].headers} >= {"idempotent-replayed"}
    assert str(messages[0].error) == str(messages[1].error)


def test_a_concurrent_twin_is_sent_away(shop: Shop) -> None:
    shop.sandbox.control("faults", {"slow": 1})
    results: list[Any] = []

    def create() -> None:
        try:
            client = client_of(shop.sandbox)
            results.append(client.v1.checkout.sessions.create(checkout(), {"idempotency_key": "twins"}))  # type: ignore[arg-type]
        except stripe.StripeError as error:
            results.append(error)

    threads = [threading.Thread(target=create) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shop.sandbox.control("faults", {})
    errors = [result for result in results if isinstance(result, stripe.StripeError)]
    assert len(results) - len(errors) == 1
    assert {(e.http_status, e.error and e.error.code) for e in errors} == {(409, "idempotency_key_in_use")}


def test_a_call_that_fails_before_did_nothing(shop: Shop) -> None:
    shop.sandbox.control("faults", {"before": 1, "status": 500})
    before = len(shop.sandbox.ledger()["sessions"])
    with pytest.raises(stripe.APIError):
        shop.v1.checkout.sessions.create(checkout(), {"idempotency_key": "before"})  # type: ignore[arg-type]
    assert len(shop.sandbox.ledger()["sessions"]) == before
    shop.v1.checkout.sessions.create(checkout(), {"idempotency_key": "before"})  # type: ignore[arg-type]
    assert len(shop.sandbox.ledger()["sessions"]) == before + 1


@pytest.mark.parametrize("fault", [{"after": 1}, {"after": 1, "truncated": True}, {"after": 1, "status": 0}])
def test_a_lost_answer_is_found_again_by_its_key(shop: Shop, fault: dict[str, Any]) -> None:
    before = len(shop.sandbox.ledger()["sessions"])
    shop.sandbox.control("faults", fault)
    options: Any = {"idempotency_key": f"lost-{sorted(fault)}"}
    with pytest.raises(stripe.APIConnectionError):
        shop.v1.checkout.sessions.create(checkout(), options)  # type: ignore[arg-type]
    found = shop.v1.checkout.sessions.create(checkout(), options)  # type: ignore[arg-type]
    assert len(shop.sandbox.ledger()["sessions"]) == before + 1
    assert shop.sandbox.ledger()["sessions"][-1]["id"] == found.id


def test_an_error_after_the_fact_is_remembered_with_its_key(shop: Shop) -> None:
    before = len(shop.sandbox.ledger()["sessions"])
    shop.sandbox.control("faults", {"after": 1, "status": 500})
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            shop.v1.checkout.sessions.create(checkout(), {"idempotency_key": "kept-500"})  # type: ignore[arg-type]
        assert (caught.value.headers or {})["Stripe-Should-Retry"] == "false"  # it would be answered the same
    assert len(shop.sandbox.ledger()["sessions"]) == before + 1


def test_whoever_keeps_to_one_key_gets_through_random_faults(sandbox: Sandbox) -> None:
    sandbox.control("faults", {"rate": 0.4})
    client = client_of(sandbox, max_network_retries=2)
    before = len(sandbox.control("ledger")["sessions"])
    for number in range(6):
        for _ in range(30):
            try:
                client.v1.checkout.sessions.create(checkout(), {"idempotency_key": f"stubborn-{number}"})  # type: ignore[arg-type]
                break
            except (stripe.APIError, stripe.APIConnectionError, stripe.RateLimitError):
                continue
        else:
            pytest.fail("the same key never got through")
    sandbox.control("faults", {})
    assert len(sandbox.control("ledger")["sessions"]) == before + 6
    log = sandbox.control("requests?limit=200")["requests"]
    assert any(call["fault"] for call in log)


def test_rate_limits_look_like_stripes(shop: Shop) -> None:
    shop.sandbox.control("faults", {"before": 1, "status": 429})
    with pytest.raises(stripe.RateLimitError) as caught:
        shop.v1.balance.retrieve()
    assert caught.value.error is not None
    assert caught.value.error.code == "rate_limit"


def test_a_busy_object_is_a_429_that_asks_to_be_tried_again(shop: Shop) -> None:
    """The package gives up at a limit and waits for a lock (Stripe, “Rate limits”, object lock timeouts)."""
    for limit in ({"status": 429}, {"locked": True}):
        shop.sandbox.control("faults", {"before": 1, **limit})
        with pytest.raises(stripe.RateLimitError) as caught:
            shop.v1.balance.retrieve()
    patient = client_of(shop.sandbox, max_network_retries=1)
    shop.sandbox.control("faults", {"before": 1, "locked": True})
    assert patient.v1.balance.retrieve().object == "balance"
    assert caught.value.error is not None
    assert caught.value.error.code == "lock_timeout"


def test_a_conflict_is_about_the_key(shop: Shop) -> None:
    shop.sandbox.control("faults", {"before": 1, "status": 409})
    with pytest.raises(stripe.APIError) as caught:
        shop.v1.balance.retrieve()
    assert caught.value.error is not None
    assert caught.value.error.code == "idempotency_key_in_use"


def test_what_was_sent_can_be_looked_at(shop: Shop) -> None:
    shop.open()
    last = shop.sandbox.control("requests")["requests"][-1]["seq"]
    shop.open(client_reference_id="LOOK")
    calls = shop.sandbox.control(f"requests?after={last}&path=/v1/checkout/sessions")["requests"]
    assert len(calls) == 1
    assert calls[0]["params"]["client_reference_id"] == "LOOK"
    assert calls[0]["params"]["line_items"]["0"]["price_data"]["unit_amount"] == "1899"
    assert calls[0]["status"] == 200


def test_a_hundred_callers_at_once_are_all_answered(sandbox: Sandbox) -> None:
    answers: list[int] = []

    def call() -> None:
        answers.append(fetch(f"{sandbox.url}/v1/balance", headers={"Authorization": f"Bearer {KEY}"}).status)

    threads = [threading.Thread(target=call) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 100
