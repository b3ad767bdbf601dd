"""The canonical address of a data source: the same table is never registered twice under two spellings."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from watchkeeper.core.errors import InvalidInput

_SCHEMES = {"postgres": "postgresql", "s3a": "s3", "s3n": "s3", "abfss": "abfs", "wasbs": "wasb"}
_PORTS = {"postgresql": 5432, "mysql": 3306, "clickhouse": 9000, "kafka": 9092, "http": 80, "https": 443}


def canonical_address(given: str) -> str:
    """One spelling per source: scheme aliases, case of scheme and host, default port, user, doubled and trailing slashes are folded.

    >>> canonical_address("Postgres://etl@DWH:5432/sales.orders/")
    'postgresql://dwh/sales.orders'
    >>> canonical_address(" DWH.Prices.Shelf ")
    'dwh.prices.shelf'
    """
    text = given.strip()
    if not text or len(text) > 500 or re.search(r"[\x00-\x1f]", text):
        raise InvalidInput(
            f"{given!r} is not an address of a data source.",
            remedy="Write e.g. postgres://host/schema.table, s3://bucket/folder, kafka://host/topic or schema.table.",
            fields={"address": given},
        )
    if "://" not in text:
        return text.strip("/").lower()
    parts = urlsplit(text)
    scheme = _SCHEMES.get(parts.scheme.lower(), parts.scheme.lower())
    host = (parts.hostname or "").lower()
    port = _port(parts.netloc)
    place = f"{host}:{port}" if port and port != _PORTS.get(scheme) else host
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    return urlunsplit((scheme, place, path, parts.query, ""))


def _port(netloc: str) -> int | None:
    match = re.search(r":(\d+)$", netloc)
    return int(match[1]) if match else None
