"""Hostile programs, one table row each: what a sandbox must withstand, and what must be observed."""
