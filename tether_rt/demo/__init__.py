"""The demo: a server to try out, with sample calls and a simulation."""
