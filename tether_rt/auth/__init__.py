"""Who is calling: credentials, identity, passwords, rate limits."""
