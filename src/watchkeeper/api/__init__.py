"""REST: thin endpoints that parse, call a query or a service, and answer. The five ingest calls are a WSGI callable of their own."""
