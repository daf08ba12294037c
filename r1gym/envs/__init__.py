"""Gymnasium environments over tasks and verifiers; ``r1gym/envs/catalog.py`` lists every id."""
