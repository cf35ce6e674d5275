"""Orders: reading them, their transitions, and what they hold."""
