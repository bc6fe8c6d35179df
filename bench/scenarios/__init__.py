"""One module a scenario: `run(lab, scale)` measures and returns what is to be written down."""
