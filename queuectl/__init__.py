"""queuectl: shell jobs declared in TOML manifests, reconciled into a durable queue."""

__version__ = "0.1.0"
