"""The registry: every model once, with its owners, versions, metrics, data sources and integration tokens."""
