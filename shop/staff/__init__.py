"""Who works here: the people of the order desk, what each may do, how they get in, and a journal of what they did.

``people`` invites, changes and puts out of service; ``sessions`` are signed-in browsers; ``second_factor`` knows the
authenticator app and its recovery codes; ``journal`` writes down what is done at the desk, in the transaction that
does it. Passwords are hashed by the desk; nothing here knows Flask.
"""

from shop.staff.models import NOTIFIED, Admin, AdminSession, JournalEntry, RecoveryCode, Role, Rules
from shop.staff.people import by_email
from shop.staff.sessions import (
    IDLE,
    LIFE,
    SEEN_EVERY,
    close_all_sessions,
    close_session,
    live_session,
    open_session,
    see,
)

__all__ = [
    "IDLE",
    "LIFE",
    "NOTIFIED",
    "SEEN_EVERY",
    "Admin",
    "AdminSession",
    "JournalEntry",
    "RecoveryCode",
    "Role",
    "Rules",
    "by_email",
    "close_all_sessions",
    "close_session",
    "live_session",
    "open_session",
    "see",
]
