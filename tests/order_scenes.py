"""How far an order has come when a life begins to be drawn: turns that a draw alone would seldom come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.test_two_lives import TwoLives


def paid(lives: TwoLives) -> None:
    lives.open_page(0, "")
    lives.pay(0, "paid", "home", 0, heard=True)


def unopened(lives: TwoLives) -> None:
    lives.open_page(0, "after")


def opened(lives: TwoLives) -> None:
    lives.open_page(0, "")


def paid_abroad(lives: TwoLives) -> None:
    opened(lives)
    lives.pay(0, "paid", "Belfast", 0, heard=True)


def paid_wrongly(lives: TwoLives) -> None:
    opened(lives)
    lives.pay(0, "paid", "home", 1, heard=True)


def delayed(lives: TwoLives) -> None:
    opened(lives)
    lives.pay(0, "delayed", "home", 0, heard=True)


def other_page_closed(lives: TwoLives) -> None:
    opened(lives)
    lives.open_twin(0, lost=False, then="closed", heard=True)


def missing(lives: TwoLives) -> None:
    """The copies of an unpaid order are not there, and it is given up."""
    opened(lives)
    for slug in lives.model.shelf:
        lives.count_the_shelf(slug, -9)
    lives.cancel(0, "")


def revived(lives: TwoLives) -> None:
    opened(lives)
    lives.open_twin(0, lost=False, then="left", heard=False)
    lives.cancel(0, "")
    lives.pay(0, "paid", "home", 0, heard=True)


def paid_late(lives: TwoLives) -> None:
    """The copies of an order that was given up are gone when its money comes."""
    opened(lives)
    lives.open_twin(0, lost=False, then="left", heard=False)
    lives.cancel(0, "")
    for slug in lives.model.shelf:
        lives.count_the_shelf(slug, -9)
    lives.pay(0, "paid", "home", 0, heard=True)


def paid_twice(lives: TwoLives) -> None:
    paid(lives)
    lives.open_twin(0, lost=False, then="paid", heard=True)


def posted(lives: TwoLives) -> None:
    paid(lives)
    lives.post(0)


def posted_and_given_back(lives: TwoLives) -> None:
    posted(lives)
    lives.ask_refund_of_a_sum(0, 0, 0, at_once=True)


def disputed(lives: TwoLives) -> None:
    """Somebody has looked at the dispute, which goes on."""
    paid(lives)
    lives.dispute(0, "needs_response", heard=True)
    lives.settle_worries(0, every=True)


def failed(lives: TwoLives) -> None:
    paid(lives)
    lives.ask_refund_of_copies(0, 1, 0, at_once=True)
    lives.a_refund_goes_on(0, "failed", heard=True)
    lives.settle_worries(0, every=True)


def repeated(lives: TwoLives) -> None:
    failed(lives)
    lives.ask_again(0, at_once=True)
    lives.ask_again(0, at_once=True)


def failed_unheard_of(lives: TwoLives) -> None:
    paid(lives)
    lives.ask_refund_of_copies(0, 1, 0, at_once=False)
    if lives.model.given_back:
        lives.perform(lives.model.given_back[0], "after", "pending")
        lives.a_refund_goes_on(0, "failed", heard=True)
    lives.refund_in_the_dashboard(0, 0, "pending", heard=False)
    lives.a_refund_goes_on(len(lives.world.refunds) - 1, "failed", heard=True)


def refused_then_posted(lives: TwoLives) -> None:
    """A refund of everything that the provider would not make is made once more when the parcel has left."""
    paid(lives)
    lives.dispute(0, "needs_response", heard=False)
    lives.ask_refund_of_a_sum(0, 0, 0, at_once=True)
    lives.dispute(0, "won", heard=True)
    lives.settle_worries(0, every=True)
    lives.post(0)
    lives.ask_again(0, at_once=True)


def taken_by_another(lives: TwoLives) -> None:
    """Posted copies whose refund failed are given back by another, and the first cannot be repeated."""
    posted(lives)
    last = (1, 0) if len(lives.order(0).lines) == 1 else (0, 1)
    lives.ask_refund_of_copies(0, *last, at_once=True)
    lives.a_refund_goes_on(0, "failed", heard=True)
    lives.ask_refund_of_copies(0, *last, at_once=True)
    lives.ask_again(0, at_once=True)


def unanswered(lives: TwoLives) -> None:
    """A refund is made, its answer lost, and the next as well when the provider has forgotten the key."""
    paid(lives)
    lives.ask_refund_of_a_sum(0, 500, 0, at_once=False)
    (row,) = lives.model.given_back
    lives.perform(row, "after", "succeeded")
    lives.time_goes_by({"days": 1}, swept=False)
    lives.perform(row, "before", "succeeded")
    lives.shop_and_model_agree()
    lives.time_goes_by({"minutes": 10}, swept=False)
    lives.perform(row, "", "succeeded")


def given_back_from_both_sides(lives: TwoLives) -> None:
    """Part of a posted order is owed back, the rest was given back in the dashboard."""
    posted(lives)
    lives.ask_refund_of_a_sum(0, 500, 0, at_once=False)
    left = lives.model.refundable(lives.model.given_back[0].intent)
    lives.refund_in_the_dashboard(0, left, "succeeded", heard=True)
    lives.perform(lives.model.given_back[0], "", "succeeded")


def lost_and_disputed(lives: TwoLives) -> None:
    """Money without an order is disputed before the order is rebuilt."""
    opened(lives)
    lives.open_twin(0, lost=True, then="paid", heard=True)
    lives.dispute(0, "needs_response", heard=True)
    lives.rebuild(0, "")


def lost_and_given_back(lives: TwoLives) -> None:
    """Money without an order goes back in part, so that the order cannot be rebuilt."""
    opened(lives)
    lives.open_twin(0, lost=True, then="paid", heard=True)
    lives.ask_refund_of_a_sum(0, 500, 0, at_once=True)
    lives.rebuild(0, "")


SCENES = [
    unopened,
    opened,
    paid,
    paid_abroad,
    paid_wrongly,
    delayed,
    other_page_closed,
    missing,
    revived,
    paid_late,
    paid_twice,
    posted,
    posted_and_given_back,
    disputed,
    failed,
    repeated,
    failed_unheard_of,
    refused_then_posted,
    taken_by_another,
    unanswered,
    given_back_from_both_sides,
    lost_and_disputed,
    lost_and_given_back,
]
