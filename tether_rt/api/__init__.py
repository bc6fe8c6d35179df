"""The HTTP handlers that read: thin, one module per noun."""
