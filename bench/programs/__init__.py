"""Programs that the benchmarks run as processes of their own: load, receivers, a vendor's web server, our fan-out server."""
