"""``python -m r1gym.sandbox {build,doctor,survive}``."""

from r1gym.sandbox.commands import main

main()
