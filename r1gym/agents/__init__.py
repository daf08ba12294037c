"""Learning algorithms: GRPO, the supervised cold start, and the embedded default that shows both."""

from r1gym.config import require

require("torch", "transformers", "accelerate", extra="train")
