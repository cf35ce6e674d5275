"""Programs beside the service that show how to work with it."""
