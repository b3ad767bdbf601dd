"""Changes: append-only, hash-chained. Every service calls `services.record`; nobody updates or deletes a row."""
