"""What runs inside a slot: sent as source when a slot starts, standard library only."""
