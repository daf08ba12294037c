"""``python -m r1gym.evals``."""

from r1gym.evals.command import main

main()
