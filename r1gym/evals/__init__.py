"""Measuring a policy: pass@k, cons@k, rates and their intervals, with every completion kept."""
