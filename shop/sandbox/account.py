"""The seller's account, as far as a shop may look at it ("The Account object")."""

from shop.sandbox.store import Json
from shop.sandbox.world import World


def body(world: World) -> Json:
    """A British account that may take cards."""
    return {
        "id": "acct_1Sandbox",
        "object": "account",
        "business_profile": None,
        "business_type": None,
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "GB",
        "created": 1700000000,
        "default_currency": "gbp",
        "details_submitted": True,
        "email": None,
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": "/v1/accounts/acct_1Sandbox/external_accounts",
        },
        "payouts_enabled": True,
        "settings": None,
        "type": "standard",
    }
