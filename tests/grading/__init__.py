"""How exercises are graded. README.md says how to write a set."""
