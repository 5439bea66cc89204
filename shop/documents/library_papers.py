"""Papers to libraries, vendor papers and receipts: one template, its words in the reader's language.

What is said comes from frozen data alone, so the same paper can be made again; what was typed is shown, never
evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from babel.numbers import get_currency_name
from sqlalchemy.orm import Session
from stdnum import iban, isbn

from shop.barcodes import is_ean13
from shop.database import transact
from shop.documents.slips import words
from shop.documents.typesetting import pdf
from shop.libraries import papers
from shop.libraries.paper_models import Paper, PaperFile
from shop.markets import country_name, write_date, write_money, write_number
from shop.money import Currency, Money

Rows = list[list[str]]


def make(session: Session, paper_id: int, now: datetime) -> bytes:
    """Make the PDF of a paper that was issued, and keep it; what was made before is answered as it is.

    The paper is typeset with no transaction open.
    """
    known = session.get(PaperFile, paper_id)
    if known is not None:
        return known.pdf
    data = dict(session.get_one(Paper, paper_id).data)
    session.rollback()
    transact(session, papers.store, paper_id, paper(data), now)
    return session.get_one(PaperFile, paper_id).pdf


def paper(data: Mapping[str, Any]) -> bytes:
    """A quotation, pro-forma, invoice, credit note or receipt as PDF; ``data`` as ``papers.issue`` freezes it."""
    locale, kind = data["locale"], data["kind"]
    gettext = words(locale).gettext
    titles = {
        "quote": gettext("Quotation"),
        "pro_forma": gettext("Pro-forma invoice"),
        "invoice": gettext("Invoice"),
        "credit_note": gettext("Credit note"),
        "receipt": gettext("Receipt"),
    }
    currency, buyer = Currency(data["currency"]), data["buyer"]
    spelled = get_currency_name(currency.value, locale=locale)
    return pdf(
        "paper",
        {
            "lang": locale.partition("_")[0],
            "title": f"{titles[kind]} {data['number']}",
            "page": gettext("Page"),
            "of": gettext("of"),
            "from": [gettext("Seller"), *_seller(data["seller"], gettext)],
            "to": [
                [gettext("Invoice to") if kind != "receipt" else gettext("Buyer"), *_bill_to(buyer, locale)],
                [gettext("Deliver to"), *_ship_to(buyer, locale)],
            ],
            "facts": _facts(data, locale),
            "headings": [gettext("Description"), gettext("Copies"), gettext("Price"), gettext("Sum")],
            "lines": [_line(each, currency, locale) for each in data["lines"]],
            "sums": [
                [gettext("Books"), _sum(sum(each["amount"] for each in data["lines"]), currency, locale)],
                [gettext("Postage"), _sum(data["postage"], currency, locale)],
                *_tax_rows(data, currency, locale),
                [_total_word(kind, gettext), _sum(data["total"], currency, locale)],
            ],
            "currency": gettext("Currency of all sums: %(name)s (%(code)s).")
            % {"name": spelled, "code": currency.value},
            "notes": _notes(data, locale),
            "bank": [gettext("How to pay"), *bank_rows(data["bank"], gettext)] if _to_pay(data) else [],
        },
    )


def vendor(facts: Mapping[str, Any], locale: str) -> bytes:
    """What an institution asks of a new supplier, dated, for one library."""
    gettext, number = words(locale).gettext, facts["purchase_order"]
    groups = [
        [gettext("Seller"), *_pairs(facts["seller_rows"])],
        [gettext("Tax"), *_pairs(facts["tax_rows"])],
        [gettext("Bank"), *_pairs(bank_rows(facts["bank"], gettext))],
    ]
    return pdf(
        "vendor",
        {
            "lang": locale.partition("_")[0],
            "title": gettext("Particulars of the supplier"),
            "day": write_date(date.fromisoformat(facts["day"]), locale),
            "for": [
                gettext("For %(institution)s, ticket %(ticket)s") % facts,
                *([gettext("Purchase order: %(number)s") % {"number": number}] if number else []),
            ],
            "groups": [group for group in groups if len(group) > 1],
            "note": facts["tax_note"].splitlines(),
            "page": gettext("Page"),
            "of": gettext("of"),
        },
    )


def _pairs(rows: Rows) -> Rows:
    return [row for row in rows if row[1]]


def _seller(seller: Mapping[str, str], gettext: Any) -> list[str]:
    """Name and address, and whatever else is known of the seller."""
    rows = [
        (gettext("E-mail: %(address)s"), "address", seller["email"]),
        (gettext("Telephone: %(number)s"), "number", seller["phone"]),
        (gettext("VAT number: %(number)s"), "number", seller["vat_number"]),
        (gettext("Company number: %(number)s"), "number", seller.get("company_number", "")),
    ]
    return [
        seller["name"],
        *seller["address"].splitlines(),
        *(text % {name: value} for text, name, value in rows if value),
    ]


def _ship_to(buyer: Mapping[str, str], locale: str) -> list[str]:
    lines = [
        buyer["institution"],
        buyer["department"],
        buyer["contact_name"],
        *buyer["delivery_address"].splitlines(),
    ]
    return [*filter(None, lines), country_name(buyer["country"], locale)]


def _bill_to(buyer: Mapping[str, str], locale: str) -> list[str]:
    """The invoice address as it was typed, country and all; the delivery address where there is no other."""
    if not buyer["invoice_address"]:
        return _ship_to(buyer, locale)
    return [buyer["institution"], *buyer["invoice_address"].splitlines()]


def _facts(data: Mapping[str, Any], locale: str) -> Rows:
    gettext, buyer = words(locale).gettext, data["buyer"]

    def day(name: str) -> str:
        return write_date(date.fromisoformat(data[name]), locale) if data.get(name) else ""

    about = {
        "credit_note": gettext("Credits invoice"),
        "invoice": gettext("In place of"),
        "quote": gettext("In place of"),
        "pro_forma": gettext("In place of"),
    }
    return _pairs(
        [
            [gettext("Number"), data["number"]],
            [gettext("Date"), day("issued_on")],
            [gettext("Purchase order"), buyer["purchase_order"]],
            [gettext("Your reference"), buyer["own_reference"]],
            [gettext("Ticket number"), data["ticket"]],
            [gettext("Valid until"), day("valid_until")],
            [gettext("Due on"), day("due_on")],
            [gettext("Paid on"), day("paid_on")],
            [about.get(data["kind"], ""), data.get("about", "")],
            [gettext("Your VAT number"), buyer["vat_number"]],
            [gettext("SAN or GLN"), buyer["san"]],
        ]
    )


def _line(line: Mapping[str, Any], currency: Currency, locale: str) -> dict[str, Any]:
    number = line["isbn"]
    shown = f"ISBN {isbn.format(number) if is_ean13(number) else number}" if number else ""
    published = line["published"][:4]
    made = ", ".join(filter(None, (line["publisher"], published)))
    return {
        "title": line["title"],
        "lang": line["language"],
        "more": [each for each in (", ".join(line["people"]), made, line["name"], shown) if each],
        "quantity": write_number(line["quantity"], locale),
        "unit": _sum(line["unit"], currency, locale),
        "amount": _sum(line["amount"], currency, locale),
    }


def _tax_rows(data: Mapping[str, Any], currency: Currency, locale: str) -> Rows:
    """A line of its own only if the seller is registered: printed books are zero-rated (VAT Act 1994, schedule 8)."""
    if not data["seller"]["vat_number"]:
        return []
    return [[words(locale).gettext("VAT, zero-rated"), _sum(0, currency, locale)]]


def _total_word(kind: str, gettext: Any) -> str:
    return str(
        {"credit_note": gettext("Credited"), "receipt": gettext("Amount paid")}.get(kind) or gettext("Total")
    )


def _to_pay(data: Mapping[str, Any]) -> bool:
    return data["kind"] in ("invoice", "pro_forma") and not data["paid_on"] and any(data["bank"].values())


def _notes(data: Mapping[str, Any], locale: str) -> list[str]:
    """Whole sentences below the sums."""
    gettext, ngettext, kind = words(locale).gettext, words(locale).ngettext, data["kind"]
    said = []
    if not data["seller"]["vat_number"]:
        said.append(gettext("The seller is not registered for VAT; none is charged."))
    elif data["tax_exempt"]:
        said.append(gettext("The buyer states that it is exempt from tax."))
    if data.get("refunded"):
        back = write_money(Money(data["refunded"], Currency(data["currency"])), locale)
        said.append(gettext("Of this, %(sum)s has been refunded.") % {"sum": back})
    if kind == "invoice" and not data["paid_on"]:
        days = data["terms_days"]
        text = ngettext("Net, payable within %(num)d day.", "Net, payable within %(num)d days.", days)
        said.append(text % {"num": days})
    if kind == "pro_forma":
        said.append(gettext("This is not a tax invoice. One follows with the books."))
    if kind == "quote":
        said.append(gettext("To accept, send a purchase order that names this number."))
    if kind in ("invoice", "pro_forma") and not data["paid_on"]:
        said.append(gettext("Please name %(number)s with your transfer.") % {"number": data["number"]})
    if kind == "credit_note":
        said.append(gettext("This sum is taken off the invoice, or goes back to you if it was paid."))
    return said


def bank_rows(bank: Mapping[str, str], gettext: Any) -> Rows:
    """What is known of the account to pay to."""
    number = bank["iban"]
    return _pairs(
        [
            [gettext("Account holder"), bank["account_name"]],
            [gettext("Bank"), bank["bank_name"]],
            ["IBAN", iban.format(number) if number else ""],
            ["BIC", bank["bic"]],
            [gettext("Sort code"), bank["sort_code"]],
            [gettext("Account number"), bank["account_number"]],
        ]
    )


def _sum(amount: int, currency: Currency, locale: str) -> str:
    return write_money(Money(amount, currency), locale)
