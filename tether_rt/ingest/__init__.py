"""From a vendor's POST to a durable call: the handler, where recordings come from, and the group commit."""
