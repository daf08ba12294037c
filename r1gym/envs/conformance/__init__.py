"""What every reasoning environment must do, one rule a function; ``r1gym.envs.checker`` runs them."""
