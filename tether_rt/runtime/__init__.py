"""What long-lived work shares: supervision, deadlines, back-off, cooperative steps, metrics, logs."""
