"""Watchkeeper keeps watch over machine-learning models after they go to production. Importing it loads the SDK only."""

from watchkeeper.client import Client, connect

__all__ = ["Client", "connect"]
__version__ = "0.1.0"
