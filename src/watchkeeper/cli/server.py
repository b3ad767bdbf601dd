"""What granian serves: ingest calls go straight to their callable, everything else to Django. Run by `watchkeeper web`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "watchkeeper.web.settings")

from watchkeeper.web.wsgi import application as django  # sets Django up: first

from watchkeeper import wire  # isort: skip
from watchkeeper.api.ingest import IngestApp  # isort: skip
from watchkeeper.cli.logs import set_up_logs  # isort: skip
from watchkeeper.core.clock import clock_of  # isort: skip
from watchkeeper.core.garbage import collect_seldom  # isort: skip
from watchkeeper.core.settings import settings  # isort: skip

set_up_logs()
ingest = IngestApp(clock_of(settings().data, is_demo=settings().is_demo), settings())
collect_seldom()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:  # Any: WSGI
    if environ["PATH_INFO"].startswith(wire.PREFIX + "/"):
        return ingest(environ, start_response)
    return django(environ, start_response)
