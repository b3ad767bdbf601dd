"""Pages, one file per subject: parse, ask a query or call a service, render."""
