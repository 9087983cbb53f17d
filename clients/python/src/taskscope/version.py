"""The version, for the package, the user agent and heartbeats."""

__version__ = "0.1.0"
