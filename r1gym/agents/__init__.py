"""Learning algorithms: GRPO, the supervised cold start, and the embedded default that shows both."""
