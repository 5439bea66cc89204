"""How tests are shared out among the suite's processes: what is started once for many stays in one of them, and what
takes long begins early, so that no process is left alone with it at the end."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "desk": ("tests/browser/test_desk.py",),
    "mortal shop": (
        "tests/test_running.py::test_a_part_that_was_killed_is_started_again",
        "tests/test_running.py::test_however_fast_web_workers_are_killed_the_shop_answers_again",
    ),
    "live shop": (
        *("tests/browser/test_buying.py", "tests/browser/test_libraries.py", "tests/browser/test_packing.py"),
        *("tests/browser/test_reading.py", "tests/test_races.py"),
        "tests/test_running.py::test_everything_answers",
        "tests/test_running.py::test_secrets_are_kept_from_others",
        "tests/test_running.py::test_a_second_shop_in_the_same_folder_is_refused",
        "tests/test_running.py::test_a_busy_port_is_named",
        "tests/test_rush.py::test_of_a_hundred_orders_for_the_last_copy_one_is_taken",
        "tests/test_rush.py::test_a_double_click_on_the_last_copy_is_one_order",
        "tests/test_rush.py::test_fifty_tellings_of_one_payment_are_one_payment_one_parcel_one_letter",
    ),
}
"""Tests that share something costly, by the beginnings of their addresses. (``xdist_group`` would say it beside each
test, but xdist 3.8 writes it into a field that pytest 9.2 no longer reads.)"""
LONG = ("tests/browser/", "tests/test_storm.py", "tests/test_running.py", "tests/test_benchmarks.py")
"""They need nothing that is made once for a process's other tests."""


SANDBOXES = "tests/test_sandbox_"
"""Each of these files starts a sandbox for itself."""


def group_of(nodeid: str) -> str:
    """The group that a test belongs to; by itself it is one of its own."""
    for group, beginnings in TOGETHER.items():
        if nodeid.startswith(beginnings):
            return group
    return nodeid.partition("::")[0] if nodeid.startswith(SANDBOXES) else nodeid


class SharingOut(LoadScopeScheduling):
    """The group with the most tests first, then single tests in their order."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
