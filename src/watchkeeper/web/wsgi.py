"""Django's handler for pages and REST; ingest calls never come here (cli.server)."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "watchkeeper.web.settings")
application = get_wsgi_application()
