"""Policies: anything that samples completions and gives their log-probabilities."""
