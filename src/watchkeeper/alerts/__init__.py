"""Alerts: who is told what through which channel, and that nothing is lost on the way."""
