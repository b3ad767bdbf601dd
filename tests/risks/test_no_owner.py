from datetime import UTC, datetime

import pytest

from tests.platform import Platform
from tests.risks.story import fires, resolves
from watchkeeper.accounts import services as accounts
from watchkeeper.alerts import flow
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.evidence import Passport
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.history.actors import PLATFORM
from watchkeeper.registry import services as registry
from watchkeeper.registry.services import Owners
from watchkeeper.risks import get, no_owner

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def judge(*, business: int, technical: int, **params: bool) -> Finding:
    evidence = Passport(now=NOW, registered_at=NOW, kind="model", problem_type="", business_owners=business, technical_owners=technical)
    return no_owner.evaluate(evidence, no_owner.Params.model_validate(params))


def test_it_names_each_missing_owner() -> None:
    assert judge(business=0, technical=0).parts == ("business", "technical")


def test_an_owner_who_is_not_required_may_be_missing() -> None:
    assert judge(business=0, technical=1, require_business=False).outcome == Outcome.QUIET


def test_a_missing_owner_who_is_not_required_is_not_named() -> None:
    assert judge(business=0, technical=0, require_business=False).parts == ("technical",)


def test_requiring_nobody_is_refused() -> None:
    with pytest.raises(InvalidInput, match="criticality to 0"):
        get("no_owner").parse_params({"require_business": False, "require_technical": False})


def test_story_of_a_business_owner_who_is_missing(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_owner")
    flow.set_owners(model, owners=Owners(technical=(platform.owner,)), actor=platform.actor, now=platform.clock.now())
    platform.work(minutes=1)
    fires(platform, risk, says="business")

    flow.set_owners(
        model, owners=Owners(business=(platform.business_owner,), technical=(platform.owner,)), actor=platform.actor, now=platform.clock.now()
    )
    platform.work(minutes=1)
    resolves(platform, risk)


def test_the_models_of_a_leaver_go_to_the_successor(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_owner")
    successor = accounts.create_person(email="new@example.com", actor=PLATFORM, now=platform.clock.now())
    registry.deactivate_person(platform.owner, successor=successor, actor=platform.actor, now=platform.clock.now())
    platform.work(minutes=10)

    assert platform.condition(risk) == "ok"
    assert list(model.ownerships.filter(side="technical").values_list("person__email", flat=True)) == ["new@example.com"]
