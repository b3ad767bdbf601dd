"""Ingest: what models send, durable before the acknowledgement, applied exactly once, refused rows kept where the owner sees them."""
