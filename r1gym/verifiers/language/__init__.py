"""Language consistency: which share of a thought is written in the language that was asked for."""
