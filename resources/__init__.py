"""All HTTP: a resource parses, calls one function of core/, and shapes the answer."""
