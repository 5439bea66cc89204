"""Typst: from a template and JSON to a tagged PDF. What people typed goes in as data and is never evaluated."""

from __future__ import annotations

import json
import logging
import unicodedata
from typing import Any

from shop.settings import ROOT

TEMPLATES = ROOT / "templates" / "documents"

log = logging.getLogger(__name__)


def pdf(template: str, data: dict[str, Any]) -> bytes:
    """Set ``templates/documents/{template}.typ`` with ``data`` (JSON) as ``sys.inputs.data``; fonts are embedded.

    The PDF says that it is accessible (PDF/UA) unless a writing system is in it that no font here can show: then it
    is made without that claim, because a parcel has to go out all the same.
    """
    import typst  # seven megabytes, which only the process that prints needs

    source = str(TEMPLATES / f"{template}.typ")
    # Composed (NFC): “й” typed as two characters looks the same, but would be read out of the PDF as two, and with it
    # each other “й” of the document, for they share one drawing.
    inputs = {"data": unicodedata.normalize("NFC", json.dumps(data, ensure_ascii=False))}
    try:
        made = typst.compile(source, root=str(TEMPLATES), sys_inputs=inputs, pdf_standards=["ua-1"])  # ISO 14289-1
    except typst.TypstError:
        # What the error says names what somebody typed, which no log is to hold.
        log.warning("a %s was made without the claim of PDF/UA", template)
        made = typst.compile(source, root=str(TEMPLATES), sys_inputs=inputs)
    assert isinstance(made, bytes)
    return made
