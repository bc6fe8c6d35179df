"""What vendors' webhooks carry, how they are signed, and how each becomes a part of a call. Pure: one adapter a vendor."""
