"""The demo: a server to try out, sample calls, a simulation."""
