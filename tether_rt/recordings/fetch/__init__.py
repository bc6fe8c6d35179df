"""Fetching a recording from a URL that a vendor sent, without letting it reach this network."""
