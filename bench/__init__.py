"""The benchmarks: tether_rt beside what one would use instead, on one machine, in one go. See README.md."""
