"""What every request goes through, whatever it asks for: entrance, checks, limits, answers, log line, description."""
