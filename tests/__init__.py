"""The tests, laid out like the code; beside them what they share, and stand-ins for AWS that the demo uses, too."""
