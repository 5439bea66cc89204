"""Who may do what at the desk: one table with a line for each of its endpoints. What it does not name is nobody's.

A line says which right an endpoint asks for and, if something is done there, what the journal calls it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from shop.staff import Role


class Right(enum.Enum):
    """What somebody may do."""

    ENTER = enum.auto()
    """Before the sign-in."""
    SELF = enum.auto()
    """One's own account, and the way out."""
    SECURE = enum.auto()
    """One's own second factor."""
    ORDERS = enum.auto()
    """See orders, and how many copies there are."""
    PACK = enum.auto()
    """Pack and post, and what belongs to it."""
    LOOK = enum.auto()
    """See everything else: money, letters, library orders, the set-up."""
    MANAGE = enum.auto()
    """Change the shop: stock, letters, libraries, prices, texts."""
    REFUND = enum.auto()
    EXPORT = enum.auto()
    """Take data away as a file."""
    PEOPLE = enum.auto()
    """The people of the desk, and the journal of what they did."""


EVERYBODY = frozenset({Right.SELF, Right.SECURE, Right.ORDERS})
ROLES: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right) - {Right.ENTER},
    Role.PACKER: EVERYBODY | {Right.PACK},
    Role.READER: EVERYBODY | {Right.LOOK},
}
FRESH = frozenset({Right.SECURE, Right.REFUND, Right.EXPORT, Right.PEOPLE})
"""What asks whoever does it to have proved lately to be there."""


@dataclass(frozen=True, slots=True)
class Act:
    """A line of the table. ``told`` is what the journal says was done; a page that is only looked at has none."""

    right: Right
    told: LazyString | None = None


def _see(right: Right, *endpoints: str) -> dict[str, Act]:
    return {endpoint: Act(right) for endpoint in endpoints}


ACTS: dict[str, Act] = {
    **_see(Right.ENTER, "sign_in", "invitation"),
    "sign_in_try": Act(Right.ENTER, _l("signed in")),
    "join": Act(Right.ENTER, _l("set a password by the link of an invitation")),
    # Oneself
    **_see(Right.SELF, "unknown", "account", "confirmation"),
    "sign_out": Act(Right.SELF, _l("signed out")),
    "change_language": Act(Right.SELF, _l("chose a language")),
    "confirm_presence": Act(Right.SELF, _l("confirmed to be there")),
    "change_password": Act(Right.SELF, _l("changed the password")),
    "revoke_session": Act(Right.SELF, _l("ended a session")),
    "revoke_others": Act(Right.SELF, _l("ended all other sessions")),
    **_see(Right.SECURE, "second_factor"),
    "offer_second_factor": Act(Right.SECURE, _l("began to set up an authenticator app")),
    "accept_second_factor": Act(Right.SECURE, _l("set up an authenticator app")),
    "remove_second_factor": Act(Right.SECURE, _l("gave up the authenticator app")),
    "renew_recovery_codes": Act(Right.SECURE, _l("made new recovery codes")),
    # Orders
    **_see(Right.ORDERS, "today", "order_list", "order_page", "stock_page"),
    "post": Act(Right.PACK, _l("marked an order as posted")),
    "copies_back": Act(Right.PACK, _l("put copies back on the shelf")),
    "settle": Act(Right.MANAGE, _l("looked at a worry")),
    "send_again": Act(Right.MANAGE, _l("sent a letter again")),
    "evidence": Act(Right.EXPORT, _l("downloaded evidence about an order")),
    "export_orders": Act(Right.EXPORT, _l("downloaded a list of orders")),
    "remark": Act(Right.PACK, _l("wrote a remark about an order")),
    **_see(Right.PACK, "address_page"),
    "correct_address": Act(Right.PACK, _l("corrected an address")),
    # Parcels
    **_see(Right.PACK, "packing_table", "carrier_page", "order_papers", "parcel_papers", "back_page"),
    "post_ticked": Act(Right.PACK, _l("marked orders as posted")),
    "pack": Act(Right.PACK, _l("marked orders as posted")),
    "carrier_import": Act(Right.PACK, _l("read in a list of the carrier")),
    "undo_posting": Act(Right.PACK, _l("took a posting back")),
    "post_free": Act(Right.PACK, _l("marked a free parcel as posted")),
    "came_back": Act(Right.PACK, _l("noted that a parcel came back")),
    **_see(Right.MANAGE, "replace_page"),
    "replace": Act(Right.MANAGE, _l("decided a free parcel")),
    "what_follows": Act(Right.MANAGE, _l("decided what follows from a parcel’s return")),
    "drop": Act(Right.MANAGE, _l("called a free parcel off")),
    # Money
    **_see(Right.LOOK, "money_page", "statement_list", "report_page"),
    "refund_undo": Act(Right.REFUND, _l("took a refund back")),
    **_see(Right.REFUND, "refund_page"),
    "refund": Act(Right.REFUND, _l("gave money back")),
    "refund_again": Act(Right.REFUND, _l("gave money back once more")),
    "rebuild": Act(Right.MANAGE, _l("rebuilt an order from its payment")),
    "statement_file": Act(Right.EXPORT, _l("downloaded a statement")),
    # Everything else
    **_see(Right.LOOK, "inbox_list", "letter_list", "library_list", "library_page"),
    "replay": Act(Right.MANAGE, _l("processed a message from Stripe again")),
    "letter_again": Act(Right.MANAGE, _l("sent a letter again")),
    "move": Act(Right.MANAGE, _l("brought a library order up to date")),
    **_see(Right.LOOK, "withdrawal_list"),
    "finish_withdrawal": Act(Right.MANAGE, _l("noted that a withdrawal was dealt with")),
    "remind_distributor": Act(Right.MANAGE, _l("reminded a distributor")),
    **_see(Right.LOOK, "library_file"),
    **_see(Right.LOOK, "library_desk_page", "library_paper", "library_parcel_paper", "library_vendor_paper"),
    "issue_paper": Act(Right.MANAGE, _l("issued a paper to a library")),
    "issue_paper_again": Act(Right.MANAGE, _l("issued a library’s paper anew")),
    "accept_order": Act(Right.MANAGE, _l("accepted a purchase order")),
    "post_to_library": Act(Right.MANAGE, _l("posted copies to a library")),
    "note_paid": Act(Right.MANAGE, _l("noted a library’s payment")),
    "note_unpaid": Act(Right.MANAGE, _l("took a library’s payment back")),
    "credit_library": Act(Right.MANAGE, _l("credited a library’s invoice")),
    "change_record": Act(Right.MANAGE, _l("changed a library order’s addresses")),
    **_see(Right.MANAGE, "vendor_page"),
    "change_vendor": Act(Right.MANAGE, _l("changed the vendor papers")),
    "export_libraries": Act(Right.EXPORT, _l("downloaded a list of library orders")),
    **_see(Right.MANAGE, "library_rules_page"),
    "change_library_rules": Act(Right.MANAGE, _l("changed the rules of library orders")),
    "count": Act(Right.MANAGE, _l("counted the stock")),
    **_see(Right.LOOK, "setup_page"),
    **_see(Right.MANAGE, "trader_page", "distributor_page", "prices_page", "postage_page"),
    "confirm": Act(Right.MANAGE, _l("confirmed a fact")),
    "ask_stripe": Act(Right.MANAGE, _l("asked whether Stripe answers")),
    "send_test_letter": Act(Right.MANAGE, _l("sent a test letter")),
    "letter_arrived": Act(Right.MANAGE, _l("noted that a test letter arrived")),
    "change_trader": Act(Right.MANAGE, _l("changed the seller")),
    "change_distributor": Act(Right.MANAGE, _l("changed a distributor")),
    "remove_distributor": Act(Right.MANAGE, _l("removed a distributor")),
    "change_country_distributor": Act(Right.MANAGE, _l("entered who supplies a country’s libraries")),
    "remove_country_distributor": Act(Right.MANAGE, _l("removed who supplies a country’s libraries")),
    "change_prices": Act(Right.MANAGE, _l("changed prices")),
    "change_postage": Act(Right.MANAGE, _l("changed postage")),
    "add_band": Act(Right.MANAGE, _l("added a weight band of postage")),
    "remove_band": Act(Right.MANAGE, _l("removed a weight band of postage")),
    # Editions and content
    **_see(Right.MANAGE, "edition_list", "edition_page", "content_page", "text_page"),
    **_see(Right.MANAGE, "entry_list", "entry_page", "new_entry"),
    "change_edition": Act(Right.MANAGE, _l("changed an edition")),
    "change_text": Act(Right.MANAGE, _l("changed a page of text")),
    "show_text": Act(Right.MANAGE, _l("published a page of text or took it back")),
    "add_entry": Act(Right.MANAGE, _l("added an entry")),
    "change_entry": Act(Right.MANAGE, _l("changed an entry")),
    **_see(Right.MANAGE, "file_page", "cover_page", "upload_preview"),
    "attach_file": Act(Right.MANAGE, _l("gave an entry a file or words for it")),
    "detach_file": Act(Right.MANAGE, _l("took a file from an entry")),
    "put_cover": Act(Right.MANAGE, _l("gave an edition a cover or words for it")),
    "remove_cover": Act(Right.MANAGE, _l("took away an edition’s cover")),
    "act_on_entry": Act(Right.MANAGE, _l("published, moved or deleted an entry")),
    # People
    **_see(Right.PEOPLE, "people_list", "person_page", "journal_page"),
    "invite": Act(Right.PEOPLE, _l("invited a person")),
    "invite_again": Act(Right.PEOPLE, _l("sent a link to set a password")),
    "change_person": Act(Right.PEOPLE, _l("changed a person’s role or service")),
    "reset_second_factor": Act(Right.PEOPLE, _l("reset a person’s second factor")),
    "revoke_persons_sessions": Act(Right.PEOPLE, _l("ended a person’s sessions")),
    "change_rules": Act(Right.PEOPLE, _l("changed what is asked of everybody")),
}

BY_COMMAND = {
    "command_create": _l("given a password by a command"),
    "command_reset": _l("second factor reset by a command"),
}
"""What the journal calls what was done beside the desk."""


def act_of(endpoint: str | None) -> Act | None:
    """The line of a Flask endpoint such as ``admin.orders``; ``None`` for what nobody has declared."""
    return ACTS.get((endpoint or "").removeprefix("admin."))


def allows(role: Role, endpoint: str | None) -> bool:
    """Whether somebody in this role may use an endpoint."""
    act = act_of(endpoint)
    return act is not None and (act.right is Right.ENTER or act.right in ROLES[role])
