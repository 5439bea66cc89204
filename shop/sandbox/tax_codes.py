"""The few tax codes that a bookshop meets ("Tax codes" in Stripe's documentation)."""

from shop.sandbox.store import Json

NAMES = {
    "txcd_00000000": (
        "Nontaxable",
        "Any nontaxable good or service which can be used to ensure no tax is applied.",
    ),
    "txcd_10000000": (
        "General - Electronically Supplied Services",
        "A digital service provided mainly through the internet.",
    ),
    "txcd_10302000": (
        "Digital Books - downloaded - non subscription - with permanent rights",
        "Works that are generally recognized in the ordinary and usual sense as books, downloaded for good.",
    ),
    "txcd_20030000": ("General - Services", "General category for services."),
    "txcd_35010000": ("Books", "Books, printed."),
    "txcd_35020200": ("Periodicals", "Periodicals, printed."),
    "txcd_92010001": ("Shipping", "Shipping of goods by mail or common carrier."),
    "txcd_99999999": ("General - Tangible Goods", "A physical good that can be moved or touched."),
}


def find(code: str) -> Json | None:
    """A tax code by its id ("The Tax Code object")."""
    if code not in NAMES:
        return None
    name, description = NAMES[code]
    return {"id": code, "object": "tax_code", "description": description, "name": name, "requirements": None}
