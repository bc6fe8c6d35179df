"""What HTTP handlers share: base handlers, responses, request bodies, connections, routing, static files."""
