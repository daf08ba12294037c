"""Run the catalog listing as ``python -m r1gym.envs``."""

from r1gym.config import run_command
from r1gym.envs.listing import main

if __name__ == "__main__":
    run_command(main)
