"""MongoDB's wire protocol on the event loop, for the transaction of a batch."""
