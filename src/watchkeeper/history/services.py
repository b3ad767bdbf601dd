"""Write Changes, seal them, verify the chain; hold named leases. Does not know what was changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import wraps
from typing import Any, ParamSpec
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from watchkeeper.core.durations import format_duration
from watchkeeper.history.actors import Actor
from watchkeeper.history.anchors import Anchor
from watchkeeper.history.bulk import insert_rows, insert_values, prepared, prepared_objects
from watchkeeper.history.models import Change, Lease, Seal

GENESIS = "0" * 64
SEALED_AT_ONCE = 1000
STRAGGLING = timedelta(hours=1)  # how far before the end of the chain an unsealed Change is looked for every second
P = ParamSpec("P")
Fields = Mapping[str, Any]  # Any: whatever a field of a model holds, made JSON by `plain`


def change(
    *,
    actor: Actor,
    action: str,
    on: str,
    id: object,
    now: datetime,
    model: UUID | None = None,
    before: Fields | None = None,
    after: Fields | None = None,
    reason: str = "",
    parent: Change | None = None,
) -> Change:
    """One change, not recorded yet."""
    return Change(
        at=now,
        actor_kind=actor.kind,
        actor_id=actor.id,
        action=action,
        object_type=on,
        object_id=str(id),
        model_id=model,
        reason=reason,
        before=plain(before),
        after=plain(after),
        parent=parent,
    )


def _recorded(describe: Callable[P, Change]) -> Callable[P, Change]:
    @wraps(describe)
    def record(*given: P.args, **named: P.kwargs) -> Change:
        described = describe(*given, **named)
        described.save(force_insert=True)
        return described

    return record


record = _recorded(change)  # inside the caller's transaction: it is there exactly when what it describes is there


def record_all(changes: Sequence[Change]) -> None:
    """Record many changes inside the caller's transaction."""
    insert_rows(changes)


def difference(before: Fields, after: Fields) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only the fields that differ, on both sides."""
    names = [name for name in after if plain(before.get(name)) != plain(after[name])]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def plain(value: Any) -> Any:  # Any: a field's value becomes JSON
    """A value as JSON: what the hash covers must read the same for ever."""
    match value:
        case None | bool() | int() | float() | str():
            return value.value if isinstance(value, Enum) else value
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case timedelta():
            return format_duration(value)
        case UUID() | Decimal():
            return str(value)
        case Mapping():
            return {str(name): plain(entry) for name, entry in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(entry) for entry in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return str(value)


# sealing


def has_unsealed() -> bool:
    return bool(_unsealed_near_the_end())


def seal_changes(*, now: datetime) -> int:
    """Chain the unsealed Changes, oldest first. One leased sealer runs this; a second one fails on the number and changes nothing."""
    return _seal(_unsealed_near_the_end(), now)


def seal_stragglers(*, now: datetime) -> int:
    """Chain what a clock far behind wrote before the end of the chain. Looks through all Changes: now and then, not every second."""
    return _seal(list(Change.objects.filter(seal__isnull=True).order_by("at", "id").values_list("id", flat=True)[:SEALED_AT_ONCE]), now)


def _unsealed_near_the_end() -> list[UUID]:
    last = _last_sealed_at()
    return [id for (id,) in (_unsealed_since(last[0][0] - STRAGGLING) if last else _unsealed_since(datetime.min.replace(tzinfo=UTC)))]


@prepared
def _last_sealed_at() -> QuerySet[Seal, Any]:  # Any: values of columns
    return Seal.objects.order_by("-number").values_list("change__at")[:1]


@prepared
def _unsealed_since(at: datetime) -> QuerySet[Change, Any]:  # Any: values of columns
    return Change.objects.filter(at__since=at, seal__isnull=True).order_by("at", "id").values_list("id")[:SEALED_AT_ONCE]


def _seal(ids: Collection[UUID], now: datetime) -> int:
    if not ids:
        return 0
    try:
        with transaction.atomic():
            last = Seal.objects.order_by("-number").first()
            number, previous = (last.number, last.hash) if last else (0, GENESIS)
            seals = []
            for change in _in_order(ids):
                number += 1
                digest = chained_hash(change, number=number, previous=previous)
                seals.append((number, change.id, previous, digest, now))
                previous = digest
            insert_values(Seal, ("number", "change", "previous_hash", "hash", "sealed_at"), seals)
    except IntegrityError:
        return 0
    return len(seals)


@prepared_objects
def _in_order(ids: Collection[UUID]) -> QuerySet[Change]:
    return Change.objects.filter(id__among=ids).order_by("at", "id")


def chained_hash(change: Change, *, number: int, previous: str) -> str:
    """SHA-256 over the previous hash and canonical JSON of every field, author and parent included."""
    content = {
        "number": number,
        "previous": previous,
        "id": str(change.id),
        "at": plain(change.at),
        "actor_kind": change.actor_kind,
        "actor_id": change.actor_id,
        "action": change.action,
        "object_type": change.object_type,
        "object_id": change.object_id,
        "model_id": plain(change.model_id),
        "reason": change.reason,
        "before": change.before,
        "after": change.after,
        "parent": plain(change.parent_id),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True)
class Verification:
    """`bad_number` is the first record that was altered, removed or swapped; None when the chain holds. `unsealed` is the tail not yet chained."""

    sealed: int
    unsealed: int
    bad_number: int | None = None
    what: str = ""


def verify_history(anchors: Collection[Anchor] = ()) -> Verification:
    """Walk the whole chain and name the first bad record. Anchors tell when its end was cut off, or all of it was written anew."""
    unsealed = Change.objects.filter(seal__isnull=True).count()
    anchored = {anchor.number: anchor for anchor in anchors}
    previous, expected = GENESIS, 1
    for seal in _seals():
        problem = _seal_problem(seal, expected=expected, previous=previous) or _anchor_problem(seal, anchored.get(seal.number))
        if problem:
            return Verification(expected - 1, unsealed, expected, problem)
        previous, expected = seal.hash, expected + 1
    last = max(anchored, default=0)
    if last >= expected:
        return Verification(
            expected - 1, unsealed, expected, f"the chain ends before it; the anchor of {anchored[last].at or 'yours'} is record {last}"
        )
    return Verification(expected - 1, unsealed)


def _seals() -> Iterator[Seal]:
    return Seal.objects.select_related("change").order_by("number").iterator(chunk_size=2000)


def _seal_problem(seal: Seal, *, expected: int, previous: str) -> str:
    if seal.number != expected:
        return f"record {expected} is missing"
    if seal.previous_hash != previous:
        return "does not follow the record before it: one of the two was swapped or removed"
    if seal.hash != chained_hash(seal.change, number=seal.number, previous=seal.previous_hash):
        return "its content does not match its hash: it was altered"
    return ""


def _anchor_problem(seal: Seal, anchor: Anchor | None) -> str:
    return "" if anchor is None or anchor.hash == seal.hash else "does not match its anchor: the chain was written anew"


# leases


def take_lease(name: str, *, holder: str, now: datetime, seconds: float) -> int | None:
    """The fence number when the lease is ours until now + seconds, None while somebody else holds it. Compare-and-set, any database."""
    until = now + timedelta(seconds=seconds)
    mine_or_free = Lease.objects.filter(Q(holder=holder) | Q(until__lte=now), name=name)
    if mine_or_free.update(holder=holder, until=until, fence=F("fence") + 1):
        return Lease.objects.values_list("fence", flat=True).get(name=name, holder=holder)
    if Lease.objects.filter(name=name).exists():
        return None
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, holder=holder, fence=1, until=until)
    except IntegrityError:
        return None
    return 1


def holds_lease(name: str, *, fence: int) -> bool:
    """Whether nobody took the lease since: to be asked inside the transaction that writes."""
    return Lease.objects.filter(name=name, fence=fence).exists()


def release_lease(name: str, *, fence: int, now: datetime) -> None:
    Lease.objects.filter(name=name, fence=fence).update(until=now)


def take_timer(name: str, *, holder: str, now: datetime, seconds: float) -> bool:
    """True at most once in the given time over all workers: a lease that even its holder cannot renew early."""
    if any(until > now for (until,) in _until(name)):
        return False
    return take_lease(name, holder=holder, now=now, seconds=seconds) is not None


@prepared
def _until(name: str) -> QuerySet[Lease, Any]:  # Any: values of columns
    return Lease.objects.filter(name=name).values_list("until")
