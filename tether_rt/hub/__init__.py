"""The live side: the tail of the feed, a room per organization, and the WebSocket that dashboards hold open."""
