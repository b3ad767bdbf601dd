"""Watchkeeper keeps watch over machine-learning models after they go to production. Importing it loads the SDK only, and that when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchkeeper.client import Client, NotDelivered, SelfCheck, connect

__all__ = ["Client", "NotDelivered", "SelfCheck", "connect"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # Any: whichever of __all__
    """The SDK loads httpx (0.7 s): the server's own processes do not need it."""
    if name not in __all__:
        raise AttributeError(f"module 'watchkeeper' has no attribute {name!r}")
    from watchkeeper import client

    return getattr(client, name)
