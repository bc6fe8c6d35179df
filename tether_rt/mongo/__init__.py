"""Everything that knows MongoDB: the client, the indexes, the private mongod, and one module per collection."""
