"""What pages that change something share: a refusal shows on the form, a secret is shown once. Does not decide what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from watchkeeper.core.errors import Conflict, Gone, InvalidInput, NotFound, Unavailable, WatchkeeperError
from watchkeeper.core.secrets import decrypt, encrypt
from watchkeeper.web.page import P, View, signed_in

REFUSALS = (Conflict, Gone, InvalidInput, NotFound, Unavailable)
PER_PAGE = 50
R = TypeVar("R")
Row = TypeVar("Row", bound=Model)


def attempt(form: Form, act: Callable[[], R]) -> R | None:
    """Do it if the form is right; what the platform refuses then stands on the form, beside what was typed."""
    if not form.is_valid():
        return None
    try:
        return act()
    except REFUSALS as problem:
        refuse(form, problem)
        return None


def refuse(form: Form, problem: WatchkeeperError) -> None:
    """Beside the field it is about, when the form has it; else above the form."""
    fields = [name for name in problem.fields if name in form.fields]
    form.add_error(fields[0] if fields else None, sentence(problem))


def sentence(problem: WatchkeeperError) -> str:
    return f"{gettext(problem.detail)} {gettext(problem.remedy) if problem.remedy else ''}".strip()


def status_of(form: Form) -> int:
    return 422 if form.is_bound and form.errors else 200


def button(view: View[P]) -> View[P]:
    """A view behind a button: POST only; what is refused becomes a note on the page one came from."""

    @wraps(view)
    def handle(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except REFUSALS as problem:
            if isinstance(problem, NotFound):
                raise
            messages.error(request, sentence(problem))
            return back(request)

    return signed_in(cast("View[P]", require_POST(handle)))


def back(request: HttpRequest) -> HttpResponse:
    """To the page the button stood on; htmx, which would put all of it in the place of a fragment, reads the page again."""
    if "HX-Request" in request.headers:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    origin = request.headers.get("Referer", "")
    return redirect(origin if url_has_allowed_host_and_scheme(origin, {request.get_host()}) else "/")


def keep_once(request: HttpRequest, name: str, secret: str) -> None:
    """Keep a secret, encrypted, until the next page of this reader shows it."""
    request.session[f"once {name}"] = encrypt({"secret": secret})


def take_once(request: HttpRequest, name: str) -> str:
    """The kept secret; it is gone after this."""
    kept = request.session.pop(f"once {name}", "")
    return str(decrypt(kept)["secret"]) if kept else ""


def page_of(request: HttpRequest, found: QuerySet[Row], *, size: int = PER_PAGE) -> Page[Row]:
    return Paginator(found, size).get_page(request.GET.get("page"))


def query_without_page(request: HttpRequest) -> str:
    """The filters of a list, for the links to its other pages."""
    kept = request.GET.copy()
    kept.pop("page", None)
    return kept.urlencode()
