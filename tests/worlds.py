"""Two units with one of everything, and a cast with one role each in the first: what the tests of rights are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.platform import Platform
from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.models import Person, Role, RoleGrant, Team
from watchkeeper.accounts.rights import Ability
from watchkeeper.alerts import flow
from watchkeeper.alerts.models import Message, Silence
from watchkeeper.alerts.services import create_silence
from watchkeeper.history.actors import PLATFORM
from watchkeeper.incidents.models import Incident
from watchkeeper.ingest import places
from watchkeeper.ingest.models import AuditSample, WatchedPlace
from watchkeeper.monitoring.models import Policy
from watchkeeper.monitoring.services import Binding, create_policy
from watchkeeper.registry import services as registry
from watchkeeper.registry.models import DataSource, RegisteredModel
from watchkeeper.registry.services import Owners

# who has which ability in their own unit; nobody but the administrator of the company has any in the other
HAS: dict[str, frozenset[Ability]] = {
    "outsider": frozenset(),
    "viewer": frozenset({Ability.VIEW}),
    "validator": frozenset({Ability.VIEW, Ability.WORK}),
    "owner": frozenset({Ability.VIEW, Ability.WORK, Ability.EDIT}),
    "maintainer": frozenset({Ability.VIEW, Ability.WORK, Ability.EDIT}),
    "risk_officer": frozenset({Ability.VIEW, Ability.WORK, Ability.EDIT, Ability.GOVERN}),
    "unit_administrator": frozenset(Ability),
}
NOWHERE = "http://127.0.0.1:9/"  # nobody listens on the discard port


@dataclass
class World:
    """One of everything in a unit: what a call may be about."""

    unit: Any
    model: Any
    risk: Any
    incident: Incident
    channel: Any
    silence: Silence
    grant: RoleGrant
    source: DataSource
    policy: Policy
    place: WatchedPlace
    team: Team
    dead: Message
    token_id: str
    audit: AuditSample


def build(platform: Platform, name: str) -> World:
    now, actor = platform.clock.now(), platform.actor
    unit = accounts.ensure_unit([name], actor=actor, now=now)
    staff = accounts.create_person(email=f"staff-{name}@example.com", actor=actor, now=now)
    team = accounts.create_team(f"Team {name}", members=[staff], actor=actor, now=now)
    made = flow.connect_model(f"Model {name}", unit=unit, actor=actor, now=now, fields={}, owners=Owners(technical=(staff,), business=(team,)))
    model = made.model
    registry.declare_metric(model, name="mape", actor=actor, now=now)
    source = registry.link_sources(model, addresses=[f"dwh.{name}"], actor=actor, now=now)[0]
    risk = platform.bind(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 1})
    platform.measure(model, "mape", 5)
    platform.work(minutes=10)
    channel = platform.webhook(NOWHERE, model=model)
    ends_at = now.replace(year=now.year + 1, month=1)
    silence = create_silence(
        model=model, unit=None, risk_type="", starts_at=now, ends_at=ends_at, reason="r", is_maintenance=False, by=platform.administrator, now=now
    )
    grant = accounts.grant_role(staff, role=Role.VIEWER, unit=unit, actor=PLATFORM, now=now)
    policy = create_policy(f"Policy {name}", type="stale_model", unit=unit, version=Binding(), actor=actor, now=now).policy
    incident = platform.incident(risk)
    assert incident
    audit = AuditSample.objects.create(model=model, number=1, made_at=now, first=now.date(), last=now.date(), size=30, rows=[], looked_at=now)
    dead = Message.objects.create(key=f"dead-{name}", channel=channel, subject="s", text="t", body=b"{}", sealed_at=now, state=Message.State.DEAD)
    place = watched_folder(platform, model, name)
    return World(unit, model, risk, incident, channel, silence, grant, source, policy, place, team, dead, made.token.id, audit)


def watched_folder(platform: Platform, model: RegisteredModel, name: str) -> WatchedPlace:
    """A folder with one prediction, and another one in it."""
    folder = platform.folder / "lake" / name
    (folder / "more").mkdir(parents=True)
    row = pa.table({"id": ["1"], "timestamp": pa.array([platform.clock.now()], pa.timestamp("us", "UTC")), "score": [0.5]})
    pq.write_table(row, folder / "more" / "rows.parquet")
    return places.watch_place(model, wanted=places.Wanted(kind="folder", address=str(folder)), actor=platform.actor, now=platform.clock.now())


def cast(platform: Platform, own: World) -> dict[str, Person]:
    """Somebody for each role in the unit of the world, an owner of its model without a role, an outsider, the administrator of the company."""
    now = platform.clock.now()
    people = {"outsider": platform.outsider, "owner": platform.owner, "administrator": platform.administrator}
    roles = {
        "viewer": Role.VIEWER,
        "validator": Role.VALIDATOR,
        "maintainer": Role.MAINTAINER,
        "risk_officer": Role.RISK_OFFICER,
        "unit_administrator": Role.ADMINISTRATOR,
    }
    for name, role in roles.items():
        people[name] = accounts.create_person(email=f"{name}@cast.example.com", actor=PLATFORM, now=now)
        accounts.grant_role(people[name], role=role, unit=own.unit, actor=PLATFORM, now=now)
    registry.set_owners(own.model, owners=Owners(technical=(platform.owner,), business=(own.team,)), actor=PLATFORM, now=now)
    return people
