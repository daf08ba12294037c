"""Run the task sets' command line as ``python -m r1gym.tasks``."""

from r1gym.tasks.cli import main

if __name__ == "__main__":
    main()
