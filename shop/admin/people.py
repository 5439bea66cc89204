"""The people of the desk: who they are, what each may do, and inviting others."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop.admin.desk import desk, person
from shop.admin.devices import device_name
from shop.admin.forms import ROLES, InviteForm, PersonForm
from shop.database import transact
from shop.errors import WrongState
from shop.extensions import db, now
from shop.letters import outbox
from shop.letters.models import Kind
from shop.staff import Admin, Role, close_all_sessions, people, second_factor, sessions


@desk.get("/people")
def people_list() -> ResponseReturnValue:
    return _list(InviteForm(language=person().language, role=Role.PACKER.value))


@desk.post("/people")
def invite() -> ResponseReturnValue:
    """Add a person and write him a letter with a link to set a password."""
    form, inviter, at = InviteForm(request.form), person().name, now()
    if not form.validate():
        return _list(form, 422)
    email, name = form.email.data or "", form.name.data or ""
    role, spoken = Role(form.role.data), form.language.data

    def work(s: Session) -> None:
        someone, token = people.invite(s, email, name, role, spoken, at)
        _write(s, someone, token, inviter)

    try:
        transact(db.session(), work)
    except people.Known:
        form.email.errors = [_("Somebody has this e-mail address already.")]
        return _list(form, 409)
    flash(_("Invited. The letter is on its way; its link holds for three days."))
    return redirect(url_for("admin.people_list"), code=303)


@desk.post("/people/rules")
def change_rules() -> ResponseReturnValue:
    """Ask everybody for a second factor, or no longer."""
    required = request.form.get("required") == "yes"
    transact(db.session(), lambda s: people.require_second_factor(s, required))
    if required:
        flash(_("Whoever has no second factor is now led to set one up before anything else."))
    else:
        flash(_("Each person may now decide about a second factor."))
    return redirect(url_for("admin.people_list"), code=303)


@desk.get("/people/<int:person_id>")
def person_page(person_id: int) -> ResponseReturnValue:
    return _whole(_find(person_id))


@desk.post("/people/<int:person_id>")
def change_person(person_id: int) -> ResponseReturnValue:
    """Another role, in or out of service. An owner always remains."""
    someone, form = _find(person_id), PersonForm(request.form)
    if not form.validate():
        return _whole(someone, form, 422)
    role, active, notified = Role(form.role.data), form.active.data, form.notified.data
    try:
        transact(db.session(), lambda s: people.change(s, person_id, role=role, active=active, notified=notified))
    except people.LastOwner:
        problem = _("This is the last owner: somebody has to be left who may do everything.")
        return _whole(_find(person_id), form, 409, problem)
    flash(_("Saved. It holds from the next click on."))
    return redirect(url_for("admin.person_page", person_id=person_id), code=303)


@desk.post("/people/<int:person_id>/invite")
def invite_again(person_id: int) -> ResponseReturnValue:
    """Write another letter with a link; the link before is void. Also for somebody who forgot his password."""
    _find(person_id)
    inviter, at = person().name, now()

    def work(s: Session) -> None:
        someone = s.get_one(Admin, person_id, with_for_update=True, populate_existing=True)
        _write(s, someone, people.offer_link(someone, at), inviter)

    transact(db.session(), work)
    flash(_("The letter is on its way; its link holds for three days."))
    return redirect(url_for("admin.person_page", person_id=person_id), code=303)


@desk.post("/people/<int:person_id>/second-factor")
def reset_second_factor(person_id: int) -> ResponseReturnValue:
    """Somebody has lost telephone and recovery codes: let the password be enough for the next sign-in."""
    _find(person_id)

    def work(s: Session) -> None:
        someone = s.get_one(Admin, person_id)
        if not someone.has_second_factor:
            raise WrongState(f"{someone.email} has no second factor")
        second_factor.remove(s, someone)
        close_all_sessions(s, person_id)

    transact(db.session(), work)
    flash(_("Reset. At the next sign-in the password is enough; all sessions were ended."))
    return redirect(url_for("admin.person_page", person_id=person_id), code=303)


@desk.post("/people/<int:person_id>/sessions")
def revoke_persons_sessions(person_id: int) -> ResponseReturnValue:
    """Put a person out of every browser."""
    _find(person_id)
    transact(db.session(), lambda s: close_all_sessions(s, person_id))
    flash(_("All sessions were ended."))
    return redirect(url_for("admin.person_page", person_id=person_id), code=303)


def _write(session: Session, someone: Admin, token: str, inviter: str) -> None:
    outbox.owe(
        session,
        Kind.INVITATION,
        f"person:{someone.id}:{someone.invite_hash[:16]}",
        someone.email,
        outbox.locale_of(someone.language),
        {
            "name": someone.name,
            "inviter": inviter,
            "path": url_for("admin.invitation", token=token),
            "until": someone.invited_until.isoformat() if someone.invited_until else "",
            "new": not someone.has_joined,
        },
        now(),
    )


def _find(person_id: int) -> Admin:
    someone = db.session().get(Admin, person_id) if person_id < 2**31 else None
    if someone is None:
        abort(404)
    return someone


def _list(form: InviteForm, status: int = 200) -> tuple[str, int]:
    session = db.session()
    page = render_template(
        "admin/people.html",
        people=people.everybody(session),
        roles=ROLES,
        form=form,
        required=sessions.second_factor_required(session),
    )
    return page, status


def _whole(
    someone: Admin, form: PersonForm | None = None, status: int = 200, problem: str = ""
) -> tuple[str, int]:
    page = render_template(
        "admin/person.html",
        someone=someone,
        form=form or PersonForm(role=someone.role.value, active=someone.active, notified=someone.notified),
        sessions=sessions.of_person(db.session(), someone.id, now()),
        device_name=device_name,
        invited=bool(someone.invite_hash) and someone.invited_until is not None and someone.invited_until > now(),
        problem=problem,
    )
    return page, status
