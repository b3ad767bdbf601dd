"""Prediction and label rows in, profiles out: `decode` (payload to log form), `log` (Delta Lake), `profiles` (additive counts), `engines`.

Knows no Django and no control store: type registers, sequence numbers and dirty windows are arguments and results.
"""
