"""Incidents: what people work on while a risk keeps firing. Their state is human; the condition behind them is computed."""
