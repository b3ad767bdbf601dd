"""The demo: real models on real data, a real year replayed through the SDK and the real API with a moved clock, then live."""

from watchkeeper.cli.demo.running import run_demo

__all__ = ["run_demo"]
