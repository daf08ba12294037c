"""The red team: a checklist of attacks and positive controls for every environment; ``checklist.py`` holds the rows."""
