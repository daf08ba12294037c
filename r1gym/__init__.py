"""r1gym: reasoning tasks as honest Gymnasium environments, and a GRPO trainer that learns from them fast."""

__version__ = "0.1.0"
