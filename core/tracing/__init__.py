"""Traces by OpenTelemetry. Nothing here is loaded unless the setting TRACES is on."""
