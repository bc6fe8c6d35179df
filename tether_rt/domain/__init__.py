"""What a call is and what the contract says of it: pure, no I/O."""
