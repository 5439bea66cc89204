"""What a browser is called, from what it calls itself: enough for a person to know his own."""

from __future__ import annotations

from flask_babel import gettext as _

BROWSERS = (
    ("Firefox", "Firefox"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("YaBrowser", "Yandex"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Chrom", "Chrome"),
    ("Safari", "Safari"),
)
"""What stands in the text, and the name; the earlier ones also call themselves by the later."""
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
SHOWN = 60  # characters of what no name is known for


def device_name(said: str) -> str:
    """Such as “Firefox, Linux”; what the browser says itself when nobody knows it."""
    browser = next((name for mark, name in BROWSERS if mark in said), "")
    system = next((name for mark, name in SYSTEMS if mark in said), "")
    return ", ".join(filter(None, (browser, system))) or said[:SHOWN] or _("an unknown device")
