"""Sources of tasks: one a file, row → Task; this room never judges an answer."""
