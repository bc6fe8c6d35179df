"""Erasing for good what was stored: calls, contacts, and what an organization keeps no longer."""
