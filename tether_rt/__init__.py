"""tether_rt: completed call records in over HTTP, every change out to dashboards over a WebSocket."""

__version__ = "0.1.0"
