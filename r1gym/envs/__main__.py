"""Run the catalog listing as ``python -m r1gym.envs``."""

from r1gym.envs.listing import main

if __name__ == "__main__":
    main()
