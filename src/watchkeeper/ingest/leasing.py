"""One worker at a time per model and kind of work; a model whose work fails never holds up the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog
from django.db import DatabaseError

from watchkeeper.history.services import holds_lease, release_lease, take_lease

log = structlog.get_logger()
StillOurs = Callable[[], bool]
Follow = Callable[[UUID, str], None]  # told of a model and a stream in the transaction that changed them


def under_leases(
    models: Iterable[UUID],
    work: Callable[[UUID, StillOurs], int],
    *,
    of: str,
    holder: str,
    now: datetime,
    seconds: float,
    after_failure: Callable[[UUID], None] = lambda _model: None,
) -> int:
    """Do the work of each model that no other worker has; how much was done. A failure is logged, except one of the database, which is everybody's."""
    done = 0
    for model in models:
        name = f"{of}:{model}"
        fence = take_lease(name, holder=holder, now=now, seconds=seconds)
        if fence is None:
            continue
        try:
            done += work(model, partial(holds_lease, name, fence=fence))
        except DatabaseError:
            raise
        except Exception:  # a lost payload or a broken log stops its own model
            log.exception("work on a model failed", of=of, model=str(model))
            after_failure(model)
        finally:
            release_lease(name, fence=fence, now=now)
    return done
