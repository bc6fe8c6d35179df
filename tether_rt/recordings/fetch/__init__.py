"""Fetches a recording from a URL that a vendor sent, without letting the URL reach this network."""
