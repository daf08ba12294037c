"""The rollout engine: batched sampling with its own key-value cache."""
